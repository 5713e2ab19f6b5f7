package tuner

import (
	"fmt"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

// Matrix runs every block of p: all cells once in each, in random order, so that drift hits all alike.
// Disturbed blocks are run again, each at most twice, and at most Repeats in all.
func Matrix(p *plan.Plan) Strategy { return matrix{p} }

type matrix struct{ plan *plan.Plan }

func (m matrix) Next(done []results.Record) Step {
	before, repeats := index(done)
	for n := range m.plan.Blocks {
		trials, why := before.pending(func(attempt int) []plan.Trial { return m.plan.Block(n, attempt) }, repeats < Repeats(m.plan.Blocks))
		if len(trials) > 0 {
			return Step{Run: trials, Why: why}
		}
	}
	return Step{Stop: fmt.Sprintf("%d blocks of %d cells are done", m.plan.Blocks, len(m.plan.Cells()))}
}
