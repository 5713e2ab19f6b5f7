package tuner

import (
	"fmt"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

// maxAttempts is how often a block is run at most: once, and twice again.
const maxAttempts = 3

// Repeats is how many times, in all, a run of so many blocks repeats one, so that its time has a bound.
func Repeats(blocks int) int { return (blocks + 1) / 2 }

// past is the records so far, by trial and attempt.
type past map[trial]*results.Record

type trial struct {
	id      string
	attempt int
}

// index also counts the repeats that were begun.
func index(done []results.Record) (p past, repeats int) {
	p = past{}
	begun := map[[2]int]bool{}
	for i := range done {
		r := &done[i]
		p[trial{r.ID, r.Attempt}] = r
		if r.Attempt > 0 {
			begun[[2]int{r.Block, r.Attempt}] = true
		}
	}
	return p, len(begun)
}

// pending says what is still to be run of a block, whose trials attempt lists: those that are missing, in their order,
// first of the block itself and then, while the machine disturbed it and a repeat may begin, of its repeats. A disturbed
// block is repeated whole, because all its trials have to meet the same machine. It looks at what happened to the
// machine, never at what was measured. why is not empty when an attempt other than the first begins.
func (p past) pending(attempt func(n int) []plan.Trial, repeat bool) (trials []plan.Trial, why string) {
	for n := range maxAttempts {
		all := attempt(n)
		disturbance := ""
		for _, t := range all {
			r := p[trial{t.ID, n}]
			if r == nil {
				trials = append(trials, t)
			} else if hit, what := results.Disturbed(r); hit && disturbance == "" {
				disturbance = fmt.Sprintf("block %d was disturbed (%s), so it is run again", t.Block, what)
			}
		}
		switch {
		case len(trials) == len(all) && n > 0 && !repeat:
			return nil, ""
		case len(trials) == len(all):
			return trials, why
		case len(trials) > 0:
			return trials, ""
		case disturbance == "":
			return nil, ""
		}
		why = disturbance
	}
	return nil, ""
}
