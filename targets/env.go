package targets

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/clock"
	"github.com/sockbench/sockbench/sockopt"
	"github.com/sockbench/sockbench/unit"
	"github.com/sockbench/sockbench/wire"
)

const (
	readMax = 64 << 10              // most bytes one read takes, …
	ownMax  = 16 << 10              // … and where each connection has a buffer of its own
	retry   = 10 * time.Millisecond // wait before accept is tried again when descriptors or memory have run out
	slice   = 20 * time.Millisecond // most time a service asleep takes to notice that the server is being closed
	nowhere = "tcp://127.0.0.1:0"   // what an empty Place.Listen means
	usual   = unit.Word("length")   // what an empty Spec.Framing means
	stream  = 0x9e3779b97f4a7c15    // the second half of the service sampler's seed: its own stream
)

// answers are the knobs that act on every model which answers requests.
var answers = []string{"framing", "request", "reply", "service_time", "options"}

// Env is what every model shares: addresses, options, framing, service time, counters. Safe for concurrent use.
type Env struct {
	listen  netip.AddrPort
	codec   wire.Codec
	sockets *sockopt.Tally
	rearms  bool
	service unit.Dist
	nap     func(time.Duration) // how a service that sleeps does it; may return early
	halted  atomic.Bool         // Close was called: nobody works or sleeps on
	samples *sampler

	mu    sync.Mutex
	rng   *rand.Rand
	total Result // without Sockets; of sessions that have ended, and every accept
}

// newEnv checks what s and p ask for.
func newEnv(s Spec, p Place) (*Env, error) {
	if s.Framing == "" {
		s.Framing = usual
	}
	f, err := wire.Find(string(s.Framing))
	if err != nil {
		return nil, err
	}
	sizes := wire.Params{Request: int64(s.Request), Reply: int64(s.Reply)}
	if !f.Chooses {
		if err := f.Check(sizes); err != nil {
			return nil, err
		}
	}
	if s.pool() > workersMax {
		return nil, fmt.Errorf("workers %d are too many: at most %d", s.Workers, workersMax)
	}
	if p.Listen == "" {
		p.Listen = nowhere
	}
	host, err := endpoint(p.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	at, err := net.ResolveTCPAddr("tcp", host)
	if err != nil {
		return nil, fmt.Errorf("listen %s: %w", p.Listen, err)
	}
	port := at.AddrPort()
	e := &Env{
		listen:  netip.AddrPortFrom(port.Addr().Unmap(), port.Port()),
		codec:   f.Server(sizes),
		sockets: sockopt.NewTally(s.Options),
		service: s.Service,
		nap:     threadNap,
		rng:     rand.New(rand.NewPCG(p.Seed, stream)),
		samples: newSampler(p.Samples),
	}
	e.rearms = e.sockets.Rearms()
	return e, nil
}

// endpoint returns the host:port of "tcp://host:port".
func endpoint(text string) (string, error) {
	network, rest, ok := strings.Cut(text, "://")
	switch {
	case !ok:
		return "", fmt.Errorf("%q names no network: write tcp://%s", text, text)
	case network == "udp" || network == "unix":
		return "", fmt.Errorf("%q: %s is not supported yet by this build: write tcp://host:port", text, network)
	case network != "tcp":
		return "", fmt.Errorf("%q: no network %q: write tcp://host:port", text, network)
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		return "", fmt.Errorf("%q: %w: write tcp://host:port", text, err)
	}
	if host == "" {
		return "", fmt.Errorf("%q names no host: write tcp://127.0.0.1:%s, or tcp://0.0.0.0:%s for every address", text, port, port)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("%q: port %q is not a number from 0 to 65535", text, port)
	}
	return rest, nil
}

// Listen makes the listening socket, blocking, and says where it listens: "tcp://127.0.0.1:41234". The caller owns fd.
func (e *Env) Listen() (fd int, addr string, err error) {
	defer func() {
		if err != nil {
			err = e.listenError(err)
			if fd >= 0 {
				closeFD(fd)
			}
		}
	}()
	family, to := e.sockaddr()
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return -1, "", err
	}
	if err = e.fresh(fd); err != nil {
		return fd, "", err
	}
	if err = unix.Bind(fd, to); err != nil {
		return fd, "", err
	}
	if err = e.sockets.Listen(fd); err != nil {
		return fd, "", err
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		return fd, "", err
	}
	port := 0
	switch at := at.(type) {
	case *unix.SockaddrInet4:
		port = at.Port
	case *unix.SockaddrInet6:
		port = at.Port
	}
	return fd, "tcp://" + netip.AddrPortFrom(e.listen.Addr(), uint16(port)).String(), nil
}

