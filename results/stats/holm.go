package stats

import (
	"cmp"
	"slices"
)

// Holm adjusts p-values for their number: those at most a then hold all together with probability 1 − a (Holm 1979).
func Holm(p []float64) []float64 {
	out, least := make([]float64, len(p)), 0.0
	for rank, i := range ascending(p) {
		least = max(least, min(1, p[i]*float64(len(p)-rank)))
		out[i] = least
	}
	return out
}

// BenjaminiHochberg adjusts p-values for their number: of those at most a, a share of a is expected to be mistaken
// (Benjamini and Hochberg 1995). It is for lists, not for claims.
func BenjaminiHochberg(p []float64) []float64 {
	out, most := make([]float64, len(p)), 1.0
	for rank, i := range slices.Backward(ascending(p)) {
		most = min(most, p[i]*float64(len(p))/float64(rank+1))
		out[i] = most
	}
	return out
}

// ascending are the indices of p in its order.
func ascending(p []float64) []int {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	return order
}

// Capable says how many of the tests have to be corrected for at level a, and which p-value a single one then has to
// reach: tests that could not reach it whatever their outcome are not made (Tarone 1990). least are the least p-values
// that each can have, which must not depend on its outcome.
func Capable(least []float64, a float64) (n int, p float64) {
	sorted := slices.Sorted(slices.Values(least))
	for k := 1; ; k++ {
		p = a / float64(k)
		n, _ = slices.BinarySearchFunc(sorted, p, func(v, p float64) int {
			if v <= p {
				return -1
			}
			return 1
		})
		if n <= k {
			return n, p
		}
	}
}
