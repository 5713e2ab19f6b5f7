package wire

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// packedCodec is the length framing with compressed bodies. It sends a payload of which a given share repeats itself.
type packedCodec struct {
	lengthCodec
	flag    byte
	packers *sync.Pool // of packer
	payload *payload
}

func newPacked(p Params, server bool) Codec {
	for _, k := range packers {
		if k.kind == p.Packing.Kind {
			return packedCodec{lengthCodec{server: server}, k.flag, &sync.Pool{New: func() any { return k.make(p.Packing.Level) }}, &payload{repeats: p.Compressible}}
		}
	}
	panic("wire: no way to compress: " + p.Packing.Kind) // the sizes have passed Check
}

// bodies are lent to frames and states that hold a compressed body.
var bodies = sync.Pool{New: func() any { return new([]byte) }}

func (c packedCodec) Put(f *Frame, m Message) {
	c.lengthCodec.Put(f, m)
	if f.packed == nil {
		f.packed = bodies.Get().(*[]byte)
	}
	p := c.packers.Get().(packer)
	*f.packed = p.pack((*f.packed)[:0], c.payload.first(m.Size-lengthMin))
	c.packers.Put(p)
	f.body = int64(len(*f.packed))
	binary.BigEndian.PutUint32(f.head, uint32(f.body+lengthMin))
	f.head[5] = c.flag
}

// Scan reads frames as the length framing does, and keeps a body that comes in pieces. The message's size is that of the
// body when it is decompressed.
func (c packedCodec) Scan(st *State, b []byte) (used int, done bool, err error) {
	before := st.got
	used, done, err = c.lengthCodec.Scan(st, b)
	if err != nil {
		return used, false, err
	}
	head := int(min(max(lengthHead-before, 0), int64(used)))
	if head > 0 && before+int64(head) == lengthHead {
		flags := st.head[5]
		if before == 0 && len(b) >= lengthHead {
			flags = b[5]
		}
		if flags != c.flag {
			return used, false, fmt.Errorf("flags %d do not say that the body is compressed as was agreed: want %d", flags, c.flag)
		}
	}
	body := b[head:used]
	if st.packed != nil || !done && len(body) > 0 {
		if st.packed == nil {
			st.packed = bodies.Get().(*[]byte)
			*st.packed = (*st.packed)[:0]
		}
		*st.packed = append(*st.packed, body...)
		body = *st.packed
	}
	if !done {
		return used, false, nil
	}
	p := c.packers.Get().(packer)
	n, err := p.unpack(body, MaxFrame-lengthMin)
	c.packers.Put(p)
	if st.packed != nil {
		bodies.Put(st.packed)
		st.packed = nil
	}
	if err != nil {
		return used, false, err
	}
	st.Msg.Size = lengthMin + n
	return used, true, nil
}

// payload is what is compressed: made once, and longer when a longer one is needed.
type payload struct {
	repeats float64 // the share of it that repeats itself
	mu      sync.Mutex
	bytes   atomic.Pointer[[]byte]
}

// stride is the bytes of payload in which first comes what is random and then what repeats itself.
const stride = 256

func (p *payload) first(n int64) []byte {
	if b := p.bytes.Load(); b != nil && int64(len(*b)) >= n {
		return (*b)[:n]
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	b := make([]byte, 0, (n+stride)/stride*stride)
	rng := rand.New(rand.NewPCG(1, 2))
	random := int((1-p.repeats)*stride + .5)
	for int64(len(b)) < n {
		for range random {
			b = append(b, byte(rng.Uint32()))
		}
		b = append(b, filler[:stride-random]...)
	}
	p.bytes.Store(&b)
	return b[:n]
}
