package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/explain"
	"github.com/sockbench/sockbench/results/stats"
	"github.com/sockbench/sockbench/tuner"
)

// Verdicts of tune, beside results.Failed: there is a winner; the first cell is as good; no cell keeps the limits; the
// fresh trials cannot tell; in them the first cell is better; it is not over.
const (
	foundWinner  = "winner"
	foundSame    = "same"
	foundMissed  = "missed"
	foundUnclear = "inconclusive"
	foundWorse   = "worse"
	notOver      = "unfinished"
)

// findWinner says what a race and its confirmation came to. The first finding is about the winner, whether there is one
// or not; then come what it costs, the cells that are left, and those that are not.
func findWinner(a *results.Answer, m results.Manifest, records []results.Record) error {
	r, err := standing(m, records)
	if err != nil {
		return err
	}
	p := m.Plan
	winner := results.Finding{Code: "winner", Metric: m.Search.Goal, Verdict: results.Unclear, Cells: []plan.Cell{}}
	var costs []string
	switch {
	case r.Stop == "":
		a.Verdict = notOver
		winner.Claim = fmt.Sprintf("no winner yet: the race is not over after %s", term.Count(r.Trials, "trial"))
	case len(r.Survivors) == 0:
		if a.Verdict, winner.Verdict = string(results.Failed), results.NoResult; withoutResult(p, records) == nil {
			a.Verdict = foundUnclear // requests were answered, and do not show what was asked for
		}
		winner.Claim = "no winner: " + r.Stop
		if len(r.Dropped) > 0 {
			winner.Claim += fmt.Sprintf("; %s: %s", p.Label(r.Dropped[0].Cell), r.Dropped[0].Why)
		}
	case !r.Keeps:
		a.Verdict, winner.Verdict = foundMissed, results.NoResult
		winner.Claim = fmt.Sprintf("no winner: no cell keeps %s; the best of them is %s", results.LimitWords(p.Limits...), p.Label(r.Survivors[0]))
	case r.blind != "":
		a.Verdict, winner.Claim = foundUnclear, fmt.Sprintf("no winner: %s won the race, and nothing can be compared with the plan's first cell, %s: %s; trials may be too short (--duration), or another level has to come first",
			p.Label(r.Survivors[0]), p.Label(r.first), r.blind)
	case r.confirm == nil:
		a.Verdict, winner.Verdict, winner.Cells = foundSame, results.Same, []plan.Cell{r.first, r.first}
		winner.Claim = fmt.Sprintf("nothing to change: the plan's first cell, %s, won the race", p.Label(r.first))
	default:
		if costs, err = r.judge(a, &winner, p); err != nil {
			return err
		}
	}
	a.Headline = winner.Claim
	if winner.Why != "" {
		a.Headline += ". Moved: " + winner.Why
	}
	a.Findings = append([]results.Finding{winner}, r.others(p, winner, costs)...)
	return nil
}

// judge says what the fresh trials show of the winner, and what is worse by it.
func (r *raced) judge(a *results.Answer, winner *results.Finding, p *plan.Plan) (costs []string, err error) {
	fresh, err := results.Open(filepath.Join(a.Run, confirmFolder))
	name, first := p.Label(r.Survivors[0]), p.Label(r.first)
	if err != nil || len(fresh.Records) == 0 {
		a.Verdict, winner.Claim = notOver, fmt.Sprintf("no winner yet: %s won the race, and was not confirmed in fresh trials", name)
		return nil, nil
	}
	c := results.JudgeConfirmation(r.confirm, fresh.Records)
	if c.Verdict == results.Failed {
		a.Verdict, winner.Verdict = string(results.Failed), results.NoResult
		winner.Claim = fmt.Sprintf("no winner: %s won the race, and the fresh trials beside the first cell, %s, cannot be compared: %s", name, first, c.Says)
		return nil, nil
	}
	code, claim := winner.Code, ""
	*winner = c.Finding
	winner.Code, winner.Cells = code, results.ConfirmedSides()
	winner.Why = explain.Why(*winner, fresh.Records)
	winner.Cells = []plan.Cell{r.Survivors[0], r.first}
	switch c.Verdict {
	case stats.Improvement:
		a.Verdict, claim = foundWinner, "winner: %s, beside the first cell, %s, in fresh trials: %s"
		a.Advice = explain.Advice(r.confirm)
		a.Advice.Holds = append(r.idle(p), a.Advice.Holds...)
	case stats.Fine:
		a.Verdict, claim = foundSame, fmt.Sprintf("nothing to change: %%s won the race, and in fresh trials beside the first cell, %%s, a gain of %.0f%%%% is ruled out: %%s", 100*results.Worthwhile)
	case stats.Regression:
		a.Verdict, claim = foundWorse, "no winner: %s won the race, and in fresh trials it is worse than the first cell, %s: %s"
	default:
		a.Verdict, claim = foundUnclear, "no winner: %s won the race, and in fresh trials no gain over the first cell, %s, is shown: %s"
	}
	winner.Claim = fmt.Sprintf(claim, name, first, c.Says)
	return c.Costs, nil
}

// idle says which changes of the winner the race did not show to matter: the same cell without that one was left in it too.
func (r *raced) idle(p *plan.Plan) (lines []string) {
	winner := r.Survivors[0]
	for _, f := range p.Factors {
		if winner[f.Knob] == r.first[f.Knob] {
			continue
		}
		without := maps.Clone(winner)
		without[f.Knob] = r.first[f.Knob]
		if slices.ContainsFunc(r.Survivors, func(c plan.Cell) bool { return maps.Equal(c, without) }) {
			lines = append(lines, fmt.Sprintf("that %s=%s matters is not shown: with %s instead, all else the same, it was left in the race too", f.Knob, winner[f.Knob], r.first[f.Knob]))
		}
	}
	return lines
}

// others are the findings behind the winner.
func (r *raced) others(p *plan.Plan, winner results.Finding, costs []string) (all []results.Finding) {
	for _, cost := range costs {
		all = append(all, results.Finding{Code: "cost", Claim: "it costs: " + cost, Cells: winner.Cells, Verdict: results.Worse, Pairs: winner.Pairs})
	}
	if r.Stop != "" && len(r.Survivors) > 0 {
		all = append(all, results.Finding{Code: "survivors", Verdict: results.Same, Cells: r.Survivors,
			Claim: fmt.Sprintf("left of %s after %s and %s, the winner first (%s): %s", term.Count(len(p.Cells()), "cell"), term.Count(r.Blocks, "block"),
				term.Count(r.Trials, "trial"), r.Stop, labels(p, r.Survivors))})
	}
	for i := 0; i < len(r.Dropped); {
		those, cells := r.alike(i)
		all = append(all, results.Finding{Code: "dropped", Verdict: results.Worse, Cells: cells, Claim: fmt.Sprintf("out: %s: %s", labels(p, cells), those.Why)})
		i += len(cells)
	}
	return all
}

// alike are the cells from the i-th dropped on that are out for the same reason.
func (r *raced) alike(i int) (as tuner.Dropped, cells []plan.Cell) {
	as = r.Dropped[i]
	for _, d := range r.Dropped[i:] {
		if d.Why != as.Why || d.Block != as.Block {
			break
		}
		cells = append(cells, d.Cell)
	}
	return as, cells
}

func labels(p *plan.Plan, cells []plan.Cell) string {
	var all []string
	for _, c := range cells {
		all = append(all, p.Label(c))
	}
	return strings.Join(all, "; ")
}
