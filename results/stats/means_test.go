package stats

import (
	"slices"
	"testing"
)

func TestManyPairsAreAveraged(t *testing.T) {
	d := Means(slices.Repeat([]float64{1, 3}, 300), 128)
	if len(d) != 120 || slices.Min(d) != 1.8 || slices.Max(d) != 2.2 {
		t.Errorf("%d means from %v to %v", len(d), slices.Min(d), slices.Max(d))
	}
	if d := Means([]float64{1, 2}, 128); len(d) != 2 {
		t.Error("few pairs are averaged")
	}
}
