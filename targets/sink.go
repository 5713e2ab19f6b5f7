package targets

import (
	"context"

	"github.com/sockbench/sockbench/wire"
)

var sinkEntry = Entry{
	Name:      "sink",
	Doc:       "Takes and counts every request and answers none: what timeouts are measured against. Otherwise it is thread.",
	Elsewhere: "discard (RFC 863)",
	Limit:     "No request is ever answered: all of them time out.",
	Knobs:     unanswered,
	Blocking:  true,
	Teaching:  true,
	Silent:    true,
	Honest:    threadPerConn,
	Start: func(ctx context.Context, s Spec, p Place) (Server, error) {
		t, err := newThreaded(s, p)
		if err != nil {
			return nil, err
		}
		t.env.codec = mute{t.env.codec}
		return t.env.serve(ctx, t.addr, thread{t, p.Expect}), nil
	},
}

// unanswered are the knobs that act on every model which takes requests and answers none.
var unanswered = []string{"framing", "request", "compress", "read_size", "gomaxprocs", "options"}

// mute is a codec to which every request is one that wants no reply.
type mute struct{ wire.Codec }

func (c mute) Scan(st *wire.State, b []byte) (used int, done bool, err error) {
	if used, done, err = c.Codec.Scan(st, b); done {
		st.Msg.Reply = wire.NoReply
	}
	return used, done, err
}
