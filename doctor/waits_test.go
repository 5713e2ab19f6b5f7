package doctor

import (
	"testing"

	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/stats"
)

// late is of as many sleeps as p99 takes, one in fifty of them that late, the others by 40 us.
func late(ns int64) stats.Quantity {
	l := stats.NewLatency()
	for i := range 400 {
		if l.Record(40_000); i%50 == 0 {
			l.Record(ns)
		}
	}
	return l.Summary()
}

// What counts is the regime that trials have.
func TestJudgeWaits(t *testing.T) {
	judgeTimer("sleep", lateness{halting: late(50_000)}).says(t, results.OK, "p50 40.0us", "408 sleeps")
	judgeTimer("sleep", lateness{halting: late(300_000)}).says(t, results.Note, "keep_awake")
	judgeTimer("sleep", lateness{halting: late(5_000_000)}).says(t, results.Warn, "p99 5.00ms")
	judgeTimer("sleep", lateness{halting: late(5_000_000), awake: late(50_000)}).says(t, results.OK, "with keep-awake loops")
	judgeWakeup("wake", lateness{halting: late(5_000_000)}).says(t, results.OK, "half of a round trip")
	slow := stats.NewLatency()
	for range 10 {
		slow.Record(90_000)
	}
	judgeWakeup("wake", lateness{halting: slow.Summary()}).says(t, results.Note, "cpu_dma_latency")
}

// All timers and wakers do what they are asked, as often as they say, and nothing is early.
func TestWaits(t *testing.T) {
	h, err := thisHost()
	if err != nil {
		t.Fatal(err)
	}
	for _, timer := range timersTried {
		if q, err := timer.lateness(h.cpu(1)); err != nil || q.Count != sleeps || q.P99 == nil || q.Min < 1 {
			t.Errorf("%s: %+v, %v", timer.name, q, err)
		}
	}
	for _, w := range h.wakers() {
		if q, err := ping(w.cpus); err != nil || q.Count != pings-pingsLost || q.P50 == nil {
			t.Errorf("%s: %+v, %v", w.name, q, err)
		}
	}
	if h.clock <= 0 {
		t.Errorf("a reading of the clock takes %v ns", h.clock)
	}
	if err := onThread(1<<9, func() error { return nil }); err == nil {
		t.Error("a thread moved to a CPU that is not there")
	}
}
