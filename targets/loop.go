package targets

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/clock"
	"github.com/sockbench/sockbench/internal/raw"
)

const (
	eventsMax  = 512 // sockets that one wait tells of
	acceptsMax = 64  // connections accepted, …
	writesMax  = 16  // … writes to one connection, and …
	readsMax   = 16  // … reads from it, before the others have their turn
)

// poller is how a loop learns which of its sockets are ready. What to wait for is said in epoll's words: EPOLLIN,
// EPOLLOUT, or 0 for nothing. Not concurrent.
type poller interface {
	add(fd int, events uint32) error
	change(fd int, events uint32) error
	forget(fd int)                               // is to be called before fd is closed
	wait(timeout int) ([]unix.EpollEvent, error) // at most that many milliseconds, -1: for ever; valid until the next call
	close()
}

// loop is one thread that serves all its connections in turn, whenever they are ready. What differs between its models
// is the poller.
type loop struct {
	env      *Env
	poll     poller
	edge     bool // the poller tells of a change once: whoever is told has to read, or write, to the end
	listener int  // -1: closed
	buf      []byte
	waits    int       // since one was timed
	heard    int64     // when the last wait returned, if it is timed
	conns    []*polled // by descriptor
	again    []int     // those that had their turn, and may not be told of anew
	open     int
	accepts  int64
	paused   int64 // until this instant the listener is not watched, for want of descriptors; 0: it is
	draining bool

	drained atomic.Bool // drain was called
	wake    bell
}

// polled is one connection.
type polled struct {
	*Session
	stuck bool // output waits for room: what is watched is EPOLLOUT instead of EPOLLIN
	last  bool // draining, and all that had reached the socket was read
	empty bool // of an edge: the last read took all there was
	hup   bool // of an edge: its peer has said its last word
}

// startLoop starts a model of one loop.
func startLoop(open func() (poller, error), edge bool) func(context.Context, Spec, Place) (Server, error) {
	return func(ctx context.Context, s Spec, p Place) (Server, error) {
		env, err := newEnv(s, p, overStreams)
		if err != nil {
			return nil, err
		}
		fd, addr, err := env.Listen()
		if err != nil {
			return nil, err
		}
		m, err := newLoop(env, fd, open, edge)
		if err != nil {
			env.leave()
			return nil, fmt.Errorf("start %s: %w", s.Target.Model, err)
		}
		return env.serve(ctx, addr, m), nil
	}
}

// newLoop makes a loop, which owns the listening socket from now on.
func newLoop(env *Env, listener int, open func() (poller, error), edge bool) (*loop, error) {
	m := &loop{env: env, edge: edge, listener: listener, buf: env.buffer(readMax)}
	err := m.setup(open)
	if err != nil {
		m.release()
		return nil, err
	}
	return m, nil
}

// setup makes the poller and the eventfd, and watches the eventfd and the listening socket.
func (m *loop) setup(open func() (poller, error)) (err error) {
	if err = unix.SetNonblock(m.listener, true); err != nil {
		return err
	}
	if m.poll, err = open(); err != nil {
		return err
	}
	if err = m.wake.make(); err != nil {
		return err
	}
	if err = m.poll.add(m.wake.fd, unix.EPOLLIN); err != nil {
		return err
	}
	return m.poll.add(m.listener, unix.EPOLLIN)
}

func (m *loop) run() {
	lockThread()
	defer m.release()
	for !m.env.halted.Load() {
		if m.drained.Load() && !m.draining {
			m.finish()
		}
		if m.draining && m.open == 0 {
			return
		}
		events, err := m.poll.wait(m.timeout())
		if err != nil && err != unix.EINTR {
			panic(fmt.Sprintf("targets: wait for sockets: %v", err)) // its arguments are ours alone
		}
		m.heard = m.env.times.hear(&m.waits)
		n := len(m.again)
		for i := range events {
			m.event(&events[i])
		}
		m.resume(n)
	}
}

// event serves one descriptor. Which event it was hardly matters: the socket tells, and it would tell of one left over
// from a connection whose descriptor was closed and taken again within the batch.
func (m *loop) event(e *unix.EpollEvent) {
	switch fd := int(e.Fd); {
	case fd == m.wake.fd:
		m.wake.heard()
	case fd == m.listener:
		m.accept()
	case m.conns[fd] != nil:
		c := m.conns[fd]
		c.hup = c.hup || e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
		m.ready(c)
	}
}

// resume goes on with the first n of those that had their turn.
func (m *loop) resume(n int) {
	for _, fd := range m.again[:n] {
		if c := m.conns[fd]; c != nil {
			m.ready(c)
		}
	}
	m.again = m.again[:copy(m.again, m.again[n:])]
}

// timeout is the poller's; it watches the listener again when its pause is over.
func (m *loop) timeout() int {
	if len(m.again) > 0 {
		return 0
	}
	if m.paused == 0 {
		return -1
	}
	if left := m.paused - clock.Now(); left > 0 {
		return int(left/int64(time.Millisecond)) + 1
	}
	if err := m.poll.change(m.listener, unix.EPOLLIN); err != nil {
		panic(fmt.Sprintf("targets: watch the listening socket: %v", err)) // a change needs no memory
	}
	m.paused = 0
	return -1
}

