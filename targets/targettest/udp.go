package targettest

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/sockopt"
	"github.com/sockbench/sockbench/targets"
	"github.com/sockbench/sockbench/wire"
)

// udpClients: each of many clients gets the replies to its own requests.
func udpClients(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{}, targets.Place{})
	clients := make([]*client, 100)
	for i := range clients {
		clients[i] = dial(t, srv)
		clients[i].asked, clients[i].got = uint64(i)<<32, uint64(i)<<32
	}
	for range 3 {
		for _, c := range clients {
			c.ask(1)
		}
		for _, c := range clients {
			c.replies(1)
		}
	}
	stop(t, srv)
	if r := srv.Result(); r.Requests != 300 || r.Sent != 300*68 || r.Received != 300*68 || r.Protocol != 0 {
		t.Errorf("result %+v", r)
	}
}

// udpGarbage: a datagram that is not just one request is counted and dropped without a reply, and harms nobody.
func udpGarbage(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{}, targets.Place{})
	c := dial(t, srv)
	one := c.requests(1)
	c.asked = 0
	with := func(at int, b ...byte) []byte {
		bad := bytes.Clone(one)
		copy(bad[at:], b)
		return bad
	}
	bad := [][]byte{
		{}, one[:1], one[:19], one[:67], append(bytes.Clone(one), 0), append(bytes.Clone(one), one...),
		[]byte("GET / HTTP/1.1\r\nHost: example\r\n\r\n"), bytes.Repeat([]byte{0xff}, wire.MaxDatagram),
		with(4, 9),                // an operation that is none
		with(8, 0, 0, 0, 1),       // a reply smaller than any
		with(8, 0, 0, 0xff, 0xe0), // … and one larger than a datagram: 65,504 and its head of 4
	}
	for _, b := range bad {
		c.write(b)
	}
	c.ask(1)
	c.replies(1) // the first thing that comes back
	most := dialAs(t, srv, "length", wire.Params{Request: 64, Reply: wire.MaxDatagram - 4})
	most.ask(1)
	most.replies(1)
	stop(t, srv)
	if r := srv.Result(); r.Protocol != int64(len(bad)) || r.Requests != 2 {
		t.Errorf("%d protocol errors and %d requests, want %d and 2", r.Protocol, r.Requests, len(bad))
	}
}

// udpBatches: what arrives while the server is busy is taken together, by a server that does.
func udpBatches(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{Service: dist(t, "sleep:10ms")}, targets.Place{})
	c := dial(t, srv)
	c.ask(1)
	time.Sleep(5 * time.Millisecond)
	c.ask(20)
	c.replies(21)
	stop(t, srv)
	least, most := int64(2), int64(4)
	if e.Name == "udp" { // which takes each with a call of its own
		least, most = 21, 21
	}
	if r := srv.Result(); r.Requests != 21 || r.Reads < least || r.Reads > most || r.Writes != 21 {
		t.Errorf("%d requests in %d reads, replies in %d writes; want 21, %d to %d, 21", r.Requests, r.Reads, r.Writes, least, most)
	}
}

// udpFlood: what does not fit the socket's buffer is lost and counted, and the server goes on.
func udpFlood(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{Service: dist(t, "sleep:20ms"), Options: []sockopt.Setting{option(t, "SO_RCVBUF", "16KiB")}}, targets.Place{})
	c := dial(t, srv)
	c.ask(1000)
	time.Sleep(10 * time.Millisecond)
	wait := drain(t, srv, patience)
	if err := wait(); err != nil {
		t.Error(err)
	}
	if r := srv.Result(); r.Requests < 2 || r.Requests > 500 || r.Requests+r.Sockets.Mem["drops"] != 1000 {
		t.Errorf("%d of 1,000 requests found room in 32 KiB, %d found none", r.Requests, r.Sockets.Mem["drops"])
	}
}

// udpDrain: what had reached the socket is answered, and nothing is there any more.
func udpDrain(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{Service: dist(t, "sleep:2ms")}, targets.Place{})
	c := dial(t, srv)
	c.ask(60) // more than one call takes
	time.Sleep(5 * time.Millisecond)
	wait := drain(t, srv, patience)
	c.replies(60)
	if err := wait(); err != nil {
		t.Errorf("drain: %v", err)
	}
	udpGone(t, c)

	idle := start(t, e, targets.Spec{}, targets.Place{})
	began := time.Now()
	if err := idle.Drain(context.Background()); err != nil || time.Since(began) > time.Second {
		t.Errorf("drain with nothing to do: %v after %v", err, time.Since(began))
	}
}

// udpGone expects that nobody has c's server's port any more.
func udpGone(t testing.TB, c *client) {
	t.Helper()
	c.ask(1)
	if n, err := c.Read(c.buf); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("read %d bytes, %v; want connection refused", n, err)
	}
}

