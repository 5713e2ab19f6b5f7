package targettest

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/testenv"
	"github.com/sockbench/sockbench/targets"
)

// manyConnections: 8,000 at one time, each of them served. Of a model that asks every socket all the time, 1,000: each
// round of requests would take it as many system calls as the square of that.
// Of one whose connections take more memory than others, 100.
func manyConnections(t testing.TB, e *targets.Entry) {
	if testing.Short() {
		t.Skip("-short")
	}
	if e.MaxConns > 0 || e.Most > 0 {
		t.Skip(e.Limit)
	}
	n := 8000
	switch {
	case e.PerConn > 0:
		n = 100 // this machine may be a small one
	case e.Busy:
		n = 1000
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur < uint64(2*n+200) {
		testenv.Skip(t, "descriptors", fmt.Sprintf("%d descriptors are too few for both ends of %d connections", limit.Cur, n))
	}
	srv := start(t, e, targets.Spec{}, targets.Place{Expect: n})
	c := dial(t, srv) // frames the requests
	fds := make([]int, 0, n)
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
		within(t, 2*patience, "Close", func() { srv.Close() }) // where each has a thread they end one by one
	}()
	began := time.Now()
	for range n {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
		if err := connectTo(fd, srv); err != nil {
			t.Fatalf("connection %d: %v", len(fds), err)
		}
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 20}); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("connected in %v", time.Since(began))
	reply := make([]byte, 100)
	for round := range 2 {
		for _, fd := range fds {
			if _, err := unix.Write(fd, c.requests(1)); err != nil {
				t.Fatal(err)
			}
		}
		for i, fd := range fds {
			got, err := unix.Read(fd, reply)
			for err == unix.EINTR {
				got, err = unix.Read(fd, reply)
			}
			if got != 68 || err != nil {
				t.Fatalf("round %d, connection %d: %d bytes, %v; want a reply of 68", round, i, got, err)
			}
		}
	}
	t.Logf("served twice in %v", time.Since(began))
}

// soakTime is how long Soak lasts: long enough to see that nothing grows, or as long as SOCKBENCH_SOAK says.
func soakTime(t testing.TB) time.Duration {
	t.Helper()
	text := os.Getenv("SOCKBENCH_SOAK")
	if text == "" {
		return 300 * time.Millisecond
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("SOCKBENCH_SOAK: %v", err)
	}
	return d
}

// soak: connections come, ask and go, in order or by reset, and what the server needs does not grow.
func soak(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{}, targets.Place{})
	first := dial(t, srv)
	request := first.requests(1)
	first.hangUp()
	reply := make([]byte, len(request))
	one := func(abort bool) error {
		c, err := net.DialTimeout("tcp", host(srv), patience)
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.Write(request); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, reply); err != nil || !abort {
			return err
		}
		return c.(*net.TCPConn).SetLinger(0)
	}
	churn := func(d time.Duration) (n int) {
		for end := time.Now().Add(d); time.Now().Before(end); n++ {
			if err := one(n%2 == 0); err != nil {
				t.Fatal(err)
			}
		}
		return n
	}
	whole := soakTime(t)
	churn(whole / 3)
	descriptors, routines, threads, heap := 0, 0, 0, int64(0)
	look := func() {
		runtime.GC()
		descriptors, routines, threads, heap = count(t, "/proc/self/fd"), runtime.NumGoroutine(), count(t, "/proc/self/task"), liveHeap()
	}
	look()
	d0, r0, t0, h0 := descriptors, routines, threads, heap
	n := churn(whole)
	eventually(t, patience, func() (bool, string) {
		look()
		return descriptors <= d0+4 && routines <= r0+4 && threads <= t0+8 && heap <= h0+1<<20,
			fmt.Sprintf("after %d connections: descriptors %d → %d, goroutines %d → %d, threads %d → %d, heap %d → %d KiB",
				n, d0, descriptors, r0, routines, t0, threads, h0>>10, heap>>10)
	})
}

// drainRefuses: whoever connects during a drain learns at once that nobody serves him: by refusal, or by the end of the
// connection without a reply.
func drainRefuses(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{Service: dist(t, "sleep:300ms")}, targets.Place{})
	busy := dial(t, srv)
	busy.accepted()
	busy.ask(1)
	busy.reached()
	time.Sleep(30 * time.Millisecond)
	wait := drain(t, srv, patience)
	for range 20 {
		time.Sleep(5 * time.Millisecond)
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := connectTo(fd, srv); err == nil {
			if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5}); err != nil {
				t.Fatal(err)
			}
			n, err := unix.Read(fd, make([]byte, 100))
			for err == unix.EINTR {
				n, err = unix.Read(fd, make([]byte, 100))
			}
			if n > 0 || err == unix.EAGAIN {
				t.Errorf("connected during the drain, read %d bytes, %v", n, err)
			}
		} else if err != unix.ECONNREFUSED {
			t.Errorf("connecting during the drain: %v", err)
		}
		unix.Close(fd)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %v to learn that nobody serves", took)
		}
	}
	busy.replies(1)
	busy.fin()
	drained(t, srv, wait)
}
