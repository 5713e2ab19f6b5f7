package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sockbench/sockbench/internal/machine"
	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/lab"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/tuner"
	"github.com/sockbench/sockbench/unit"
)

// runFlags are what a run is told beside its knobs.
type runFlags struct {
	blocks           int
	warmup, duration durationFlag
	seed             uint64
	name, out        string
	resume           string
	dryRun, quiet    bool
	output           choice
}

func runCommand() *cobra.Command {
	var k knobs
	f := runFlags{output: choice{level: "table", of: []string{"table", "json", "md", "csv"}}}
	c := &cobra.Command{
		Use:   "run",
		Short: "Run a matrix of trials and show what each cell did",
		Long: `Run every combination of the levels named, several times, in blocks of random order, and show one row for each.

A knob with several levels (--connections 1,64, --set TCP_NODELAY=off,on) is a factor. With no knob named, the built-in
plan runs: server models × TCP_NODELAY × ways of writing, 8 connections, in about half a minute.

Every trial is a line of trials.jsonl in the run folder, written before the next one begins; --resume goes on with a
folder whose run was interrupted. An environment variable SOCKBENCH_NAME stands in for a knob that is not named.`,
		Example: `  sockbench run
  sockbench run --target epoll,goroutine,blocking --connections 1,8 --set TCP_NODELAY=off,on
  sockbench run --target 'exec: ./server --port {port}' --target epoll --rate 10k,20k --duration 2s
  sockbench run --resume runs/20261123T120000Z-run`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if f.resume != "" {
				return f.continueRun(c, &k)
			}
			k.environment()
			p, err := f.plan(c, &k)
			if err != nil {
				return err
			}
			if f.dryRun {
				return broken(describe(c.OutOrStdout(), p))
			}
			return f.newRun(c, p)
		},
	}
	c.Flags().IntVar(&f.blocks, "blocks", 6, "how often every cell is run")
	f.duration, f.warmup = seconds(1), durationFlag(200*time.Millisecond)
	c.Flags().Var(&f.duration, "duration", "length of a trial's measure phase")
	c.Flags().Var(&f.warmup, "warmup", "load before the measure phase, which does not count")
	c.Flags().Uint64Var(&f.seed, "seed", 1, "of the order of trials, arrivals and service times")
	c.Flags().StringVar(&f.name, "name", "run", "of the run, for its folder")
	c.Flags().StringVar(&f.out, "out", "", "the run folder, new or empty; default runs/<UTC>-<name>")
	c.Flags().StringVar(&f.resume, "resume", "", "go on with the run in this folder")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "show cells, order and time, and run nothing")
	c.Flags().BoolVar(&f.quiet, "quiet", false, "no progress")
	f.output.flag(c)
	k.flags(c)
	return c
}

// plan is what the knobs ask for, or the built-in plan where there is none.
func (f *runFlags) plan(c *cobra.Command, k *knobs) (*plan.Plan, error) {
	if strings.ContainsAny(f.name, "/\x00") {
		return nil, fmt.Errorf("--name %q: it becomes part of a folder's name and cannot hold a slash", f.name)
	}
	if len(k.named) == 0 {
		if !c.Flags().Changed("name") {
			f.name = "default"
		}
		if !c.Flags().Changed("duration") {
			f.duration = durationFlag(350 * time.Millisecond)
		}
		if !c.Flags().Changed("warmup") {
			f.warmup = durationFlag(100 * time.Millisecond)
		}
		k.add("target", "blocking", "goroutine", "epoll")
		k.add("write", "single", "split")
		k.add("TCP_NODELAY", "off", "on")
		k.add("connections", "8")
	}
	return plan.New(f.name, f.seed, f.blocks, unit.Duration(f.warmup), unit.Duration(f.duration), k.named)
}

// describe is the dry run.
func describe(w io.Writer, p *plan.Plan) error {
	cells := p.Cells()
	t := term.Table{Columns: []term.Column{{Name: "cell"}}}
	order := make(map[string][]string)
	for b := range p.Blocks {
		for _, trial := range p.Block(b, 0) {
			key := trial.Cell.String()
			order[key] = append(order[key], fmt.Sprint(trial.Order+1))
		}
	}
	t.Columns = append(t.Columns, term.Column{Name: "place in each block"})
	for _, cell := range cells {
		t.Rows = append(t.Rows, []string{p.Label(cell), strings.Join(order[cell.String()], " ")})
	}
	if err := t.Text(w, term.Columns(w)); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d cells × %d blocks = %d trials of %s + %s, about %s; a block that is disturbed is run again, at most twice\n",
		len(cells), p.Blocks, len(cells)*p.Blocks, p.Warmup, p.Duration, p.Time(lab.Overhead).Round(time.Second))
	return err
}

func (f *runFlags) newRun(c *cobra.Command, p *plan.Plan) error {
	dir := f.out
	if dir == "" {
		dir = filepath.Join("runs", time.Now().UTC().Format("20060102T150405Z")+"-"+f.name)
	}
	fingerprint, err := json.Marshal(machine.Fingerprint())
	if err != nil {
		return err
	}
	v := thisVersion()
	log, err := results.Create(dir, results.Manifest{Versions: map[string]string{"sockbench": v.Version, "revision": v.Revision, "go": v.Go},
		Plan: p, Machine: fingerprint, Started: time.Now().UTC()})
	if err != nil {
		return broken(err)
	}
	return f.drive(c, p, log, dir, nil)
}

