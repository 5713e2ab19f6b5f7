package loadgen

import (
	"context"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/clock"
	"github.com/sockbench/sockbench/results/stats"
)

// Answer is what became of the attempt to connect to a port.
type Answer uint8

const (
	Untried Answer = iota // or under way when the sweep was ended
	Open
	Closed      // refused
	Silent      // no answer within the timeout
	Unreachable // by an error of this machine or of the way there
	answers
)

func (a Answer) String() string {
	return [answers]string{"not tried", "open", "closed", "silent", "unreachable"}[a]
}

// Sweep tries to connect to every port of every host, and closes what it has connected at once. Fill it in, Run it once.
type Sweep struct {
	Hosts       []netip.Addr // without zones
	Ports       []uint16
	Connections int           // most connects under way at one time, at least 1
	Timeout     time.Duration // of each connect

	counts [answers]atomic.Int64
}

// Swept is what a sweep found.
type Swept struct {
	Answers  []Answer         // of all ports of the first host, then of the second, …
	Open     Quantity         // time from connect until the connection was there
	Closed   Quantity         // and until it was refused
	Errors   map[string]int64 // why ports are Unreachable
	Duration time.Duration
}

// Count is how many ports have had that answer so far. Any goroutine may ask, also while Run is under way; Untried is
// not counted.
func (s *Sweep) Count(a Answer) int64 { return s.counts[a].Load() }

// Run sweeps until all is known or ctx ends. What is known is returned with an error too, which is ctx's, or says what
// this machine could not give.
func (s *Sweep) Run(ctx context.Context) (Swept, error) {
	r := sweeping{Sweep: s, swept: Swept{Answers: make([]Answer, len(s.Hosts)*len(s.Ports)), Errors: map[string]int64{}},
		open: stats.NewLatency(), closed: stats.NewLatency(), flying: map[int]attempt{}, deadline: never}
	began := clock.Now()
	err := r.all(ctx)
	for fd := range r.flying {
		unix.Close(fd)
	}
	r.swept.Open, r.swept.Closed = r.open.Summary(), r.closed.Summary()
	r.swept.Duration = time.Duration(clock.Now() - began)
	return r.swept, err
}

// sweeping is a Sweep under way.
type sweeping struct {
	*Sweep
	swept        Swept
	open, closed stats.Latency
	ep           int
	flying       map[int]attempt // by descriptor
	deadline     int64           // no attempt times out before this
}

// attempt is a connect under way.
type attempt struct {
	port  int // index of its answer
	began int64
}

// stopEvery is how soon, in milliseconds, the end of the context is seen.
const stopEvery = 50

// all polls after every connect that it begins, so that an answer does not wait for others to be asked.
func (s *sweeping) all(ctx context.Context) (err error) {
	if s.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll_create: %w", err)
	}
	defer unix.Close(s.ep)
	events := make([]unix.EpollEvent, min(s.Connections, inFlight))
	for next := 0; next < len(s.swept.Answers) || len(s.flying) > 0; {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if next < len(s.swept.Answers) && len(s.flying) < s.Connections {
			if err := s.begin(next); err != nil {
				return err
			}
			next++
		}
		wait := int64(0)
		if len(s.flying) > 0 && (next == len(s.swept.Answers) || len(s.flying) == s.Connections) {
			wait = min(max((s.deadline-clock.Now()+999_999)/1_000_000, 0), stopEvery)
		}
		n, err := unix.EpollWait(s.ep, events, int(wait))
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("epoll_wait: %w", err)
		}
		now := clock.Now()
		for _, ev := range events[:max(n, 0)] {
			fd := int(ev.Fd)
			errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
			if err == nil && errno != 0 {
				err = unix.Errno(errno)
			}
			s.end(fd, s.flying[fd], now, err)
		}
		if now >= s.deadline {
			s.expire(now)
		}
	}
	return nil
}

// begin tries the port with that index. An error means that descriptors have run out.
func (s *sweeping) begin(port int) error {
	to, family := sockaddr(s.Hosts[port/len(s.Ports)], s.Ports[port%len(s.Ports)])
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	a := attempt{port, clock.Now()}
	switch err {
	case nil:
	case unix.EMFILE, unix.ENFILE:
		return fmt.Errorf("socket: %w with %d connects under way: allow fewer, or more open files (ulimit -n)", err, len(s.flying))
	default: // as where there is no IPv6
		s.end(fd, a, a.began, err)
		return nil
	}
	if err = unix.Connect(fd, to); err != unix.EINPROGRESS {
		s.end(fd, a, clock.Now(), err)
		return nil
	}
	if err := unix.EpollCtl(s.ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLOUT, Fd: int32(fd)}); err != nil {
		unix.Close(fd)
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	s.flying[fd] = a
	s.deadline = min(s.deadline, a.began+int64(s.Timeout))
	return nil
}

// end takes down an attempt's answer.
func (s *sweeping) end(fd int, a attempt, now int64, err error) {
	answer := Unreachable
	switch err {
	case nil:
		if answer = Open; toItself(fd) {
			answer = Closed // nobody listens: the port was free, and the kernel took it for the connection's own end
			break
		}
		s.open.Record(now - a.began)
	case unix.ECONNREFUSED:
		answer = Closed
		s.closed.Record(now - a.began)
	case unix.ETIMEDOUT: // the kernel gave up before the timeout
		answer = Silent
	default:
		s.swept.Errors[err.Error()]++
	}
	if fd >= 0 {
		unix.Close(fd)
	}
	delete(s.flying, fd)
	s.swept.Answers[a.port] = answer
	s.counts[answer].Add(1)
}

// expire gives up on attempts whose time is over, and finds the next such time.
func (s *sweeping) expire(now int64) {
	s.deadline = never
	for fd, a := range s.flying {
		if at := a.began + int64(s.Timeout); at > now {
			s.deadline = min(s.deadline, at)
		} else {
			s.end(fd, a, now, unix.ETIMEDOUT)
		}
	}
}

func sockaddr(host netip.Addr, port uint16) (unix.Sockaddr, int) {
	if host = host.Unmap(); host.Is4() {
		return &unix.SockaddrInet4{Port: int(port), Addr: host.As4()}, unix.AF_INET
	}
	return &unix.SockaddrInet6{Port: int(port), Addr: host.As16()}, unix.AF_INET6
}

// toItself says whether a socket is connected to itself, which a connect to a port of this machine that nobody listens
// on can bring about, when the kernel chooses just that port as the local one.
func toItself(fd int) bool {
	local, err := unix.Getsockname(fd)
	peer, err1 := unix.Getpeername(fd)
	return err == nil && err1 == nil && endpoint(local) == endpoint(peer)
}

func endpoint(a unix.Sockaddr) netip.AddrPort {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	}
	return netip.AddrPort{}
}
