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
	packers *spares[packer]
	payload *payload
}

func newPacked(p Params, server bool) Codec {
	for _, k := range packers {
		if k.kind == p.Packing.Kind {
			return packedCodec{lengthCodec{server: server}, k.flag, &spares[packer]{make: func() packer { return k.make(p.Packing.Level) }}, &payload{repeats: p.Compressible}}
		}
	}
	panic("wire: no way to compress: " + p.Packing.Kind) // the sizes have passed Check
}

// bodies are lent to frames and states that hold a compressed body.
var bodies = spares[*[]byte]{make: func() *[]byte { return new([]byte) }}

// spares are things to be used again, as many as were ever in use at one time. Unlike a sync.Pool it keeps them: a
// compressor is a megabyte, and to make one anew in the middle of a measurement would be measured.
type spares[T any] struct {
	make func() T
	mu   sync.Mutex
	free []T
}

func (s *spares[T]) take() T {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.free); n > 0 {
		t := s.free[n-1]
		s.free = s.free[:n-1]
		return t
	}
	return s.make()
}

func (s *spares[T]) give(t T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, t)
}

func (c packedCodec) Put(f *Frame, m Message) {
	c.lengthCodec.Put(f, m)
	if f.packed == nil {
		f.packed = bodies.take()
	}
	p := c.packers.take()
	*f.packed = p.pack((*f.packed)[:0], c.payload.first(m.Size-lengthMin))
	c.packers.give(p)
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
			st.packed = bodies.take()
			*st.packed = (*st.packed)[:0]
		}
		*st.packed = append(*st.packed, body...)
		body = *st.packed
	}
	if !done {
		return used, false, nil
	}
	p := c.packers.take()
	n, err := p.unpack(body, MaxFrame-lengthMin)
	c.packers.give(p)
	if st.packed != nil {
		bodies.give(st.packed)
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
