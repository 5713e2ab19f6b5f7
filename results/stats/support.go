// Package stats holds estimators, intervals and rules: pure functions of numbers.
package stats

import "math"

// alpha is the share left out on each side of a 95 % interval.
const alpha = 0.025

// Supported says whether n independent values say anything about the percentile p (0 < p < 1): whether its two-sided
// 95 % interval has an upper limit among them. The largest of n values lies above the percentile with probability
// 1 − pⁿ, so n ≥ ln(0.025) / ln(p) are needed: 6 for p50, 36 for p90, 368 for p99 (Hahn and Meeker 1991, 5.2).
func Supported(p float64, n int64) bool {
	return p > 0 && p < 1 && float64(n)*math.Log(p) <= math.Log(alpha)
}

// Needs is how many independent values it takes for the percentile p to be Supported.
func Needs(p float64) int64 { return int64(math.Ceil(math.Log(alpha) / math.Log(p))) }
