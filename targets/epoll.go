package targets

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/clock"
)

var epollEntry = Entry{
	Name: "epoll",
	Doc: "One thread with non-blocking sockets and a level-triggered epoll: wait until some are readable, serve those, " +
		"wait again. A service time holds all connections up.",
	Elsewhere: "reactor, event loop: Redis, one nginx worker, libevent, Node.js",
	Knobs:     answers,
	Honest: func(i Inspection, _ Spec, conns int) error {
		if i.Epolls != 1 || i.Watched != conns+1 || i.Edge > 0 {
			return fmt.Errorf("%d epolls watch %d sockets, %d edge-triggered; want one and all %d: %s", i.Epolls, i.Watched, i.Edge, conns+1, i)
		}
		// Which of the two it is depends on the architecture.
		return i.polls(threads{"epoll_pwait": i.Threads["epoll_pwait"], "epoll_wait": 1 - i.Threads["epoll_pwait"]})
	},
	Start: startEpoll,
}

const (
	eventsMax  = 512 // events of one epoll_wait
	acceptsMax = 64  // connections accepted, and …
	writesMax  = 16  // … writes to one connection, before the others have their turn
)

type epoll struct {
	env      *Env
	ep       int
	listener int // -1: closed
	buf      []byte
	waits    int       // since one was timed
	heard    int64     // when the last wait returned, if it is timed
	conns    []*polled // by descriptor
	open     int
	paused   int64 // until this instant the listener is not watched, for want of descriptors; 0: it is
	draining bool

	drained atomic.Bool // drain was called
	mu      sync.Mutex
	wake    int // eventfd; -1: closed
}

// polled is one connection.
type polled struct {
	*Session
	stuck bool // output waits for room: EPOLLOUT is watched instead of EPOLLIN
	last  bool // draining, and all that had reached the socket was read
}

func startEpoll(ctx context.Context, s Spec, p Place) (Server, error) {
	env, err := newEnv(s, p, overStreams)
	if err != nil {
		return nil, err
	}
	fd, addr, err := env.Listen()
	if err != nil {
		return nil, err
	}
	m := &epoll{env: env, ep: -1, wake: -1, listener: fd, buf: make([]byte, readMax)}
	if err := m.setup(); err != nil {
		m.release()
		env.leave()
		return nil, fmt.Errorf("start epoll: %w", err)
	}
	return env.serve(ctx, addr, m), nil
}

// setup makes the epoll and the eventfd and watches the listening socket and the eventfd.
func (m *epoll) setup() (err error) {
	if err = unix.SetNonblock(m.listener, true); err != nil {
		return err
	}
	if m.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	if m.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return err
	}
	if err = m.watch(unix.EPOLL_CTL_ADD, m.wake, unix.EPOLLIN); err != nil {
		return err
	}
	return m.watch(unix.EPOLL_CTL_ADD, m.listener, unix.EPOLLIN)
}

