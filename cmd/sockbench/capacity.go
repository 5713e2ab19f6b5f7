package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/lab"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/report"
	"github.com/sockbench/sockbench/tuner"
	"github.com/sockbench/sockbench/unit"
)

func capacityCommand() *cobra.Command {
	var k knobs
	f := runFlags{output: choice{level: "table", of: report.Names()}, again: "sockbench capacity", resumed: isCapacity, show: show}
	trials := tuner.MostRates
	c := &cobra.Command{
		Use:   "capacity [PLAN.yaml]",
		Short: "Find the highest rate that each cell sustains within limits on its latency",
		Long: `Look for the highest rate of Poisson arrivals at which each cell keeps every --limit. A closed loop shows what the cell can
do at all; then the rate doubles until a trial misses a limit, and after that each trial asks where the threshold is most
likely to be. A trial keeps the limits if 99 % of what was due was answered in time, nothing failed, the load generator
itself was late by a fifth of the limit at most, and the latencies are within the limits. A quarter of the trials is taken to
say nothing, so that a moment of other work on the machine does not decide; trials that it disturbed are run again.

It ends when the 90 % interval of the threshold is narrower than 20 %, or after --trials trials of a cell. What is named
sustained is the lower end of the interval, the rate that the cell keeps up with 95 % certainty. The table is latency against
load: a row for each rate that was asked, from a 32nd of what the closed loop reached to beyond the knee.

A trial is as long as the limit needs: so that 40 requests are expected beyond a limited percentile, and 50 times the time in
which a queue at this load forgets how it began; at most 30s, or --duration where that is longer. One that would have to be
longer decides nothing: a queue that begins empty looks better than it is.

Several cells take turns. That one's capacity is named above another's is no finding that they differ: compare them at
one rate, with run.

Exit codes: 0 the capacity of each cell is known, but for those that keep the limits at no rate; 1 no cell keeps them at any
rate; 2 usage; 3 inconclusive for some cell; 4 a target gives no result; 130 interrupted.`,
		Example: `  sockbench capacity --target epoll --limit p99=2ms
  sockbench capacity --target 'exec: ./server --port {port}' --connections 50 --limit p99=5ms --limit errors=0.1%
  sockbench capacity --target epoll,goroutine --set TCP_NODELAY=off,on --limit p999=10ms --trials 40
  sockbench capacity plan.yaml
  sockbench capacity --resume runs/20261123T120000Z-capacity`,
		Args:              onePlan,
		ValidArgsFunction: cobra.FixedCompletions([]string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt),
		RunE: func(c *cobra.Command, args []string) error {
			if f.resume != "" {
				return f.continueRun(c, &k, args)
			}
			p, err := f.capacityPlan(c, &k, args)
			if err != nil {
				return err
			}
			if _, err := tuner.Capacity(p, trials); err != nil {
				return err
			}
			for _, note := range f.notes {
				if err := paragraphs(c.ErrOrStderr(), note); err != nil {
					return broken(err)
				}
			}
			f.search = &results.Search{Strategy: results.CapacitySearch, Trials: trials}
			if f.dryRun {
				return broken(describeCells(c.OutOrStdout(), f.output.level, p, sustaining.foretell(f.manifest(p))))
			}
			return f.newRun(c, p)
		},
	}
	f.limitFlag(c, "what must be kept to, as p99=2ms, on a latency, or as errors=0.1%")
	c.Flags().IntVar(&trials, "trials", trials, "trials of each cell, at most")
	f.experiment(c, "capacity")
	c.Flags().StringVar(&f.out, "out", "", "the run folder, new or empty; default runs/<UTC>-<name>")
	c.Flags().StringVar(&f.resume, "resume", "", "go on with the search in this folder")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "show the cells and how long trials are, and run nothing")
	c.Flags().BoolVar(&f.quiet, "quiet", false, "no progress")
	f.output.flag(c)
	f.exports.flag(c)
	k.flags(c)
	return c
}

// capacityPlan is the plan of a file, or of knobs: of a command alone it is one cell, and not those that run would choose.
func (f *runFlags) capacityPlan(c *cobra.Command, k *knobs, args []string) (*plan.Plan, error) {
	k.environment()
	for _, named := range k.named {
		if knob, err := plan.Lookup(named.Knob); err == nil && knob.OpenLoop {
			return nil, fmt.Errorf("%s: capacity offers Poisson arrivals to the first free connection: leave it out", named.Knob)
		}
	}
	if len(args)+len(k.named)+len(f.variants) == 0 {
		return nil, errors.New("nothing to look at: name a plan file, or knobs, for example --target epoll")
	}
	if _, alone := onlyCommand(k, f.variants); alone && len(args) == 0 {
		connections, err := plan.Lookup("connections")
		if err != nil {
			return nil, err
		}
		k.add(connections.Name, connections.Default)
	}
	return f.changed(c, k, strings.Join(args, ""))
}

