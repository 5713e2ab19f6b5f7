package loadgen

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sockbench/sockbench/internal/quiet"
	"github.com/sockbench/sockbench/unit"
	"github.com/sockbench/sockbench/wire"
)

// One connection of two is never answered: whoever has it waits. That is half of the requests where each has its own
// connection, and one where the next free connection takes it.
func TestDispatch(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		for _, c := range []struct {
			dispatch                string
			timeout                 unit.Duration
			unfinished, out, served int64
		}{{"idle", 5e9, 0, 0, 1}, {"sticky", 5e9, 500, 0, 1}, {"sticky", 20e6, 0, 500, 1}} {
			s := spec()
			s.Rate, s.Duration, s.Connections = 2000, 500e6, 2
			s.Dispatch, s.RequestTimeout = unit.Word(c.dispatch), c.timeout
			f := &faulty{reply: func(_ int, m *wire.Message) bool { return m.ID != 1 }}
			r, _ := drive(t, s, Place{To: serve(t, f)}, 50*time.Millisecond)
			if r.Offered != 1000 || r.Unfinished != c.unfinished || r.TimedOut != c.out || r.Completed != 1000-c.unfinished-c.out || r.Connections.Served != int(c.served) {
				t.Errorf("%s, %v: completed %d, timed out %d, unfinished %d of %d over %d connections", c.dispatch, c.timeout, r.Completed, r.TimedOut, r.Unfinished, r.Offered, r.Connections.Served)
			}
			if want := c.unfinished; r.BacklogEnd < want || r.BacklogEnd > want+50 && c.out == 0 {
				t.Errorf("%s, %v: backlog %d, want about %d", c.dispatch, c.timeout, r.BacklogEnd, want)
			}
			if c.out > 0 && r.NotSent != c.out {
				t.Errorf("%d of %d timed out before they were sent", r.NotSent, c.out)
			}
		}
	})
}

// The queues keep order, lose nothing and reuse what is free, whatever comes.
func TestStickyQueues(t *testing.T) {
	s, random := newSticky(3), rand.New(rand.NewPCG(1, 1))
	want := make([][]int64, 3)
	for n := range int64(100_000) {
		i := random.IntN(3)
		if random.IntN(2) == 0 {
			s.push(int32(i), n)
			want[i] = append(want[i], n)
			continue
		}
		got, ok := s.pop(int32(i))
		if ok != (len(want[i]) > 0) || ok && got != want[i][0] {
			t.Fatalf("popped %d, %v of %v", got, ok, want[i])
		}
		if ok {
			want[i] = want[i][1:]
		}
		if s.n != len(slices.Concat(want...)) {
			t.Fatalf("%d wait, want %v", s.n, want)
		}
	}
	if len(s.entries) > 2000 {
		t.Errorf("%d entries for what was at most some hundred at a time", len(s.entries))
	}
}
