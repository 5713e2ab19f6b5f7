package loadgen

import (
	"math"
	"slices"
	"testing"
	"time"
)

func draw(s Schedule) (at []time.Duration) {
	for {
		t, ok := s.Next()
		if !ok {
			return at
		}
		at = append(at, t)
	}
}

func TestConstant(t *testing.T) {
	at := draw(newConstant(3000, time.Second, 1, 0, 1))
	if len(at) != 3000 {
		t.Fatalf("%d requests in 1 s at 3000/s", len(at))
	}
	for i, a := range at { // no error adds up, though the gap is no whole number of nanoseconds
		if want := float64(i) * 1e9 / 3000; math.Abs(float64(a)-want) > 1 {
			t.Fatalf("request %d at %v, want %v", i, a, time.Duration(want))
		}
	}
	var merged []time.Duration
	for shard := range 3 {
		merged = append(merged, draw(newConstant(3000, time.Second, 1, shard, 3))...)
	}
	if slices.Sort(merged); !slices.Equal(merged, at) {
		t.Error("three shards do not superpose to the whole schedule")
	}
}

// Poisson: counts in equal slots have mean and variance λ, gaps have mean 1/λ and the exponential's tail, the same
// seed gives the same times, and shards superpose to the same law.
func TestPoisson(t *testing.T) {
	const rate, seconds = 10_000, 20
	check := func(at []time.Duration) {
		t.Helper()
		n := float64(len(at))
		if want := float64(rate * seconds); math.Abs(n-want) > 4*math.Sqrt(want) {
			t.Errorf("%v requests, want %v ± %.0f", n, want, 4*math.Sqrt(want))
		}
		slots := make([]float64, seconds*1000)
		var beyond float64
		for i, a := range at {
			slots[a/time.Millisecond]++
			if i > 0 && a-at[i-1] > 300*time.Microsecond {
				beyond++
			}
		}
		var mean, variance float64
		for _, c := range slots {
			mean += c / float64(len(slots))
		}
		for _, c := range slots {
			variance += (c - mean) * (c - mean) / float64(len(slots))
		}
		if r := variance / mean; math.Abs(r-1) > 4*math.Sqrt(2/float64(len(slots))) {
			t.Errorf("variance of the counts / mean = %.3f, want 1", r)
		}
		if p, want := beyond/n, math.Exp(-3); math.Abs(p-want) > 4*math.Sqrt(want/n) {
			t.Errorf("%.4f of the gaps are over three means, want %.4f", p, want)
		}
	}
	one := draw(newPoisson(rate, seconds*time.Second, 7, 0, 1))
	check(one)
	if !slices.Equal(one, draw(newPoisson(rate, seconds*time.Second, 7, 0, 1))) {
		t.Error("the same seed gives other times")
	}
	if slices.Equal(one[:10], draw(newPoisson(rate, seconds*time.Second, 8, 0, 1))[:10]) {
		t.Error("another seed gives the same times")
	}
	var merged []time.Duration
	for shard := range 4 {
		merged = append(merged, draw(newPoisson(rate, seconds*time.Second, 7, shard, 4))...)
	}
	slices.Sort(merged)
	check(merged)
}
