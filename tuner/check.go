package tuner

import (
	"cmp"
	"slices"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

// Check runs the two variants of p in pairs: trials that differ in nothing else are neighbours, in random order, and see
// the same arrivals. It ends as soon as every gate of p has its verdict, with the last block of p, or when a trial gives
// nothing that could be compared. Disturbed blocks are run again as Matrix does it, whatever they measured.
func Check(p *plan.Plan) Strategy { return check{p} }

type check struct{ plan *plan.Plan }

func (c check) Next(done []results.Record) Step {
	before, repeats := index(done)
	now := results.JudgeCheck(c.plan, done)
	if now.Verdict == results.Failed {
		return Step{Stop: now.Headline}
	}
	for n := range c.plan.Blocks {
		trials, why := before.pending(func(attempt int) []plan.Trial { return adjacent(c.plan.Block(n, attempt)) }, repeats < Repeats(c.plan.Blocks))
		if len(trials) == 0 {
			continue
		}
		if beginsBlock(trials[0], done) && !now.Open {
			break
		}
		return Step{Run: trials, Why: why}
	}
	return Step{Stop: now.Headline}
}

// adjacent moves the trials of a block that differ in their variant alone to where the first of them was. The order of
// the two, and of the pairs, stays as random as it was.
func adjacent(block []plan.Trial) []plan.Trial {
	place := map[string]int{}
	rest := func(t plan.Trial) string {
		cell := plan.Cell{}
		for knob, level := range t.Cell {
			if knob != "variant" {
				cell[knob] = level
			}
		}
		return cell.String()
	}
	for i, t := range block {
		if _, seen := place[rest(t)]; !seen {
			place[rest(t)] = i
		}
	}
	slices.SortStableFunc(block, func(a, b plan.Trial) int { return cmp.Compare(place[rest(a)], place[rest(b)]) })
	for i := range block {
		block[i].Order = i
	}
	return block
}
