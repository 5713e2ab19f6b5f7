package wire

import (
	"encoding/binary"
	"fmt"
)

// lengthHead is the prefix (4) and the fixed part of the body (16).
const (
	lengthHead = 20
	lengthMin  = lengthHead - 4
)

// Operations of the length framing. 2 and 3 are reserved for streams.
const (
	OpReply = 0 // answer with a frame of the wanted length
	OpSink  = 1 // take it, answer nothing
)

var length = Framing{
	Name: "length",
	Doc: "u32be n, then n bytes: u8 op, u8 flags, u16 0, u32be wanted reply length, u64be request id, payload. " +
		"Sizes count n. A plain echo is a valid reply when the wanted length equals n.",
	Min:     lengthMin,
	Matched: func(Params) bool { return true },
	Chooses: true,
	Client:  func(p Params) Codec { return lengthSide(p, false) },
	Server:  func(p Params) Codec { return lengthSide(p, true) },
}

func lengthSide(p Params, server bool) Codec {
	if p.Packing.Kind != "" {
		return newPacked(p, server)
	}
	return lengthCodec{server: server}
}

type lengthCodec struct{ server bool }

func (lengthCodec) Put(f *Frame, m Message) {
	h := append(f.head[:0], make([]byte, lengthHead)...)
	binary.BigEndian.PutUint32(h, uint32(m.Size))
	binary.BigEndian.PutUint32(h[8:], uint32(m.Reply))
	binary.BigEndian.PutUint64(h[12:], m.ID)
	f.head, f.body = h, m.Size-lengthMin
}

func (c lengthCodec) Scan(st *State, b []byte) (used int, done bool, err error) {
	if st.got == 0 && len(b) >= lengthHead { // the usual case: nothing needs to be put aside
		if st.Msg, err = c.parse(b); err != nil {
			return 0, false, err
		}
		used, st.got = lengthHead, lengthHead
	} else if st.got < lengthHead {
		used = copy(st.head[st.got:lengthHead], b)
		st.got += int64(used)
		if st.got >= 4 { // an absurd length is refused before the rest of the head arrives
			if err := checkLength(binary.BigEndian.Uint32(st.head[:])); err != nil {
				return used, false, err
			}
		}
		if st.got < lengthHead {
			return used, false, nil
		}
		if st.Msg, err = c.parse(st.head[:]); err != nil {
			return used, false, err
		}
	}
	n := min(int64(len(b)-used), st.Msg.Size+4-st.got)
	used += int(n)
	st.got += n
	if st.got < st.Msg.Size+4 {
		return used, false, nil
	}
	st.got = 0
	return used, true, nil
}

func checkLength(n uint32) error {
	if n < lengthMin || n > MaxFrame {
		return fmt.Errorf("length %d is not between %d and %d", n, lengthMin, MaxFrame)
	}
	return nil
}

func (c lengthCodec) parse(h []byte) (Message, error) {
	n := binary.BigEndian.Uint32(h)
	if err := checkLength(n); err != nil {
		return Message{}, err
	}
	m := Message{Size: int64(n), Reply: int64(binary.BigEndian.Uint32(h[8:])), ID: binary.BigEndian.Uint64(h[12:])}
	if !c.server {
		return m, nil
	}
	switch h[4] {
	case OpReply:
		if err := checkLength(uint32(m.Reply)); err != nil {
			return m, fmt.Errorf("wanted reply: %w", err)
		}
	case OpSink:
		m.Reply = NoReply
	default:
		return m, fmt.Errorf("operation %d is not known", h[4])
	}
	return m, nil
}
