package targettest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/testenv"
	"github.com/sockbench/sockbench/sockopt"
	"github.com/sockbench/sockbench/targets"
	"github.com/sockbench/sockbench/wire"
)

// kernelDefaults: with no option named, listening and accepted sockets are exactly as the kernel makes them. They are
// found among the process's descriptors, and read without the help of what set them.
func kernelDefaults(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{}, targets.Place{})
	c := dial(t, srv)
	c.ask(1)
	c.replies(1)
	got := sockopt.ReadAll(accepted(t, srv, c))
	for name, want := range rawDefaults(t) {
		if got[name] != want {
			t.Errorf("%s of an accepted socket is %s, of a raw one %s", name, got[name], want)
		}
	}
	l := listening(t, srv)
	for _, o := range []struct {
		name       string
		level, num int
		want       int
	}{
		{"SO_REUSEADDR", unix.SOL_SOCKET, unix.SO_REUSEADDR, 0},
		{"SO_PROTOCOL", unix.SOL_SOCKET, unix.SO_PROTOCOL, unix.IPPROTO_TCP},
		{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, 0},
	} {
		if n, err := unix.GetsockoptInt(l, o.level, o.num); n != o.want || err != nil {
			t.Errorf("%s of the listening socket is %d (%v), want %d", o.name, n, err, o.want)
		}
	}
	stop(t, srv)
	if as := srv.Result().Sockets.Applied; len(as) != 0 {
		t.Errorf("no option was named, and applied are %+v", as)
	}
}

// rawDefaults is what an accepted socket reads that nobody has touched, after the same traffic.
func rawDefaults(t testing.TB) map[string]string {
	t.Helper()
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(l)
	if err := errors.Join(unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(l, 16)); err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(l)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.DialTimeout("tcp", "127.0.0.1:"+strconv.Itoa(at.(*unix.SockaddrInet4).Port), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fd, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	b := make([]byte, 68)
	for _, step := range []func([]byte) (int, error){
		c.Write,
		func(b []byte) (int, error) { return unix.Read(fd, b) },
		func(b []byte) (int, error) { return unix.Write(fd, b) },
		func(b []byte) (int, error) { return io.ReadFull(c, b) },
	} {
		if n, err := step(b); n != len(b) || err != nil {
			t.Fatal(n, err)
		}
	}
	return sockopt.ReadAll(fd)
}

// options: those named are in force on the accepted socket, and the result says so.
func options(t testing.TB, e *targets.Entry) {
	asked := []struct{ name, level, want string }{
		{"TCP_NODELAY", "on", "on"}, {"SO_RCVBUF", "16KiB", "32KiB"}, {"SO_KEEPALIVE", "on@established", "on"}, {"TCP_KEEPIDLE", "7s", "7s"},
		{"TCP_USER_TIMEOUT", "1500ms", "1.5s"}, {"TCP_QUICKACK", "on@each_read", ""}, {"SO_LINGER", "0s", "0s"}, {"SO_RCVTIMEO", "5s", "5s"},
		{"TCP_NOTSENT_LOWAT", "16KiB@listen", "16KiB"}, {"backlog", "7", ""},
		{"SO_REUSEADDR", "on", "on"}, {"SO_REUSEPORT", "on", "on"}, {"SO_PRIORITY", "5@established", "5"}, {"TCP_DEFER_ACCEPT", "1s", ""},
	}
	var ss []sockopt.Setting
	for _, a := range asked {
		ss = append(ss, option(t, a.name, a.level))
	}
	srv := start(t, e, targets.Spec{Options: ss}, targets.Place{})
	c := dial(t, srv)
	c.ask(1)
	c.replies(1)
	got := sockopt.ReadAll(accepted(t, srv, c))
	for _, a := range asked {
		if a.want != "" && got[a.name] != a.want {
			t.Errorf("asked %s=%s, the socket has %q, want %q", a.name, a.level, got[a.name], a.want)
		}
	}
	if backlog, _ := sockopt.Find("backlog"); backlog != nil {
		if n, err := backlog.Get(listening(t, srv)); n != "7" || err != nil {
			t.Errorf("backlog is %s (%v), want 7", n, err)
		}
	}
	if !rearmed(t, srv, c) {
		t.Error("TCP_QUICKACK was not set again after a read")
	}
	c.hangUp()
	if err := drain(t, srv, patience)(); err != nil {
		t.Error(err)
	}
	as := srv.Result().Sockets.Applied
	if len(as) != len(ss) {
		t.Errorf("%d options reported, want %d: %+v", len(as), len(ss), as)
	}
	for _, a := range as {
		inert := a.Option == "SO_RCVTIMEO" && !e.Blocking
		if a.Class.Acts() == inert || inert && a.Class != sockopt.Inert || a.Sockets != 1 {
			t.Errorf("reported %+v", a)
		}
	}
}

// rearmed says whether TCP_QUICKACK is on soon after a read. Writing a reply switches it off; after a request that wants
// none only the server can have switched it on, or, 40 ms later, the kernel's timer of the delayed acknowledgement.
func rearmed(t testing.TB, srv targets.Server, c *client) bool {
	t.Helper()
	fd := accepted(t, srv, c)
	quickAck, _ := sockopt.Find("TCP_QUICKACK")
	for range 10 {
		c.ask(1)
		c.replies(1)
		quiet := c.requests(1)
		quiet[4] = wire.OpSink
		c.write(quiet)
		c.got++
		for end := time.Now().Add(15 * time.Millisecond); time.Now().Before(end); {
			if on, err := quickAck.Get(fd); err != nil {
				t.Fatal(err)
			} else if on == "on" {
				return true
			}
		}
	}
	return false
}

// idleTimeout: SO_RCVTIMEO acts on blocking sockets: it ends an idle connection, in order, and not the server.
func idleTimeout(t testing.TB, e *targets.Entry) {
	if !e.Blocking {
		t.Skip("not a model of blocking sockets")
	}
	srv := start(t, e, targets.Spec{Options: []sockopt.Setting{option(t, "SO_RCVTIMEO", "40ms")}}, targets.Place{})
	c := dial(t, srv)
	c.ask(1)
	c.replies(1)
	began := time.Now()
	c.fin()
	if took := time.Since(began); took < 30*time.Millisecond {
		t.Errorf("closed as idle after %v", took)
	}
	time.Sleep(100 * time.Millisecond)
	alive(t, srv)
}

// fixedPort: it can be taken again at once, which needs SO_REUSEADDR, which is listed; and in use it is refused in
// words that help.
func fixedPort(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{}, targets.Place{})
	addr := srv.Addr()
	stop(t, srv)
	srv = start(t, e, targets.Spec{}, targets.Place{Listen: addr})
	c := dial(t, srv)
	c.ask(1)
	c.replies(1)
	stop(t, srv) // the server closes first: TIME_WAIT is on its side
	c.hangUp()
	srv = start(t, e, targets.Spec{}, targets.Place{Listen: addr})
	if srv.Addr() != addr {
		t.Errorf("listens at %s, want %s", srv.Addr(), addr)
	}
	alive(t, srv)
	want := fmt.Sprintf("listen %s: address already in use: another process listens there; choose another port or 0", addr)
	if _, err := e.Start(t.Context(), targets.Spec{}, targets.Place{Listen: addr}); err == nil || err.Error() != want {
		t.Errorf("port in use: %v, want %s", err, want)
	}
	stop(t, srv)
	as := srv.Result().Sockets.Applied
	if len(as) != 1 || as[0].Option != "SO_REUSEADDR" || as[0].Class != sockopt.ByModel {
		t.Errorf("applied %+v, want SO_REUSEADDR by the model", as)
	}
	srv = start(t, e, targets.Spec{Options: []sockopt.Setting{option(t, "SO_REUSEADDR", "on")}}, targets.Place{Listen: addr})
	alive(t, srv)
	stop(t, srv)
	for _, a := range srv.Result().Sockets.Applied {
		if a.Class != sockopt.Equal {
			t.Errorf("asked for, and applied %+v", a)
		}
	}
}

