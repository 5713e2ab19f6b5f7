package loadgen

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/testenv"
	"github.com/sockbench/sockbench/internal/uring"
	"github.com/sockbench/sockbench/sockopt"
	"github.com/sockbench/sockbench/unit"
	"github.com/sockbench/sockbench/wire"
)

// ringed runs one load on one thread of engine iouring, which change may alter first, and returns its result.
func ringed(t testing.TB, s Spec, to string, change func(*iouring), edge func(begins bool)) Result {
	t.Helper()
	if testing.Short() {
		t.Skip("sends load for a while; run without -short")
	}
	if err := uring.Supported(); err != nil {
		testenv.Skip(t, "iouring", err.Error())
	}
	s.Engine = "iouring"
	l, err := Connect(t.Context(), s, Place{To: to, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	e, err := l.newEngine(0, WindowFrom(s, 20*time.Millisecond, time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer e.mover.close()
	e.onEdge = edge
	change(e.mover.(*iouring))
	finished := make(chan error)
	go func() { finished <- e.mover.run() }() // its thread ends with it
	if err := <-finished; err != nil {
		t.Fatal(err)
	}
	r, err := l.result([]*engine{e})
	if err != nil {
		t.Fatal(err)
	}
	checkAccounts(t, r)
	return r
}

func unchanged(*iouring) {}

// Two buffers for replies that take two dozen: the kernel runs out of them all the time, and nothing is lost.
func TestBuffersRunOut(t *testing.T) {
	for _, workload := range []unit.Word{"rr", "crr"} {
		s := spec()
		s.Workload, s.Connections, s.Reply = workload, 40, 3000
		r := ringed(t, s, serve(t, &faulty{}), func(m *iouring) { m.config.Buffers, m.config.BufferLen = 2, 128 }, nil)
		if r.Completed != r.Offered || r.Completed < 100 || len(r.Errors) > 0 {
			t.Errorf("%s: completed %d of %d, errors %v", workload, r.Completed, r.Offered, r.Errors)
		}
	}
}

// The completion queue is as good as full all the time.
func TestCompletionsOverflow(t *testing.T) {
	for _, workload := range []unit.Word{"rr", "crr"} {
		s := spec()
		s.Workload, s.Connections = workload, 40
		r := ringed(t, s, serve(t, &faulty{}), func(m *iouring) {
			m.config.Entries, m.config.Completions, m.done = 2, 2, m.done[:1]
		}, nil)
		if r.Completed != r.Offered || r.Completed < 100 || len(r.Errors) > 0 {
			t.Errorf("%s: completed %d of %d, errors %v", workload, r.Completed, r.Offered, r.Errors)
		}
	}
}

// Sockets that never take a request whole, and more requests at once than there is memory for: what is sent next on a
// connection waits until the rest of what was sent before has gone.
func TestSendsStayInOrder(t *testing.T) {
	s := spec()
	s.Connections, s.Pipeline, s.Request, s.Warmup = 2*sending/sendMost, 32, 15_000, 0
	s.Options = []sockopt.Setting{{Option: "SO_SNDBUF", Level: "4KiB", Phase: sockopt.Fresh}}
	r := ringed(t, s, serve(t, &faulty{}), unchanged, nil)
	if r.Completed != r.Offered || r.Completed < 100 || len(r.Errors) > 0 {
		t.Errorf("completed %d of %d, errors %v", r.Completed, r.Offered, r.Errors)
	}
}

// The longest request that the ring sends, and the shortest that it does not, in every framing.
func TestLongestSend(t *testing.T) {
	for _, framing := range []string{"length", "line", "fixed"} {
		for size := unit.Bytes(sendMost - 200); size < sendMost+20; size += 25 {
			s := spec()
			s.Framing, s.Request, s.Connections, s.Warmup, s.Duration = unit.Word(framing), size, 1, 0, 5e6
			f := &faulty{framing: framing}
			f.params.Request, f.params.Reply = int64(s.Request), int64(s.Reply)
			if r := ringed(t, s, serve(t, f), unchanged, nil); r.Completed != r.Offered || r.Completed == 0 {
				t.Fatalf("%s, %d bytes: completed %d of %d, errors %v", framing, size, r.Completed, r.Offered, r.Errors)
			}
		}
	}
}

// A connect that is given up leaves no socket behind that goes on trying.
func TestConnectGivenUp(t *testing.T) {
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(l)
	err = unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	if err == nil {
		err = unix.Listen(l, 0) // and nobody accepts: the second has to wait, all others get no answer
	}
	addr, _ := unix.Getsockname(l)
	if err != nil || addr == nil {
		t.Fatal(err)
	}
	port := addr.(*unix.SockaddrInet4).Port
	s := spec()
	s.Workload, s.Connections, s.ConnectTimeout, s.RequestTimeout, s.Warmup = "crr", 4, 20e6, 5e9, 0
	trying := 0
	r := ringed(t, s, fmt.Sprintf("tcp://127.0.0.1:%d", port), unchanged, func(begins bool) {
		if !begins {
			trying = inState(t, port, "02")
		}
	})
	if r.Errors[errorNames[errConnectTimeout]] < 10 || trying > 4 {
		t.Errorf("%d sockets of 4 connections were trying to connect, errors %v", trying, r.Errors)
	}
}

// inState is how many sockets of the network namespace are connected to port of this machine and in a state, by the
// kernel's number.
func inState(t testing.TB, port int, state string) (n int) {
	all, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(string(all)) {
		if f := strings.Fields(line); len(f) > 3 && strings.HasSuffix(f[2], fmt.Sprintf(":%04X", port)) && f[3] == state {
			n++
		}
	}
	return n
}

// A server that answers every third request with garbage and leaves: by the time its end of stream is looked at, which
// came with the garbage, the connection is closed and the next one has its place and its descriptor.
func TestSuccessorIsNotMistaken(t *testing.T) {
	var n atomic.Int64
	bad := func() bool { return n.Load()%3 == 0 }
	f := &faulty{
		reply: func(int, *wire.Message) bool { n.Add(1); return !bad() },
		after: func(_ int, c *net.TCPConn) bool {
			if bad() {
				c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			}
			return !bad()
		},
	}
	s := spec()
	s.Workload, s.Connections, s.Warmup = "crr", 1, 0
	r := ringed(t, s, serve(t, f), unchanged, nil)
	garbage := r.Errors[errorNames[errProtocol]]
	if len(r.Errors) != 1 || garbage < 10 || r.Failed != garbage || r.Completed != r.Offered-garbage || r.Completed < 2*garbage-2 {
		t.Errorf("completed %d, failed %d, errors %v", r.Completed, r.Failed, r.Errors)
	}
}

// Where the kernel refuses io_uring the load does, by name and before anything else.
func TestEngineIsRefused(t *testing.T) {
	i := slices.IndexFunc(Engines, func(k EngineKind) bool { return k.Name == "iouring" })
	defer func(check func() error) { Engines[i].check = check }(Engines[i].check)
	Engines[i].check = func() error { return fmt.Errorf("io_uring: none here: %w", errors.ErrUnsupported) }
	s := spec()
	s.Engine = "iouring"
	f := &faulty{}
	_, err := Connect(t.Context(), s, Place{To: serve(t, f)})
	if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "engine iouring: io_uring: none here") {
		t.Error(err)
	}
	if f.accepted.Load() > 0 {
		t.Error("there were connections before the refusal")
	}
}
