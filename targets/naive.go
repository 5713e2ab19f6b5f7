package targets

import (
	"context"

	"github.com/sockbench/sockbench/wire"
)

var naiveEntry = Entry{
	Name: "naive",
	Doc: "Takes what one read returns for one message, and answers each read with one reply: the mistake of everyone's first " +
		"server, kept to be looked at. Otherwise it is thread.",
	Elsewhere: "data = sock.recv(1024) in many a tutorial",
	Limit: "TCP has no messages: requests that arrive glued together get one reply, one that arrives in pieces gets several. " +
		"Its count of requests is its count of reads.",
	Knobs:    answers,
	Blocking: true,
	Teaching: true,
	Honest:   threadPerConn,
	Start: func(ctx context.Context, s Spec, p Place) (Server, error) {
		t, err := newThreaded(s, p)
		if err != nil {
			return nil, err
		}
		t.env.codec = oneRead{t.env.codec, max(int64(s.Reply), naiveMin)}
		return t.env.serve(ctx, t.addr, thread{t, p.Expect}), nil
	},
}

const naiveMin = 16 // bytes of the smallest reply: what framing length needs

// oneRead is a codec that takes all it is given for one message.
type oneRead struct {
	wire.Codec
	reply int64 // size, where the bytes do not begin with a request that says it
}

func (c oneRead) Scan(st *wire.State, b []byte) (used int, done bool, err error) {
	*st = wire.State{}
	if _, _, err := c.Codec.Scan(st, b); err != nil || st.Msg.Reply <= 0 {
		st.Msg = wire.Message{Reply: c.reply}
	}
	*st = wire.State{Msg: st.Msg} // nothing is left over for the next read
	st.Msg.Size = int64(len(b))
	return len(b), true, nil
}
