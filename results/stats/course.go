package stats

import (
	"math"
	"slices"
)

const (
	// Opening is how many of a trial's first intervals are compared with the later ones, its rest.
	Opening = 6
	// FewestIntervals is how many a trial must have for that, FewestCourses how many trials it takes.
	FewestIntervals = 10
	FewestCourses   = 20

	slight = 0.01   // log ratio that is nothing
	sure   = 0.0093 // probability that steady noise is taken for one, in an interval: 2.6 standard errors
	odd    = 3.5    // standard deviations by which a trial's halves differ otherwise than those of others
)

// WarmUp is how many intervals from the beginning on differ from the rest of their trials, and how: the logarithm of the
// first intervals over the rest, median over the trials (Welch 1983; medians stand for means, as trials have outliers).
// logs are the logarithms of a metric, by trial, by interval: the trials of one of so many groups that are looked at. Of 20
// trials without a warm-up it names some interval in about 4 sessions of 100.
func WarmUp(logs [][]float64, groups int) (intervals int, curve []float64) {
	off := make([][]float64, Opening)
	for _, x := range logs {
		rest := Median(slices.Sorted(slices.Values(x[Opening:])))
		for k := range off {
			off[k] = append(off[k], x[k]-rest)
		}
	}
	errors := z(1 - sure/2/float64(groups))
	for k, y := range off {
		m := Median(slices.Sorted(slices.Values(y)))
		se := math.Sqrt(math.Pi/2) * Sigma(y) / math.Sqrt(float64(len(y)))
		if math.Abs(m)-errors*se > slight {
			intervals = k + 1
		}
		curve = append(curve, m)
	}
	return intervals, curve
}

// Unsteady are the indices of the trials whose second half differs from the first otherwise than the other trials' do:
// single trials drift with their machine, so that only the session says what is unusual. Of trials that are all alike
// but for noise it names about 2 in 100.
func Unsteady(logs [][]float64) (trials []int) {
	var steps []float64
	for _, x := range logs {
		half := len(x) / 2
		steps = append(steps, Median(slices.Sorted(slices.Values(x[half:])))-Median(slices.Sorted(slices.Values(x[:half]))))
	}
	usual, scatter := Median(slices.Sorted(slices.Values(steps))), Sigma(steps)
	for i, h := range steps {
		if math.Abs(h-usual) > max(odd*scatter, slight) {
			trials = append(trials, i)
		}
	}
	return trials
}

// Unlikely says whether k or more of n independent cases happen by chance with a probability of 1 % or less, where each
// happens with probability p.
func Unlikely(k, n int, p float64) bool {
	return k > 0 && 1-binomial(int64(n), p).upTo(int64(k-1)) <= 0.01
}
