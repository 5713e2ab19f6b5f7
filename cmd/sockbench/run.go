package main

import (
	"cmp"
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
	"github.com/sockbench/sockbench/results/explain"
	"github.com/sockbench/sockbench/results/report"
	"github.com/sockbench/sockbench/tuner"
	"github.com/sockbench/sockbench/unit"
)

// runFlags are what a run is told beside its knobs.
type runFlags struct {
	planFlags
	out, resume   string
	dryRun, quiet bool
	output        choice
	exports       exportFlag
	check         *results.Checking // nil: it is no check
	search        *results.Search   // nil: it is no search
	gate          gateFlags

	// What a playbook or a check does otherwise.
	again   string                       // the command that goes on with a folder
	resumed func(results.Manifest) error // whether a folder is the right one
	show    func(w io.Writer, format string, in report.Input) error
}

func runCommand() *cobra.Command {
	var k knobs
	f := runFlags{output: choice{level: "table", of: report.Names()},
		again: "sockbench run", resumed: func(results.Manifest) error { return nil }, show: show}
	c := &cobra.Command{
		Use:   "run [PLAN.yaml]",
		Short: "Run a matrix of trials, show what each cell did, and say which level helped",
		Long: `Run every combination of the levels named, several times, in blocks of random order. Show one row for each, and what the
comparison of trials of one block shows beyond chance.

A knob with several levels (--connections 1,64, --set TCP_NODELAY=off,on) is a factor. With no plan and no knob named,
the built-in plan runs: server models × ways of writing × TCP_NODELAY, 8 connections, in a minute and a half. With a command
as target (exec:) and no other knob, those are chosen that can act on a server that is not ours, {workers} and the like in
the command among them. A plan file says the same in YAML, see sockbench schema; flags replace its levels.

Levels of a socket option that read back equal on this machine, as those beyond a sysctl do, are one level and run once.

Every trial is a line of trials.jsonl in the run folder, written before the next one begins; --resume goes on with a
folder whose run was interrupted. An environment variable SOCKBENCH_NAME stands in for a knob that is not named.`,
		Example: `  sockbench run
  sockbench run --target epoll,goroutine,blocking --connections 1,8 --set TCP_NODELAY=off,on
  sockbench run --target 'exec: ./server --workers {workers} --port {port}'
  sockbench run --target 'exec: ./server --port {port}' --target epoll --rate 10k,20k --duration 2s
  sockbench run examples/nagle.yaml --budget 5m
  sockbench run --variant 'old: backlog=16' --variant 'new: backlog=1024' --until interval=5%
  sockbench run --resume runs/20261123T120000Z-run`,
		Args:              onePlan,
		ValidArgsFunction: cobra.FixedCompletions([]string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt),
		RunE: func(c *cobra.Command, args []string) error {
			if f.resume != "" {
				return f.continueRun(c, &k, args)
			}
			k.environment()
			p, err := f.plan(c, &k, strings.Join(args, ""))
			if err != nil {
				return err
			}
			return f.begin(c, p)
		},
	}
	f.planFlags.flags(c)
	f.folder(c)
	k.flags(c)
	return c
}

// folder adds the flags that say where trials are kept and what is shown of them.
func (f *runFlags) folder(c *cobra.Command) {
	c.Flags().StringVar(&f.out, "out", "", "the run folder, new or empty; default runs/<UTC>-<name>")
	c.Flags().StringVar(&f.resume, "resume", "", "go on with the run in this folder")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "show cells, order, time and precision, and run nothing")
	c.Flags().BoolVar(&f.quiet, "quiet", false, "no progress")
	f.output.flag(c)
	f.exports.flag(c)
}

// begin says what was chosen for p, and runs it or shows what it would be.
func (f *runFlags) begin(c *cobra.Command, p *plan.Plan) error {
	for _, note := range f.notes {
		if err := paragraphs(c.ErrOrStderr(), note); err != nil {
			return broken(err)
		}
	}
	if f.dryRun {
		return f.describe(c, p)
	}
	return f.newRun(c, p)
}

