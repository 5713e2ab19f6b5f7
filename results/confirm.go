package results

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results/stats"
	"github.com/sockbench/sockbench/unit"
)

// Worthwhile is the least gain, as a share, for which a search names another cell than the first one.
const Worthwhile = .03

// The sides of a confirmation, the old one first. What is new is to go back to the first cell: a check calls a side worse
// where it is not in 1 of 100 checks at most, and so a gain is claimed that is none.
var confirming = [2]string{"winner", "first"}

// Confirmation is the check of a winner against the first cell of p in fresh trials, of so many pairs at most.
func Confirmation(p *plan.Plan, winner plan.Cell, goal string, pairs int) (*plan.Plan, error) {
	q, err := p.Versus(confirming, [2]plan.Cell{winner, p.Cells()[0]})
	if err != nil {
		return nil, err
	}
	name, seed := "confirm", p.Seed^1 // other trials than those that chose
	return q.With(plan.Changes{Name: &name, Seed: &seed, Blocks: &pairs, Gate: []plan.Gate{{Metric: goal, Worse: unit.Share(Worthwhile)}}})
}

// ConfirmedSides are what the trials of its winner and of the first cell have in common.
func ConfirmedSides() []plan.Cell {
	return []plan.Cell{{variant: confirming[0]}, {variant: confirming[1]}}
}

// Confirmed is what a confirmation shows by now of the winner beside the first cell.
type Confirmed struct {
	Verdict stats.Verdict // Improvement: a gain; Fine: there is none of Worthwhile; Regression: a loss; Inconclusive, or Failed
	Says    string        // the figures that show it
	Finding Finding       // of the goal, without cells and claim
	Costs   []string      // what is worse by it
}

// JudgeConfirmation judges the records of q, which Confirmation made.
func JudgeConfirmation(q *plan.Plan, records []Record) (c Confirmed) {
	checked := JudgeCheck(q, records)
	if checked.Verdict == Failed {
		return Confirmed{Verdict: Failed, Says: checked.Reason}
	}
	f := checked.Findings[0]
	m, _ := FindMetric(f.Metric)
	c = Confirmed{Verdict: checked.Verdict, Finding: Finding{Metric: f.Metric, Pairs: f.Pairs, Needs: f.Needs, Verdict: Unclear}}
	if c.Says = f.Claim; f.Pairs > 0 {
		g := gates(q, records)[0]
		c.Finding.Effect = inverse(f.Effect)
		c.Says = beside(m, g.y, g.x, c.Finding.Effect, f.Pairs)
		c.Costs = costs(q, records)
	}
	switch checked.Verdict {
	case stats.Regression: // to go back would be one
		c.Verdict, c.Finding.Verdict = stats.Improvement, Better
	case stats.Improvement:
		c.Verdict, c.Finding.Verdict = stats.Regression, Worse
	case stats.Fine:
		c.Finding.Verdict = Same
	}
	c.keep(q, records)
	return c
}

// beside says what a metric is with the winner, in y, and with the first cell, in x.
func beside(m Metric, winner, first []float64, e stats.Interval, pairs int) string {
	return fmt.Sprintf("%s %s → %s (%s, %.0f%% interval %s to %s, %s)", m.Name, m.Format(middle(first[:pairs])), m.Format(middle(winner[:pairs])),
		change(e.Ratio), 100*e.Level, change(e.Low), change(e.High), term.Count(pairs, "pair"))
}

// keep lets limits have their say: a winner that misses one in fresh trials is none, and beside a first cell that does
// it is one whatever the goal.
func (c *Confirmed) keep(q *plan.Plan, records []Record) {
	for _, l := range q.Limits {
		m, ok := FindMetric(l.Metric)
		if !ok {
			continue
		}
		limit := LimitWords(l)
		winner, first := excess(m, l.Value(), confirming[0], records), excess(m, l.Value(), confirming[1], records)
		switch {
		case len(winner) == 0 || middle(winner) > 0:
			c.Verdict, c.Finding.Verdict, c.Finding.Needs = stats.Inconclusive, Unclear, 0
			c.Says += fmt.Sprintf("; in fresh trials it does not keep %s", limit)
			return
		case len(first) > 0 && middle(first) > 0 && stats.NewSignedRank(len(first)).P(first) <= mistaken:
			c.Verdict, c.Finding.Verdict, c.Finding.Needs = stats.Improvement, Better, 0
			c.Says += fmt.Sprintf("; it keeps %s, which the first cell does not", limit)
		}
	}
}

// LimitWords are limits in words: p99 ≤ 2ms and throughput ≥ 20k.
func LimitWords(limits ...plan.Limit) string {
	var words []string
	for _, l := range limits {
		sign := " ≤ "
		if m, ok := FindMetric(l.Metric); ok && !m.Lower {
			sign = " ≥ "
		}
		words = append(words, l.Metric+sign+l.Limit)
	}
	return strings.Join(words, " and ")
}

// excess is by how much each trial of a side is on the wrong side of a limit.
func excess(m Metric, limit float64, side plan.Level, records []Record) (over []float64) {
	counting, _ := Counting(records)
	for _, r := range counting {
		v, ok := m.Get(r)
		if !ok || r.Cell[variant] != side {
			continue
		}
		if over = append(over, v-limit); !m.Lower {
			over[len(over)-1] = limit - v
		}
	}
	return over
}

// costly are the metrics that are looked at for what a gain costs.
var costly = []string{"throughput", "p50", "p99", "server_cpu_per_request", "client_cpu_per_request", "goodput"}

// costs are those that are shown to be worse with the winner than with the first cell, each by an exact test at 1 %.
func costs(q *plan.Plan, records []Record) (says []string) {
	var others []plan.Gate
	for _, name := range costly {
		if name != q.Gate[0].Metric {
			others = append(others, plan.Gate{Metric: name, Worse: unit.Share(Worthwhile)})
		}
	}
	q, err := q.With(plan.Changes{Gate: others})
	if err != nil {
		return nil
	}
	for _, g := range gates(q, records) {
		n := len(g.losses)
		if n < stats.Looks(1, stats.MostPairs)[0] {
			continue
		}
		d := slices.Clone(g.losses) // of going back
		if g.metric.Lower {
			for i := range d {
				d[i] = -d[i]
			}
		}
		e, ok := stats.NewSignedRank(n).Interval(d, confidence) // of the winner's value over the first one's
		if worse := e.Low > 1 && g.metric.Lower || e.High < 1 && !g.metric.Lower; ok && worse && math.Abs(math.Log(e.Ratio)) > worthNoting {
			says = append(says, beside(g.metric, g.y, g.x, e, n))
		}
	}
	return says
}

// worthNoting is the least cost, as a difference of logarithms, that is told.
const worthNoting = .01
