package targets

import (
	"fmt"

	"golang.org/x/sys/unix"
)

var epollEntry = Entry{
	Name: "epoll",
	Doc: "One thread with non-blocking sockets and a level-triggered epoll: wait until some are readable, serve those, " +
		"wait again. A service time holds all connections up.",
	Elsewhere: "reactor, event loop: Redis, one nginx worker, libevent, Node.js",
	Knobs:     answers,
	Honest:    func(i Inspection, _ Spec, conns int) error { return i.epollLoops(1, conns+1, 0) },
	Start:     startLoop(newEpoll, false),
}

var epollEdgeEntry = Entry{
	Name: "epoll-edge",
	Doc: "As epoll, but edge-triggered: the kernel tells of a socket once when something has arrived, and the thread reads it " +
		"until nothing is left, in turns of at most 16 reads. Each socket is put into the epoll once and never changed.",
	Elsewhere: "Go's netpoller, nginx, Netty's native transport, tokio",
	Knobs:     answers,
	Honest:    func(i Inspection, _ Spec, conns int) error { return i.epollLoops(1, conns+1, conns) },
	Start:     startLoop(newEpoll, true),
}

// epollLoops wants so many threads, each waiting in an epoll of its own, that together watch so many sockets.
func (i Inspection) epollLoops(loops, watched, edge int) error {
	if i.Epolls != loops || i.Watched != watched || i.Edge != edge {
		return fmt.Errorf("%d epolls watch %d sockets, %d edge-triggered; want %d, %d and %d: %s", i.Epolls, i.Watched, i.Edge, loops, watched, edge, i)
	}
	// Which of the two calls it is depends on the architecture.
	return i.polls(threads{"epoll_pwait": i.Threads["epoll_pwait"], "epoll_wait": loops - i.Threads["epoll_pwait"]})
}

// epoll is the poller that most are made of.
type epoll struct {
	fd int

	events []unix.EpollEvent
}

func newEpoll() (poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &epoll{fd: fd, events: make([]unix.EpollEvent, eventsMax)}, nil
}

func (p *epoll) control(op, fd int, events uint32) error {
	return unix.EpollCtl(p.fd, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

func (p *epoll) add(fd int, events uint32) error { return p.control(unix.EPOLL_CTL_ADD, fd, events) }

func (p *epoll) change(fd int, events uint32) error {
	return p.control(unix.EPOLL_CTL_MOD, fd, events)
}

// forget has nothing to do: the kernel forgets what is closed.
func (p *epoll) forget(int) {}

func (p *epoll) wait(timeout int) ([]unix.EpollEvent, error) {
	n, err := unix.EpollWait(p.fd, p.events, timeout)
	return p.events[:max(n, 0)], err
}

func (p *epoll) close() { closeFD(p.fd) }
