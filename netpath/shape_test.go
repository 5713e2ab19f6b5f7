package netpath

import (
	"math"
	"slices"
	"testing"
)

// shaped is a shaper of a path with that text, upwards.
func shaped(t testing.TB, text string, seed uint64) *shaper {
	t.Helper()
	var s Spec
	if err := s.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	sh := newShaper(s, s.Up, seed, 0)
	sh.measured = true
	return sh
}

func TestDelayIsExact(t *testing.T) {
	s := shaped(t, "delay=10ms", 1)
	for _, at := range []int64{0, 1, 5_000, 5_000, 1e9} {
		if f := s.arrive(at, 1500); f != (fate{1, at + 10e6, false}) {
			t.Errorf("a frame of %d ns: %+v", at, f)
		}
	}
}

// A burst leaves at the bottleneck's rate, and what finds no room is dropped: 100 frames of 1250 bytes at 10 Mbit/s take
// 1 ms each, and a queue of 25,000 bytes holds 20.
func TestRateAndQueueAreExact(t *testing.T) {
	s := shaped(t, "rate=10mbit,queue=25000,delay=5ms", 1)
	var left []int64
	for range 100 {
		if f := s.arrive(1000, 1250); f.copies == 1 {
			left = append(left, f.leaves)
		}
	}
	if len(left) != 20 || s.stats.QueueDrops != 80 || s.stats.QueueMax != 25_000 {
		t.Fatalf("%d frames came through, %d were dropped, at most %d bytes waited", len(left), s.stats.QueueDrops, s.stats.QueueMax)
	}
	for i, at := range left {
		if want := 1000 + int64(i+1)*1e6 + 5e6; at != want {
			t.Errorf("frame %d leaves at %d, want %d", i, at, want)
		}
	}
	if f := s.arrive(1000+10e6, 1250); f.leaves != 1000+21e6+5e6 { // half of the queue is gone: there is room again
		t.Errorf("after 10 ms: %+v", f)
	}
	if q := s.waited.Summary(); q.Count != 21 || q.Max < 18.9e6 || q.Max > 19.1e6 {
		t.Errorf("waited %+v", q)
	}
	if f := s.arrive(1e9, 1250); f.leaves != 1e9+1e6+5e6 { // an idle bottleneck saves nothing up
		t.Errorf("after a pause: %+v", f)
	}
}

func TestFractionOfANanosecond(t *testing.T) {
	s := shaped(t, "rate=300mbit,queue=16MiB", 1) // 3.33… ns a bit
	var last fate
	const n = 10_000
	for range n {
		last = s.arrive(0, 1514)
	}
	if want := float64(n) * 1514 * 8 / 300e6 * 1e9; math.Abs(float64(last.leaves)-want) > 2 {
		t.Errorf("the last of %d frames leaves at %d, want %.0f: rounding adds up", n, last.leaves, want)
	}
}

// lossOf is which of n frames a seed loses.
func lossOf(t *testing.T, text string, seed uint64, n int) (lost []int) {
	s := shaped(t, text, seed)
	for i := range n {
		if s.arrive(int64(i)*1e6, 100).copies == 0 {
			lost = append(lost, i)
		}
	}
	return lost
}

func TestSameSeedSameLosses(t *testing.T) {
	const n = 20_000
	a, b, c := lossOf(t, "loss=2%", 1, n), lossOf(t, "loss=2%", 1, n), lossOf(t, "loss=2%", 2, n)
	if !slices.Equal(a, b) || slices.Equal(a, c) {
		t.Errorf("%d, %d and %d losses: the same seed loses the same, another one others", len(a), len(b), len(c))
	}
	if sd := math.Sqrt(n * .02 * .98); math.Abs(float64(len(a))-n*.02) > 4*sd {
		t.Errorf("%d of %d frames are lost at 2%%", len(a), n)
	}
	// What else is asked of the path, or befalls it, does not change whose turn it is.
	if d := lossOf(t, "loss=2%,delay=10ms,jitter=5ms,rate=500mbit", 1, n); !slices.Equal(a, d) {
		t.Errorf("a delay changes which frames are lost")
	}
}