// sustaining looks for the highest rate that each cell sustains.
var sustaining = way{
	foretell: foretellCapacity,
	trials: func(m results.Manifest) int {
		return (1 + min(tuner.UsualRates, m.Search.Trials)) * len(m.Plan.Cells())
	},
	strategy: func(m results.Manifest) (tuner.Strategy, error) {
		return tuner.Capacity(m.Plan, m.Search.Trials)
	},
	find: func(a *results.Answer, m results.Manifest, records []results.Record) error {
		s, err := tuner.Capacity(m.Plan, m.Search.Trials)
		if err != nil {
			return err
		}
		a.Capacity = s.Found(records)
		a.Verdict, a.Headline, a.Findings = results.JudgeCapacity(m.Plan, a.Capacity)
		a.Sessions = nil // trials at different loads do not go alike
		return nil
	},
	end: endCapacity,
}

// foretellCapacity says how long the search can take: how long trials are shows when a closed loop has shown what a cell
// can do.
func foretellCapacity(m results.Manifest) string {
	p, most, cells := m.Plan, m.Search.Trials, len(m.Plan.Cells())
	usual := min(tuner.UsualRates, most)
	longest := max(unit.Duration(tuner.LongestTrial), p.Duration)
	total := func(trials int, each unit.Duration) unit.Duration {
		one := time.Duration(p.Warmup) + lab.Overhead
		return unit.Duration((time.Duration(cells) * (one + time.Duration(p.Duration) + time.Duration(trials)*(one+time.Duration(each)))).Round(time.Second))
	}
	return fmt.Sprintf("%s, in turns: a closed loop, and then %d to %d trials of each, about %d in the mean; each of %s + %s, or longer where the limit needs it, up to %s: %s to %s for %d trials, %s at most, and half as much again where disturbed trials are run again",
		term.Count(cells, "cell"), tuner.FewestRates, most, usual, p.Warmup, p.Duration, longest, total(usual, p.Duration), total(usual, longest), usual, total(most, longest))
}

// endCapacity makes what was found into the error that ends the program; nil: all is well.
func endCapacity(_ *runFlags, _ io.Writer, in report.Input) error {
	if err := withoutResult(in.Manifest.Plan, in.Records); err != nil {
		return broken(err)
	}
	of := func(v results.Conclusion) string {
		i := slices.IndexFunc(in.Answer.Findings, func(f results.Finding) bool { return f.Verdict == v })
		return in.Answer.Findings[i].Claim
	}
	switch in.Answer.Verdict {
	case "inconclusive":
		return &failure{exitInconclusive, errors.New(of(results.Unclear))}
	case "missed":
		return &failure{exitWrong, errors.New(of(results.Worse))}
	case string(results.NoResult):
		return broken(errors.New(of(results.NoResult)))
	}
	return nil
}

// isCapacity says whether a folder can be gone on with by capacity.
func isCapacity(m results.Manifest) error {
	if m.Search == nil || m.Search.Strategy != results.CapacitySearch {
		return errors.New("--resume: the folder is not of a search for a capacity: use sockbench run --resume")
	}
	return nil
}

// describeCells is the dry run of a search, whose order follows from what it sees.
func describeCells(w io.Writer, format string, p *plan.Plan, foretold string) error {
	if format == "json" {
		return json.NewEncoder(w).Encode(struct {
			Plan   *plan.Plan  `json:"plan"`
			Digest string      `json:"digest"`
			Cells  []plan.Cell `json:"cells"`
		}{p, p.Digest(), p.Cells()})
	}
	t := term.Table{Columns: []term.Column{{Name: "cell"}}}
	for _, cell := range p.Cells() {
		t.Rows = append(t.Rows, []string{cmp.Or(p.Label(cell), "–")})
	}
	switch format {
	case "csv":
		return t.CSV(w)
	case "md":
		return errors.Join(t.Markdown(w), paragraphs(w, foretold))
	}
	return errors.Join(t.Show(w, term.ScreenOf(w)), paragraphs(w, foretold))
}
