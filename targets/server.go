package targets

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// model is what differs between the servers of this package. drain and halt may be called from anywhere, at any time
// and more than once, also after run has returned; they do not wait.
type model interface {
	run()   // accepts and serves until drained or halted, closes every descriptor of its own, and returns
	drain() // accept no more; let run answer what has reached the sockets, say FIN, and return
	halt()  // let run return at once; Env.halted is set already
}

// server makes a Server of a model.
type server struct {
	env  *Env
	addr string
	m    model
	done chan struct{} // closed when run has returned
}

// serve starts m, which listens at addr. The end of ctx closes it.
func (e *Env) serve(ctx context.Context, addr string, m model) Server {
	s := &server{env: e, addr: addr, m: m, done: make(chan struct{})}
	e.times = newTiming(e.service, e.board)
	forget := context.AfterFunc(ctx, s.halt)
	go func() { // a model may lock its thread, which then ends with this goroutine
		defer close(s.done)
		defer forget()
		defer e.leave()
		m.run()
	}()
	return s
}

// Measure says that only requests heard of between two instants are to be timed. Before that all are.
func (s *server) Measure(from, to int64) {
	s.env.from.Store(from)
	s.env.to.Store(to)
}

// Look keeps what the connections of this process are like, so long after the measure phase began.
func (s *server) Look(at int64) { s.env.sockets.Look(at) }

// Accepted is how many connections were accepted so far.
func (s *server) Accepted() int64 { return s.env.accepts.Load() }

func (s *server) Addr() string { return s.addr }

// kin is a model of several processes.
type kin interface {
	processes() []int      // besides this one, now
	Died() <-chan struct{} // closed when one of them has ended as it should not
	Exit() string          // how that was
}

// PIDs are this process and those of the server besides it, now; empty: it has none but this.
func (s *server) PIDs() []int {
	if k, ok := s.m.(kin); ok {
		return append(k.processes(), os.Getpid())
	}
	return nil
}

// Died is closed when a process of the server has ended as it should not. A server that lives in this process cannot.
func (s *server) Died() <-chan struct{} {
	if k, ok := s.m.(kin); ok {
		return k.Died()
	}
	return nil
}

// Exit says how that process ended.
func (s *server) Exit() string {
	if k, ok := s.m.(kin); ok {
		return k.Exit()
	}
	return ""
}

// ErrDied is what Drain says of a server that lost a process before it was told to end: what that one saw is not counted.
var ErrDied = errors.New("died")

func (s *server) Drain(ctx context.Context) error {
	s.m.drain()
	select {
	case <-s.done:
		if how := s.Exit(); how != "" {
			return fmt.Errorf("%w: %s", ErrDied, how)
		}
		return nil
	case <-ctx.Done():
		s.halt()
		<-s.done
		return fmt.Errorf("drain %s: %w: what was left was closed abruptly", s.addr, ctx.Err())
	}
}

func (s *server) Close() error {
	s.halt()
	<-s.done
	return nil
}

func (s *server) halt() {
	s.env.halted.Store(true)
	s.m.halt()
}

func (s *server) Result() Result {
	r := s.env.result()
	s.env.times.report(&r)
	r.ratios()
	select {
	case <-s.done:
		r.Samples, r.Dropped = s.env.samples.all()
	default: // they are still being written
	}
	return r
}
