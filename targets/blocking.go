package targets

import (
	"context"
	"sync"

	"golang.org/x/sys/unix"
)

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
	Start:    startBlocking,
}

type blocking struct {
	env *Env

	mu       sync.Mutex
	listener int // -1: closed
	conn     int // -1: none
	stopping bool
	how      int // of shutdown, once stopping
}

func startBlocking(ctx context.Context, s Spec, p Place) (Server, error) {
	env, err := newEnv(s, p)
	if err != nil {
		return nil, err
	}
	fd, addr, err := env.Listen()
	if err != nil {
		return nil, err
	}
	return env.serve(ctx, addr, &blocking{env: env, listener: fd, conn: -1}), nil
}

func (m *blocking) run() {
	m.env.lockThread()
	buf := make([]byte, readMax)
	listener := m.listener
	for !m.stopped() {
		fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
		if err == nil {
			m.serve(fd, buf)
		} else if !passing(err) && !m.stopped() {
			m.env.nap(retry)
		}
	}
	m.release(&m.listener)
}

// serve answers one connection until its client is done. A timeout of SO_RCVTIMEO or SO_SNDTIMEO ends it too.
func (m *blocking) serve(fd int, buf []byte) {
	m.adopt(fd)
	s := m.env.accepted(fd)
	for !m.env.halted.Load() {
		last := m.stopped()
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if n <= 0 {
			break
		}
		s.Feed(buf[:n])
		if !m.flush(s, fd) {
			break
		}
		if s.Err() != nil || last && n < len(buf) { // a short read took all that had reached the socket
			discard(fd, buf)
			break
		}
	}
	s.Closing()
	m.release(&m.conn)
}

// flush writes all output and says whether the connection still stands.
func (m *blocking) flush(s *Session, fd int) bool {
	for out := s.Out(); len(out) > 0; out = s.Out() {
		n, err := unix.Write(fd, out)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return false
		}
		if s.Wrote(n); m.env.halted.Load() {
			return false
		}
	}
	return true
}

// adopt makes fd the connection that a stop reaches, also when the stop came first.
func (m *blocking) adopt(fd int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conn = fd
	if m.stopping {
		unix.Shutdown(fd, m.how)
	}
}

// release closes a descriptor once no stop can touch it any more.
func (m *blocking) release(fd *int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	closeFD(*fd)
	*fd = -1
}

func (m *blocking) stopped() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stopping
}

func (m *blocking) drain() { m.stop(unix.SHUT_RD) }
func (m *blocking) halt()  { m.stop(unix.SHUT_RDWR) }

// stop wakes the thread out of accept, read and, with SHUT_RDWR, write. After SHUT_RD reads still return what has
// arrived, and then end of file. The shutdown of a socket whose peer has gone fails, and then nothing blocks on it.
func (m *blocking) stop(how int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopping, m.how = true, max(m.how, how)
	for _, fd := range []int{m.listener, m.conn} {
		if fd >= 0 {
			unix.Shutdown(fd, how)
		}
	}
}