func TestJitterKeepsOrder(t *testing.T) {
	s := shaped(t, "delay=10ms,jitter=5ms", 3)
	var least, most, last int64 = math.MaxInt64, 0, 0
	for i := range 10_000 {
		at := int64(i) * 100e3
		f := s.arrive(at, 100)
		if f.leaves < last {
			t.Fatalf("frame %d overtakes", i)
		}
		last = f.leaves
		least, most = min(least, f.leaves-at), max(most, f.leaves-at)
	}
	if least < 5e6 || most > 15e6 || most < 14.9e6 {
		t.Errorf("delays from %d to %d ns, want up to 5 to 15 ms", least, most)
	}
	s = shaped(t, "delay=10ms,jitter=5ms", 3) // frames far apart: the mean is the delay
	var sum float64
	const n = 10_000
	for i := range n {
		at := int64(i) * 1e9
		sum += float64(s.arrive(at, 100).leaves - at)
	}
	if mean := sum / n; math.Abs(mean-10e6) > 4*5e6/math.Sqrt(3*n) {
		t.Errorf("mean delay %.0f ns", mean)
	}
}

func TestReorderAndDuplicate(t *testing.T) {
	s := shaped(t, "delay=10ms,reorder=10%,duplicate=20%", 4)
	const n = 10_000
	jumped, twice := 0, 0
	for i := range n {
		at := int64(i) * 1e6
		f := s.arrive(at, 100)
		if f.skips {
			jumped++
			if f.leaves != at {
				t.Fatalf("%+v", f)
			}
		}
		twice += f.copies - 1
	}
	for _, c := range []struct {
		got  int
		want float64
	}{{jumped, .1}, {twice, .2}} {
		if sd := math.Sqrt(n * c.want * (1 - c.want)); math.Abs(float64(c.got)-n*c.want) > 4*sd {
			t.Errorf("%d of %d, want %v", c.got, n, c.want)
		}
	}
	if s.stats.Reordered != int64(jumped) || s.stats.Duplicated != int64(twice) {
		t.Errorf("%+v", s.stats)
	}
}

func TestFaults(t *testing.T) {
	var f Faults
	if err := f.UnmarshalText([]byte("blackout@1s+500ms;stall@2s+200ms;loss:50%@3s+1s;reset@5s;blackout@6s")); err != nil {
		t.Fatal(err)
	}
	const start = 10e9
	at := func(s *shaper, ms int64) fate { return s.arrive(start+ms*1e6, 100) }
	s := shaped(t, "delay=10ms", 5)
	s.befall(f, start)
	for _, c := range []struct{ sent, arrives int64 }{{999, 1009}, {1000, 0}, {1499, 0}, {1500, 1510}, {1989, 1999}, {1990, 2200}, {2100, 2200}, {2189, 2200}, {2190, 2200}, {2191, 2201},
		{5500, 5510}, {6000, 0}, {600_000, 0}} {
		got := at(s, c.sent)
		if c.arrives == 0 && got.copies != 0 || c.arrives != 0 && (got.copies != 1 || got.leaves != start+c.arrives*1e6) {
			t.Errorf("sent at %d ms: %+v, want %d ms", c.sent, got, c.arrives)
		}
	}
	lost := 0
	s = shaped(t, "delay=0", 5)
	s.befall(f, start)
	for i := range int64(1000) {
		lost += 1 - at(s, 3000+i).copies
	}
	if lost < 430 || lost > 570 || s.stats.FaultDrops != int64(lost) || s.stats.Lost != 0 {
		t.Errorf("%d of 1000 frames are lost in a burst of 50%%: %+v", lost, s.stats)
	}
}

func TestShaperDoesNotAllocate(t *testing.T) {
	s := shaped(t, "delay=10ms,jitter=1ms,rate=100mbit,loss=1%,reorder=1%,duplicate=1%", 6)
	at := int64(0)
	if n := testing.AllocsPerRun(1000, func() { at += 200e3; s.arrive(at, 1514) }); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

func BenchmarkShaper(b *testing.B) {
	s := shaped(b, "delay=10ms,jitter=1ms,rate=100mbit,loss=1%", 6)
	at := int64(0)
	for b.Loop() {
		at += 200e3
		s.arrive(at, 1514)
	}
}
