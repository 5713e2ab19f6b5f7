package targets

import (
	"context"
	"fmt"
	"runtime"
)

var forkEntry = Entry{
	Name: "fork",
	Doc: "A process per connection, in blocking reads and writes, and one that accepts and hands the connection over. Each is this " +
		"program started anew (fork and exec): a Go process cannot go on as a bare copy of itself. A process ends with its connection.",
	Elsewhere: "process per connection: inetd, sshd, PostgreSQL, CGI; Python's ForkingTCPServer, which forks without exec and so is quicker to start",
	Limit: "To start a process of this program takes some 8 ms of CPU time, most of it the program's own start, and each has a Go runtime of its " +
		"own, some 5 MB and five threads: see RLIMIT_NPROC, the cgroup's pids.max and memory.",
	Knobs:     answers,
	PerConn:   5 << 20,
	Processes: true,
	Blocking:  true,
	Honest:    honestFork,
	Start:     startFork,
}

func honestFork(i Inspection, _ Spec, conns int) error {
	if n := len(i.Children); n != conns {
		return fmt.Errorf("%d processes, want %d: %s", n, conns, i)
	}
	if err := i.blocks(threads{"accept4": 1}); err != nil {
		return fmt.Errorf("the parent: %w", err)
	}
	for _, c := range i.Children {
		if err := c.blocks(threads{"read": 1}); err != nil {
			return err
		}
	}
	return nil
}

// fork is the parent.
type fork struct {
	*family
	accept *threaded
}

func startFork(ctx context.Context, s Spec, p Place) (Server, error) {
	t, err := newThreaded(s, p)
	if err != nil {
		return nil, err
	}
	f, err := newFamily(t.env, s, p, t.addr)
	if err != nil {
		t.env.abandon(t.listener)
		return nil, fmt.Errorf("start fork: %w", err)
	}
	return t.env.serve(ctx, t.addr, &fork{f, t}), nil
}

// run starts a process for every connection. Those that have ended are waited for when the next comes.
func (m *fork) run() {
	lockThread() // whose children they are
	m.open()
	m.accept.incoming(func(fd int) {
		if err := m.start(fd); err != nil {
			m.env.refused()
		}
		m.accept.release(fd)
		m.reap(false)
	})
	m.accept.release(m.accept.listener)
	m.end()
}

func (m *fork) drain() { m.family.drain(); m.accept.drain() }
func (m *fork) halt()  { m.family.halt(); m.accept.halt() }

// one is a process with its connection.
type one struct {
	*threaded
	fd int
}

func forkMember(e *Env, fd int) (model, error) {
	runtime.GOMAXPROCS(1)
	m := one{&threaded{env: e, listener: -1, fds: map[int]struct{}{}}, fd}
	m.adopt(fd)
	return m, nil
}

func (m one) run() {
	lockThread()
	m.serve(m.env.accepted(m.fd), m.env.buffer(ownMax))
}
