package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/explain"
	"github.com/sockbench/sockbench/results/report"
	"github.com/sockbench/sockbench/tuner"
)

// way is how the trials of a folder are chosen, and what becomes of them. The manifest says which it is, so that --resume
// and report know it too.
type way struct {
	foretell func(results.Manifest) string // what it takes and what that buys, before it begins
	trials   func(results.Manifest) int    // about how many it takes
	strategy func(results.Manifest) (tuner.Strategy, error)
	find     func(*results.Answer, results.Manifest, []results.Record) error // adds verdict and findings; the folder is Run
	end      func(*runFlags, io.Writer, report.Input) error                  // how the program ends

	// then runs what follows on the trials, in folders of its own inside dir; nil: nothing does.
	then func(f *runFlags, c *cobra.Command, m results.Manifest, records []results.Record, dir string) error
}

// searches are the ways of those strategies that a manifest names.
var searches = map[string]way{raceStrategy: tuning, results.CapacitySearch: sustaining}

func wayOf(m results.Manifest) way {
	switch {
	case m.Search != nil:
		if w, ok := searches[m.Search.Strategy]; ok {
			return w
		}
		w := matrix // its trials can be shown
		w.strategy = func(m results.Manifest) (tuner.Strategy, error) {
			return nil, fmt.Errorf("no strategy %q: use a newer sockbench", m.Search.Strategy)
		}
		return w
	case m.Check != nil:
		return checking
	}
	return matrix
}

// matrix runs every block of a plan, or as many as a precision takes.
var matrix = way{
	foretell: func(m results.Manifest) string { return foretell(m.Plan, m.Until) },
	trials:   func(m results.Manifest) int { return expected(m.Plan, m.Until) * len(m.Plan.Cells()) },
	strategy: func(m results.Manifest) (tuner.Strategy, error) {
		if m.Until > 0 {
			return tuner.Until(m.Plan, float64(m.Until)), nil
		}
		return tuner.Matrix(m.Plan), nil
	},
	find: func(a *results.Answer, m results.Manifest, records []results.Record) error {
		if a.Findings, a.Levels = results.Effects(m.Plan, records); len(a.Findings) == 0 {
			a.Nothing = results.Precision(m.Plan, records)
		}
		moved(a.Findings, records)
		return nil
	},
	end: func(_ *runFlags, _ io.Writer, in report.Input) error {
		return broken(withoutResult(in.Manifest.Plan, in.Records))
	},
}

// checking runs two variants in pairs until their verdict is known.
var checking = way{
	foretell: func(m results.Manifest) string { return foretellCheck(m.Plan) },
	trials:   func(m results.Manifest) int { return m.Plan.Blocks * len(m.Plan.Cells()) },
	strategy: func(m results.Manifest) (tuner.Strategy, error) { return tuner.Check(m.Plan), nil },
	find: func(a *results.Answer, m results.Manifest, records []results.Record) error {
		_, a.Levels = results.Effects(m.Plan, records)
		now := results.JudgeCheck(m.Plan, records)
		a.Verdict, a.Headline, a.Findings = string(now.Verdict), now.Headline, now.Findings
		moved(a.Findings, records)
		if len(a.Findings) > 0 && a.Findings[0].Why != "" {
			a.Headline += ". Moved: " + a.Findings[0].Why
		}
		return nil
	},
	end: func(f *runFlags, stderr io.Writer, in report.Input) error { return f.gate.end(stderr, in) },
}

// moved adds to findings the evidence that moved with them.
func moved(findings []results.Finding, records []results.Record) {
	for i, f := range findings {
		findings[i].Why = explain.Why(f, records)
	}
}
