package lab

import (
	"testing"
	"time"

	"github.com/sockbench/sockbench/internal/clock"
	"github.com/sockbench/sockbench/internal/quiet"
	"github.com/sockbench/sockbench/loadgen"
)

// A look that comes late is told, and CPU times are those of the measure phase, not of the time between the looks.
func TestWatchScales(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		for _, late := range []time.Duration{0, 60 * time.Millisecond} {
			from := clock.Now() - int64(late)
			if late == 0 {
				from += int64(10 * time.Millisecond)
			}
			w := loadgen.Window{Measure: from, End: from + int64(100*time.Millisecond)}
			var l Lab
			busy := func() (user, system time.Duration) { return time.Duration(clock.Now()), 2 * time.Duration(clock.Now()) } // a CPU in user mode, two in the kernel
			said, leave := l.watch(t.Context(), w, busy)
			o := <-said
			leave()
			if got := time.Duration(o.machine.LooksLate); got < late || got > late+5*time.Millisecond {
				t.Errorf("looks came %v late, want %v", got, late)
			}
			for _, c := range []struct {
				name      string
				got, want int64
			}{{"user", o.user, 100e6}, {"system", o.system, 200e6}, {"window", o.window, 100e6}} {
				if c.got < c.want*95/100 || c.got > c.want*105/100 {
					t.Errorf("late by %v: %s is %v, want %v", late, c.name, time.Duration(c.got), time.Duration(c.want))
				}
			}
			if o.err != nil || o.busy < 0 || o.busy > int64(len(o.after.Softirq))*110e6 {
				t.Errorf("%v; busy %v", o.err, time.Duration(o.busy))
			}
		}
	})
}
