package targettest

import (
	"io"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/clock"
	"github.com/sockbench/sockbench/internal/proc"
	"github.com/sockbench/sockbench/targets"
	"github.com/sockbench/sockbench/unit"
	"github.com/sockbench/sockbench/wire"
)

// echo: every framing, small and large messages, several on a connection; and the server's counts are right.
func echo(t testing.TB, e *targets.Entry) {
	for i := range wire.All {
		f := &wire.All[i]
		for _, p := range []wire.Params{
			{Request: max(f.Min, 1), Reply: max(f.Min, 1)}, {Request: 64, Reply: 64}, {Request: 64 << 10, Reply: 64 << 10}, {Request: 1 << 20, Reply: 1 << 20},
			{Request: 64, Reply: 200_000}, {Request: 200_000, Reply: 64}, {Request: 64, Reply: wire.MaxFrame},
		} {
			if !e.Datagrams || f.CheckDatagram(p) == nil { // else too large for one
				echoed(t, e, f.Name, p)
			}
		}
	}
}

func echoed(t testing.TB, e *targets.Entry, framing string, p wire.Params) {
	defer func() {
		if t.Failed() {
			t.Logf("with %s, requests of %d and replies of %d bytes", framing, p.Request, p.Reply)
		}
	}()
	spec := targets.Spec{Framing: unit.Word(framing), Request: unit.Bytes(p.Request), Reply: unit.Bytes(p.Reply)}
	srv := start(t, e, spec, targets.Place{})
	c := dialAs(t, srv, framing, p)
	var sent int64
	for range 3 {
		b := c.requests(1)
		sent += int64(len(b))
		c.write(b)
		c.replies(1)
	}
	c.hangUp()
	stop(t, srv)
	r := srv.Result()
	accepts := int64(1)
	if e.Datagrams {
		accepts = 0
	}
	if r.Accepts != accepts || r.Requests != 3 || r.Received != sent || r.Sent < 3*p.Reply || r.Reads < 3 || r.Writes < 3 || r.Protocol != 0 {
		t.Errorf("result %+v", r)
	}
}

// pipelined: 200 requests in one write.
func pipelined(t testing.TB, e *targets.Entry) {
	for i := range wire.All {
		p := wire.Params{Request: 64, Reply: 64}
		srv := start(t, e, targets.Spec{Framing: unit.Word(wire.All[i].Name)}, targets.Place{})
		c := dialAs(t, srv, wire.All[i].Name, p)
		c.ask(200)
		c.replies(200)
		c.hangUp()
		stop(t, srv)
		if r := srv.Result(); r.Writes > 20 {
			t.Errorf("%s: %d writes for 200 small replies to %d reads", wire.All[i].Name, r.Writes, r.Reads)
		}
	}
	srv := start(t, e, targets.Spec{}, targets.Place{}) // large replies to glued requests: scanning stops and goes on
	c := dialAs(t, srv, "length", wire.Params{Request: 16, Reply: 100_000})
	c.ask(200)
	c.replies(200)
}

// fragments: a request byte by byte.
func fragments(t testing.TB, e *targets.Entry) {
	for i := range wire.All {
		srv := start(t, e, targets.Spec{Framing: unit.Word(wire.All[i].Name)}, targets.Place{})
		c := dialAs(t, srv, wire.All[i].Name, wire.Params{Request: 64, Reply: 64})
		if err := c.tcp().SetNoDelay(true); err != nil {
			t.Fatal(err)
		}
		for _, b := range c.requests(3) {
			c.write([]byte{b})
		}
		c.replies(3)
	}
}

// sink: a request that wants no reply gets none.
func sink(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{}, targets.Place{})
	c := dial(t, srv)
	for range 2 {
		quiet := c.requests(1)
		quiet[4] = wire.OpSink
		c.write(quiet)
		c.got++
		c.ask(1)
		c.replies(1)
	}
}

