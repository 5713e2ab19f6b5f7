package main

import (
	"math"
	"slices"
	"testing"
)

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if math.Abs(got-want) > within {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

func TestRankLimits(t *testing.T) {
	alphas := []float64{.05, .025, .01, .005}
	for n, want := range map[int][]int{
		5: {0, -1, -1, -1}, 6: {2, 0, -1, -1}, 7: {3, 2, 0, -1}, 8: {5, 3, 1, 0}, 10: {10, 8, 5, 3}, 15: {30, 25, 19, 15},
		20: {60, 52, 43, 37}, 30: {151, 137, 120, 109}, 40: {286, 264, 238, 220},
	} {
		for i, alpha := range alphas {
			if got := rankLimit(n, alpha); got != want[i] {
				t.Errorf("n=%d alpha=%v: k=%d, want %d", n, alpha, got, want[i])
			}
		}
	}
	sum := 0.0
	for _, p := range signedRank(10)[:9] {
		sum += p
	}
	near(t, "P(T+ ≤ 8; 10)", sum, .0244140625, 1e-15)
}

// Hamilton depression scale, Hollander and Wolfe 1973, table 3.1.
func TestDepression(t *testing.T) {
	x := []float64{1.83, .50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30}
	y := []float64{.878, .647, .598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29}
	var d []float64
	for i := range x {
		d = append(d, x[i]-y[i])
	}
	near(t, "estimate", HodgesLehmann(d).Estimate, .460, 1e-9)
	for _, c := range []struct{ alpha, lo, hi float64 }{{.02, .010, .786}, {.05, .175, .726}} {
		lo, hi := walshInterval(d, c.alpha)
		near(t, "lower limit", lo, c.lo, 1e-9)
		near(t, "upper limit", hi, c.hi, 1e-9)
	}
}

// Darwin's Zea mays, 1876.
func TestZea(t *testing.T) {
	i := HodgesLehmann([]float64{6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75})
	near(t, "estimate", i.Estimate, 25, 0)
	near(t, "lower limit", i.Lo, 4, 0)
	near(t, "upper limit", i.Hi, 41.5, 0)
}

// The ranks of the sign test's 95 % interval: 1 and 6 of 6, 2 and 9 of 10, 6 and 15 of 20, 40 and 61 of 100 values.
func TestMedian(t *testing.T) {
	for n, want := range map[int][3]float64{6: {1, 3.5, 6}, 10: {2, 5.5, 9}, 20: {6, 10.5, 15}, 100: {40, 50.5, 61}} {
		var x []float64
		for i := n; i > 0; i-- {
			x = append(x, float64(i))
		}
		if i := Median(x); !slices.Equal([]float64{i.Lo, i.Estimate, i.Hi}, want[:]) {
			t.Errorf("n=%d: %+v, want %v", n, i, want)
		}
	}
	if i := Median([]float64{1, 2, 3, 4, 5}); !math.IsInf(i.Lo, -1) || !math.IsInf(i.Hi, 1) {
		t.Errorf("5 values support no interval, yet %+v", i)
	}
}
