package targets

import (
	"context"
	"fmt"
)

var acceptNoneEntry = Entry{
	Name: "accept-none",
	Doc: "Listens and never accepts: the kernel completes as many connections as the backlog holds, and one more, and drops what " +
		"comes then.",
	Elsewhere: "a server that hangs, or is stopped by a debugger",
	Limit:     "No connection is ever accepted.",
	Knobs:     []string{"gomaxprocs", "options"},
	Blocking:  true,
	Teaching:  true,
	Silent:    true,
	Deaf:      true,
	Honest: func(i Inspection, _ Spec, _ int) error {
		if i.Listening != 1 || i.Blocking != 1 || len(i.Children) > 0 {
			return fmt.Errorf("want one socket, which listens: %s", i)
		}
		return i.blocks(threads{})
	},
	Start: func(ctx context.Context, s Spec, p Place) (Server, error) {
		t, err := newThreaded(s, p)
		if err != nil {
			return nil, err
		}
		over, end := context.WithCancel(context.Background())
		return t.env.serve(ctx, t.addr, acceptNone{t, over, end}), nil
	},
}

// acceptNone only holds its listening socket.
type acceptNone struct {
	*threaded
	over context.Context
	end  context.CancelFunc
}

func (m acceptNone) run() {
	<-m.over.Done()
	m.release(m.listener)
}

func (m acceptNone) drain() { m.end() }
func (m acceptNone) halt()  { m.end() }