// otherClients: programs that nobody wrote for this get what they expect, in one piece and byte by byte. A server closes
// where it is asked to, which is no fault of the peer's.
func otherClients(t testing.TB, e *targets.Entry) {
	for _, c := range []struct {
		framing, asks, gets string
		protocol            int64
	}{
		{"http", "GET /a HTTP/1.1\r\nHost: x\r\n\r\nHEAD / HTTP/1.1\r\n\r\nGET / HTTP/1.0\r\n\r\n",
			"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" +
				"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", 0},
		{"http", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: x",
			"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 1},
		{"resp", "PING\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\nHELLO 3\r\n*x",
			"+PONG\r\n$3\r\nabc\r\n+OK\r\n-ERR unknown command\r\n", 1},
	} {
		for _, step := range []int{1, len(c.asks)} {
			srv := start(t, e, targets.Spec{Framing: unit.Word(c.framing), Request: 1, Reply: 3}, targets.Place{})
			conn := dialAs(t, srv, c.framing, wire.Params{})
			if err := conn.tcp().SetNoDelay(true); err != nil {
				t.Fatal(err)
			}
			for rest := []byte(c.asks); len(rest) > 0; rest = rest[min(step, len(rest)):] {
				conn.write(rest[:min(step, len(rest))])
			}
			got, err := io.ReadAll(conn)
			if string(got) != c.gets || err != nil {
				t.Errorf("%q in pieces of %d: %q, %v; want %q", c.asks, step, got, err, c.gets)
			}
			conn.hangUp()
			stop(t, srv)
			if r := srv.Result(); r.Protocol != c.protocol {
				t.Errorf("%q: %d protocol errors, want %d", c.asks, r.Protocol, c.protocol)
			}
		}
	}
}

// samples: who asks for them gets as many, in the order of the requests and with the times that the client saw.
func samples(t testing.TB, e *targets.Entry) {
	const service = 5 * time.Millisecond
	srv := start(t, e, targets.Spec{Service: dist(t, "sleep:5ms")}, targets.Place{Samples: 3})
	c := dial(t, srv)
	began := clock.Now()
	c.ask(3)
	c.replies(3)
	done := clock.Now()
	c.ask(2)
	c.replies(2)
	c.hangUp()
	stop(t, srv)
	r := srv.Result()
	if len(r.Samples) != 3 || r.Dropped != 2 || r.Requests != 5 {
		t.Fatalf("%d samples and %d dropped of %d requests; want 3 and 2 of 5", len(r.Samples), r.Dropped, r.Requests)
	}
	for i, s := range r.Samples {
		together := e.Datagrams || s.Received == r.Samples[0].Received
		if s.ID != uint64(i+1) || s.Received < began || !together || s.Began < s.Received ||
			s.Ended < s.Began+int64(service) || s.Ended > done || i > 0 && s.Began < r.Samples[i-1].Ended {
			t.Errorf("sample %d of three requests at once, from %d to %d: %+v", i, began, done, r.Samples)
		}
	}
}

// noAllocation: a live server allocates nothing per request, whether it notes them or not.
func noAllocation(t testing.TB, e *targets.Entry) {
	if e.Processes {
		t.Skip("it serves in other processes")
	}
	noAllocations(t, start(t, e, targets.Spec{}, targets.Place{}))
	noAllocations(t, start(t, e, targets.Spec{}, targets.Place{Samples: 2000}))
}

func noAllocations(t testing.TB, srv targets.Server) {
	t.Helper()
	c := dial(t, srv)
	one := c.requests(1)
	var before, after runtime.MemStats
	for i := range 1100 {
		if i == 100 {
			runtime.ReadMemStats(&before)
		}
		c.write(one)
		if _, err := io.ReadFull(c, c.buf[:68]); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	// Under the race detector sync.Pool forgets every fourth buffer on purpose; what happens per request shows as 1,000.
	if n := after.Mallocs - before.Mallocs; n > 500 {
		t.Errorf("%d allocations in 1,000 requests", n)
	}
}

// halfClose: 200 KB of requests, then the client's FIN: all replies, then the server's.
func halfClose(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{}, targets.Place{})
	c := dial(t, srv)
	n := 200_000 / 68
	c.ask(n)
	if err := c.tcp().CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.replies(n)
	c.fin()
}

// reset: connections that end with RST, idle, in the middle of a request and with replies unread, harm nobody else.
func reset(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{}, targets.Place{})
	for i := range 20 {
		c := dial(t, srv)
		switch i % 4 {
		case 1:
			c.write(c.requests(1)[:30])
		case 2:
			c.ask(100)
		case 3:
			c.ask(1)
			c.replies(1)
		}
		c.abort()
	}
	alive(t, srv)
}

