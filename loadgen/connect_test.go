package loadgen

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/quiet"
	"github.com/sockbench/sockbench/sockopt"
	"github.com/sockbench/sockbench/unit"
)

// echo is a server of datagrams that sends each of them back.
func echo(t testing.TB) string {
	t.Helper()
	p, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		for b := make([]byte, 64<<10); ; {
			n, from, err := p.ReadFrom(b)
			if err == nil {
				_, err = p.WriteTo(b[:n], from)
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { p.Close(); <-over })
	return "udp://" + p.LocalAddr().String()
}

// Every network carries a load from end to end, and its sockets are of that network.
func TestNetworks(t *testing.T) {
	path := "unix://" + filepath.Join(t.TempDir(), "s")
	for _, c := range []struct {
		to           string
		domain, kind int
		connects     int64
	}{
		{serve(t, &faulty{}), unix.AF_INET, unix.SOCK_STREAM, 4},
		{serve(t, &faulty{listen: path}), unix.AF_UNIX, unix.SOCK_STREAM, 4},
		{echo(t), unix.AF_INET, unix.SOCK_DGRAM, 0}, // nobody answers a connect
		{"[::1]", unix.AF_INET6, unix.SOCK_STREAM, 4},
	} {
		if c.to == "[::1]" {
			if b, err := os.ReadFile("/proc/net/if_inet6"); err != nil || !strings.Contains(string(b), " lo\n") {
				t.Log("loopback has no IPv6 address here")
				continue
			}
			c.to = strings.TrimPrefix(serve(t, &faulty{listen: "tcp://[::1]:0"}), "tcp://")
		}
		each(t, func(t testing.TB, engine unit.Word) {
			s := spec()
			s.Engine, s.Rate = engine, 1000
			l, err := Connect(t.Context(), s, Place{To: c.to, Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			for _, fd := range l.dial.fds {
				domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
				kind, err1 := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
				if domain != c.domain || kind != c.kind {
					t.Errorf("%s: a socket of domain %d and type %d, %v, %v", c.to, domain, kind, err, err1)
				}
			}
			r, err := l.Run(t.Context(), WindowFrom(s, 2*time.Millisecond, time.Second), nil)
			if err != nil {
				t.Fatal(err)
			}
			if r.Completed != 200 || len(r.Errors) > 0 || r.Connections.Attained != 4 || r.Connect.Count != c.connects {
				t.Errorf("%s: completed %d of 200, errors %v, connections %+v, %d connects", c.to, r.Completed, r.Errors, r.Connections, r.Connect.Count)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	long := "unix:///" + strings.Repeat("x", 107)
	for addr, says := range map[string]string{
		"127.0.0.1:9000": "tcp", "tcp://[::1]:9000": "tcp", "[::1]:9000": "tcp", ":9000": "tcp", "udp://h:53": "udp", "unix:///tmp/s": "unix",
		long[:len(long)-1]: "unix",
		"h":                "missing port in address: write tcp://HOST:PORT",
		"::1:9000":         "tcp://[::1]:9000",
		"h:0":              `port "0" is no number from 1 to 65535: write tcp://h:9000`,
		"h:65536":          `port "65536"`,
		"udp://h:":         "write udp://h:9000",
		"sctp://h:1":       `there is no network "sctp": write tcp://HOST:PORT, udp://HOST:PORT or unix:///PATH`,
		"unix://s":         "begins with a slash: write unix:///tmp/server.sock",
		long:               "its path has 108 bytes, and that of a unix socket at most 107",
	} {
		network, err := Network(addr)
		if err == nil && network != says || err != nil && (!strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), addr)) {
			t.Errorf("%s: %q, %v; want %q", addr, network, err, says)
		}
	}
	for _, addr := range []string{":9000", "0.0.0.0:9000", "tcp://[::]:9000", "[::ffff:127.0.0.1]:9000"} {
		want, err := resolve("127.0.0.1:9000")
		got, err1 := resolve(addr)
		if err != nil || err1 != nil || got != want {
			t.Errorf("%s is %+v, %v; want this machine, %v", addr, got, err1, err)
		}
	}
	if a, err := resolve("[fe80::1%lo]:9000"); err != nil || a.to.any.Addr.Family != unix.AF_INET6 {
		t.Errorf("with a zone: %+v, %v", a, err)
	}
	if _, err := resolve("[fe80::1%nowhere0]:9000"); err == nil || !strings.Contains(err.Error(), "nowhere0") {
		t.Errorf("with a zone that is none: %v", err)
	}
}

// What cannot act on a network's sockets is refused before the first of them is made.
func TestRefusedByNetwork(t *testing.T) {
	for _, c := range []struct{ to, option, write, says string }{
		{"unix:///nowhere", "TCP_NODELAY", "single", "acts on sockets of tcp only"},
		{"udp://127.0.0.1:9", "TCP_SYNCNT", "single", "acts on sockets of tcp only"},
		{"unix:///nowhere", "", "cork", "TCP_CORK holds back what is written to TCP, and this is unix: write split"},
		{"udp://127.0.0.1:9", "", "split", "write single or writev"},
	} {
		s := spec()
		if s.Write = unit.Word(c.write); c.option != "" {
			s.Options = []sockopt.Setting{{Option: c.option, Level: "1", Phase: sockopt.Fresh}}
		}
		if _, err := Connect(t.Context(), s, Place{To: c.to}); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), c.to) {
			t.Errorf("%s, %s, write %s: %v; want %q", c.to, c.option, c.write, err, c.says)
		}
	}
	if _, err := Connect(t.Context(), spec(), Place{To: "unix:///nowhere"}); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("no such unix socket: %v", err)
	}
}

// A connect to a unix socket does not wait by itself when the server's queue is full. The time it took to find room
// there is part of the connect, and when there is none until the timeout it has timed out.
func TestUnixQueueIsFull(t *testing.T) {
	at := filepath.Join(t.TempDir(), "s")
	l, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(l)
	if err := unix.Bind(l, &unix.SockaddrUnix{Name: at}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(l, 3); err != nil { // and one more
		t.Fatal(err)
	}
	s := spec()
	s.Connections, s.ConnectTimeout = 10, 50e6
	began := time.Now()
	load, err := Connect(t.Context(), s, Place{To: "unix://" + at})
	if err != nil {
		t.Fatal(err)
	}
	defer load.Close()
	took := time.Since(began)
	if n := load.dial.errors[errConnectTimeout]; load.Attained() != 4 || n != 6 || took < 50*time.Millisecond || took > time.Second {
		t.Errorf("%d connected and %d timed out in %v; want 4, 6, and the timeout once", load.Attained(), n, took)
	}
	if _, _, err := load.dial.begin(); kindOf(err) != errQueueFull {
		t.Errorf("on the way it is %v", err)
	}
	room := make(chan error, 1)
	go func() {
		time.Sleep(20 * time.Millisecond)
		fd, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
		if err == nil {
			err = unix.Close(fd)
		}
		room <- err
	}()
	before := load.dial.connect.Summary().Count
	if err := load.dial.dial(t.Context(), 1); err != nil || <-room != nil || load.Attained() != 5 {
		t.Fatalf("%d connected, %v", load.Attained(), err)
	}
	if c := load.dial.connect.Summary(); c.Count != before+1 || c.Max < 15_000_000 {
		t.Errorf("%d connects, the longest %d ns; want 20 ms", c.Count-before, c.Max)
	}
}

// listening is a socket that accepts nobody: the kernel does what is needed, up to the backlog.
func listening(t testing.TB, backlog int) (to string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, backlog); err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return "tcp://" + endpoint(at).String()
}

// A connect on the way allocates nothing.
func TestBeginDoesNotAllocate(t *testing.T) {
	for _, to := range []string{listening(t, 200), echo(t)} {
		s := spec()
		s.Connections = 1
		l, err := Connect(t.Context(), s, Place{To: to})
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() {
			fd, _, err := l.dial.begin()
			if err != nil {
				t.Fatal(err)
			}
			unix.Close(fd)
		}); n > 0 {
			t.Errorf("%s: %.1f allocations per connect", to, n)
		}
		l.Close()
	}
}

// At most 512 connects are under way at one time, also when nobody answers them, and each takes no longer than it may.
func TestInFlight(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		const n, queue = 700, 4
		to := listening(t, queue-1) // beyond its queue the kernel drops what comes
		port, err := strconv.Atoi(to[strings.LastIndex(to, ":")+1:])
		if err != nil {
			t.Fatal(err)
		}
		synSent := regexp.MustCompile(fmt.Sprintf(`: \w+:\w+ 0100007F:%04X 02 `, port))
		stop, most := make(chan struct{}), make(chan int)
		go func() {
			seen, last := 0, [][]byte(nil)
			for {
				select {
				case <-stop:
					most <- seen
					return
				case <-time.After(5 * time.Millisecond):
				}
				table, err := os.ReadFile("/proc/thread-self/net/tcp")
				if err != nil {
					t.Error(err)
				}
				// The table changes while it is read, and may show one that has ended beside one begun in its stead: only
				// what reads the same twice was there at one time.
				now := synSent.FindAll(table, -1)
				if slices.EqualFunc(now, last, bytes.Equal) {
					seen = max(seen, len(now))
				}
				last = now
			}
		}()
		s := spec()
		s.Connections, s.ConnectTimeout = n, 1e9
		began := time.Now()
		l, err := Connect(t.Context(), s, Place{To: to})
		took := time.Since(began)
		close(stop)
		seen := <-most
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if seen > inFlight || seen < inFlight-50 {
			t.Errorf("%d connects were under way, want %d", seen, inFlight)
		}
		if l.Attained() != queue || l.dial.errors[errConnectTimeout] != n-queue {
			t.Errorf("%d connected, errors %v", l.Attained(), l.dial.errors)
		}
		if took < 2*time.Second || took > 5*time.Second {
			t.Errorf("two times 1 s took %v", took)
		}
	})
}

