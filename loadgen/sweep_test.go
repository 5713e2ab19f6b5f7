package loadgen

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/quiet"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// street is loopback ports in ascending order, each with the answer that it gives.
func street(t testing.TB, wanted ...Answer) (ports []uint16) {
	t.Helper()
	type house struct {
		fd   int
		port uint16
	}
	var all []house
	for range wanted {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: loopback.As4()}); err != nil {
			t.Fatal(err)
		}
		at, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, house{fd, endpoint(at).Port()})
	}
	slices.SortFunc(all, func(a, b house) int { return cmp.Compare(a.port, b.port) })
	for i, h := range all {
		ports = append(ports, h.port)
		var err error
		switch wanted[i] { // Closed: bound, so that nobody else can listen there
		case Open:
			err = unix.Listen(h.fd, 16)
		case Silent: // a full backlog drops SYNs
			err = unix.Listen(h.fd, 0)
			c, dialed := net.Dial("tcp", netip.AddrPortFrom(loopback, h.port).String())
			if err = errors.Join(err, dialed); err == nil {
				t.Cleanup(func() { c.Close() })
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return ports
}

// swept is s run, with what holds for every sweep there can be.
func swept(t testing.TB, ctx context.Context, s *Sweep) (Swept, error) {
	t.Helper()
	before := descriptors(t)
	r, err := s.Run(ctx)
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors are left open", after-before)
	}
	var counts [answers]int64
	for _, a := range r.Answers {
		counts[a]++
	}
	for a := Open; a < answers; a++ {
		if counts[a] != s.Count(a) {
			t.Errorf("%d ports are %s, %d were counted", counts[a], a, s.Count(a))
		}
	}
	if r.Open.Count != counts[Open] || r.Closed.Count != counts[Closed] {
		t.Errorf("times of %d connects of %d, %d refusals of %d", r.Open.Count, counts[Open], r.Closed.Count, counts[Closed])
	}
	return r, err
}

func descriptors(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestSweep(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		want := []Answer{Closed, Open, Silent, Open, Closed, Closed, Silent, Open}
		for _, connections := range []int{1, 3, 100} {
			s := &Sweep{Hosts: []netip.Addr{loopback}, Ports: street(t, want...), Connections: connections, Timeout: 100 * time.Millisecond}
			r, err := swept(t, t.Context(), s)
			if err != nil || !slices.Equal(r.Answers, want) || len(r.Errors) > 0 {
				t.Errorf("%d connections: %v, errors %v, %v; want %v", connections, r.Answers, r.Errors, err, want)
			}
			if r.Open.Max <= 0 || r.Closed.Max <= 0 || r.Open.P50 != nil { // three values support no percentile
				t.Errorf("%d connections: open %+v, closed %+v", connections, r.Open, r.Closed)
			}
		}
	})
}

// Every connect and every refusal is timed, and no more passes in them together than could.
func TestSweepTimes(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		ports := street(t, slices.Repeat([]Answer{Open, Closed}, 200)...)
		s := &Sweep{Hosts: []netip.Addr{loopback}, Ports: ports, Connections: 50, Timeout: 10 * time.Second}
		r, err := swept(t, t.Context(), s)
		if err != nil || r.Open.Count != 200 || r.Closed.Count != 200 || r.Open.P50 == nil || r.Closed.P50 == nil || r.Open.P99 != nil {
			t.Fatalf("open %+v, closed %+v, %v", r.Open, r.Closed, err)
		}
		if sum := r.Open.Mean*200 + r.Closed.Mean*200; sum > 50*float64(r.Duration) {
			t.Errorf("connects took %v together, with 50 under way in %v", time.Duration(sum), r.Duration)
		}
	})
}

// With k connects under way at most, n silent ports take at least n/k timeouts, rounded up.
func TestSweepIsBounded(t *testing.T) {
	ports := street(t, slices.Repeat([]Answer{Silent}, 7)...)
	const timeout = 60 * time.Millisecond
	for connections, rounds := range map[int]int{1: 7, 3: 3, 7: 1, 100: 1} {
		s := &Sweep{Hosts: []netip.Addr{loopback}, Ports: ports, Connections: connections, Timeout: timeout}
		r, err := swept(t, t.Context(), s)
		if err != nil || s.Count(Silent) != 7 || r.Duration < time.Duration(rounds)*timeout {
			t.Errorf("%d connections: %d silent in %v, %v; want 7 in %v or more", connections, s.Count(Silent), r.Duration, err, time.Duration(rounds)*timeout)
		}
		t.Logf("%d connections: %d rounds of %v took %v", connections, rounds, timeout, r.Duration)
	}
}

