package report

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/stats"
)

// ratioGroup is the part of the table of ratios that shares an axis: the findings, or one metric.
type ratioGroup struct {
	Metric string // "": the findings
	Ticks  []tick
	Rows   []ratioRow
}

type ratioRow struct {
	Finding       int    // its number; 0: it is none
	What          string // the factor, or what a finding compares
	From, To      string // levels
	Metric        string
	Before, After string
	Effect        stats.Interval // zero: too few pairs
	Ratio, Range  string
	Level         string
	Pairs         int
	Verdict       results.Conclusion
	Bound         bool
	Shown         bool

	Low, At, High float64 // where the interval stands on the axis
	LeftOpen      bool    // it goes on outside
	RightOpen     bool
}

// known says whether there is an interval; it may be open to one side.
func (r *ratioRow) known() bool {
	e := r.Effect
	return e.Ratio > 0 && e.Low >= 0 && e.High > 0 && !math.IsInf(e.Ratio, 0) && !math.IsNaN(e.Low) && !math.IsNaN(e.High)
}

type tick struct {
	X    float64
	Text string
	One  bool // no difference
}

// The axis is so wide, and goes at most so far to either side of no difference.
const (
	axisWidth  = 240.0
	axisMargin = 8.0
	axisMost   = 1e3
)

// hasRatio says whether a finding is about two kinds of cells and a metric.
func hasRatio(f results.Finding) bool {
	_, known := results.FindMetric(f.Metric)
	return known && len(f.Cells) == 2 && !maps.Equal(f.Cells[0], f.Cells[1])
}

// ratios are the findings, and each level of a factor beside the first one, by metric.
func ratios(in Input) (groups []ratioGroup) {
	findings := ratioGroup{}
	for i, f := range in.Answer.Findings {
		if !hasRatio(f) {
			continue
		}
		from, to, what := "", "", ""
		for knob, level := range f.Cells[0] {
			if other := f.Cells[1][knob]; other != level {
				what, from, to = knob, other, level
			}
		}
		findings.Rows = append(findings.Rows, ratioRow{Finding: i + 1, What: what, From: from, To: to, Metric: f.Metric, Effect: f.Effect, Pairs: f.Pairs, Verdict: f.Verdict,
			Shown: f.Verdict == results.Better || f.Verdict == results.Worse})
	}
	byMetric := map[string]*ratioGroup{}
	for _, e := range in.Answer.Levels {
		if byMetric[e.Metric.Name] == nil {
			byMetric[e.Metric.Name] = &ratioGroup{Metric: e.Metric.Name}
		}
		g := byMetric[e.Metric.Name]
		g.Rows = append(g.Rows, ratioRow{What: e.Knob, From: e.From, To: e.To, Metric: e.Metric.Name, Before: e.Metric.Format(e.Before), After: e.Metric.Format(e.After),
			Effect: e.Effect, Pairs: e.Pairs, Verdict: e.Conclusion(), Bound: e.Bound, Shown: e.Shown})
	}
	if len(findings.Rows) > 0 {
		groups = append(groups, findings)
	}
	for _, name := range compared {
		if g := byMetric[name]; g != nil {
			groups = append(groups, *g)
		}
	}
	for i := range groups {
		groups[i].layOut()
	}
	return groups
}

// layOut puts the rows on one logarithmic axis, on which 1 is always.
func (g *ratioGroup) layOut() {
	reach := math.Log(1.1)
	for _, r := range g.Rows {
		if r.known() {
			reach = max(reach, math.Abs(math.Log(r.Effect.Low)), math.Abs(math.Log(r.Effect.High)))
		}
	}
	reach = min(1.08*reach, math.Log(axisMost))
	place := func(ratio float64) float64 {
		share := (math.Log(ratio) + reach) / (2 * reach)
		return axisMargin + (axisWidth-2*axisMargin)*max(0, min(1, share))
	}
	for i := range g.Rows {
		r := &g.Rows[i]
		if !r.known() {
			continue
		}
		r.Low, r.At, r.High = place(r.Effect.Low), place(r.Effect.Ratio), place(r.Effect.High)
		r.LeftOpen, r.RightOpen = math.Log(r.Effect.Low) < -reach, math.Log(r.Effect.High) > reach
		r.Ratio, r.Range = ratio(r.Effect.Ratio), ratio(r.Effect.Low)+" – "+ratio(r.Effect.High)
		r.Level = fmt.Sprintf("%.4g%%", 100*r.Effect.Level)
	}
	for _, v := range ticks(reach) {
		t := tick{place(v), ratio(v), v == 1}
		if !slices.ContainsFunc(g.Ticks, func(o tick) bool { return math.Abs(o.X-t.X) < 30 }) {
			g.Ticks = append(g.Ticks, t)
		}
	}
}

// ticks are round ratios from e^-reach to e^reach: 1, and then from the ends inward.
func ticks(reach float64) []float64 {
	up := []float64{1.02, 1.05, 1.1}
	switch {
	case reach > math.Log(50):
		up = []float64{10, 100, 1000}
	case reach > math.Log(8):
		up = []float64{2, 5, 10, 20, 50}
	case reach > math.Log(2.5):
		up = []float64{1.5, 2, 4, 8}
	case reach > math.Log(1.4):
		up = []float64{1.2, 1.5, 2}
	case reach > math.Log(1.15):
		up = []float64{1.1, 1.2, 1.3}
	}
	all := []float64{1}
	for _, v := range slices.Backward(up) {
		if math.Log(v) <= reach {
			all = append(all, v, 1/v)
		}
	}
	return all
}

// ratio writes two places behind the point near 1, three digits far above it and two far below: 0.0046, 0.86, 1.12, 139.
func ratio(v float64) string {
	switch {
	case v <= 0 || math.IsInf(v, 0) || math.IsNaN(v):
		return "–"
	case v < 0.1:
		return fmt.Sprintf("%.2g", v)
	case v < 9.995:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3g", v)
}
