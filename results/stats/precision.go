package stats

import (
	"math"
	"slices"
)

// power is with which probability a difference is to be found, by MDE and Pairs.
const power = 0.9

// reach is how many standard deviations, over the root of the number of pairs, a difference has to have: the normal
// approximation, times the root of π/3 for what ranks lose against means of normal values (Pitman's efficiency).
func reach(a float64) float64 { return (z(1-a) + z(power)) * math.Sqrt(math.Pi/3) }

// z is the normal quantile.
func z(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }

// MDE is the least difference, as a share (0.05: 5 % more), that a one-sided signed-rank test at level a finds in 9 of
// 10 runs of n pairs whose log ratios scatter by sigma; +∞ where n is too few for the level, whatever the difference.
func MDE(n int, sigma, a float64) float64 {
	if math.Ldexp(1, -n) > a {
		return math.Inf(1)
	}
	return math.Expm1(reach(a) * sigma / math.Sqrt(float64(n)))
}

// Pairs is MDE's inverse: how many it takes for a difference of share.
func Pairs(sigma, share, a float64) int {
	c := reach(a) * sigma / math.Log1p(share)
	return max(int(math.Ceil(c*c)), exactly(a))
}

// PairsWithin is how many pairs make the two-sided interval at level reach share to either side of the estimate.
func PairsWithin(sigma, share, level float64) int {
	a := (1 - level) / 2
	c := z(1-a) * math.Sqrt(math.Pi/3) * sigma / math.Log1p(share)
	return max(int(math.Ceil(c*c)), exactly(a))
}

// Within is PairsWithin's inverse: how far to either side the interval of n pairs reaches; +∞ where n is too few.
func Within(n int, sigma, level float64) float64 {
	a := (1 - level) / 2
	if n < exactly(a) {
		return math.Inf(1)
	}
	return math.Expm1(z(1-a) * math.Sqrt(math.Pi/3) * sigma / math.Sqrt(float64(n)))
}

// exactly is how many pairs of one sign have a probability of at most a.
func exactly(a float64) int { return int(math.Ceil(-math.Log2(a))) }

// Sigma estimates the standard deviation of d by the median of the distances from the median, which outliers do not
// move.
func Sigma(d []float64) float64 {
	middle := Median(slices.Sorted(slices.Values(d)))
	var off []float64
	for _, v := range d {
		off = append(off, math.Abs(v-middle))
	}
	slices.Sort(off)
	return 1.4826 * Median(off)
}

// Means are of as many neighbours each as bring their number down to most.
func Means(d []float64, most int) []float64 {
	size := (len(d) + most - 1) / most
	if size < 2 {
		return d
	}
	var out []float64
	for group := range slices.Chunk(d, size) {
		sum := 0.0
		for _, v := range group {
			sum += v
		}
		out = append(out, sum/float64(len(group)))
	}
	return out
}
