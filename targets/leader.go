package targets

import (
	"context"
	"sync"
)

var leaderEntry = Entry{
	Name: "pool-leader",
	Doc: "A fixed number of threads with blocking sockets, all of them in accept on the same listening socket: one takes a " +
		"connection, serves it until its client is done, and goes back to accept.",
	Elsewhere: "leader/followers; Apache's prefork, with threads for processes",
	Limit: "It serves as many connections at a time as it has workers. The kernel completes the handshakes of others up to the " +
		"backlog, and they wait there unserved.",
	Knobs:    append([]string{"workers"}, answers...),
	MaxConns: workers,
	Blocking: true,
	Honest: func(i Inspection, s Spec, conns int) error {
		busy := min(conns, s.pool())
		return i.blocks(threads{"read": busy, "accept4": s.pool() - busy})
	},
	Start: func(ctx context.Context, s Spec, p Place) (Server, error) {
		t, err := newThreaded(s, p)
		if err != nil {
			return nil, err
		}
		return t.env.serve(ctx, t.addr, leader{t, s.pool()}), nil
	},
}

type leader struct {
	*threaded
	workers int
}

func (m leader) run() {
	defer m.env.atLeast(m.workers + 2)()
	var wg sync.WaitGroup
	for range m.workers {
		wg.Go(func() {
			lockThread()
			buf := m.env.buffer(readMax)
			m.accepts(func(s *Session) { m.serve(s, buf) })
		})
	}
	wg.Wait()
	m.release(m.listener)
}
