package loadgen

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/sockbench/sockbench/unit"
	"github.com/sockbench/sockbench/wire"
)

// A connection carries as many requests as it is to, is closed by the client, and the next is opened when it is needed:
// with every engine, in a closed loop and an open one, also where the server says that it closes.
func TestPerConnection(t *testing.T) {
	each(t, func(t testing.TB, engine unit.Word) {
		for _, c := range []struct {
			framing  string
			each     int64
			rate     unit.Rate
			dispatch unit.Word
		}{{"length", 5, 0, "idle"}, {"length", 1, 0, "idle"}, {"http", 3, 0, "idle"}, {"length", 5, 2000, "idle"}, {"length", 2, 2000, "sticky"}} {
			var requests, most atomic.Int64
			f := &faulty{framing: c.framing, reply: func(n int, _ *wire.Message) bool {
				requests.Add(1)
				for now := most.Load(); int64(n) > now && !most.CompareAndSwap(now, int64(n)); now = most.Load() {
				}
				return true
			}}
			s := spec()
			s.Engine, s.Framing, s.Rate, s.Dispatch, s.PerConnection = engine, unit.Word(c.framing), c.rate, c.dispatch, unit.Count(c.each)
			f.params = s.Params()
			r, _ := drive(t, s, Place{To: serve(t, f)}, time.Second)
			if r.Completed != r.Offered || r.Completed < 50 || len(r.Errors) > 0 {
				t.Errorf("%+v: completed %d of %d, errors %v", c, r.Completed, r.Offered, r.Errors)
			}
			if c.rate > 0 && r.Offered != 400 {
				t.Errorf("%+v: offered %d, want 400", c, r.Offered)
			}
			// All connections but the last four were used up.
			n, opened := requests.Load(), f.accepted.Load()
			if most.Load() != c.each || opened < n/c.each || opened > n/c.each+4 {
				t.Errorf("%+v: %d requests over %d connections, at most %d over one", c, n, opened, most.Load())
			}
			made, inside := r.Connect.Count-4, int64(float64(r.Completed)/float64(c.each)) // four were there before
			if made < inside-8 || made > inside+8 || r.Close.Count < inside-8 || r.FirstByte.Count > 0 {
				t.Errorf("%+v: %d completed, %d connects on the way, %d closes, %d first bytes", c, r.Completed, made, r.Close.Count, r.FirstByte.Count)
			}
			if r.Connections.Served != 4 {
				t.Errorf("%+v: connections %+v", c, r.Connections)
			}
		}
	})
}

// A reply that comes too late is one of those that a connection is to carry.
func TestPerConnectionLate(t *testing.T) {
	each(t, func(t testing.TB, engine unit.Word) {
		f := &faulty{reply: func(n int, _ *wire.Message) bool {
			if n == 2 {
				time.Sleep(60 * time.Millisecond)
			}
			return n <= 2 // a third would time out
		}}
		s := spec()
		s.Engine, s.Connections, s.PerConnection, s.RequestTimeout = engine, 1, 2, 30e6
		r, _ := drive(t, s, Place{To: serve(t, f)}, time.Second)
		if r.Late < 2 || r.Completed < 2 || r.Completed+r.TimedOut+r.Unfinished != r.Offered || len(r.Errors) > 0 {
			t.Errorf("completed %d, timed out %d, late %d of %d, errors %v", r.Completed, r.TimedOut, r.Late, r.Offered, r.Errors)
		}
		if n := f.accepted.Load(); n < 3 {
			t.Errorf("%d connections", n)
		}
	})
}
