package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sockbench/sockbench/internal/near"
	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/report"
	"github.com/sockbench/sockbench/results/stats"
	"github.com/sockbench/sockbench/tuner"
	"github.com/sockbench/sockbench/unit"
)

// tuneFlags are what a search for the best cell is told beside its knobs.
type tuneFlags struct {
	runFlags
	goal string
	most int // trials of the race
}

// perCell is how many trials a race may take for each cell of the plan, where nothing else is said.
const perCell = 4

func tuneCommand() *cobra.Command {
	var k knobs
	f := tuneFlags{runFlags: runFlags{output: choice{level: "table", of: report.Names()}, show: show, again: "sockbench tune", resumed: isRace}}
	c := &cobra.Command{
		Use:   "tune [PLAN.yaml]",
		Short: "Find the best cell of a plan in few trials, confirm it, and say what to change",
		Long: `Look for the cell with the best goal among those that keep the limits, in fewer trials than run takes for all: one block
of all cells, a model of it that keeps the promising ones, and then blocks of these, from which those drop out that are
shown to be behind the best or to miss a limit. Cells, and which knobs are chosen where none or only a command is named,
are those of run. All cells that are left are listed, and why the others are not.

The winner of a race was lucky too. So it is named only after a check in fresh trials, in pairs with the plan's first cell:
the first level of every factor, which is to be what you have today. The check is in the folder confirm inside the run
folder, and can be gone on with and shown by itself. What is claimed comes from it alone: a gain that is shown with a
probability of error of 1 %, what it costs in other metrics, and the settings as code to paste.

Exit codes: 0 a winner, or nothing to change; 1 no cell keeps the limits; 2 usage; 3 the fresh trials cannot tell, or the
first cell is better; 4 nothing could be measured; 130 interrupted.`,
		Example: `  sockbench tune --goal p50 --write split,single --set TCP_NODELAY=off,on
  sockbench tune --goal throughput --limit p99=2ms --limit errors=0 --target epoll,goroutine,thread --connections 64
  sockbench tune --target 'exec: ./server --workers {workers} --port {port}' --goal p50
  sockbench tune examples/nagle.yaml --goal p50 --budget 3m
  sockbench tune --resume runs/20261127T120000Z-tune`,
		Args:              onePlan,
		ValidArgsFunction: cobra.FixedCompletions([]string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt),
		RunE: func(c *cobra.Command, args []string) error {
			if f.resume != "" {
				return f.continueRun(c, &k, args)
			}
			k.environment()
			p, err := f.changed(c, &k, strings.Join(args, ""))
			if err != nil {
				return err
			}
			if p, err = f.searched(c, p); err != nil {
				return err
			}
			return f.begin(c, p)
		},
	}
	metrics := results.MetricNames()
	c.Flags().StringVar(&f.goal, "goal", "", "the metric to be best at: "+strings.Join(metrics, ", ")+"; default throughput, with a rate p99")
	complete(c, "goal", metrics)
	f.limitFlag(c, "what a winner must keep to, as p99=2ms or errors=0")
	c.Flags().IntVar(&f.most, "trials", 0, fmt.Sprintf("trials of the race at most, beside those of disturbed blocks that are run again; default: %d for each cell", perCell))
	c.Flags().Var(&f.budget, "budget", "as many trials as fit into this time, those that confirm the winner with them, for example 5m")
	f.experiment(c, "tune")
	f.folder(c)
	k.flags(c)
	return c
}

// searched is p with what the search is to be, or why there can be none.
func (f *tuneFlags) searched(c *cobra.Command, p *plan.Plan) (*plan.Plan, error) {
	cells, trials := len(p.Cells()), p.Block(0, 0)
	open := slices.ContainsFunc(trials, func(t plan.Trial) bool { return t.Spec.Load.OpenLoop() })
	if f.goal == "" {
		if f.goal = "throughput"; open {
			f.goal = "p99"
		}
	}
	m, err := goal(f.goal, open)
	if err != nil {
		return nil, err
	}
	if cells < 2 {
		return nil, errors.New("there is one cell, and nothing to choose: name several levels of a knob, as --set TCP_NODELAY=off,on")
	}
	s := &results.Search{Strategy: raceStrategy, Goal: m.Name, Trials: perCell * cells, Pairs: stats.MostPairs}
	switch {
	case f.most != 0 && f.budget != 0:
		return nil, errors.New("--trials and --budget: both say how long to search: name one")
	case f.budget != 0:
		// A third is for the pairs that confirm the winner; and of all, half as many again may have to be repeated.
		least := max(cells*9/4+1, 9*stats.Looks(1, stats.MostPairs)[0])
		all := int(time.Duration(f.budget) / length(p, 1) * time.Duration(cells))
		if each := length(p, 1) / time.Duration(cells); all < least {
			return nil, fmt.Errorf("--budget %s: a trial of each of %d cells, and the pairs that confirm the winner, take %s: give it that or more, name fewer levels, or shorter trials",
				f.budget.String(), cells, unit.Duration((time.Duration(least)*each).Round(time.Second)+time.Second))
		}
		s.Trials, s.Pairs = all*4/9, min(all/9, stats.MostPairs)
	case c.Flags().Changed("trials"):
		if s.Trials = f.most; f.most < cells {
			return nil, fmt.Errorf("--trials %d: a race begins with one trial of each of the %d cells: give it as many, or name fewer levels", f.most, cells)
		}
	}
	f.search = s
	once := 1
	return p.With(plan.Changes{Blocks: &once}) // the race says how many there are
}

