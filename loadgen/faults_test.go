package loadgen

import (
	"cmp"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/sockbench/sockbench/internal/quiet"
	"github.com/sockbench/sockbench/sockopt"
	"github.com/sockbench/sockbench/unit"
	"github.com/sockbench/sockbench/wire"
)

// fault is a way in which a server misbehaves at the tenth request of a connection, and what it is counted as.
type fault struct {
	name  string
	f     faulty
	kinds map[string]errorKind // by framing; a framing that is not there cannot tell
}

func all(k errorKind) map[string]errorKind {
	return map[string]errorKind{"length": k, "line": k, "fixed": k, "resp": k}
}

var faults = []fault{
	{"closes", faulty{after: func(n int, c *net.TCPConn) bool { return n != 10 }}, all(errEOF)},
	{"resets", faulty{after: func(n int, c *net.TCPConn) bool {
		if n == 10 {
			c.SetLinger(0)
		}
		return n != 10
	}}, all(errReset)},
	{"wrong size", faulty{reply: func(n int, m *wire.Message) bool { m.Size += int64(n / 10); return true }},
		map[string]errorKind{"length": errSize, "line": errSize, "fixed": errUnasked}}, // one byte too many is the next reply's first
	{"wrong id", faulty{reply: func(n int, m *wire.Message) bool { m.ID += uint64(n / 10); return true }},
		map[string]errorKind{"length": errUnasked, "fixed": errUnasked}},
	{"garbage", faulty{reply: func(n int, m *wire.Message) bool { return n < 10 }, after: func(n int, c *net.TCPConn) bool {
		if n == 10 {
			c.Write([]byte("HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n"))
		}
		return true
	}}, map[string]errorKind{"length": errProtocol, "line": errSize, "fixed": errUnasked}},
	{"twice", faulty{twice: 10}, all(errUnasked)},
}

// A server that misbehaves is counted as what it does, by every engine, in every framing.
func TestServerFaults(t *testing.T) {
	engines(t, func(t *testing.T, engine unit.Word) {
		for i := range faults {
			c := &faults[i]
			for framing, kind := range c.kinds {
				for _, rate := range []unit.Rate{0, 2000} {
					t.Run(fmt.Sprint(c.name, " ", framing, " ", rate), func(t *testing.T) {
						quiet.Steady(t, func(t testing.TB) { misbehave(t, engine, framing, rate, &c.f, kind) })
					})
				}
			}
		}
	})
}

func misbehave(t testing.TB, engine unit.Word, framing string, rate unit.Rate, f *faulty, kind errorKind) {
	s := spec()
	s.Engine, s.Framing, s.Connections, s.Rate, s.Warmup, s.Duration = engine, unit.Word(framing), 2, rate, 0, 100e6
	server := &faulty{framing: framing, params: wire.Params{Request: int64(s.Request), Reply: int64(s.Reply)}, reply: f.reply, after: f.after, twice: f.twice}
	r, _ := drive(t, s, Place{To: serve(t, server)}, 200*time.Millisecond)
	got := r.Errors[errorNames[kind]]
	if kind == errEOF { // a request that meets a closed socket makes it a reset
		got += r.Errors[errorNames[errReset]]
	}
	if got != 2 {
		t.Errorf("errors %v, want 2 of %q", r.Errors, errorNames[kind])
	}
	if rate > 0 && r.Failed < 100 {
		t.Errorf("both connections are gone, and only %d of %d requests failed", r.Failed, r.Offered)
	}
	if r.Completed == 0 || r.Completed > 40 {
		t.Errorf("%d completed", r.Completed)
	}
}

// A reply that comes after its request timed out is counted as late, and never taken for the reply to a newer one.
func TestLateReply(t *testing.T) {
	each(t, func(t testing.TB, engine unit.Word) {
		for _, framing := range []string{"length", "line", "fixed", "http", "resp"} {
			s := spec()
			s.Engine, s.Framing, s.Connections, s.RequestTimeout, s.Warmup = engine, unit.Word(framing), 1, 20e6, 0
			f := &faulty{framing: framing, params: wire.Params{Request: 64, Reply: 64}, reply: func(n int, _ *wire.Message) bool {
				if n == 10 {
					time.Sleep(60 * time.Millisecond)
				}
				return true
			}}
			r, _ := drive(t, s, Place{To: serve(t, f)}, 250*time.Millisecond)
			if r.Late != 1 || r.TimedOut != 1 || r.Failed != 0 || r.Completed < 100 {
				t.Errorf("%s: late %d, timed out %d, failed %d, completed %d", framing, r.Late, r.TimedOut, r.Failed, r.Completed)
			}
		}
	})
}

