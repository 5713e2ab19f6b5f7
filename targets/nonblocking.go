package targets

import (
	"context"
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/raw"
)

var nonblockingEntry = Entry{
	Name: "nonblocking",
	Doc: "One thread with non-blocking sockets that asks each of them in turn whether there is anything to accept, read or " +
		"write, and never waits. A service time holds all connections up.",
	Elsewhere: "busy polling; what select and epoll were made to end, and what DPDK returned to",
	Limit:     "It takes a whole CPU, also when there is nothing to do, and every round costs a system call per connection.",
	Knobs:     answers,
	Busy:      true,
	Honest: func(i Inspection, _ Spec, conns int) error {
		if i.NonBlocking != conns+1 || i.Watched > 0 {
			return fmt.Errorf("want %d sockets, non-blocking and none of them in an epoll: %s", conns+1, i)
		}
		if i.Threads["running"] == 0 {
			return fmt.Errorf("no thread is running: %s", i)
		}
		return i.polls(threads{})
	},
	Start: startNonblocking,
}

type nonblocking struct {
	env      *Env
	listener int // -1: closed
	conns    []*polled
	buf      []byte
	draining bool
	drained  atomic.Bool // drain was called
}

func startNonblocking(ctx context.Context, s Spec, p Place) (Server, error) {
	env, err := newEnv(s, p, overStreams)
	if err != nil {
		return nil, err
	}
	fd, addr, err := env.Listen()
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		env.abandon(fd)
		return nil, fmt.Errorf("start nonblocking: %w", err)
	}
	return env.serve(ctx, addr, &nonblocking{env: env, listener: fd, buf: env.buffer(readMax)}), nil
}

func (m *nonblocking) run() {
	lockThread()
	for !m.env.halted.Load() && !(m.draining && len(m.conns) == 0) {
		if m.listener >= 0 {
			m.accept()
		}
		for i := 0; i < len(m.conns); {
			if m.turn(m.conns[i]) {
				i++
				continue
			}
			m.end(m.conns[i])
			last := len(m.conns) - 1
			m.conns[i], m.conns[last] = m.conns[last], nil
			m.conns = m.conns[:last]
		}
	}
	for _, c := range m.conns {
		m.end(c)
	}
	if m.listener >= 0 {
		closeFD(m.listener)
	}
}

// accept takes one connection. Whatever an error is, the next round tries again.
func (m *nonblocking) accept() {
	if m.drained.Load() {
		m.draining = true
		closeFD(m.listener)
		m.listener = -1
		return
	}
	// Not unix.Accept4: it allocates room for an address also when nobody came, which here is a million times a second.
	const flags = unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	if fd, _, errno := unix.Syscall6(unix.SYS_ACCEPT4, uintptr(m.listener), 0, 0, flags, 0, 0); errno == 0 {
		m.conns = append(m.conns, &polled{Session: m.env.accepted(int(fd))})
	}
}

// turn gives c one read, unless output waits, and some writes, and says whether it is to have another turn.
func (m *nonblocking) turn(c *polled) bool {
	if m.env.halted.Load() {
		return true // run looks after it
	}
	if len(c.Out()) == 0 {
		n, err := raw.Read(c.fd, m.buf)
		if n <= 0 { // while draining an idle connection ends
			return err == unix.EINTR || err == unix.EAGAIN && !m.draining
		}
		c.last = m.draining && n < len(m.buf)
		c.Feed(m.buf[:n])
	}
	for range writesMax {
		out := c.Out()
		if len(out) == 0 {
			break
		}
		n, err := raw.Write(c.fd, out)
		if err == unix.EAGAIN {
			return true
		}
		if err == 0 {
			c.Wrote(n)
		} else if err != unix.EINTR {
			return false
		}
	}
	if len(c.Out()) == 0 && (c.Err() != nil || c.last) {
		discard(c.fd, m.buf)
		return false
	}
	return true
}

func (m *nonblocking) end(c *polled) {
	c.Closing()
	closeFD(c.fd)
}

func (m *nonblocking) drain() { m.drained.Store(true) }

// halt: run looks at Env.halted all the time.
func (m *nonblocking) halt() {}
