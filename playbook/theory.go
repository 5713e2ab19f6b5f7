package playbook

import (
	"fmt"
	"math"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/stats"
)

// prediction is what a formula says a metric of a cell is.
type prediction struct {
	Formula string // in words, with its source
	Metric  string // of results.All
	Of      plan.Cell
	Is      float64 // in the metric's unit
}

// predicted puts each formula beside what was measured, a sentence for each, nothing for those that have no trial. No
// verdict rests on it: it says how far the explanation reaches.
func (t trials) predicted(all ...prediction) (says []string) {
	for _, p := range all {
		m, _ := results.FindMetric(p.Metric)
		var d []float64
		for _, r := range t.with(p.Of) {
			if v, bound, ok := results.Value(m, r); ok && !bound {
				d = append(d, math.Log(v/p.Is))
			}
		}
		if len(d) == 0 {
			continue
		}
		text := fmt.Sprintf("Theory: %s gives a %s of %s; measured was %.3g times that", p.Formula, p.Metric, m.Format(p.Is), math.Exp(stats.Median(stats.Walsh(d))))
		if i, ok := stats.NewSignedRank(len(d)).Interval(d, level); ok {
			text += fmt.Sprintf(" (95%% interval %.3g–%.3g, %s)", i.Low, i.High, term.Count(len(d), "trial"))
		} else {
			text += fmt.Sprintf(" (%s)", term.Count(len(d), "trial"))
		}
		says = append(says, text+".")
	}
	return says
}