func ipv6(t testing.TB, e *targets.Entry) {
	if b, err := os.ReadFile("/proc/net/if_inet6"); err != nil || !strings.Contains(string(b), " lo\n") {
		t.Skip("loopback has no IPv6 address here")
	}
	srv := start(t, e, targets.Spec{}, targets.Place{Listen: e.Network() + "://[::1]:0"})
	if !strings.HasPrefix(srv.Addr(), e.Network()+"://[::1]:") {
		t.Errorf("address %s", srv.Addr())
	}
	alive(t, srv)
}

// accepted finds the server's end of c.
func accepted(t testing.TB, srv targets.Server, c *client) int {
	t.Helper()
	own, peer := c.RemoteAddr().(*net.TCPAddr).AddrPort(), c.LocalAddr().(*net.TCPAddr).AddrPort()
	return descriptor(t, srv, func(fd int) bool {
		a, err := unix.Getpeername(fd)
		return err == nil && addrPort(a) == peer && localPort(fd) == own
	})
}

// listening finds srv's listening socket.
func listening(t testing.TB, srv targets.Server) int {
	t.Helper()
	want := netip.MustParseAddrPort(host(srv))
	return descriptor(t, srv, func(fd int) bool {
		n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		return err == nil && n == 1 && localPort(fd) == want
	})
}

// descriptor is the one of this process for which f holds, or a copy of one in srv's other processes.
func descriptor(t testing.TB, srv targets.Server, f func(fd int) bool) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if fd, err := strconv.Atoi(e.Name()); err == nil && f(fd) {
			return fd
		}
	}
	for _, pid := range others(srv) {
		process, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(process)
		for theirs := range few {
			fd, err := unix.PidfdGetfd(process, theirs, 0)
			if errors.Is(err, unix.EPERM) {
				testenv.Skip(t, "ptrace", "the sockets of another process cannot be looked at here")
			}
			if err != nil {
				continue
			}
			if f(fd) {
				t.Cleanup(func() { unix.Close(fd) })
				return fd
			}
			unix.Close(fd)
		}
	}
	t.Fatal("the server has no such socket")
	return -1
}

func localPort(fd int) netip.AddrPort {
	a, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}
	}
	return addrPort(a)
}

func addrPort(a unix.Sockaddr) netip.AddrPort {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	}
	return netip.AddrPort{}
}