// goal is the metric of that name, or why it cannot be what a search is for.
func goal(name string, open bool) (m results.Metric, err error) {
	m, ok := results.FindMetric(name)
	switch {
	case !ok:
		names := results.MetricNames()
		return m, fmt.Errorf("--goal %s: choose one of %s%s", name, strings.Join(names, ", "), near.Suggest(name, names))
	case m.Unit == "share" || m.Name == "false_alarms":
		return m, fmt.Errorf("--goal %s: it is 0 where all is well, and nothing is a share of 0: make it a limit, --limit %s=0, beside another goal", name, name)
	case m.Name == "throughput" && open:
		return m, errors.New("--goal throughput: in an open loop it is what was offered: choose p99, for example")
	}
	return m, nil
}

// isRace says whether a folder can be gone on with by tune.
func isRace(m results.Manifest) error {
	if m.Search == nil || m.Search.Strategy != raceStrategy {
		return errors.New("--resume: the folder is not of tune: use sockbench run --resume, which goes on with any")
	}
	return nil
}

// raceStrategy is the race's name in manifests.
const raceStrategy = "race"

// tuning is a race over the cells, and a check of its winner.
var tuning = way{
	foretell: foretellTune,
	trials:   func(m results.Manifest) int { return m.Search.Trials },
	strategy: func(m results.Manifest) (tuner.Strategy, error) { return race(m) },
	find:     findWinner,
	then:     confirm,
	end: func(_ *runFlags, _ io.Writer, in report.Input) error {
		switch in.Answer.Verdict {
		case foundWinner, foundSame:
			return nil
		case foundMissed:
			return &failure{exitWrong, errors.New("no cell keeps the limits")}
		case string(results.Failed):
			return broken(errors.New(in.Answer.Headline))
		}
		return &failure{exitInconclusive, errors.New("no winner is named: more or longer trials (--trials, --duration) or a quieter machine could tell")}
	},
}

func race(m results.Manifest) (*tuner.RaceStrategy, error) {
	goal, ok := results.FindMetric(m.Search.Goal)
	if !ok {
		return nil, fmt.Errorf("no metric %q, which is the goal: use a newer sockbench", m.Search.Goal)
	}
	return tuner.Race(m.Plan, goal, m.Plan.Limits, m.Search.Trials), nil
}

func foretellTune(m results.Manifest) string {
	p, s := m.Plan, m.Search
	cells, least := len(p.Cells()), stats.Looks(1, s.Pairs)[0]
	each := length(p, 1) / time.Duration(cells)
	round := func(trials int) unit.Duration {
		return unit.Duration((time.Duration(trials) * each).Round(time.Second))
	}
	says := fmt.Sprintf("a race of %s: one trial of %s + %s each, then more of the best, %d at most; then %d to %d pairs of the winner and %s: %s to %s, and half as much again where disturbed blocks are run again\ngoal: %s",
		term.Count(cells, "cell"), p.Warmup, p.Duration, s.Trials, least, s.Pairs, p.Label(p.Cells()[0]), round(cells+2*least), round(s.Trials+2*s.Pairs), s.Goal)
	if len(p.Limits) > 0 {
		says += "; limits: " + results.LimitWords(p.Limits...)
	}
	return says
}

// confirmFolder is where inside a run folder its winner is confirmed.
const confirmFolder = "confirm"

// raced is how a race stands, and the check of its winner.
type raced struct {
	tuner.Standing
	first   plan.Cell
	blind   string     // why nothing can be compared with the first cell; "": it can
	confirm *plan.Plan // nil: there is nothing to confirm, or not yet
}

func standing(m results.Manifest, records []results.Record) (r raced, err error) {
	strategy, err := race(m)
	if err != nil {
		return r, err
	}
	r.Standing, r.first = strategy.Standing(records), m.Plan.Cells()[0]
	for _, d := range r.Dropped {
		if d.Blind && d.Cell.String() == r.first.String() {
			r.blind = d.Why
		}
	}
	if r.Stop != "" && len(r.Survivors) > 0 && r.Keeps && r.blind == "" && r.Survivors[0].String() != r.first.String() {
		r.confirm, err = results.Confirmation(m.Plan, r.Survivors[0], m.Search.Goal, m.Search.Pairs)
	}
	return r, err
}

// confirm checks the winner of a race that is over against the first cell, or goes on with that.
func confirm(f *runFlags, c *cobra.Command, m results.Manifest, records []results.Record, dir string) error {
	r, err := standing(m, records)
	if err != nil || r.confirm == nil {
		return err
	}
	m = results.Manifest{Versions: m.Versions, Plan: r.confirm, Check: &results.Checking{}, Machine: m.Machine, Started: time.Now().UTC()}
	log, done, err := results.Continue(filepath.Join(dir, confirmFolder), m)
	if err != nil {
		return broken(err)
	}
	if !f.quiet {
		fmt.Fprintf(c.ErrOrStderr(), "the race is over: %s; its winner in fresh trials, beside the first cell:\n", r.Stop)
	}
	_, err = f.trials(c, checking, m, log, done)
	return err
}
