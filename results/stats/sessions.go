package stats

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// FewestSessions is of how many sessions on one machine the spread says anything: of fewer the interval of a difference is
// wider than most differences.
const FewestSessions = 5

// Spread is how much a quantity's logarithm differs between sessions in which nothing differs.
type Spread struct {
	Sessions int
	SD       float64 // of one session's value; of Sessions − 1 degrees of freedom
}

// SpreadOf is of the sessions' values: of each the median of ln metric over its trials.
func SpreadOf(values []float64) Spread {
	mean, sum := 0.0, 0.0
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		sum += (v - mean) * (v - mean)
	}
	return Spread{len(values), math.Sqrt(sum / float64(len(values)-1))}
}

// Interval is of the ratio of two sessions whose logarithm is d: d ± t·√2·SD, where t is Student's quantile with
// Sessions − 1 degrees of freedom (two normal values that each have a standard deviation SD: Montgomery 2017, 2.4). Where one
// of the two sessions is among those the spread was measured by, the interval covers more than level, as its distance from
// their mean is part of SD; simulated in the tests.
func (s Spread) Interval(d, level float64) Interval {
	reach := math.Sqrt2 * s.SD * s.student().Quantile((1+level)/2)
	return Interval{math.Exp(d), math.Exp(d - reach), math.Exp(d + reach), level}
}

// P is the two-sided p-value of no difference between the two sessions.
func (s Spread) P(d float64) float64 {
	if s.SD == 0 {
		if d == 0 {
			return 1
		}
		return 0
	}
	return min(1, 2*s.student().Survival(math.Abs(d)/(math.Sqrt2*s.SD)))
}

func (s Spread) student() distuv.StudentsT {
	return distuv.StudentsT{Sigma: 1, Nu: float64(s.Sessions - 1)}
}