// A server that never answers: every request times out, none is lost, and the run ends in time.
func TestSilence(t *testing.T) {
	each(t, func(t testing.TB, engine unit.Word) {
		for _, workload := range []unit.Word{"rr", "crr"} {
			for _, rate := range []unit.Rate{0, 200} {
				s := spec()
				s.Engine, s.Workload, s.Rate, s.RequestTimeout, s.Warmup = engine, workload, rate, 30e6, 0
				began := time.Now()
				r, _ := drive(t, s, Place{To: serve(t, &faulty{reply: func(int, *wire.Message) bool { return false }})}, time.Second)
				if r.Completed != 0 || r.TimedOut != r.Offered || r.Offered < 4 || rate > 0 && r.Offered != 40 {
					t.Errorf("%s at rate %v: offered %d, timed out %d", workload, rate, r.Offered, r.TimedOut)
				}
				if workload == "crr" && rate == 0 && r.Offered < 16 {
					t.Errorf("crr: %d connections, although each is given up after 30 ms", r.Offered)
				}
				if took := time.Since(began); took > 700*time.Millisecond && rate > 0 {
					t.Errorf("%s at rate %v took %v", workload, rate, took)
				}
			}
		}
	})
}

// Nobody listens any more: every unit of crr fails, and the run goes on to its end.
func TestRefused(t *testing.T) {
	each(t, func(t testing.TB, engine unit.Word) {
		f := &faulty{}
		s := spec()
		s.Engine, s.Workload, s.Rate, s.Warmup = engine, "crr", 500, 0
		s.Connections, s.Arrivals = 2, Arrivals{Law: "burst", Arg: "20"} // more are due than there are connections
		to := serve(t, f)
		l, err := Connect(t.Context(), s, Place{To: to, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		f.l.Close()
		for c, err := net.Dial("tcp", f.l.Addr().String()); err == nil; c, err = net.Dial("tcp", f.l.Addr().String()) {
			c.Close() // the goroutine that accepts still holds the socket
		}
		r, err := l.Run(t.Context(), WindowFrom(s, 2*time.Millisecond, time.Second), nil)
		if err != nil {
			t.Fatal(err)
		}
		checkAccounts(t, r)
		if r.Failed != r.Offered || r.Offered != 100 || r.Errors[errorNames[errRefused]] != 100 {
			t.Errorf("completed %d, failed %d, timed out %d, unfinished %d of %d, errors %v", r.Completed, r.Failed, r.TimedOut, r.Unfinished, r.Offered, r.Errors)
		}
	})
}

// A connection that carried nothing for as long as idle_timeout is replaced, and only then.
func TestIdleTimeout(t *testing.T) {
	each(t, func(t testing.TB, engine unit.Word) {
		for _, c := range []struct {
			idle unit.Duration
			more bool
		}{{20e6, true}, {500e6, false}} {
			f := &faulty{}
			s := spec()
			s.Engine, s.Rate, s.Connections, s.IdleTimeout, s.Warmup, s.Duration = engine, 20, 1, c.idle, 0, 500e6
			r, _ := drive(t, s, Place{To: serve(t, f)}, time.Second)
			if r.Completed != 10 || len(r.Errors) > 0 {
				t.Errorf("completed %d of %d, errors %v", r.Completed, r.Offered, r.Errors)
			}
			if n := f.accepted.Load(); c.more && n < 10 || !c.more && n != 1 {
				t.Errorf("idle_timeout %v: %d connections for 10 requests, one each 50 ms", c.idle, n)
			}
		}
	})
}

// More requests under way than one fill a pipeline: a server that takes 1 ms for each answers no more of them, but those
// that are lost with the connection are all counted.
func TestPipelineIsLostWhole(t *testing.T) {
	each(t, func(t testing.TB, engine unit.Word) {
		s := spec()
		s.Engine, s.Pipeline, s.Connections, s.Warmup = engine, 16, 2, 0
		r, _ := drive(t, s, Place{To: serve(t, &faulty{after: func(n int, _ *net.TCPConn) bool { return n < 100 }})}, 250*time.Millisecond)
		lost := r.Errors[errorNames[errEOF]] + r.Errors[errorNames[errReset]]
		if lost != 2 || r.Failed != 32 || r.Completed != 200 && cmp.Compare(r.Completed, 170) < 0 {
			t.Errorf("completed %d, failed %d, errors %v", r.Completed, r.Failed, r.Errors)
		}
	})
}

// SO_RCVTIMEO ends a blocking read, and nothing else: only engine block has any.
func TestReceiveTimeout(t *testing.T) {
	each(t, func(t testing.TB, engine unit.Word) {
		s := spec()
		s.Engine, s.Connections, s.Warmup = engine, 2, 0
		s.Options = []sockopt.Setting{{Option: "SO_RCVTIMEO", Level: "30ms", Phase: sockopt.Fresh}}
		silent := &faulty{reply: func(n int, _ *wire.Message) bool { return n < 10 }}
		r, l := drive(t, s, Place{To: serve(t, silent)}, 250*time.Millisecond)
		l.Close()
		var class sockopt.Class
		for _, a := range l.Sockets().Applied {
			class = a.Class
		}
		failed, want := r.Errors[errorNames[errReadTimeout]], int64(0)
		if engine == "block" {
			want = 2
		}
		if failed != want || r.Failed != want || (class == sockopt.Inert) == (engine == "block") {
			t.Errorf("%d reads timed out, %d requests failed, want %d of each; the option is %s", failed, r.Failed, want, class)
		}
	})
}
