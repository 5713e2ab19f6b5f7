package targets

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var goroutineEntry = Entry{
	Name: "goroutine",
	Doc: "A goroutine per connection with package net: code that looks blocking on non-blocking sockets, which Go's " +
		"runtime waits for with one edge-triggered epoll.",
	Elsewhere: "Go's net; virtual threads in Java, processes in Erlang",
	Knobs:     answers,
	Honest: func(i Inspection, _ Spec, conns int) error {
		if i.Epolls != 1 || i.Edge != conns+1 {
			return fmt.Errorf("%d epolls watch %d sockets edge-triggered, want one and all %d: %s", i.Epolls, i.Edge, conns+1, i)
		}
		return i.polls(threads{"epoll_pwait": 1})
	},
	Start: startGoroutine,
}

type goroutine struct {
	env      *Env
	listener listener
	noDelay  bool // of the listening socket, and so what accepted ones had before package net set it
	wg       sync.WaitGroup
	stopping atomic.Bool

	mu    sync.Mutex
	conns map[conn]struct{}
	stop  func(conn) error // what is to be done to connections, once stopping
}

// listener and conn are what TCP and unix sockets of package net have in common.
type listener interface {
	net.Listener
	syscall.Conn
}

type conn interface {
	net.Conn
	syscall.Conn
	CloseRead() error
}

func startGoroutine(ctx context.Context, s Spec, p Place) (Server, error) {
	env, err := newEnv(s, p, overStreams)
	if err != nil {
		return nil, err
	}
	env.nap = time.Sleep // which gives the thread to other connections
	m := &goroutine{env: env, conns: map[conn]struct{}{}}
	if err := m.listen(ctx); err != nil {
		env.leave()
		return nil, env.listenError(err)
	}
	return env.serve(ctx, env.at.String(), m), nil
}

// listen makes the listening socket with package net and undoes what that sets unasked: Multipath TCP, SO_REUSEADDR
// and, on accepted sockets, keep-alive. TCP_NODELAY can only be undone on each accepted socket.
func (m *goroutine) listen(ctx context.Context) error {
	if err := m.env.at.claim(); err != nil {
		return err
	}
	control := func(_, _ string, c syscall.RawConn) error {
		return onFD(c, m.env.fresh)
	}
	lc := net.ListenConfig{Control: control, KeepAlive: -1}
	lc.SetMultipathTCP(false)
	network := m.env.at.network
	if m.env.at.port.Addr().Is4() {
		network = "tcp4" // "tcp" would make 0.0.0.0 a socket of IPv6
	}
	l, err := lc.Listen(ctx, network, m.env.at.within())
	if err != nil {
		return err
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // Env removes the file, and only its own
	}
	m.listener = l.(listener)
	c, err := m.listener.SyscallConn()
	if err == nil {
		err = onFD(c, func(fd int) error {
			if err := m.env.sockets.Listen(fd); err != nil { // again, with the asked backlog
				return err
			}
			if err := m.env.bound(fd); err != nil || m.env.at.network != onTCP {
				return err
			}
			on, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY)
			m.noDelay = on != 0
			return err
		})
	}
	if err != nil {
		return errors.Join(err, m.listener.Close())
	}
	return nil
}

// onFD calls f with c's descriptor, which stays open meanwhile.
func onFD(c syscall.RawConn, f func(fd int) error) error {
	var failed error
	if err := c.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil {
		return err
	}
	return failed
}

func (m *goroutine) run() {
	for {
		c, err := m.listener.Accept()
		if err == nil {
			m.wg.Go(func() { m.serve(c.(conn)) })
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			break
		}
		time.Sleep(retry) // no descriptors or no memory
	}
	m.wg.Wait()
}

// serve owns c: nobody else closes it, so that its descriptor may be used by number until serve does.
func (m *goroutine) serve(c conn) {
	m.adopt(c)
	defer m.release(c)
	fd, err := m.restore(c)
	if err != nil {
		return // the connection is not what was asked for
	}
	s := m.env.accepted(fd)
	defer s.Closing()
	buf := m.env.buffer(ownMax)
	for !m.env.halted.Load() {
		last := m.stopping.Load()
		n, err := c.Read(buf)
		if n > 0 {
			s.Feed(buf[:n])
		}
		if !m.flush(s, c) || err != nil {
			return
		}
		if s.Err() != nil || last && n < len(buf) { // a short read took all that had reached the socket
			discard(fd, buf)
			return
		}
	}
}

// restore gives an accepted socket back the TCP_NODELAY that it had from the listening one.
func (m *goroutine) restore(c conn) (fd int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	err = onFD(raw, func(n int) error {
		fd = n
		if m.noDelay || m.env.at.network != onTCP {
			return nil
		}
		return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 0)
	})
	return fd, err
}

// flush writes all output and says whether the connection still stands.
func (m *goroutine) flush(s *Session, c conn) bool {
	for out := s.Out(); len(out) > 0; out = s.Out() {
		n, err := c.Write(out)
		if n > 0 {
			s.Wrote(n)
		}
		if err != nil || m.env.halted.Load() {
			return false
		}
	}
	return true
}

// adopt makes c a connection that a stop reaches, also when the stop came first.
func (m *goroutine) adopt(c conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conns[c] = struct{}{}
	if m.stop != nil {
		m.stop(c)
	}
}

func (m *goroutine) release(c conn) {
	m.mu.Lock()
	delete(m.conns, c)
	m.mu.Unlock()
	c.Close()
}

// drain: after CloseRead reads still return what has arrived, and then end of file.
func (m *goroutine) drain() { m.tell(conn.CloseRead) }

// halt: a deadline in the past ends every wait.
func (m *goroutine) halt() {
	m.tell(func(c conn) error { return c.SetDeadline(time.Unix(1, 0)) })
}

// tell closes the listener and does how to every connection, now and to come. The errors are those of connections
// whose peer has gone, on which nothing waits.
func (m *goroutine) tell(how func(conn) error) {
	m.listener.Close() // the second time fails, and may
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stop = how
	m.stopping.Store(true)
	for c := range m.conns {
		how(c)
	}
}
