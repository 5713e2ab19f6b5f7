package clock

import (
	"testing"

	"golang.org/x/sys/unix"
)

// The reading lies between two readings of the kernel's own clock, within the error of tying them together.
func TestNow(t *testing.T) {
	for range 100 {
		var a, b unix.Timespec
		unix.ClockGettime(unix.CLOCK_MONOTONIC, &a)
		now := Now()
		unix.ClockGettime(unix.CLOCK_MONOTONIC, &b)
		if now < a.Nano()-5000 || now > b.Nano()+5000 {
			t.Fatalf("%d is not between %d and %d", now, a.Nano(), b.Nano())
		}
	}
	if n := testing.AllocsPerRun(100, func() { Now() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkNow(b *testing.B) {
	for b.Loop() {
		Now()
	}
}
