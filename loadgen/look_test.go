package loadgen

import (
	"slices"
	"testing"
	"time"

	"github.com/sockbench/sockbench/internal/clock"
	"github.com/sockbench/sockbench/unit"
)

// Streams are looked at every 100 ms, at most 100 times; nothing else is.
func TestWindowLooks(t *testing.T) {
	for _, c := range []struct {
		workload unit.Word
		duration time.Duration
		look     time.Duration
	}{
		{"stream-up", time.Second, 100 * time.Millisecond}, {"stream-down", 10 * time.Second, 100 * time.Millisecond},
		{"stream-up", 10*time.Second + 1, 100*time.Millisecond + 1}, {"stream-down", time.Hour, 36 * time.Second},
		{"rr", time.Second, 0}, {"crr", time.Hour, 0},
	} {
		w := WindowFrom(Spec{Workload: c.workload, Duration: unit.Duration(c.duration)}, 0, 0)
		looks := 0
		for at := w.Measure; c.look > 0 && at < w.End; at += w.Look {
			looks++
		}
		if w.Look != int64(c.look) || looks > looksMax {
			t.Errorf("%s for %v: %d looks, one every %v, want %v", c.workload, c.duration, looks, time.Duration(w.Look), c.look)
		}
	}
}

// Looks come inside the measure phase, in order and not two at a time, and end when they are stopped.
func TestLooks(t *testing.T) {
	const every = int64(20 * time.Millisecond)
	now := clock.Now()
	w := Window{Measure: now - 5*every/2, End: now + 10*every, Look: every} // two looks, and half of the time to the third, have passed
	var at []int64
	w.Looks(nil, func(t int64) { at = append(at, t) })
	if len(at) == 0 || len(at) > 10 || at[0] < 5*every/2 || !slices.IsSorted(at) {
		t.Errorf("looks at %v", at)
	}
	stop := make(chan struct{})
	w = Window{Measure: clock.Now(), End: clock.Now() + int64(time.Hour), Look: every}
	n := 0
	w.Looks(stop, func(int64) {
		if n++; n == 2 {
			close(stop)
		}
	})
	if n > 3 { // one may have been due
		t.Errorf("stopped at the second look, and there were %d", n)
	}
	w.Look = 0
	w.Looks(nil, func(int64) { t.Error("there was to be none") })
}
