package playbook

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/stats"
)

// condition is one under which a claim is tested: that a metric of one cell is so many times that of another.
type condition struct {
	If       string    // the condition in words, as they stand behind "holds only if"
	Metric   string    // of results.All
	Of, Than plan.Cell // levels of the two cells
	AtLeast  float64   // the claim holds where Of's metric is at least so many times Than's, and does not where it is less
	Failing  bool      // requests are meant to fail: trials count that are otherwise not believed
	Expected string    // how many times that should be, and why
}

// outcome is what became of a condition.
type outcome struct {
	If       string         `json:"if"`
	Metric   string         `json:"metric"`
	Of       plan.Cell      `json:"of"`
	Than     plan.Cell      `json:"than"`
	Medians  [2]float64     `json:"medians"` // of Of and Than; 0: there is none
	Ratio    stats.Interval `json:"ratio,omitzero"`
	Pairs    int            `json:"pairs"`
	AtLeast  float64        `json:"at_least"`
	Expected string         `json:"expected"`
	Answer   Answer         `json:"answer"` // Holds, NotShown or Refuted
}

// trials are those of a plan that count, with a result.
type trials struct {
	of     []*results.Record
	failed int
	why    string // of the first that failed
}

func counting(records []results.Record) (t trials) {
	all, _ := results.Counting(records)
	for _, r := range all {
		if r.Metrics != nil {
			t.of = append(t.of, r)
			continue
		}
		if t.failed++; t.failed == 1 {
			t.why, _, _ = strings.Cut(r.Error, "\n")
		}
	}
	return t
}

// with are the trials of the cells with these levels.
func (t trials) with(levels plan.Cell) (some []*results.Record) {
	for _, r := range t.of {
		if r.Cell.Has(levels) {
			some = append(some, r)
		}
	}
	return some
}

// median of what get says of the trials with these levels; NaN: there are none.
func (t trials) median(levels plan.Cell, get func(*results.Record) float64) float64 {
	var all []float64
	for _, r := range t.with(levels) {
		all = append(all, get(r))
	}
	return stats.Median(slices.Sorted(slices.Values(all)))
}

// sum of what get says of the trials with these levels.
func (t trials) sum(levels plan.Cell, get func(*results.Metrics) int64) (n int64) {
	for _, r := range t.with(levels) {
		n += get(r.Metrics)
	}
	return n
}

// doubt says what failed; nil: nothing did.
func (t trials) doubt() []string {
	if t.failed == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s failed, the first because: %s", term.Count(t.failed, "trial"), t.why)}
}

// test compares the two cells of c in each block. What Value does not believe does not count.
func (t trials) test(c condition) outcome {
	o := outcome{If: c.If, Metric: c.Metric, Of: c.Of, Than: c.Than, AtLeast: c.AtLeast, Expected: c.Expected, Answer: NotShown}
	m, _ := results.FindMetric(c.Metric)
	var values [2]map[int]float64
	for i, levels := range []plan.Cell{c.Of, c.Than} {
		values[i] = map[int]float64{}
		var all []float64
		for _, r := range t.with(levels) {
			v, bound, ok := results.Value(m, r)
			if c.Failing {
				if v, ok = m.Get(r); ok && v == 0 {
					v = 0.5 / float64(max(r.Metrics.Offered, 1)) // none of n is taken for half a one, which has a logarithm (Haldane 1956)
				}
			}
			if ok && v > 0 && !bound {
				values[i][r.Block] = v
				all = append(all, v)
			}
		}
		if len(all) > 0 {
			o.Medians[i] = stats.Median(slices.Sorted(slices.Values(all)))
		}
	}
	var d []float64
	for block, x := range values[0] {
		if y, ok := values[1][block]; ok {
			d = append(d, math.Log(x/y))
		}
	}
	o.Pairs = len(d)
	ratio, ok := stats.NewSignedRank(len(d)).Interval(d, level)
	if !ok {
		return o
	}
	switch o.Ratio = ratio; {
	case ratio.Low >= c.AtLeast:
		o.Answer = Holds
	case ratio.High < c.AtLeast:
		o.Answer = Refuted
	}
	return o
}

// says is the outcome in a sentence.
func (o outcome) says() string {
	m, _ := results.FindMetric(o.Metric)
	if o.Ratio.Level == 0 {
		return fmt.Sprintf("If %s: %s to compare, too few for an interval; more --blocks may help.", o.If, term.Count(o.Pairs, "pair"))
	}
	size := map[Answer]string{
		Holds:    fmt.Sprintf("%.3g times or more, as claimed", o.AtLeast),
		Refuted:  fmt.Sprintf("less than the %.3g times claimed", o.AtLeast),
		NotShown: fmt.Sprintf("which leaves open whether it is %.3g times or more", o.AtLeast),
	}[o.Answer]
	return fmt.Sprintf("If %s: %s %s against %s, %.3g times (95%% interval %.3g–%.3g, %s), %s. Expected: %s.", o.If, o.Metric,
		m.Format(o.Medians[0]), m.Format(o.Medians[1]), o.Ratio.Ratio, o.Ratio.Low, o.Ratio.High, term.Count(o.Pairs, "pair"), size, o.Expected)
}

// conclude tests a claim under each condition. It holds only if those are met under which it was shown; nothing is said
// where one could not be tested.
func (t trials) conclude(claim string, conditions []condition) Verdict {
	v := Verdict{Answer: NotShown, Claim: claim, Table: term.Table{Columns: []term.Column{{Name: "if"}, {Name: "metric"},
		{Name: "is", Right: true}, {Name: "against", Right: true}, {Name: "times", Right: true}, {Name: "95% interval", Right: true},
		{Name: "pairs", Right: true, Priority: 1}, {Name: "claimed", Right: true}, {Name: "shown"}}}}
	var outcomes []outcome
	var met []string
	count := map[Answer]int{}
	for _, c := range conditions {
		o := t.test(c)
		outcomes = append(outcomes, o)
		if count[o.Answer]++; o.Answer == Holds {
			met = append(met, c.If)
		}
		v.Because = append(v.Because, o.says())
		v.Table.Rows = append(v.Table.Rows, o.row())
	}
	v.Figures = outcomes
	untested := slices.ContainsFunc(outcomes, func(o outcome) bool { return o.Ratio.Level == 0 })
	switch {
	case untested:
	case count[Holds] == len(conditions):
		v.Answer = Holds
	case len(met) > 0:
		v.Answer, v.If = HoldsIf, strings.Join(met, ", or ")
	case count[NotShown] == 0:
		v.Answer = Refuted
	}
	v.Because = append(v.Because, t.doubt()...)
	return v
}

func (o outcome) row() []string {
	m, _ := results.FindMetric(o.Metric)
	row := []string{o.If, o.Metric, "–", "–", "–", "–", fmt.Sprint(o.Pairs), fmt.Sprintf("≥ %.3g", o.AtLeast), map[Answer]string{Holds: "yes", Refuted: "no", NotShown: "unclear"}[o.Answer]}
	for i, v := range o.Medians {
		if v > 0 {
			row[2+i] = m.Format(v)
		}
	}
	if o.Ratio.Level > 0 {
		row[4], row[5] = fmt.Sprintf("%.3g", o.Ratio.Ratio), fmt.Sprintf("%.3g–%.3g", o.Ratio.Low, o.Ratio.High)
	}
	return row
}

// metric is what a record says of one of results.All; NaN: nothing.
func metric(name string, r *results.Record) float64 {
	m, _ := results.FindMetric(name)
	if v, ok := m.Get(r); ok {
		return v
	}
	return math.NaN()
}
