package targets

import (
	"context"
	"fmt"
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
	e.times = newTiming(e.service)
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
	s.env.times.from.Store(from)
	s.env.times.to.Store(to)
}

// Accepted is how many connections were accepted so far.
func (s *server) Accepted() int64 {
	s.env.mu.Lock()
	defer s.env.mu.Unlock()
	return s.env.total.Accepts
}

func (s *server) Addr() string { return s.addr }

// PIDs is empty: these servers live in this process.
func (s *server) PIDs() []int { return nil }

func (s *server) Drain(ctx context.Context) error {
	s.m.drain()
	select {
	case <-s.done:
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