func (e *Env) sockaddr() (family int, to unix.Sockaddr) {
	if a := e.listen.Addr(); a.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(e.listen.Port()), Addr: a.As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(e.listen.Port()), Addr: e.listen.Addr().As16()}
}

// fresh sets what is to be set before bind. SO_REUSEADDR is left as the kernel has it, off, unless the port is fixed.
func (e *Env) fresh(fd int) error {
	e.sockets.Fresh(fd)
	reuse := 0
	if e.listen.Port() != 0 {
		reuse = 1
		e.sockets.ByModel("SO_REUSEADDR", "on", "the port is fixed: connections of an earlier server may linger on it")
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, reuse); err != nil {
		return fmt.Errorf("set SO_REUSEADDR: %w", err)
	}
	return nil
}

// listenError says where it failed and what to do.
func (e *Env) listenError(err error) error {
	var inner *os.SyscallError
	if errors.As(err, &inner) {
		err = inner.Err // package net wraps it in words that name the address again
	}
	hint := ""
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		hint = ": another process listens there; choose another port or 0"
	case errors.Is(err, unix.EADDRNOTAVAIL):
		hint = ": no interface here has this address"
	case errors.Is(err, unix.EACCES):
		hint = ": ports below 1024 are for root; choose another port or 0"
	}
	return fmt.Errorf("listen tcp://%s: %w%s", e.listen, err, hint)
}

// lockThread ties the calling goroutine to its thread, for good: the thread ends with it. Its timers are then precise.
func lockThread() {
	runtime.LockOSThread()
	// Where a sandbox forbids it timers are 50 us late, which does not make the server a wrong one.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
}

// threadNap holds the thread. A signal, the Go runtime's own among them, ends it early.
func threadNap(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &ts, nil)
}

// handle serves the request that a read returning at received completed.
func (e *Env) handle(id uint64, received int64) {
	began := e.samples.now()
	e.work()
	e.samples.note(id, received, began)
}

// work spends one request's service time: computing, or asleep.
func (e *Env) work() {
	if e.service.Mean == 0 {
		return
	}
	left := e.draw()
	for until := clock.Now() + int64(left); left > 0 && !e.halted.Load(); left = time.Duration(until - clock.Now()) {
		if e.service.Sleep {
			e.nap(min(left, slice))
		}
	}
}

// draw is the next request's service time. All sessions draw from one stream, so that with the same seed the n-th
// request has the same service time whatever the model.
func (e *Env) draw() time.Duration {
	if !e.service.Exponential {
		return time.Duration(e.service.Mean)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return time.Duration(e.rng.ExpFloat64() * float64(e.service.Mean))
}

// result is what happened so far; sessions that are still open are not in it.
func (e *Env) result() Result {
	e.mu.Lock()
	r := e.total
	e.mu.Unlock()
	r.Sockets = e.sockets.Report()
	return r
}

// passing says that accept may be tried again at once; after any other error it would fail the same way.
func passing(err error) bool {
	return errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ECONNABORTED)
}

// discard sends FIN and throws away what has arrived unasked: closing a socket with unread input would send RST, which
// destroys replies on their way. After the shutdown reads do not wait, not even on a blocking socket.
func discard(fd int, buf []byte) {
	if unix.Shutdown(fd, unix.SHUT_RDWR) != nil {
		return // the peer has gone already
	}
	for range 64 { // a peer that never stops sending is not to hold us
		if n, err := unix.Read(fd, buf); n <= 0 && err != unix.EINTR {
			return
		}
	}
}

// closeFD closes a descriptor that the caller owns. The other errors of close leave it closed too.
func closeFD(fd int) {
	if err := unix.Close(fd); err == unix.EBADF {
		panic(fmt.Sprintf("targets: descriptor %d was closed by someone else", fd))
	}
}
