package loadgen

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/sockbench/sockbench/internal/quiet"
	"github.com/sockbench/sockbench/internal/testenv"
	"github.com/sockbench/sockbench/unit"
)

// engines runs f for each engine that this kernel has.
func engines(t *testing.T, f func(t *testing.T, engine unit.Word)) {
	for i := range Engines {
		t.Run(Engines[i].Name, func(t *testing.T) {
			if check := Engines[i].check; check != nil {
				if err := check(); err != nil {
					testenv.Skip(t, "iouring", err.Error())
				}
			}
			f(t, unit.Word(Engines[i].Name))
		})
	}
}

// each is engines for an f that supposes a steady machine.
func each(t *testing.T, f func(t testing.TB, engine unit.Word)) {
	engines(t, func(t *testing.T, engine unit.Word) {
		quiet.Steady(t, func(t testing.TB) { f(t, engine) })
	})
}

// What a workload is does not depend on the engine: every one, over every framing, in a closed loop and an open one.
func TestEnginesAgree(t *testing.T) {
	engines(t, func(t *testing.T, engine unit.Word) {
		for _, w := range Workloads {
			for _, framing := range []string{"length", "line", "fixed", "http", "http GET", "resp", "resp keys"} {
				for _, rate := range []unit.Rate{0, 500} {
					t.Run(fmt.Sprint(w.Name, " ", framing, " ", rate), func(t *testing.T) {
						quiet.Steady(t, func(t testing.TB) { conform(t, engine, &w, framing, rate) })
					})
				}
			}
		}
	})
}

func conform(t testing.TB, engine unit.Word, w *Workload, framing string, rate unit.Rate) {
	s := spec()
	if w.Defaults != nil {
		w.Defaults(&s)
		s.Request, s.Reply, s.Pipeline = min(s.Request, 100_000), min(s.Reply, 100_000), min(s.Pipeline, 8)
	}
	switch framing {
	case "http GET":
		framing, s.Request = "http", 0
	case "resp keys":
		framing, s.Keys, s.Reads = "resp", 1000, .9
	}
	s.Workload, s.Engine, s.Framing, s.Rate, s.Connections, s.Duration = unit.Word(w.Name), engine, unit.Word(framing), rate, 3, 100e6
	if rate > 0 && s.Pipeline > 1 && Tasks(engine) {
		if s.Check() == nil {
			t.Error("a pipeline in an open loop is not refused")
		}
		return
	}
	f := &faulty{framing: framing, params: s.Params()}
	r, l := drive(t, s, Place{To: serve(t, f)}, time.Second)
	if r.Completed != r.Offered || r.Completed < 10 || len(r.Errors) > 0 {
		t.Errorf("completed %d of %d, errors %v", r.Completed, r.Offered, r.Errors)
	}
	if rate > 0 && r.Offered != 50 {
		t.Errorf("offered %d, want 50", r.Offered)
	}
	if r.Connections.Attained != 3 || r.Connections.Served != 3 {
		t.Errorf("connections %+v", r.Connections)
	}
	if r.Engine.Threads != 1 || r.Engine.Idle > r.Duration || r.Engine.Idle <= 0 && rate > 0 && !Tasks(engine) { // whose CPU time is the process's, server and all
		t.Errorf("engine %+v", r.Engine)
	}
	if (r.Engine.Spin > 0) && (rate == 0 || Tasks(engine)) {
		t.Errorf("engine %+v spins", r.Engine)
	}
	if request, reply := s.lengths(); s.Keys == 0 { // of those for keys some are long, and some replies
		per := float64(max(request, reply)) * r.Throughput * float64(r.Duration) / 1e9
		got := float64(max(r.SentBytes, r.RecvBytes))
		if slack := float64(max(request, reply)) * 3 * float64(max(s.Pipeline, 1)+1); got < per-slack || got > per+slack {
			t.Errorf("moved %.0f bytes for %.0f", got, per)
		}
	}
	if w.Brief {
		inside := int64(math.Round(r.Throughput * float64(r.Duration) / 1e9)) // the rest completed, and connected perhaps, in the drain
		if n := f.accepted.Load(); n < r.Completed || r.Connect.Count < inside-3 || r.FirstByte.Count < inside-3 || r.Close.Count < inside-6 {
			t.Errorf("%d completed, %d of them inside, over %d connections; %d connects, %d first bytes, %d closes", r.Completed, inside, n, r.Connect.Count, r.FirstByte.Count, r.Close.Count)
		}
	} else if n := f.accepted.Load(); n != 3 || r.Connect.Count != 3 {
		t.Errorf("%d connections accepted, %d connects", n, r.Connect.Count)
	}
	l.Close()
}
