package tuner

import (
	"fmt"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

// Until is Matrix that ends before its last block once the least certain effect is known to within share (0.05: 5 %) to
// either side. It asks how far trials scatter, never how large an effect is: a run that stopped at an effect it liked
// would find too many.
func Until(p *plan.Plan, share float64) Strategy { return until{matrix{p}, share} }

type until struct {
	matrix
	share float64
}

func (u until) Next(done []results.Record) Step {
	step := u.matrix.Next(done)
	if step.Stop == "" && !beginsBlock(step.Run[0], done) {
		return step
	}
	reach, ok := results.Reach(u.plan, done)
	switch {
	case ok && reach <= u.share:
		return Step{Stop: fmt.Sprintf("known to within %.1f%% after %d blocks", 100*reach, blocks(done))}
	case step.Stop != "" && ok:
		step.Stop = fmt.Sprintf("after %d blocks, which are the most, known to within %.1f%% and not %.1f%%", blocks(done), 100*reach, 100*u.share)
	case step.Stop != "":
		step.Stop = fmt.Sprintf("after %d blocks, which are the most, nothing can be said about the precision: too few trials gave a p50", blocks(done))
	}
	return step
}

// beginsBlock says whether no trial of t's block was run.
func beginsBlock(t plan.Trial, done []results.Record) bool {
	for i := range done {
		if done[i].Block == t.Block {
			return false
		}
	}
	return true
}

func blocks(done []results.Record) int {
	seen := map[int]bool{}
	for i := range done {
		seen[done[i].Block] = true
	}
	return len(seen)
}
