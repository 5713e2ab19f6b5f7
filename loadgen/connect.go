package loadgen

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/clock"
	"github.com/sockbench/sockbench/results/stats"
	"github.com/sockbench/sockbench/sockopt"
)

// inFlight bounds the connects under way at one time, so that a large load does not overflow its own server's backlog.
const inFlight = 512

// dialer opens the connections of a load: non-blocking, at most inFlight under way.
type dialer struct {
	address
	sources sources
	dgram   bool
	blocks  bool // the sockets are to block, once they are connected
	timeout int64
	tally   *sockopt.Tally
	connect stats.Latency
	quiet   bool // the connections are only to be there
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
	stuck := int64(never) // since when a unix socket's queue is full: such a connect does not wait by itself
	for started := 0; started < n || len(began) > 0; {
		for started < n && len(began) < inFlight {
			now := clock.Now()
			fd, err := d.start(ep, min(now, stuck))
			if err == errQueue {
				if stuck = min(stuck, now); now-stuck < d.timeout {
					break
				}
				err = unix.ETIMEDOUT
			}
			if started++; err != nil {
				d.fail(err)
				continue
			}
			if stuck = never; fd >= 0 {
				began[fd] = now
			}
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		wait := 10
		if stuck < never {
			wait = 1
		}
		k, err := unix.EpollWait(ep, events, wait)
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

// start begins one connect and returns its descriptor, or -1 when it is already done. It counts from then on.
func (d *dialer) start(ep int, then int64) (int, error) {
	fd, up, err := d.begin()
	if err != nil {
		return -1, err
	}
	if up {
		d.opened(fd, clock.Now()-then)
		return -1, nil
	}
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLOUT, Fd: int32(fd)}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// begin makes a socket and begins to connect it; up: it is connected already. Any thread may call it; it allocates
// nothing and does not wait. Where the ports of one source have run out it goes on with the next.
func (d *dialer) begin() (fd int, up bool, err error) {
	for range d.sources.from {
		from, n := d.sources.take()
		if fd, up, err = d.beginFrom(from); err != unix.EADDRNOTAVAIL {
			break
		}
		d.sources.exhausted(n)
	}
	return fd, up, err
}

func (d *dialer) beginFrom(from *rawAddr) (fd int, up bool, err error) {
	if fd, err = unix.Socket(d.family, d.kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, false, err
	}
	d.tally.Fresh(fd)
	if err = d.sources.bind(fd, from); err == nil {
		switch errno := connect(fd, &d.to); {
		case errno == 0:
			return fd, true, nil
		case errno == unix.EINPROGRESS:
			return fd, false, nil
		case errno == unix.EAGAIN && d.network == onUnix:
			err = errQueue
		case errno == unix.EAGAIN: // of udp, which has its port before it has its other end
			err = unix.EADDRNOTAVAIL
		default:
			err = errno
		}
	}
	unix.Close(fd)
	return -1, false, err
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
	d.fds = append(d.fds, fd)
	if d.quiet {
		d.tally.Again(fd)
		return
	}
	if d.blocks {
		if err := unix.SetNonblock(fd, false); err != nil { // the engine does it again, and says so
			d.last = err
		}
	}
	d.tally.Opened(fd)
	if !d.dgram { // nobody answered
		d.connect.Record(took)
	}
}

func (d *dialer) fail(err error) {
	d.errors[kindOf(err)]++
	d.last = err
}