func (m *loop) accept() {
	for range acceptsMax {
		fd, _, err := unix.Accept4(m.listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		if err == unix.EAGAIN {
			return
		}
		if err == nil {
			m.add(fd)
		} else if !passing(err) { // the connection stays readable in the queue: to watch on would spin
			m.paused = clock.Now() + int64(retry)
			if err := m.poll.change(m.listener, 0); err != nil {
				panic(fmt.Sprintf("targets: stop watching the listening socket: %v", err))
			}
			return
		}
	}
}

func (m *loop) add(fd int) {
	c := &polled{Session: m.env.accepted(fd)}
	for fd >= len(m.conns) {
		m.conns = append(m.conns, make([]*polled, max(64, len(m.conns)))...)
	}
	m.conns[fd] = c
	m.open++
	m.accepts++
	events := uint32(unix.EPOLLIN)
	if m.edge {
		events |= unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET
	}
	if m.poll.add(fd, events) != nil { // no memory, fs.epoll.max_user_watches, or a number that select does not know
		m.end(c)
		m.env.refused()
	}
}

// ready reads, answers and writes: once, or, at an edge and while draining, as long as there is something to read.
func (m *loop) ready(c *polled) {
	for turn := 1; ; turn++ {
		if !c.stuck && !m.read(c) {
			return
		}
		if !m.write(c) {
			return
		}
		switch {
		case m.draining:
		case !m.edge, c.empty && !c.hup:
			return
		case turn == readsMax:
			m.again = append(m.again, c.fd)
			return
		}
	}
}

// read feeds the session one read, and says whether it did.
func (m *loop) read(c *polled) bool {
	n, err := raw.Read(c.fd, m.buf)
	switch {
	case n > 0:
		c.empty = n < len(m.buf)
		c.last = m.draining && c.empty
		c.FeedHeard(m.buf[:n], m.heard)
		return true
	case err == unix.EINTR:
		if m.edge {
			m.again = append(m.again, c.fd)
		}
		return false
	case err == unix.EAGAIN && !m.draining:
		return false
	}
	m.end(c) // end of file; or the connection is broken; or idle while draining
	return false
}

// write writes what there is, as far as the socket takes it, and says whether the connection may be read again.
func (m *loop) write(c *polled) bool {
	full := false
	for range writesMax {
		out := c.Out()
		if len(out) == 0 {
			return m.written(c)
		}
		n, err := raw.Write(c.fd, out)
		if err == unix.EAGAIN {
			full = true
			break
		}
		if err == 0 {
			c.Wrote(n)
		} else if err != unix.EINTR {
			m.end(c)
			return false
		}
	}
	if len(c.Out()) == 0 {
		return m.written(c)
	}
	if m.turn(c, true) && m.edge && !full {
		m.again = append(m.again, c.fd)
	}
	return false
}

// written goes on with a connection whose output has gone.
func (m *loop) written(c *polled) bool {
	if c.Err() != nil || c.last {
		discard(c.fd, m.buf)
		m.end(c)
		return false
	}
	return m.turn(c, false)
}

// turn waits for room to write, or for input, and says whether the connection still stands.
func (m *loop) turn(c *polled, stuck bool) bool {
	if c.stuck == stuck {
		return true
	}
	c.stuck, c.empty = stuck, false // what came meanwhile was told of already
	if m.edge {
		return true
	}
	events := uint32(unix.EPOLLIN)
	if stuck {
		events = unix.EPOLLOUT
	}
	if m.poll.change(c.fd, events) != nil {
		m.end(c)
		return false
	}
	return true
}

func (m *loop) end(c *polled) {
	c.Closing()
	m.conns[c.fd] = nil
	m.open--
	m.poll.forget(c.fd)
	closeFD(c.fd)
}

// finish begins the drain: no more accepts; every connection that is not stuck answers what it has and ends.
func (m *loop) finish() {
	m.draining, m.paused = true, 0
	m.deafen()
	for _, c := range m.conns {
		if c != nil && !c.stuck && !m.env.halted.Load() {
			m.ready(c)
		}
	}
}

// deafen closes the listening socket.
func (m *loop) deafen() {
	if m.listener < 0 {
		return
	}
	if m.poll != nil {
		m.poll.change(m.listener, 0) // another may hold the same socket open
		m.poll.forget(m.listener)
	}
	closeFD(m.listener)
	m.listener = -1
}

// release closes all there is.
func (m *loop) release() {
	for _, c := range m.conns {
		if c != nil {
			m.end(c)
		}
	}
	m.deafen()
	if m.poll != nil {
		m.poll.close()
	}
	m.wake.close()
}

func (m *loop) drain() {
	m.drained.Store(true)
	m.halt()
}

// halt wakes the thread, which looks at the flags.
func (m *loop) halt() { m.wake.ring() }