// Answers are in the order of the hosts, then of the ports.
func TestSweepOfHosts(t *testing.T) {
	ports := street(t, Open, Closed, Open)
	hosts := []netip.Addr{netip.MustParseAddr("127.0.0.2"), loopback, netip.MustParseAddr("::ffff:127.0.0.1")}
	s := &Sweep{Hosts: hosts, Ports: ports, Connections: 4, Timeout: 5 * time.Second}
	r, err := swept(t, t.Context(), s)
	want := []Answer{Closed, Closed, Closed, Open, Closed, Open, Open, Closed, Open} // the sockets are of 127.0.0.1
	if err != nil || !slices.Equal(r.Answers, want) {
		t.Errorf("%v, %v; want %v", r.Answers, err, want)
	}
}

func TestSweepIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here: ", err)
	}
	defer l.Close()
	_, text, _ := net.SplitHostPort(l.Addr().String())
	port, _ := strconv.Atoi(text)
	s := &Sweep{Hosts: []netip.Addr{netip.IPv6Loopback()}, Ports: []uint16{uint16(port)}, Connections: 1, Timeout: 5 * time.Second}
	if r, err := swept(t, t.Context(), s); err != nil || r.Answers[0] != Open {
		t.Errorf("%v, %v", r.Answers, err)
	}
}

// A broadcast address answers nobody, and the kernel says so: that is neither open, closed nor silent.
func TestSweepFails(t *testing.T) {
	s := &Sweep{Hosts: []netip.Addr{netip.MustParseAddr("127.255.255.255")}, Ports: []uint16{1, 2}, Connections: 2, Timeout: 5 * time.Second}
	r, err := swept(t, t.Context(), s)
	var n int64
	for v := range maps.Values(r.Errors) {
		n += v
	}
	if err != nil || s.Count(Unreachable) != 2 || n != 2 {
		t.Errorf("%v, errors %v, %v", r.Answers, r.Errors, err)
	}
}

func TestSweepEnds(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		s := &Sweep{Hosts: []netip.Addr{loopback}, Ports: street(t, Open, Closed, Silent, Open), Connections: 1, Timeout: time.Hour}
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			for s.Count(Open)+s.Count(Closed) < 2 {
				time.Sleep(time.Millisecond)
			}
			cancel()
		}()
		r, err := swept(t, ctx, s)
		if want := []Answer{Open, Closed, Untried, Untried}; !errors.Is(err, context.Canceled) || !slices.Equal(r.Answers, want) {
			t.Errorf("%v, %v; want %v", r.Answers, err, want)
		}
	})
}

// Without descriptors nothing can be told of a port, and that is no answer of the port's.
func TestSweepWithoutDescriptors(t *testing.T) {
	ports := street(t, slices.Repeat([]Answer{Silent}, 8)...)
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	var free [5]int // the lowest numbers that are not taken
	for i := range free {
		var err error
		if free[i], err = unix.Dup(0); err != nil {
			t.Fatal(err)
		}
	}
	for _, fd := range free {
		unix.Close(fd)
	}
	few := was
	few.Cur = uint64(free[4]) // which leaves four
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	s := &Sweep{Hosts: []netip.Addr{loopback}, Ports: ports, Connections: 8, Timeout: time.Minute}
	r, err := s.Run(t.Context())
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, unix.EMFILE) || s.Count(Unreachable) != 0 {
		t.Errorf("%v, %v", r.Answers, err)
	}
}

// A connection to itself is nobody's who listens.
func TestToItself(t *testing.T) {
	port := street(t, Open)[0]
	for _, itself := range []bool{true, false} {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: loopback.As4()}); err != nil {
			t.Fatal(err)
		}
		var to unix.Sockaddr = &unix.SockaddrInet4{Port: int(port), Addr: loopback.As4()}
		if itself {
			if to, err = unix.Getsockname(fd); err != nil {
				t.Fatal(err)
			}
		}
		if err := unix.Connect(fd, to); err != nil {
			t.Fatal(err)
		}
		if toItself(fd) != itself {
			t.Errorf("connected to itself: %v, want %v", !itself, itself)
		}
	}
}
