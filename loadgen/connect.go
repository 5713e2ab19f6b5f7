package loadgen

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/clock"
	"github.com/sockbench/sockbench/sockopt"
)

// inFlight bounds the connects under way at one time, so that a large load does not overflow its own server's backlog.
const inFlight = 512

// address resolves "tcp://host:port".
func address(to string) (unix.Sockaddr, int, error) {
	hostport, ok := strings.CutPrefix(to, "tcp://")
	if !ok {
		if strings.Contains(to, "://") {
			return nil, 0, fmt.Errorf("address %s: only tcp:// is known", to)
		}
		hostport = to
	}
	resolved, err := net.ResolveTCPAddr("tcp", hostport)
	if err != nil {
		return nil, 0, fmt.Errorf("address %s: %w; write tcp://HOST:PORT", to, err)
	}
	ap := resolved.AddrPort()
	if ap.Port() == 0 {
		return nil, 0, fmt.Errorf("address %s has no port: write tcp://HOST:PORT", to)
	}
	if !ap.Addr().IsValid() || ap.Addr().IsUnspecified() {
		ap = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), ap.Port())
	}
	if ip := ap.Addr().Unmap(); ip.Is4() {
		return &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ip.As4()}, unix.AF_INET, nil
	}
	return &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}, unix.AF_INET6, nil
}

// dialer opens the connections of a load: non-blocking, at most inFlight under way.
type dialer struct {
	to      unix.Sockaddr
	family  int
	timeout int64
	dgram   bool
	tally   *sockopt.Tally
	connect quantity
	errors  [errorKinds]int64
	last    error // the last failure, to say what happened when nothing connects
	fds     []int // connected
}

// dial tries to open n connections. An error means that nothing could be tried; failures to connect are counted.
func (d *dialer) dial(ctx context.Context, n int) error {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("epoll_create: %w", err)
	}
	defer unix.Close(ep)
	began := make(map[int]int64, min(n, inFlight)) // by descriptor, while under way
	defer func() {
		for fd := range began {
			unix.Close(fd)
		}
	}()
	events := make([]unix.EpollEvent, inFlight)
	for started := 0; started < n || len(began) > 0; {
		for ; started < n && len(began) < inFlight; started++ {
			fd, err := d.start(ep)
			if err != nil {
				d.fail(err)
			} else if fd >= 0 {
				began[fd] = clock.Now()
			}
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		k, err := unix.EpollWait(ep, events, 10)
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("epoll_wait: %w", err)
		}
		now := clock.Now()
		for _, ev := range events[:max(k, 0)] {
			fd := int(ev.Fd)
			d.finish(ep, fd, now-began[fd])
			delete(began, fd)
		}
		for fd, at := range began {
			if now-at >= d.timeout {
				unix.Close(fd)
				delete(began, fd)
				d.fail(unix.ETIMEDOUT)
			}
		}
	}
	return nil
}

// start begins one connect and returns its descriptor, or -1 when it is already done.
func (d *dialer) start(ep int) (int, error) {
	at := clock.Now()
	fd, up, err := d.begin()
	if err != nil {
		return -1, err
	}
	if up {
		d.opened(fd, clock.Now()-at)
		return -1, nil
	}
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLOUT, Fd: int32(fd)}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// begin makes a socket and begins to connect it; up: it is connected already.
func (d *dialer) begin() (fd int, up bool, err error) {
	kind := unix.SOCK_STREAM
	if d.dgram {
		kind = unix.SOCK_DGRAM
	}
	if fd, err = unix.Socket(d.family, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, false, err
	}
	d.tally.Fresh(fd)
	switch err := unix.Connect(fd, d.to); err {
	case nil:
		return fd, true, nil
	case unix.EINPROGRESS:
		return fd, false, nil
	default:
		unix.Close(fd)
		return -1, false, err
	}
}

// outcomeOf is what the kernel decided about a connect, once its socket is writable.
func outcomeOf(fd int) error {
	errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && errno != 0 {
		err = unix.Errno(errno)
	}
	return err
}

// finish looks at a connect that the kernel has decided.
func (d *dialer) finish(ep, fd int, took int64) {
	err := outcomeOf(fd)
	if err == nil {
		err = unix.EpollCtl(ep, unix.EPOLL_CTL_DEL, fd, nil)
	}
	if err != nil {
		unix.Close(fd)
		d.fail(err)
		return
	}
	d.opened(fd, took)
}

func (d *dialer) opened(fd int, took int64) {
	d.connect.record(took)
	d.tally.Opened(fd)
	d.fds = append(d.fds, fd)
}

func (d *dialer) fail(err error) {
	d.errors[kindOf(err)]++
	d.last = err
}
