package targets

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"
)

var preforkEntry = Entry{
	Name: "prefork",
	Doc: "Several processes that were started before anyone connects, each a level-triggered epoll loop with connections of its own. " +
		"They accept from one shared listening socket, of which the kernel wakes one process for each connection " +
		"(EPOLLEXCLUSIVE), or each from one of its own (SO_REUSEPORT).",
	Elsewhere: "worker processes: nginx, gunicorn, uwsgi, PostgreSQL's pool in front; Apache's prefork MPM, with a loop for its one connection",
	Limit: "A process that has many busy connections cannot give any to one that has none; the processes share no memory. One that " +
		"dies is not replaced: the trial fails.",
	Knobs:     append([]string{"workers", "listener"}, answers...),
	Processes: true,
	Honest:    honestPrefork,
	Start:     startPrefork,
}

func honestPrefork(i Inspection, s Spec, conns int) error {
	if n := len(i.Children); n != s.pool() {
		return fmt.Errorf("%d processes, want %d: %s", n, s.pool(), i)
	}
	if err := i.polls(threads{}); err != nil {
		return fmt.Errorf("the parent: %w", err)
	}
	var sum Inspection
	for _, c := range i.Children {
		if err := c.epollLoops(1, c.Watched, 0); err != nil {
			return err
		}
		sum.Watched += c.Watched
	}
	if want := conns + s.pool(); sum.Watched != want {
		return fmt.Errorf("%d sockets are watched, want %d: %s", sum.Watched, want, i)
	}
	return nil
}

// prefork is the parent.
type prefork struct {
	*family
	listeners []int
	served    chan error // that all processes serve, or why they do not
}

func startPrefork(ctx context.Context, s Spec, p Place) (Server, error) {
	env, err := newEnv(s, p, overStreams)
	if err != nil {
		return nil, err
	}
	listeners, addr, err := env.listenAll(s.pool())
	if err != nil {
		return nil, err
	}
	f, err := newFamily(env, s, p, addr)
	if err != nil {
		for _, fd := range listeners {
			closeFD(fd)
		}
		env.leave()
		return nil, fmt.Errorf("start prefork: %w", err)
	}
	m := &prefork{f, listeners, make(chan error, 1)}
	srv := env.serve(ctx, addr, m)
	if err := <-m.served; err != nil {
		return nil, errors.Join(fmt.Errorf("start prefork: %w", err), srv.Close())
	}
	return srv, nil
}

// run has the listening sockets open only until each process has its own descriptor of one.
func (m *prefork) run() {
	lockThread() // whose children they are
	m.open()
	err := m.launch()
	for _, fd := range m.listeners {
		closeFD(fd)
	}
	if err != nil {
		m.halt()
	}
	m.served <- err
	m.end()
	m.env.mu.Lock()
	defer m.env.mu.Unlock()
	m.env.total.Spread = m.spread()
}

// launch starts the processes and returns when they all serve.
func (m *prefork) launch() error {
	for _, fd := range m.listeners {
		if err := m.start(fd); err != nil {
			return err
		}
	}
	for end := time.Now().Add(startLimit); m.env.ready.Load() < int64(len(m.listeners)); time.Sleep(200 * time.Microsecond) {
		m.reap(false)
		select {
		case <-m.gone:
			return errors.New(m.Exit())
		default:
		}
		if m.env.order.Load() == toHalt {
			return os.ErrClosed
		}
		if time.Now().After(end) {
			return fmt.Errorf("%d processes did not begin to serve within %v", len(m.listeners), startLimit)
		}
	}
	return nil
}

// preforkMember is a process.
func preforkMember(e *Env, fd int) (model, error) {
	runtime.GOMAXPROCS(1)
	open := newEpoll
	if !e.apart {
		open = func() (poller, error) { return newExclusive(fd) }
	}
	return newLoop(e, fd, open, false)
}