// udpDrainUnderLoad: clients that never stop asking cannot hold a drain up. What is kept out meanwhile was not lost for
// want of room.
func udpDrainUnderLoad(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{Service: dist(t, "sleep:1ms")}, targets.Place{})
	var wg sync.WaitGroup
	for range 4 {
		c := dial(t, srv)
		one := c.requests(1)
		wg.Go(func() {
			for { // more than it can answer
				if _, err := c.Write(one); err != nil {
					return // refused: it is gone
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	if err := drain(t, srv, 2*time.Second)(); err != nil {
		t.Errorf("drain: %v", err)
	}
	within(t, patience, "the clients' end", wg.Wait)
	if n := srv.Result().Sockets.Mem["drops"]; n != 0 {
		t.Errorf("the socket had room for all, and is said to have dropped %d", n)
	}
}

// udpDrainTooLong: what does not finish in time is left, and Drain says so.
func udpDrainTooLong(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{Service: dist(t, "sleep:1h")}, targets.Place{})
	c := dial(t, srv)
	c.ask(8)
	time.Sleep(20 * time.Millisecond)
	began := time.Now()
	if err := drain(t, srv, 100*time.Millisecond)(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("drain: %v, want deadline exceeded", err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("took %v", took)
	}
}

// udpKernelDefaults: with no option named the socket is exactly as the kernel makes it.
func udpKernelDefaults(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{}, targets.Place{})
	raw, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(raw)
	fd := udpSocket(t, srv)
	got, want := sockopt.ReadAll(fd), sockopt.ReadAll(raw)
	if len(got) < 5 || len(got) != len(want) {
		t.Errorf("options %v, of a raw socket %v", got, want)
	}
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s is %s, of a raw socket %s", name, got[name], want[name])
		}
	}
	for _, num := range []int{unix.SO_REUSEADDR, unix.SO_REUSEPORT, unix.SO_BROADCAST} {
		if n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, num); n != 0 || err != nil {
			t.Errorf("option %d is %d (%v), want 0", num, n, err)
		}
	}
	stop(t, srv)
	if s := srv.Result().Sockets; len(s.Applied) != 0 || len(s.TCP) != 0 {
		t.Errorf("no option was named, and there is %+v", s)
	}
}

// udpSocket finds srv's socket.
func udpSocket(t testing.TB, srv targets.Server) int {
	t.Helper()
	want := netip.MustParseAddrPort(host(srv))
	return descriptor(t, srv, func(fd int) bool {
		kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
		return err == nil && kind == unix.SOCK_DGRAM && localPort(fd) == want
	})
}

// udpOptions: those named are in force, and the result says so. A timeout does not end the server.
func udpOptions(t testing.TB, e *targets.Entry) {
	asked := map[string]sockopt.Class{"SO_RCVBUF": sockopt.Doubled, "SO_SNDBUF": sockopt.Doubled, "SO_RCVTIMEO": sockopt.Equal}
	srv := start(t, e, targets.Spec{Options: []sockopt.Setting{
		option(t, "SO_RCVBUF", "16KiB"), option(t, "SO_SNDBUF", "32KiB@established"), option(t, "SO_RCVTIMEO", "40ms")}}, targets.Place{})
	if got := sockopt.ReadAll(udpSocket(t, srv)); got["SO_RCVBUF"] != "32KiB" || got["SO_SNDBUF"] != "64KiB" {
		t.Errorf("the socket has %v", got)
	}
	time.Sleep(100 * time.Millisecond)
	alive(t, srv)
	if err := drain(t, srv, patience)(); err != nil {
		t.Error(err)
	}
	as := srv.Result().Sockets.Applied
	for _, a := range as {
		if a.Class != asked[a.Option] || a.GotEnd != a.Got || a.Sockets != 1 {
			t.Errorf("reported %+v", a)
		}
	}
	if len(as) != len(asked) {
		t.Errorf("%d options reported, want %d", len(as), len(asked))
	}
}

// udpRefused: what cannot be done over UDP is refused before there is a socket.
func udpRefused(t testing.TB, e *targets.Entry) {
	for _, c := range []struct {
		s      targets.Spec
		listen string
		says   string
	}{
		{targets.Spec{}, "tcp://127.0.0.1:0", `"tcp://127.0.0.1:0": no network "tcp" here: write udp://host:port`},
		{targets.Spec{}, "127.0.0.1:0", "write udp://127.0.0.1:0"},
		{targets.Spec{Framing: "fixed", Request: 64, Reply: 65508}, "", "reply 65508 is too large for a datagram: with framing fixed it is at most 65507 bytes"},
		{targets.Spec{Framing: "line", Request: 1 << 20, Reply: 64}, "", "request 1048576 is too large for a datagram"},
		{targets.Spec{Options: []sockopt.Setting{option(t, "TCP_NODELAY", "on")}}, "", "TCP_NODELAY=on acts on sockets of tcp only, and this one is of udp: leave it out"},
		{targets.Spec{Options: []sockopt.Setting{option(t, "backlog", "7")}}, "", "backlog=7 acts on sockets of tcp,unix only"},
		{targets.Spec{Options: []sockopt.Setting{option(t, "SO_RCVBUF", "16KiB@listen")}}, "", "a socket of udp does not listen: write 16KiB@socket"},
	} {
		c.s.Target.Model = e.Name
		srv, err := targets.Start(t.Context(), c.s, targets.Place{Listen: c.listen})
		if err == nil {
			stop(t, srv)
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want an error that says %q", c.s, err, c.says)
		}
	}
}

// udpFixedPort: it can be taken again at once, without SO_REUSEADDR; and in use it is refused in words that help.
func udpFixedPort(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{}, targets.Place{})
	addr := srv.Addr()
	alive(t, srv)
	stop(t, srv)
	srv = start(t, e, targets.Spec{}, targets.Place{Listen: addr})
	if srv.Addr() != addr {
		t.Errorf("it is at %s, want %s", srv.Addr(), addr)
	}
	alive(t, srv)
	want := "listen " + addr + ": address already in use: another process listens there; choose another port or 0"
	if _, err := e.Start(t.Context(), targets.Spec{}, targets.Place{Listen: addr}); err == nil || err.Error() != want {
		t.Errorf("port in use: %v, want %s", err, want)
	}
	stop(t, srv)
	if as := srv.Result().Sockets.Applied; len(as) != 0 {
		t.Errorf("applied %+v, want nothing", as)
	}
}
