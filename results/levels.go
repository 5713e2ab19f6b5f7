package results

import (
	"slices"

	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results/stats"
)

// LevelEffect is what a factor's level To does to a metric beside its first level From, over all cells that differ in
// nothing else.
type LevelEffect struct {
	Knob          string
	From, To      plan.Level
	Metric        Metric
	Before, After float64        // medians of the pairs' values
	Effect        stats.Interval // of After over Before; zero: too few pairs
	Pairs         int
	Shown         bool // after Holm's correction for all comparisons of the run
	Bound         bool // some worse value is only a lower bound, and the effect too
}

// Conclusion says what To is beside From; what is not shown is unclear.
func (e LevelEffect) Conclusion() Conclusion {
	switch {
	case !e.Shown || e.Effect == (stats.Interval{}):
		return Unclear
	case (e.Effect.Ratio < 1) == e.Metric.Lower:
		return Better
	}
	return Worse
}

// Effects are the findings, and beside them how each level of each factor compares with the first one, on the metrics
// that findings are made of: factors and levels in the plan's order.
func Effects(p *plan.Plan, records []Record) ([]Finding, []LevelEffect) {
	s := newStudy(p, records)
	return s.findings(), s.levels()
}

func (s *study) levels() (all []LevelEffect) {
	for _, e := range s.effects {
		if e.by != "" || e.comparison.x != e.factor.Levels[0] {
			continue
		}
		x, y := s.values(e)
		l := LevelEffect{Knob: e.factor.Knob, From: e.comparison.x, To: e.comparison.y, Metric: e.metric, Before: middle(x), After: middle(y),
			Pairs: e.pairs, Shown: e.shown, Bound: e.bound}
		if i := s.interval(e); i != (stats.Interval{}) {
			l.Effect = inverse(i)
		}
		all = append(all, l)
	}
	return all
}

// Curve is the response time of trials of one cell together, at the given quantiles, which ascend, as far as the count
// supports them; from Censored on values are lower bounds, nil: none is. There is none where a trial left no histogram. One
// that cannot be read is left out, as Summarize says.
func Curve(records []*Record, quantiles []float64) (values []int64, q loadgen.Quantity) {
	measured := slices.DeleteFunc(slices.Clone(records), func(r *Record) bool { return r.Metrics == nil })
	q, hist, _ := mergeQuantity("response", response, measured)
	if hist == nil {
		return nil, q
	}
	var percent []float64
	for _, at := range quantiles {
		if at > 0 && !stats.Supported(at, q.Count) {
			break
		}
		percent = append(percent, 100*at)
	}
	values = hist.ValueAtPercentilesSlice(percent)
	for i, v := range values {
		values[i] = max(q.Min, min(q.Max, v))
	}
	return values, q
}
