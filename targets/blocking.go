package targets

import "context"

var blockingEntry = Entry{
	Name: "blocking",
	Doc: "One thread with blocking sockets that serves one connection after another: accept, read and write until the " +
		"client is done, close, accept the next.",
	Elsewhere: "iterative server; Python's socketserver.TCPServer",
	Limit: "It serves one connection at a time. The kernel completes the handshakes of others up to the backlog, and they " +
		"wait there unserved.",
	Knobs:    answers,
	MaxConns: 1,
	Blocking: true,
	Honest: func(i Inspection, _ Spec, conns int) error {
		return i.blocks(threads{"read": min(conns, 1), "accept4": 1 - min(conns, 1)})
	},
	Start: startBlocking,
}

type blocking struct{ *threaded }

func startBlocking(ctx context.Context, s Spec, p Place) (Server, error) {
	t, err := newThreaded(s, p)
	if err != nil {
		return nil, err
	}
	return t.env.serve(ctx, t.addr, blocking{t}), nil
}

func (m blocking) run() {
	lockThread()
	buf := m.env.buffer(readMax)
	m.accepts(func(s *Session) { m.serve(s, buf) })
	m.release(m.listener)
}
