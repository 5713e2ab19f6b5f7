package targets

import (
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// threaded is what models of threads in blocking system calls share: they accept, serve one connection to its end, and
// are woken out of whatever they wait in by the shutdown of its socket. run is the model's own.
type threaded struct {
	env      *Env
	addr     string
	listener int
	stopping atomic.Bool

	mu  sync.Mutex
	fds map[int]struct{} // all sockets that are open, the listening one too
	how int              // of shutdown, once stopping
}

// newThreaded listens. run has to release the listener.
func newThreaded(s Spec, p Place) (*threaded, error) {
	env, err := newEnv(s, p, overStreams)
	if err != nil {
		return nil, err
	}
	fd, addr, err := env.Listen()
	if err != nil {
		return nil, err
	}
	return &threaded{env: env, addr: addr, listener: fd, fds: map[int]struct{}{fd: {}}}, nil
}

// accepts hands over one connection after another until the server is stopped. Several threads may call it.
func (t *threaded) accepts(take func(*Session)) {
	t.incoming(func(fd int) { take(t.env.accepted(fd)) })
}

// incoming is accepts without a session: the socket is all there is of the connection yet.
func (t *threaded) incoming(take func(fd int)) {
	for !t.stopping.Load() {
		fd, _, err := unix.Accept4(t.listener, unix.SOCK_CLOEXEC)
		if err == nil {
			t.adopt(fd)
			take(fd)
		} else if !passing(err) && !t.stopping.Load() {
			t.env.nap(retry)
		}
	}
}

// serve answers one connection until its client is done. A timeout of SO_RCVTIMEO or SO_SNDTIMEO ends it too.
func (t *threaded) serve(s *Session, buf []byte) {
	for !t.env.halted.Load() {
		last := t.stopping.Load()
		n, err := unix.Read(s.fd, buf)
		if err == unix.EINTR {
			continue
		}
		if n <= 0 {
			break
		}
		s.Feed(buf[:n])
		if !t.flush(s) {
			break
		}
		if s.Err() != nil || last && n < len(buf) { // a short read took all that had reached the socket
			discard(s.fd, buf)
			break
		}
	}
	s.Closing()
	t.release(s.fd)
}

// flush writes all output and says whether the connection still stands.
func (t *threaded) flush(s *Session) bool {
	for out := s.Out(); len(out) > 0; out = s.Out() {
		n, err := unix.Write(s.fd, out)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return false
		}
		if s.Wrote(n); t.env.halted.Load() {
			return false
		}
	}
	return true
}

// adopt makes fd a socket that a stop reaches, also when the stop came first.
func (t *threaded) adopt(fd int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fds[fd] = struct{}{}
	if t.stopping.Load() {
		unix.Shutdown(fd, t.how)
	}
}

// release closes a socket once no stop can touch it any more.
func (t *threaded) release(fd int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.fds, fd)
	closeFD(fd)
}

func (t *threaded) drain() { t.stop(unix.SHUT_RD) }
func (t *threaded) halt()  { t.stop(unix.SHUT_RDWR) }

// stop wakes all threads out of accept, read and, with SHUT_RDWR, write. After SHUT_RD reads still return what has
// arrived, and then end of file. The shutdown of a socket whose peer has gone fails, and then nothing blocks on it.
func (t *threaded) stop(how int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.how = max(t.how, how)
	t.stopping.Store(true)
	for fd := range t.fds {
		unix.Shutdown(fd, how)
	}
}

// atLeast raises GOMAXPROCS to n, unless it was asked for, and returns what puts it back. A thread that comes out of a blocking call must find a
// P free, or it waits until another thread's next blocking call has lasted long enough for its P to be taken away.
//
// Note: thread pinned to one CPU with 64 connections in a closed loop, Go 1.26.8, three runs each: GOMAXPROCS 1, 42k to
// 64k requests/s; 2, 60k to 64k; 8, 91k to 95k; 66, 106k to 107k. With 1,000 connections two runs of one setting differ
// by more than settings do (53k to 96k).
func (e *Env) atLeast(n int) (restore func()) {
	before := runtime.GOMAXPROCS(0)
	if e.asked == 0 {
		runtime.GOMAXPROCS(max(before, n))
		e.procs.Store(int64(runtime.GOMAXPROCS(0)))
	}
	return func() { runtime.GOMAXPROCS(before) }
}
