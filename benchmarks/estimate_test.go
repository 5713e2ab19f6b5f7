package main

import (
	"math"
	"testing"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-12*math.Abs(want) {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

// Darwin's Zea mays, 1876, in thousandths, so that exp does not overflow.
func TestPairedRatio(t *testing.T) {
	d := []float64{6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75}
	for i := range d {
		d[i] /= 1000
	}
	e := pairedRatio(d)
	near(t, "estimate", e.value, math.Exp(.025))
	near(t, "lower limit", e.low, math.Exp(.004))
	near(t, "upper limit", e.high, math.Exp(.0415))
	near(t, "least", e.least, math.Exp(-.067))
	if e := pairedRatio([]float64{1, 2, 3, 4, 5}); e.low != 0 || !math.IsInf(e.high, 1) {
		t.Errorf("5 pairs support no interval, yet %+v", e)
	}
}

// The ranks of the sign test's 95 % interval: 1 and 6 of 6, 2 and 9 of 10, 6 and 15 of 20, 40 and 61 of 100 values.
func TestMedian(t *testing.T) {
	for n, want := range map[int][3]float64{6: {1, 3.5, 6}, 10: {2, 5.5, 9}, 20: {6, 10.5, 15}, 100: {40, 50.5, 61}} {
		var x []float64
		for i := n; i > 0; i-- {
			x = append(x, float64(i))
		}
		e := median(x)
		if got := [3]float64{e.low, e.value, e.high}; got != want {
			t.Errorf("n=%d: %v, want %v", n, got, want)
		}
	}
	if e := median([]float64{1, 2, 3, 4, 5}); !math.IsInf(e.low, -1) || !math.IsInf(e.high, 1) {
		t.Errorf("5 values support no interval, yet %+v", e)
	}
}

// What is far off moves the spread no further than anything beyond the middle does.
func TestSpread(t *testing.T) {
	e := spread([]float64{1, 2, 3, 4, 5, 6, 1000})
	near(t, "spread", e.value, 1.4826*2)
	near(t, "lower limit", e.low, 0)
	near(t, "upper limit", e.high, 1.4826*996)
	if e.n != 7 {
		t.Errorf("of %d values", e.n)
	}
}