func (f *runFlags) continueRun(c *cobra.Command, k *knobs) error {
	for _, name := range []string{"blocks", "duration", "warmup", "seed", "name", "out", "dry-run"} {
		if c.Flags().Changed(name) {
			return fmt.Errorf("--%s: --resume takes everything but -o and --quiet from the folder", name)
		}
	}
	if len(k.named) > 0 {
		return fmt.Errorf("%s: --resume takes its knobs from the folder", k.named[0].Knob)
	}
	log, done, err := results.Resume(f.resume)
	if err != nil {
		return err
	}
	for _, damaged := range done.Damaged {
		fmt.Fprintln(c.ErrOrStderr(), "left out:", damaged)
	}
	return f.drive(c, done.Manifest.Plan, log, f.resume, done.Records)
}

// drive runs what is left of p and shows all of it.
func (f *runFlags) drive(c *cobra.Command, p *plan.Plan, log *results.Log, dir string, done []results.Record) (err error) {
	defer func() { err = errors.Join(err, broken(log.Close())) }()
	progress := term.NewProgress(c.ErrOrStderr(), f.quiet)
	defer progress.Close()
	perTrial := time.Duration(p.Warmup) + time.Duration(p.Duration) + lab.Overhead
	counting, _ := results.Counting(done)
	progress.Start(p.Blocks*len(p.Cells()), len(counting), perTrial)

	var l lab.Lab
	defer l.Close()
	records := slices.Clone(done)
	gone := lost{}
	runTrial := func(ctx context.Context, t plan.Trial) (results.Record, error) {
		if r, ok := gone.record(t); ok {
			return r, nil
		}
		return l.Run(ctx, t)
	}
	keep := func(r results.Record) error {
		if err := log.Append(r); err != nil {
			return broken(err)
		}
		records = append(records, r)
		gone.note(r)
		progress.Trial(p.Label(r.Cell), outcome(&r))
		return nil
	}
	strategy := tuner.Telling(tuner.Matrix(p), func(why string) {
		progress.Add(len(p.Cells()))
		progress.Warn(why)
	})
	_, err = tuner.Drive(c.Context(), strategy, runTrial, keep, done)
	progress.Close()
	if cut := c.Context().Err(); cut != nil {
		fmt.Fprintf(c.ErrOrStderr(), "%d finished trials are kept in %s; go on with: sockbench run --resume %s\n", len(records), dir, dir)
		err = cut
	} else if err != nil {
		return broken(err)
	}
	if shown := write(c.OutOrStdout(), f.output.level, p, records, dir); err == nil {
		err = shown
	}
	if f.output.level == "table" {
		fmt.Fprintf(c.ErrOrStderr(), "%d trials in %s\n", len(records), dir)
	}
	if err == nil {
		err = broken(withoutResult(p, records))
	}
	return err
}

// outcome is a trial in a word, for the progress.
func outcome(r *results.Record) string {
	if r.Metrics == nil {
		first, _, _ := strings.Cut(r.Error, "\n")
		return "failed: " + first
	}
	var parts []string
	for _, name := range []string{"throughput", "p50", "p99"} {
		if m, ok := results.FindMetric(name); ok {
			parts = append(parts, name+"="+m.Text(r))
		}
	}
	return strings.Join(parts, " ")
}

// write shows records in one of the formats of -o.
func write(w io.Writer, format string, p *plan.Plan, records []results.Record, dir string) error {
	cells, err := results.Summarize(p.Cells(), records)
	if err != nil {
		return broken(err)
	}
	verdict := "done"
	return broken(results.Write(w, format, term.Columns(w), p, records, results.Answer{Verdict: verdict, Cells: cells, Run: dir}))
}

// lost are the targets that could not be started, so that a run does not wait for each of their trials in vain.
type lost map[string]struct {
	failed int
	worked bool
	last   string
}

// tries is how often a target that never worked is started.
const tries = 2

func (l lost) note(r results.Record) {
	target := r.Spec.Target.Target.String()
	e := l[target]
	if r.Metrics != nil {
		e.worked = true
	} else if r.Stage == "serve" {
		e.failed++
		e.last = r.Error
	}
	l[target] = e
}

// record is the trial's failure if its target is lost.
func (l lost) record(t plan.Trial) (results.Record, bool) {
	e := l[t.Spec.Target.Target.String()]
	if e.worked || e.failed < tries {
		return results.Record{}, false
	}
	return results.Record{Schema: results.Schema, Trial: t, Started: time.Now().UTC(), Stage: "serve",
		Error: fmt.Sprintf("not tried again after %d failures; the last one: %s", e.failed, e.last)}, true
}

// withoutResult is an error if a target that was named, and not only brought in by "all", gave no result at all.
func withoutResult(p *plan.Plan, records []results.Record) error {
	seen, why := map[string]bool{}, map[string]string{}
	for _, r := range records {
		target := r.Spec.Target.Target.String()
		switch {
		case r.Metrics != nil && r.Metrics.Throughput > 0:
			seen[target] = true
		case r.Metrics != nil && why[target] == "":
			why[target] = "it completed no request"
		case why[target] == "":
			why[target] = r.Error
		}
	}
	var errs []error
	for target, reason := range why {
		if !seen[target] && !slices.Contains(p.Brought, target) {
			errs = append(errs, fmt.Errorf("target %s gave no result: %s", target, reason))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// waiting says on a terminal that a load of some seconds is running, until it is called.
func waiting(w io.Writer, d time.Duration) (stop func()) {
	if term.Columns(w) == 0 || d < 2*time.Second {
		return func() {}
	}
	fmt.Fprintf(w, "measuring for %s …", d.Round(time.Millisecond))
	return func() { fmt.Fprint(w, "\r\033[K") }
}