// Connects that fail are counted by what became of them, and are no reason to give the others up.
func TestConnectErrors(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		f := &faulty{}
		s := spec()
		l, err := Connect(t.Context(), s, Place{To: serve(t, f), Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for f.accepted.Load() < 4 { // who still waits in the queue is reset when it goes
			time.Sleep(time.Millisecond)
		}
		f.l.Close()
		if err := l.dial.dial(t.Context(), 700); err != nil {
			t.Fatal(err)
		}
		r, err := l.Run(t.Context(), WindowFrom(s, 2*time.Millisecond, time.Second), nil)
		if err != nil {
			t.Fatal(err)
		}
		if r.Errors["connect: refused"] != 700 || len(r.Errors) != 1 || r.Connections.Attained != 4 || r.Completed == 0 {
			t.Errorf("errors %v, connections %+v, completed %d", r.Errors, r.Connections, r.Completed)
		}
		for err, want := range map[error]errorKind{unix.ECONNREFUSED: errRefused, unix.ENOENT: errRefused, unix.ETIMEDOUT: errConnectTimeout, errQueue: errQueueFull,
			unix.EADDRNOTAVAIL: errNoPort, unix.EMFILE: errDescriptors, unix.ENFILE: errDescriptors, unix.ENETUNREACH: errUnreachable,
			unix.EHOSTUNREACH: errUnreachable, unix.ECONNRESET: errReset, unix.EPERM: errOther} {
			if got := kindOf(err); got != want {
				t.Errorf("%v is counted as %q, want %q", err, errorNames[got], errorNames[want])
			}
		}
		for k, name := range errorNames {
			if name == "" {
				t.Errorf("error kind %d has no name", k)
			}
		}
	})
}
