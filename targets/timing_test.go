package targets

import (
	"sync"
	"testing"
	"time"

	"github.com/sockbench/sockbench/internal/clock"
	"github.com/sockbench/sockbench/unit"
)

// One wait in 61 is timed, or every one where the service is slow; of those only requests heard of in the window count.
func TestTiming(t *testing.T) {
	for _, c := range []struct {
		service time.Duration
		want    int
	}{{0, 10}, {99 * time.Microsecond, 10}, {100 * time.Microsecond, 610}} {
		tm, waits, timed := newTiming(unit.Dist{Mean: unit.Duration(c.service)}, new(board)), 0, 0
		for range 610 {
			if tm.hear(&waits) != 0 {
				timed++
			}
		}
		if timed != c.want {
			t.Errorf("service %v: %d of 610 waits are timed, want %d", c.service, timed, c.want)
		}
	}
	b := new(board)
	s := &server{env: &Env{board: b, times: newTiming(unit.Dist{}, b)}}
	now := clock.Now()
	s.env.times.note(now-1000, now, now) // before it is told the window, all count
	s.Measure(now, now+100)
	var wg sync.WaitGroup
	for _, heard := range []int64{now - 1, now, now + 99, now + 100} {
		wg.Go(func() { s.env.times.note(heard, heard+500, heard+2500) })
	}
	wg.Wait()
	var r Result
	s.env.times.report(&r)
	if r.Waiting.Count != 3 || r.Service.Count != 3 || r.Waiting.Min != 500 || r.Waiting.Max != 1000 || r.Service.Max != 2000 || r.Waiting.P50 != nil {
		t.Errorf("waiting %+v, service %+v", r.Waiting, r.Service)
	}
	if r.Histograms[QueueHistogram] == "" || r.Histograms[ServiceHistogram] == "" {
		t.Errorf("histograms %v", r.Histograms)
	}
	var none *timing
	if waits := 0; none.hear(&waits) != 0 {
		t.Error("nobody times, and a wait is timed")
	}
	none.report(&r)
}
