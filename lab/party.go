package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sockbench/sockbench/internal/proc"
	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/targets"
)

// party is the parent's view of one part.
type party struct {
	*channel
	name string
	part *proc.Process
	said chan said
}

type said struct {
	Message
	err error
}

func newParty(room *proc.Room, i int, name string) *party {
	p := &party{name: name, part: room.Part(i), said: make(chan said, 4)}
	p.channel = newChannel(p.part.Stdout, p.part.Stdin)
	go func() {
		for {
			m, err := p.receive()
			p.said <- said{m, err}
			if err != nil {
				return
			}
		}
	}()
	return p
}

// await returns the part's next message. While it waits for this part, the others (three at most) have nothing to say: if
// one does speak, it is to say what broke.
func (p *party) await(ctx context.Context, stage string, limit time.Duration, others ...*party) (Message, error) {
	late := time.NewTimer(limit)
	defer late.Stop()
	var more [3]chan said // nil, and so never ready, where there is none
	for i, o := range others {
		more[i] = o.said
	}
	broke := func(o *party, m said) (Message, error) {
		if m.err == nil {
			m.err = errors.New("it spoke out of turn")
		}
		return Message{}, o.explain(stage, m.err)
	}
	select {
	case <-ctx.Done():
		return Message{}, context.Cause(ctx)
	case m := <-p.said:
		return m.Message, p.explain(stage, m.err)
	case m := <-more[0]:
		return broke(others[0], m)
	case m := <-more[1]:
		return broke(others[1], m)
	case m := <-more[2]:
		return broke(others[2], m)
	case <-late.C:
		return Message{}, &stageError{stage, fmt.Errorf("the %s said nothing within %s", p.name, limit.Round(time.Millisecond))}
	}
}

// explain turns what ended a part into what happened to it.
func (p *party) explain(stage string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) { // gone without a word
		select {
		case <-p.part.Done():
		case <-time.After(time.Second):
		}
		err = fmt.Errorf("the %s process ended: %s", p.name, p.part.Exit())
		if tail := p.part.Stderr(); tail != "" {
			err = fmt.Errorf("%w\n%s", err, tail)
		}
	}
	return &stageError{stage, err}
}

// blamed says whether one of those that serve is behind a client's trouble: it often dies first and is heard last.
func blamed(serving []*party, err error) error {
	for _, p := range serving {
		select {
		case m := <-p.said:
			if m.err != nil {
				return p.explain("serve", m.err)
			}
		case <-time.After(20 * time.Millisecond):
		}
	}
	return err
}

// finish tells a part to end in good order, and returns what it saw.
func (p *party) finish(ctx context.Context, connections int) (*Done, error) {
	if err := p.send(Message{Finish: true}); err != nil {
		return nil, &stageError{"drain", err}
	}
	unwind := time.Duration(connections) * time.Millisecond // of threads, which end one by one
	m, err := p.await(ctx, "drain", drainLimit+slack+unwind)
	if err == nil && m.Done == nil {
		err = &stageError{"drain", fmt.Errorf("the %s did not say what it saw", p.name)}
	}
	return m.Done, err
}

// begin starts what is to be served and returns where it listens.
func (p *party) begin(ctx context.Context, s Serve) (string, error) {
	if err := p.send(Message{Serve: &s}); err != nil {
		return "", &stageError{"serve", err}
	}
	m, err := p.await(ctx, "serve", serveLimit)
	if err != nil {
		return "", err
	}
	if m.Ready == nil {
		return "", &stageError{"serve", fmt.Errorf("the %s did not say where it listens", p.name)}
	}
	return m.Ready.Addr, nil
}

// settle waits until the server has accepted the connections that the client has made, as far as it serves them.
func (p *party) settle(ctx context.Context, entry *targets.Entry, s plan.Spec) error {
	n := s.Load.Total()
	if serves := entry.Serves(s.Target); serves > 0 {
		n = min(n, serves)
	}
	if w, err := loadgen.FindWorkload(s.Load.Workload); entry.Foreign || entry.Datagrams || entry.Deaf || err != nil || w.Brief {
		return err
	}
	if err := p.send(Message{Settle: n}); err != nil {
		return &stageError{"connect", err}
	}
	_, err := p.await(ctx, "connect", settleTime(entry.Processes, n)+slack)
	return err
}

// connect lets the client connect everything.
func (p *party) connect(ctx context.Context, s plan.Spec, place loadgen.Place) (err error) {
	if place.Trace, err = loadgen.ReadTrace(s.Load); err != nil {
		return &stageError{"connect", err}
	}
	if err := p.send(Message{Load: &Load{s.Load, place}}); err != nil {
		return &stageError{"connect", err}
	}
	limit := time.Duration(s.Load.ConnectTimeout)*time.Duration(2+s.Load.Total()/512) + slack
	m, err := p.await(ctx, "connect", limit)
	if err == nil && m.Ready == nil {
		err = &stageError{"connect", errors.New("the client did not say that it is connected")}
	}
	return err
}
