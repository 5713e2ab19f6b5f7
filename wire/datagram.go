package wire

import (
	"errors"
	"fmt"
)

// MaxDatagram is the most bytes of payload a UDP datagram carries over IPv4: 65,535 less the heads of IP and UDP.
const MaxDatagram = 65_507

// CheckDatagram is Check for messages that travel one in each datagram.
func (f *Framing) CheckDatagram(p Params) error {
	if err := f.Check(p); err != nil {
		return err
	}
	if p.Packing.Kind != "" {
		return errors.New("compress acts on streams, and udp is none: leave compress out")
	}
	if f.Streams {
		return fmt.Errorf("framing %s takes a stream of bytes, which datagrams are not: choose another", f.Name)
	}
	for _, s := range []struct {
		knob  string
		size  int64
		codec Codec
	}{{"request", p.Request, f.Client(p)}, {"reply", p.Reply, f.Server(p)}} {
		var frame Frame
		s.codec.Put(&frame, Message{Size: s.size})
		if most := MaxDatagram - (frame.Len() - s.size); s.size > most {
			return fmt.Errorf("%s %d is too large for a datagram: with framing %s it is at most %d bytes", s.knob, s.size, f.Name, most)
		}
	}
	return nil
}

// ScanDatagram reads b, which must be just one message, to st.Msg. Whatever st held before does not matter.
func ScanDatagram(c Codec, st *State, b []byte) error {
	st.got = 0
	used, done, err := c.Scan(st, b)
	switch {
	case err != nil:
		return err
	case !done:
		return fmt.Errorf("a datagram of %d bytes holds no whole message", len(b))
	case used < len(b):
		return fmt.Errorf("a datagram of %d bytes holds a message of %d and something else", len(b), used)
	}
	return nil
}
