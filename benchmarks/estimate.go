package main

import (
	"math"
	"slices"

	"github.com/sockbench/sockbench/results/stats"
)

// estimate is a figure with its 95 % confidence interval. low and high are -Inf and +Inf where n allows none.
type estimate struct {
	n           int
	value       float64
	low, high   float64
	least, most float64 // of what was seen
}

// pairedRatio is the Hodges–Lehmann estimate of the ratio whose logarithms in the pairs d are, with the exact interval
// of the signed-rank test.
func pairedRatio(d []float64) estimate {
	const a = 0.025
	s, w := stats.NewSignedRank(len(d)), stats.Walsh(d)
	return estimate{len(d), math.Exp(stats.Median(w)), math.Exp(s.Lower(w, a)), math.Exp(s.Upper(w, a)),
		math.Exp(slices.Min(d)), math.Exp(slices.Max(d))}
}

// median is that of independent values, with the interval between the order statistics that hold it.
func median(x []float64) estimate {
	s := slices.Sorted(slices.Values(x))
	e := estimate{len(s), stats.Median(s), math.Inf(-1), math.Inf(1), s[0], s[len(s)-1]}
	if low, high, _, ok := stats.Ranks(int64(len(s)), .5, .95); ok && low >= 1 {
		e.low, e.high = s[low-1], s[high-1]
	}
	return e
}

// spread is the robust standard deviation of independent values: 1.4826 times the median of their distances from their
// median, with the interval between the distances that hold that median, as if the values' own were known.
func spread(x []float64) estimate {
	middle := stats.Median(slices.Sorted(slices.Values(x)))
	off := make([]float64, len(x))
	for i, v := range x {
		off[i] = 1.4826 * math.Abs(v-middle)
	}
	return median(off)
}