// garbage: what came before it is answered, the connection is closed and counted, others are served on.
func garbage(t testing.TB, e *targets.Entry) {
	broken(t, e, []byte("GET / HTTP/1.1\r\nHost: example\r\n\r\n"))
}

// garbageFin: the reply to what came before garbage is not lost to a reset, however much follows unread.
func garbageFin(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{Service: dist(t, "sleep:50ms")}, targets.Place{})
	c := dial(t, srv)
	c.write(append(c.requests(1), 0xff, 0xff, 0xff, 0xff))
	time.Sleep(20 * time.Millisecond)
	c.write(make([]byte, 100_000)) // while the server is busy
	c.replies(1)
	c.fin()
}

// oversized: the same for a frame longer than any may be.
func oversized(t testing.TB, e *targets.Entry) {
	broken(t, e, []byte{0xff, 0xff, 0xff, 0xff})
	broken(t, e, append([]byte{1, 0, 0, 1}, make([]byte, 100_000)...))
}

func broken(t testing.TB, e *targets.Entry, bad []byte) {
	t.Helper()
	srv := start(t, e, targets.Spec{}, targets.Place{})
	var other *client
	if e.MaxConns != 1 {
		other = dial(t, srv)
		other.ask(1)
		other.replies(1)
	}
	c := dial(t, srv)
	c.write(append(c.requests(3), bad...))
	c.replies(3)
	c.gone()
	c.hangUp()
	big := dialAs(t, srv, "length", wire.Params{Request: 64, Reply: 300_000}) // garbage found only when output has gone
	big.write(append(big.requests(3), bad...))
	big.replies(3)
	big.gone()
	big.hangUp()
	if other != nil {
		other.ask(1)
		other.replies(1)
	}
	alive(t, srv)
	stop(t, srv)
	if r := srv.Result(); r.Protocol != 2 {
		t.Errorf("protocol errors: %d, want 2", r.Protocol)
	}
}

// serviceTime: a reply comes no sooner than its service time, asleep or computing; only computing costs processor time.
func serviceTime(t testing.TB, e *targets.Entry) {
	for _, c := range []struct {
		text  string
		least time.Duration
		burns bool
	}{{"sleep:20ms", 20 * time.Millisecond, false}, {"20ms", 20 * time.Millisecond, true}, {"sleep:45ms", 45 * time.Millisecond, false}} {
		srv := start(t, e, targets.Spec{Service: dist(t, c.text)}, targets.Place{})
		conn := dial(t, srv)
		conn.ask(1) // what is started for a connection is started now
		conn.replies(1)
		var used time.Duration
		for attempt := 0; attempt == 0 || attempt < 5 && c.burns != (used > c.least); attempt++ { // a collection of garbage takes processor time too
			cpu := cpuTime(t, srv)
			for range 3 {
				began := time.Now()
				conn.ask(1)
				conn.replies(1)
				if took := time.Since(began); took < c.least || took > c.least+500*time.Millisecond {
					t.Errorf("%s: reply after %v", c.text, took)
				}
			}
			used = cpuTime(t, srv) - cpu
		}
		if c.burns != (used > c.least) {
			t.Errorf("%s: three requests took %v of processor time", c.text, used)
		}
		stop(t, srv)
	}
}

// noReplyWaits: the first of several pipelined requests is answered before the service of the second is over.
func noReplyWaits(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{Service: dist(t, "sleep:60ms")}, targets.Place{})
	c := dial(t, srv)
	began := time.Now()
	c.ask(3)
	c.replies(1)
	first := time.Since(began)
	c.replies(2)
	if all := time.Since(began); all < 180*time.Millisecond || all-first < 100*time.Millisecond {
		t.Errorf("first of three replies after %v, the last after %v", first, all)
	}
}

// cpuTime is this process's, of all threads, and that of srv's other processes.
func cpuTime(t testing.TB, srv targets.Server) (all time.Duration) {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	for _, pid := range others(srv) {
		user, system := proc.CPUOf(pid)
		all += user + system
	}
	return all + time.Duration(u.Utime.Nano()+u.Stime.Nano())
}