// onePlan takes a plan file, or nothing.
func onePlan(c *cobra.Command, args []string) error {
	if len(args) < 2 {
		return nil
	}
	return fmt.Errorf("%s takes one plan file, not %q too; levels are separated by commas without spaces; see %s --help",
		c.CommandPath(), args[1], c.CommandPath())
}

// affordable says whether every cell of p finds its CPUs here, and can have its connections open at one time, before
// anything is run.
func affordable(p *plan.Plan) error {
	trials := p.Block(0, 0)
	for _, t := range trials {
		if err := lab.Fits(t.Spec); err != nil {
			return broken(fmt.Errorf("%s: %w", p.Label(t.Cell), err))
		}
	}
	most := slices.MaxFunc(trials, func(a, b plan.Trial) int { return cmp.Compare(a.Spec.Load.Total(), b.Spec.Load.Total()) })
	if err := most.Spec.Load.CheckFiles(); err != nil {
		return broken(fmt.Errorf("%s: %w", p.Label(most.Cell), err))
	}
	return nil
}

func (f *runFlags) newRun(c *cobra.Command, p *plan.Plan) error {
	if err := affordable(p); err != nil {
		return err
	}
	dir := f.out
	if dir == "" {
		dir = filepath.Join("runs", time.Now().UTC().Format("20060102T150405Z")+"-"+p.Name)
	}
	fingerprint, err := json.Marshal(machine.Fingerprint())
	if err != nil {
		return err
	}
	v, manifest := thisVersion(), f.manifest(p)
	manifest.Versions = map[string]string{"sockbench": v.Version, "revision": v.Revision, "go": v.Go}
	manifest.Machine, manifest.Started = fingerprint, time.Now().UTC()
	log, err := results.Create(dir, manifest)
	if err != nil {
		return broken(err)
	}
	if !f.quiet {
		if err := paragraphs(c.ErrOrStderr(), wayOf(manifest).foretell(manifest)); err != nil {
			return broken(errors.Join(err, log.Close()))
		}
	}
	return f.drive(c, manifest, log, dir, nil)
}

// manifest is what p and the flags say a run is of.
func (f *runFlags) manifest(p *plan.Plan) results.Manifest {
	return results.Manifest{Plan: p, Until: unit.Share(f.until), Check: f.check, Search: f.search}
}

// describe shows what p would be, and runs nothing.
func (f *runFlags) describe(c *cobra.Command, p *plan.Plan) error {
	m := f.manifest(p)
	return broken(describe(c.OutOrStdout(), f.output.level, p, wayOf(m).foretell(m)))
}

func (f *runFlags) continueRun(c *cobra.Command, k *knobs, args []string) error {
	for _, name := range []string{"blocks", "duration", "warmup", "seed", "name", "variant", "exclude", "budget", "until", "goal", "limit", "trials", "out", "dry-run"} {
		if c.Flags().Changed(name) {
			return fmt.Errorf("--%s: --resume takes everything but -o and --quiet from the folder", name)
		}
	}
	if len(args) > 0 {
		return fmt.Errorf("%s: --resume takes its plan from the folder", args[0])
	}
	if len(k.named) > 0 {
		return fmt.Errorf("%s: --resume takes its knobs from the folder", k.named[0].Knob)
	}
	log, done, err := results.Resume(f.resume)
	if err != nil {
		return err
	}
	if err := cmp.Or(f.resumed(done.Manifest), rebuilt(f.resume, done.Manifest)); err != nil {
		return errors.Join(err, broken(log.Close()))
	}
	for _, line := range done.LeftOut() {
		fmt.Fprintln(c.ErrOrStderr(), line)
	}
	if err := affordable(done.Manifest.Plan); err != nil {
		return errors.Join(err, broken(log.Close()))
	}
	return f.drive(c, done.Manifest, log, f.resume, done.Records)
}

