// Package tuner decides what to run next. Strategies are pure; Drive runs one with a function that runs a trial, and
// never learns where.
package tuner

import (
	"context"
	"fmt"
	"time"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

// Strategy is pure: the same records give the same step, which is all that --resume needs.
type Strategy interface {
	// Next looks at every record so far, oldest first, and says what to run, or that there is nothing left.
	Next(done []results.Record) Step
}

// Step is what is left of one block, or the end.
type Step struct {
	Run  []plan.Trial // in this order
	Why  string       // not empty: why a block is run again, for people
	Stop string       // not empty: why it stops; Run is empty

	// A strategy that chooses the length of trials foresees about how many are left, those of Run among them, and how long
	// their measure phases are together; 0: it does not know.
	Left      int
	Measuring time.Duration
}

// RunFunc runs one trial. A trial that failed is a Record with Error and a nil error. An error means that the trial did
// not come to an end, because ctx was done or because nothing can be run any more.
type RunFunc func(context.Context, plan.Trial) (results.Record, error)

// Drive runs s to its end and returns its last step. done are the records of an earlier part of the run, oldest first;
// each further one is given to keep before the next trial begins. When ctx is done, the trial under way is dropped, all
// before it are kept, and the error is ctx's.
func Drive(ctx context.Context, s Strategy, run RunFunc, keep func(results.Record) error, done []results.Record) (Step, error) {
	done = append([]results.Record(nil), done...)
	for {
		step := s.Next(done)
		if step.Stop != "" {
			return step, nil
		}
		if len(step.Run) == 0 {
			return step, fmt.Errorf("the strategy neither runs a trial nor stops")
		}
		for _, t := range step.Run {
			if err := ctx.Err(); err != nil {
				return step, err
			}
			r, err := run(ctx, t)
			if cut := ctx.Err(); cut != nil && (err != nil || r.Error != "") { // what failed then may have failed of it
				return step, cut
			}
			if err != nil {
				return step, fmt.Errorf("trial %s (%s): %w", t.ID, t.Cell, err)
			}
			if err := keep(r); err != nil {
				return step, err
			}
			done = append(done, r)
		}
	}
}

// Telling is s, with every step passed to see.
func Telling(s Strategy, see func(Step)) Strategy { return telling{s, see} }

type telling struct {
	Strategy
	see func(Step)
}

func (t telling) Next(done []results.Record) Step {
	step := t.Strategy.Next(done)
	t.see(step)
	return step
}
