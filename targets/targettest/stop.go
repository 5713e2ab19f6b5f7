package targettest

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/targets"
	"github.com/sockbench/sockbench/wire"
)

// drain begins a drain and returns what waits for its end.
func drain(t testing.TB, srv targets.Server, limit time.Duration) (wait func() error) {
	t.Helper()
	ended := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	go func() {
		defer cancel()
		ended <- srv.Drain(ctx)
	}()
	return func() error {
		t.Helper()
		select {
		case err := <-ended:
			return err
		case <-time.After(limit + 2*time.Second):
			t.Fatal("Drain does not return")
			return nil
		}
	}
}

// drained expects that all went well and that nothing listens any more.
func drained(t testing.TB, srv targets.Server, wait func() error) {
	t.Helper()
	if err := wait(); err != nil {
		t.Errorf("drain: %v", err)
	}
	c, err := net.DialTimeout("tcp", host(srv), patience)
	if err == nil {
		c.Close()
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("connecting after the drain: %v, want connection refused", err)
	}
}

// drainInFlight: a request in service is answered, then FIN; an idle connection gets FIN.
func drainInFlight(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{Service: dist(t, "sleep:100ms")}, targets.Place{})
	var idle *client
	if e.MaxConns != 1 {
		idle = dial(t, srv)
		idle.accepted()
	}
	c := dial(t, srv)
	c.accepted()
	c.ask(1)
	c.reached()
	time.Sleep(30 * time.Millisecond) // in service, on a machine that does not stand still; else it waits in the socket
	wait := drain(t, srv, patience)
	c.replies(1)
	c.fin()
	if idle != nil {
		idle.fin()
	}
	drained(t, srv, wait)
	if r := srv.Result(); r.Requests != r.Accepts+1 {
		t.Errorf("result %+v", r)
	}
}

// drainReceived: requests that had reached the socket, read or not, are answered, then FIN.
func drainReceived(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{Service: dist(t, "sleep:2ms")}, targets.Place{})
	c := dialAs(t, srv, "length", wire.Params{Request: 2000, Reply: 64})
	c.accepted()
	c.ask(1)
	time.Sleep(time.Millisecond)
	c.ask(10)
	time.Sleep(5 * time.Millisecond)
	c.ask(50) // more than one read
	c.reached()
	wait := drain(t, srv, patience)
	c.replies(61)
	c.fin()
	drained(t, srv, wait)
}

// drainIdle: without anything in flight a drain is immediate.
func drainIdle(t testing.TB, e *targets.Entry) {
	for _, connected := range []bool{false, true} {
		srv := start(t, e, targets.Spec{}, targets.Place{})
		var c *client
		if connected {
			c = dial(t, srv)
			c.accepted()
		}
		began := time.Now()
		drained(t, srv, drain(t, srv, patience))
		if took := time.Since(began); took > time.Second {
			t.Errorf("connected %v: drain took %v", connected, took)
		}
		if connected {
			c.fin()
		}
	}
}

// drainUnderLoad: clients that never stop asking, with the next request always under way, cannot hold a drain up.
func drainUnderLoad(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{Service: dist(t, "sleep:1ms")}, targets.Place{})
	n := 4
	if e.MaxConns > 0 {
		n = min(n, e.MaxConns)
	}
	var wg sync.WaitGroup
	for range n {
		c := dial(t, srv)
		c.ask(4)
		wg.Go(func() {
			one := c.requests(1)
			for {
				if _, err := io.ReadFull(c, c.buf[:len(one)]); err != nil {
					return
				}
				if _, err := c.Write(one); err != nil {
					return
				}
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	drained(t, srv, drain(t, srv, 2*time.Second))
	within(t, patience, "the clients' end", wg.Wait)
}

// drainTooLong: what does not finish in time is cut off, and Drain says so.
func drainTooLong(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{}, targets.Place{})
	c := dial(t, srv)
	c.accepted()
	c.p.Reply = wire.MaxFrame
	c.ask(8)
	c.reached()
	time.Sleep(50 * time.Millisecond) // the first reply is under way, and nobody reads it
	began := time.Now()
	if err := drain(t, srv, 100*time.Millisecond)(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("drain: %v, want deadline exceeded", err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("took %v", took)
	}
	c.gone()
}

// closes: Close returns at once whatever the server is waiting in, also when several call it.
func closes(t testing.TB, e *targets.Entry) {
	for _, c := range []struct {
		where   string
		service string
		ask     func(*client)
	}{
		{"accept", "0", nil},
		{"read", "0", (*client).accepted},
		{"read in a request", "0", func(c *client) { c.write(c.requests(1)[:30]) }},
		{"write", "0", func(c *client) { c.p.Reply = wire.MaxFrame; c.ask(8) }},
		{"service asleep", "sleep:1h", func(c *client) { c.ask(3) }},
		{"service computing", "1h", func(c *client) { c.ask(3) }},
	} {
		srv := start(t, e, targets.Spec{Service: dist(t, c.service)}, targets.Place{})
		if c.ask != nil {
			c.ask(dial(t, srv))
		}
		time.Sleep(20 * time.Millisecond)
		within(t, time.Second, "Close in "+c.where, func() {
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() { srv.Close() })
			}
			wg.Wait()
		})
		srv.Result()
	}
}

// cancels: the end of Start's context is a Close.
func cancels(t testing.TB, e *targets.Entry) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	srv, err := targets.Start(ctx, targets.Spec{Target: targets.Ref{Model: e.Name}}, targets.Place{})
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, srv)
	c.ask(1)
	if !e.Silent {
		c.replies(1)
	}
	cancel()
	if !e.Datagrams {
		c.gone()
	}
	stop(t, srv)
	if e.Datagrams {
		udpGone(t, c)
	}
}

// threads: servers that have come and gone leave no thread behind. A few may be the Go runtime's own.
func threads(t testing.TB, e *targets.Entry) {
	cycle := func() {
		srv := start(t, e, targets.Spec{}, targets.Place{})
		alive(t, srv)
		stop(t, srv)
	}
	cycle()
	before := count(t, "/proc/self/task")
	for range 20 {
		cycle()
	}
	eventually(t, patience, func() (bool, string) {
		return count(t, "/proc/self/task") <= before+8, "threads leaked"
	})
}