func (m *epoll) watch(op, fd int, events uint32) error {
	return unix.EpollCtl(m.ep, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

func (m *epoll) run() {
	lockThread()
	defer m.release()
	events := make([]unix.EpollEvent, eventsMax)
	for !m.env.halted.Load() {
		if m.drained.Load() && !m.draining {
			m.finish()
		}
		if m.draining && m.open == 0 {
			return
		}
		n, err := unix.EpollWait(m.ep, events, m.timeout())
		if err != nil && err != unix.EINTR {
			panic(fmt.Sprintf("targets: epoll_wait: %v", err)) // its arguments are ours alone
		}
		m.heard = m.env.times.hear(&m.waits)
		for i := range max(n, 0) {
			m.event(int(events[i].Fd))
		}
	}
}

// event serves one descriptor. Which event it was does not matter: the socket tells, and it would tell of one left over
// from a connection whose descriptor was closed and taken again within the batch.
func (m *epoll) event(fd int) {
	switch {
	case fd == m.wake:
		var count [8]byte
		unix.Read(fd, count[:]) // the flags say why
	case fd == m.listener:
		m.accept()
	case m.conns[fd] != nil:
		m.ready(m.conns[fd])
	}
}

// timeout is epoll_wait's, in milliseconds; it watches the listener again when its pause is over.
func (m *epoll) timeout() int {
	if m.paused == 0 {
		return -1
	}
	if left := m.paused - clock.Now(); left > 0 {
		return int(left/int64(time.Millisecond)) + 1
	}
	if err := m.watch(unix.EPOLL_CTL_MOD, m.listener, unix.EPOLLIN); err != nil {
		panic(fmt.Sprintf("targets: watch the listening socket: %v", err)) // a change needs no memory
	}
	m.paused = 0
	return -1
}

func (m *epoll) accept() {
	for range acceptsMax {
		fd, _, err := unix.Accept4(m.listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		if err == unix.EAGAIN {
			return
		}
		if err == nil {
			m.add(fd)
		} else if !passing(err) { // the connection stays readable in the queue: to watch on would spin
			m.paused = clock.Now() + int64(retry)
			if err := m.watch(unix.EPOLL_CTL_MOD, m.listener, 0); err != nil {
				panic(fmt.Sprintf("targets: stop watching the listening socket: %v", err))
			}
			return
		}
	}
}

func (m *epoll) add(fd int) {
	c := &polled{Session: m.env.accepted(fd)}
	for fd >= len(m.conns) {
		m.conns = append(m.conns, make([]*polled, max(64, len(m.conns)))...)
	}
	m.conns[fd] = c
	m.open++
	if m.watch(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN) != nil { // fs.epoll.max_user_watches, or no memory
		m.end(c)
	}
}

// ready reads, answers and writes; while draining as long as there is something to read.
func (m *epoll) ready(c *polled) {
	for {
		if !c.stuck && !m.read(c) {
			return
		}
		if !m.write(c) || !m.draining {
			return
		}
	}
}

// read feeds the session one read, and says whether it did.
func (m *epoll) read(c *polled) bool {
	n, err := unix.Read(c.fd, m.buf)
	switch {
	case n > 0:
		c.last = m.draining && n < len(m.buf)
		c.FeedHeard(m.buf[:n], m.heard)
		return true
	case err == unix.EINTR, err == unix.EAGAIN && !m.draining:
		return false
	}
	m.end(c) // end of file; or the connection is broken; or idle while draining
	return false
}

// write writes what there is, as far as the socket takes it, and says whether the connection may be read again.
func (m *epoll) write(c *polled) bool {
	for range writesMax {
		out := c.Out()
		if len(out) == 0 {
			return m.written(c)
		}
		n, err := unix.Write(c.fd, out)
		if err == unix.EAGAIN {
			break
		}
		if err == nil {
			c.Wrote(n)
		} else if err != unix.EINTR {
			m.end(c)
			return false
		}
	}
	if len(c.Out()) == 0 {
		return m.written(c)
	}
	m.turn(c, true)
	return false
}

// written goes on with a connection whose output has gone.
func (m *epoll) written(c *polled) bool {
	if c.Err() != nil || c.last {
		discard(c.fd, m.buf)
		m.end(c)
		return false
	}
	return m.turn(c, false)
}

// turn watches for room to write, or for input.
func (m *epoll) turn(c *polled, stuck bool) bool {
	if c.stuck == stuck {
		return true
	}
	c.stuck = stuck
	events := uint32(unix.EPOLLIN)
	if stuck {
		events = unix.EPOLLOUT
	}
	if m.watch(unix.EPOLL_CTL_MOD, c.fd, events) != nil {
		m.end(c)
		return false
	}
	return true
}

func (m *epoll) end(c *polled) {
	c.Closing()
	m.conns[c.fd] = nil
	m.open--
	closeFD(c.fd)
}

// finish begins the drain: no more accepts; every connection that is not stuck answers what it has and ends.
func (m *epoll) finish() {
	m.draining, m.paused = true, 0
	closeFD(m.listener)
	m.listener = -1
	for _, c := range m.conns {
		if c != nil && !c.stuck && !m.env.halted.Load() {
			m.ready(c)
		}
	}
}

// release closes all there is.
func (m *epoll) release() {
	for _, c := range m.conns {
		if c != nil {
			m.end(c)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, fd := range []*int{&m.listener, &m.ep, &m.wake} {
		if *fd >= 0 {
			closeFD(*fd)
			*fd = -1
		}
	}
}

func (m *epoll) drain() {
	m.drained.Store(true)
	m.halt()
}

// halt wakes the thread, which looks at the flags.
func (m *epoll) halt() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.wake >= 0 {
		one := [8]byte{1} // any number but 0 wakes, in either byte order
		unix.Write(m.wake, one[:])
	}
}
