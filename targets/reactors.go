package targets

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

var reactorsEntry = Entry{
	Name: "reactors",
	Doc: "Several threads, each a level-triggered epoll loop with connections of its own: a connection stays with the loop that " +
		"accepted it. They accept from one shared listening socket, of which the kernel wakes one loop for each connection " +
		"(EPOLLEXCLUSIVE), or each from one of its own (SO_REUSEPORT).",
	Elsewhere: "one loop per thread: Netty's EventLoopGroup, memcached, Envoy, HAProxy's nbthread; nginx's workers, with threads for processes",
	Limit: "A loop that has many busy connections cannot give any to one that has none. With reuseport the kernel divides connections " +
		"by a hash, whatever the loops are doing; with reuseport-cpu by the CPU that a connection's first packet is handled on, " +
		"which over loopback is the client's.",
	Knobs: append([]string{"workers", "listener"}, answers...),
	Honest: func(i Inspection, s Spec, conns int) error {
		return i.epollLoops(s.pool(), conns+s.pool(), 0)
	},
	Start: startReactors,
}

// reactors is a model of several loops.
type reactors struct {
	env   *Env
	loops []*loop
}

func startReactors(ctx context.Context, s Spec, p Place) (Server, error) {
	env, err := newEnv(s, p, overStreams)
	if err != nil {
		return nil, err
	}
	listeners, addr, err := env.listenAll(s.pool())
	if err != nil {
		return nil, err
	}
	m := &reactors{env: env}
	for i, fd := range listeners {
		open := newEpoll
		if !env.apart {
			open = func() (poller, error) { return newExclusive(fd) }
		}
		l, err := newLoop(env, fd, open, false)
		if err != nil {
			for _, l := range m.loops {
				l.release()
			}
			for _, fd := range listeners[i+1:] {
				closeFD(fd)
			}
			env.leave()
			return nil, fmt.Errorf("start reactors: %w", err)
		}
		m.loops = append(m.loops, l)
	}
	return env.serve(ctx, addr, m), nil
}

func (m *reactors) run() {
	var wg sync.WaitGroup
	for _, l := range m.loops {
		wg.Go(l.run)
	}
	wg.Wait()
	m.env.mu.Lock()
	defer m.env.mu.Unlock()
	for _, l := range m.loops {
		m.env.total.Spread = append(m.env.total.Spread, l.accepts)
	}
}

func (m *reactors) drain() {
	for _, l := range m.loops {
		l.drain()
	}
}

func (m *reactors) halt() {
	for _, l := range m.loops {
		l.halt()
	}
}

// exclusive is an epoll on whose listening socket others wait too: the kernel wakes not all of them for a connection.
type exclusive struct {
	poller
	epoll    *epoll
	listener int
}

func newExclusive(listener int) (poller, error) {
	p, err := newEpoll()
	if err != nil {
		return nil, err
	}
	return &exclusive{p, p.(*epoll), listener}, nil
}

func (p *exclusive) add(fd int, events uint32) error {
	if fd == p.listener {
		events |= unix.EPOLLEXCLUSIVE
	}
	return p.epoll.add(fd, events)
}

// change takes the listening socket out and puts it in again: what is watched exclusively cannot be changed.
func (p *exclusive) change(fd int, events uint32) error {
	switch {
	case fd != p.listener:
		return p.epoll.change(fd, events)
	case events == 0:
		return p.epoll.control(unix.EPOLL_CTL_DEL, fd, 0)
	}
	return p.add(fd, events)
}
