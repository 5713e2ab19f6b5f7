package targettest

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/targets"
	"github.com/sockbench/sockbench/wire"
)

// slowReader: a client asks for 128 MiB and does not read: the server holds none of it, serves others, and when the
// client reads at last every byte arrives.
func slowReader(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{}, targets.Place{})
	before := liveHeap()
	c := dialAs(t, srv, "length", wire.Params{Request: 64, Reply: wire.MaxFrame})
	c.ask(8)
	stalled(t, e, srv, before)
	c.replies(8)
	calm(t, e, srv)
}

// slowReaderSmall: the same with very many small replies.
func slowReaderSmall(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{}, targets.Place{})
	c := dialAs(t, srv, "length", wire.Params{Request: 16, Reply: 4096})
	const n = 20_000 // 80 MiB of replies
	all := c.requests(n)
	before := liveHeap()
	written := make(chan error, 1)
	go func() {
		_, err := c.Write(all)
		written <- err
	}()
	stalled(t, e, srv, before)
	c.replies(n)
	if err := <-written; err != nil {
		t.Fatal(err)
	}
}

// stalled gives the server time to take all it will, and looks at what it holds.
func stalled(t testing.TB, e *targets.Entry, srv targets.Server, before int64) {
	t.Helper()
	time.Sleep(100 * time.Millisecond)
	if e.MaxConns != 1 {
		alive(t, srv)
	}
	if grown := liveHeap() - before; grown > 8<<20 {
		t.Errorf("the server holds %d KiB for a client that does not read", grown>>10)
	}
	calm(t, e, srv)
}

// calm checks that a server with nothing to do does nothing.
func calm(t testing.TB, e *targets.Entry, srv targets.Server) {
	t.Helper()
	if e.Busy {
		return
	}
	cpu := cpuTime(t, srv)
	time.Sleep(100 * time.Millisecond)
	if used := cpuTime(t, srv) - cpu; used > 50*time.Millisecond {
		t.Errorf("waiting takes %v of processor time in 100 ms", used)
	}
}

// liveHeap is what the garbage collector cannot free.
func liveHeap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// connections: a thousand at once, three requests each; or one after another where the model serves only one.
func connections(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{}, targets.Place{})
	n, atOnce := 1000, 1000
	if e.PerConn > 0 { // this machine may be a small one
		n, atOnce = 100, 100
	}
	if e.MaxConns > 0 {
		atOnce = min(n, e.MaxConns)
	}
	if e.Most > 0 { // of descriptors, and this process has the clients' too
		atOnce = e.Most * 2 / 5
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if room := int(min(limit.Cur, 1<<20)) - 100; 2*atOnce > room {
		t.Logf("only %d descriptors", limit.Cur)
		atOnce = room / 2
	}
	for done := 0; done < n; done += atOnce {
		conns := make([]*client, min(atOnce, n-done))
		for i := range conns {
			conns[i] = dial(t, srv)
		}
		for range 3 {
			for _, c := range conns {
				c.ask(1)
			}
			for _, c := range conns {
				c.replies(1)
			}
		}
		for _, c := range conns {
			c.hangUp()
		}
	}
	stop(t, srv)
	if r := srv.Result(); r.Accepts != int64(n) || r.Requests != int64(3*n) {
		t.Errorf("result %+v", r)
	}
}

// outOfDescriptors: while accept cannot get a descriptor the server waits without spinning, serves those it has, and
// goes on by itself when there are some again.
func outOfDescriptors(t testing.TB, e *targets.Entry) {
	limitDescriptors(t, few)
	srv := start(t, e, targets.Spec{}, targets.Place{})
	first := dial(t, srv)
	first.ask(1)
	first.replies(1)
	second, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0) // while there is one to have
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(second) })
	reserved := reserve(t, e)
	restore := noDescriptors(t, srv)
	for _, fd := range reserved {
		if err := connectTo(fd, srv); err != nil {
			t.Fatal(err)
		}
	}
	if err := connectTo(second, srv); err != nil {
		t.Fatal(err)
	}
	if e.MaxConns > 0 {
		first.hangUp() // the next accept is the one that fails
	}
	if _, err := unix.Write(second, first.requests(1)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	cpu := cpuTime(t, srv)
	time.Sleep(200 * time.Millisecond)
	if used := cpuTime(t, srv) - cpu; used > 100*time.Millisecond && !e.Busy {
		t.Errorf("out of descriptors, %v of processor time in 200 ms", used)
	}
	var reply [100]byte
	if n, _, err := unix.Recvfrom(second, reply[:], unix.MSG_DONTWAIT); err != unix.EAGAIN {
		t.Fatalf("the test did not exhaust the descriptors: read %d bytes, %v", n, err)
	}
	if e.MaxConns == 0 {
		first.ask(1)
		first.got++ // the id that went to the second connection
		first.replies(1)
	}
	restore()
	if err := unix.SetsockoptTimeval(second, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5}); err != nil {
		t.Fatal(err)
	}
	n, err := unix.Read(second, reply[:])
	for err == unix.EINTR { // a timeout keeps the kernel from going on by itself
		n, err = unix.Read(second, reply[:])
	}
	if n != 68 || err != nil {
		t.Errorf("with descriptors again: %d bytes, %v; want a reply of 68", n, err)
	}
}

// reserve makes sockets for connections that are accepted although there are no descriptors: a thread that waits in
// accept holds one already.
func reserve(t testing.TB, e *targets.Entry) []int {
	t.Helper()
	n := max(e.MaxConns-1, 0)
	if n == 0 && e.Blocking && e.MaxConns == 0 {
		n = 1
	}
	fds := make([]int, n)
	for i := range fds {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		fds[i] = fd
	}
	return fds
}

// limitDescriptors lets this process have descriptors below n, until the end of the test. Those in use stay.
func limitDescriptors(t testing.TB, n uint64) {
	t.Helper()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	limit := func(n uint64) {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: old.Max}); err != nil {
			t.Error(err)
		}
	}
	limit(n)
	t.Cleanup(func() { limit(old.Cur) })
}

// noDescriptors takes all descriptors there are, for whoever looked at the limit when it was another, and forbids those
// that become free, here and in srv's other processes, until restore is called.
func noDescriptors(t testing.TB, srv targets.Server) (restore func()) {
	t.Helper()
	limitOthers := func(n uint64) {
		for _, pid := range others(srv) {
			if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: few}, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	limitOthers(3)
	var taken []int
	for {
		fd, err := unix.Dup(2)
		if err == unix.EMFILE {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, fd)
	}
	limitDescriptors(t, 3)
	restore = func() {
		limitDescriptors(t, few)
		limitOthers(few)
		for _, fd := range taken {
			unix.Close(fd)
		}
		taken = nil
	}
	t.Cleanup(restore)
	return restore
}

const few = 128 // descriptors, which is more than a test has

// connectTo connects a socket of IPv4.
func connectTo(fd int, srv targets.Server) error {
	var to unix.SockaddrInet4
	if _, err := fmt.Sscanf(host(srv), "%d.%d.%d.%d:%d", &to.Addr[0], &to.Addr[1], &to.Addr[2], &to.Addr[3], &to.Port); err != nil {
		return err
	}
	return unix.Connect(fd, &to)
}