// drive runs what is left to be run in a folder, shows all of it, and ends as its way has it.
func (f *runFlags) drive(c *cobra.Command, m results.Manifest, log *results.Log, dir string, done []results.Record) error {
	w := wayOf(m)
	records, err := f.trials(c, w, m, log, done)
	if err == nil && w.then != nil {
		err = w.then(f, c, m, records, dir)
	}
	if c.Context().Err() != nil {
		fmt.Fprintf(c.ErrOrStderr(), "%d finished trials are kept in %s; go on with: %s --resume %s\n", len(records), dir, f.again, dir)
	} else if err != nil {
		return err
	}
	in, shown := input(m, records, dir)
	if shown == nil {
		shown = errors.Join(f.show(c.OutOrStdout(), f.output.level, in), f.exports.write(c.ErrOrStderr(), in))
	}
	if err == nil {
		err = shown
	}
	if f.output.level == "table" {
		fmt.Fprintf(c.ErrOrStderr(), "%d trials in %s\n", len(records), dir)
	}
	if err != nil {
		return err
	}
	return w.end(f, c.ErrOrStderr(), in)
}

// trials runs what is left to be run, closes the log, and returns all records; also those of a run that was cut short,
// whose error is then that of c's context alone.
func (f *runFlags) trials(c *cobra.Command, w way, m results.Manifest, log *results.Log, done []results.Record) (records []results.Record, err error) {
	p := m.Plan
	defer func() { err = errors.Join(err, broken(log.Close())) }()
	strategy, err := w.strategy(m)
	if err != nil {
		return done, err
	}
	progress := term.NewProgress(c.ErrOrStderr(), f.quiet)
	defer progress.Close()
	around := time.Duration(p.Warmup) + lab.Overhead // a measure phase
	counting, _ := results.Counting(done)
	progress.Start(w.trials(m), len(counting), around+time.Duration(p.Duration))

	var l lab.Lab
	defer l.Close()
	records = slices.Clone(done)
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
		progress.Trial(labelled(p, r.Cell), outcome(&r))
		return nil
	}
	strategy = tuner.Telling(strategy, func(step tuner.Step) {
		if step.Why != "" {
			progress.Add(len(p.Cells()))
			progress.Warn(step.Why)
		}
		switch {
		case step.Measuring > 0:
			progress.Expect(step.Left, around+step.Measuring/time.Duration(step.Left))
		case step.Left > 0:
			progress.Expect(step.Left, 0)
		}
	})
	last, err := tuner.Drive(c.Context(), strategy, runTrial, keep, done)
	progress.Close()
	if last.Stop != "" && m.Until > 0 && !f.quiet {
		fmt.Fprintln(c.ErrOrStderr(), last.Stop)
	}
	if cut := c.Context().Err(); cut != nil {
		return records, cut
	}
	return records, broken(err)
}

// labelled is the label of a record's cell, with the rate that a search chose.
func labelled(p *plan.Plan, c plan.Cell) string {
	label := p.Label(c)
	if rate, ok := c["rate"]; ok && !slices.ContainsFunc(p.Factors, func(f plan.Factor) bool { return f.Knob == "rate" }) {
		label += " rate=" + rate
	}
	return label
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

// answer is what every way says of records: of each cell, and why it is so.
func answer(m results.Manifest, records []results.Record, dir string) (a results.Answer, err error) {
	p := m.Plan
	asked, err := m.Asked(records)
	if err != nil {
		return a, broken(err)
	}
	a = results.Answer{Verdict: "done", Cells: results.Summarize(asked.Cells(), records), Sessions: results.Sessions(records), Run: dir}
	if err := wayOf(m).find(&a, m, records); err != nil {
		return a, err
	}
	a.Because = explain.Top(explain.Cells(p, records, nil))
	return a, nil
}

// waiting says on a terminal that a load of some seconds is running, until it is called.
func waiting(w io.Writer, d time.Duration) (stop func()) {
	if d < 2*time.Second {
		return func() {}
	}
	return term.Passing(w, fmt.Sprintf("measuring for %s …", d.Round(time.Millisecond)))
}
