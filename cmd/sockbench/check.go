package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/report"
	"github.com/sockbench/sockbench/results/stats"
	"github.com/sockbench/sockbench/targets"
	"github.com/sockbench/sockbench/unit"
)

// checkFlags are what a check is told beside its knobs.
type checkFlags struct {
	runFlags
	old, new string
	refs     refFlags
	worse    []string
	file     string // the plan's; "": there is none
}

func checkCommand() *cobra.Command {
	var k knobs
	f := checkFlags{runFlags: runFlags{output: choice{level: "table", of: report.Names()}, show: show,
		again: "sockbench check", check: &results.Checking{}, resumed: isCheck}}
	c := &cobra.Command{
		Use:   "check [PLAN.yaml]",
		Short: "Compare an old side with a new one, and end with a verdict and an exit code",
		Long: `Run the old side and the new one in pairs of neighbouring trials, in random order and under the same arrivals, and end as
soon as the verdict is known: fine, improvement, regression, or inconclusive. Never all of the old and then all of the new,
and never against numbers of another day: a machine drifts, and drift looks like a change.

A side is a command, whose {port} is where it must listen, or a list of knobs. Every other knob is common to both. With
--old-ref the sides are commits: each is checked out into a folder of its own, built there by --build (in a shell), and
--target is run there. The new side is --new-ref, or what is in the work tree, files that git does not know left out. A plan
file has two variants and a gate. Several levels of a common knob are several cells: each is gated by itself.

It looks at the pairs when there are 10, 15, 20, 30 and 40. A metric is a regression when it is shown to be worse at all, with
a probability of error of 1 % over all looks and gates, and its estimate is worse by --worse or more; it is fine when a loss
of so much is ruled out, with one of 5 %. Pairs that the machine disturbed are run again, whatever they measured.

Exit codes: 0 fine or improvement, 1 regression, 2 usage, 3 inconclusive, 4 a side cannot be measured (it does not build or
start, it ends, more than 1 % of its requests fail), 130 interrupted. With --bisect, for git bisect run: 0 good, 1 bad, 125 to
skip a commit that cannot be judged (3 and 4), 128 and more to stop (2 and 130).

Under GitHub Actions the verdict is an annotation too, and the step's summary has the table.`,
		Example: `  sockbench check --old './server-1.0 --port {port}' --new './server-1.1 --port {port}'
  sockbench check --target epoll --old TCP_NODELAY=off --new TCP_NODELAY=on --write split --connections 4
  sockbench check --old 'backlog=16' --new 'backlog=1024' --connections 1,64 --worse throughput=3%
  sockbench check --old-ref HEAD~1 --build 'go build -o server ./cmd/server' --target 'exec: ./server --port {port}'
  sockbench check examples/variants.yaml --budget 2m --export md=verdict.md --export junit=verdict.xml
  git bisect run sockbench check --bisect --old-ref v1.0 --build make --target 'exec: ./server --port {port}'`,
		Args:              onePlan,
		ValidArgsFunction: cobra.FixedCompletions([]string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt),
		RunE: func(c *cobra.Command, args []string) error {
			f.file = strings.Join(args, "")
			return f.gate.annotated(c.ErrOrStderr(), f.file, f.run(c, &k))
		},
	}
	f.flags(c)
	k.flags(c)
	return c
}

func (f *checkFlags) flags(c *cobra.Command) {
	f.warmup, f.duration = durationFlag(plan.DefaultWarmup), durationFlag(plan.DefaultDuration)
	c.Flags().StringVar(&f.old, "old", "", "the old side: a command, as './server --port {port}', or knobs, as target=epoll,TCP_NODELAY=on")
	c.Flags().StringVar(&f.new, "new", "", "the new side")
	f.refs.flags(c)
	c.Flags().StringArrayVar(&f.worse, "worse", nil, "how much worse a metric may become, as throughput=5%; repeatable; default throughput=5%, with a rate p99=20%")
	f.gate.flags(c)
	c.Flags().Var(&f.budget, "budget", "as many pairs as fit into this time, for example 1m")
	c.Flags().IntVar(&f.blocks, "blocks", stats.MostPairs, "pairs at most")
	c.Flags().StringArrayVar(&f.exclude, "exclude", nil, "leave out the cells with these levels: connections=64,write=split")
	c.Flags().Var(&f.duration, "duration", "length of a trial's measure phase")
	c.Flags().Var(&f.warmup, "warmup", "load before the measure phase, which does not count")
	c.Flags().Uint64Var(&f.seed, "seed", 0, "of the order of trials, arrivals and service times; default: drawn anew, because a coin that always falls alike is none")
	c.Flags().StringVar(&f.name, "name", "check", "of the check, for its folder")
	c.Flags().StringVar(&f.out, "out", "", "the run folder, new or empty; default runs/<UTC>-<name>")
	c.Flags().StringVar(&f.resume, "resume", "", "go on with the check in this folder")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "show sides, order, time and what can be found, and run nothing")
	c.Flags().BoolVar(&f.quiet, "quiet", false, "no progress")
	f.output.flag(c)
	f.exports.flag(c)
}

func (f *checkFlags) run(c *cobra.Command, k *knobs) (err error) {
	if f.resume != "" {
		for _, name := range []string{"old", "new", "old-ref", "new-ref", "build", "worse"} {
			if c.Flags().Changed(name) {
				return fmt.Errorf("--%s: --resume takes it from the folder", name)
			}
		}
		return f.continueRun(c, k, slices.DeleteFunc([]string{f.file}, func(s string) bool { return s == "" }))
	}
	k.environment()
	sides, target, err := f.sides(k)
	if err != nil {
		return err
	}
	if target != "" {
		t, opened := f.refs.open(c.Context())
		if opened != nil {
			return opened
		}
		defer func() { err = errors.Join(err, t.close()) }()
		if !f.dryRun {
			if err := t.build(c.Context(), f.refs.command, f.say(c)); err != nil {
				return err
			}
		}
		sides, f.check = t.sides(target), t.checking(f.refs.command)
	}
	p, err := f.plan(c, k, sides)
	if err != nil {
		return err
	}
	if f.dryRun {
		return f.describe(c, p)
	}
	return f.newRun(c, p)
}

// sides are the variants that --old and --new name, or none; target is the command that is built from commits instead.
func (f *checkFlags) sides(k *knobs) (sides []plan.Variant, target string, err error) {
	named := f.old != "" || f.new != ""
	switch {
	case f.refs.old != "":
		if named || f.file != "" {
			return nil, "", errors.New("--old-ref: both sides are commits then: leave --old, --new and the plan file out")
		}
		target, err := f.refs.target(k)
		return nil, target, err
	case f.refs.new != "" || f.refs.command != "":
		return nil, "", errors.New("--new-ref and --build go with --old-ref: name the commit to compare with")
	case named:
		old, err1 := side("old", f.old)
		new, err2 := side("new", f.new)
		return []plan.Variant{old, new}, "", errors.Join(err1, err2)
	case f.file == "":
		return nil, "", errors.New("nothing to compare: name --old and --new, --old-ref and --build, or a plan file with two variants and a gate")
	}
	return nil, "", nil
}

// side is one side of the comparison: knobs, where the text begins with one and =, or else a command.
func side(name, text string) (plan.Variant, error) {
	v := plan.Variant{Name: name}
	if text = strings.TrimSpace(text); text == "" {
		return v, fmt.Errorf("--%s is missing: name both sides", name)
	}
	first, _, equals := strings.Cut(text, "=")
	_, unknown := plan.Lookup(strings.TrimSpace(first))
	if equals && unknown == nil {
		cell, err := plan.ParseKnobList(text)
		if err != nil {
			return v, fmt.Errorf("--%s: %w", name, err)
		}
		v.Knobs = cell
		return v, nil
	}
	if _, err := targets.Find(text); err == nil {
		return v, fmt.Errorf("--%s %s: write target=%s", name, text, text)
	}
	foreign := strings.HasPrefix(text, "exec:") || strings.HasPrefix(text, "addr:")
	if !foreign && !strings.Contains(text, "{port}") {
		if equals && !strings.ContainsAny(first, " /") {
			return v, fmt.Errorf("--%s: %w", name, unknown)
		}
		return v, fmt.Errorf("--%s %q: a command needs {port} where it takes its port, as './server --port {port}'; knobs are written target=epoll,TCP_NODELAY=on", name, text)
	}
	if !foreign {
		text = "exec: " + text
	}
	v.Knobs = plan.Cell{"target": text}
	return v, nil
}

// plan is the plan file, or one of the knobs, with the sides as its variants, a gate, and as many blocks as there may be.
func (f *checkFlags) plan(c *cobra.Command, k *knobs, sides []plan.Variant) (*plan.Plan, error) {
	change, err := f.changes(c, k)
	if err != nil {
		return nil, err
	}
	if change.Gate, err = gate(f.worse); err != nil {
		return nil, err
	}
	change.Variants, change.Blocks, change.Seed = sides, &f.blocks, &f.seed
	if !c.Flags().Changed("seed") {
		f.seed = rand.Uint64() >> 11 // 53 bits, which every JSON reader keeps
	}
	var base *plan.Plan
	if f.file != "" {
		base, err = readPlan(f.file)
	} else {
		base, err = plan.New(f.name, plan.DefaultSeed, stats.MostPairs, plan.DefaultWarmup, plan.DefaultDuration, nil)
	}
	if err != nil {
		return nil, err
	}
	p, err := base.With(change)
	if err != nil {
		return nil, err
	}
	if len(p.Gate) == 0 {
		usual := plan.Gate{Metric: "throughput", Worse: .05}
		if p.Block(0, 0)[0].Spec.Load.OpenLoop() {
			usual = plan.Gate{Metric: "p99", Worse: .20}
		}
		if p, err = p.With(plan.Changes{Gate: []plan.Gate{usual}}); err != nil {
			return nil, err
		}
	}
	if f.budget != 0 {
		if p, err = f.within(c, p); err != nil {
			return nil, err
		}
	}
	return p, results.CheckFits(p)
}

// within is p with as many blocks as --budget allows.
func (f *checkFlags) within(c *cobra.Command, p *plan.Plan) (*plan.Plan, error) {
	if c.Flags().Changed("blocks") {
		return nil, errors.New("--blocks and --budget: both say how long to run: name one")
	}
	blocks := 0
	for blocks < stats.MostPairs && longest(p, blocks+1) <= time.Duration(f.budget) {
		blocks++
	}
	if least := results.FewestPairs(p); blocks < least {
		return nil, fmt.Errorf("--budget %s: a verdict takes %d pairs at least, here %s, half as much again if many are disturbed: give it %s or more, or shorter trials",
			f.budget.String(), least, unit.Duration(length(p, least).Round(time.Second)), unit.Duration(longest(p, least).Round(time.Second)+time.Second))
	}
	return p.With(plan.Changes{Blocks: &blocks})
}

// gate reads the values of --worse.
func gate(texts []string) (gates []plan.Gate, err error) {
	var errs []error
	for _, text := range texts {
		metric, worse, ok := strings.Cut(text, "=")
		g := plan.Gate{Metric: strings.TrimSpace(metric)}
		if !ok {
			errs = append(errs, fmt.Errorf("--worse %s: write a metric and how much worse it may become, as throughput=5%%", text))
			continue
		}
		if err := g.Worse.UnmarshalText([]byte(worse)); err != nil {
			errs = append(errs, fmt.Errorf("--worse %s: %w", text, err))
		}
		gates = append(gates, g)
	}
	return gates, errors.Join(errs...)
}

// foretellCheck says how long a check takes, and what it can find.
func foretellCheck(p *plan.Plan) string {
	least := results.FewestPairs(p)
	round := func(d time.Duration) unit.Duration { return unit.Duration(d.Round(time.Second)) }
	cells := len(p.Cells()) / 2
	of := ""
	if cells > 1 {
		of = fmt.Sprintf(" of %s", term.Count(cells, "cell"))
	}
	return fmt.Sprintf("%d to %d pairs%s of trials of %s + %s: %s to %s, or up to %s where disturbed pairs are run again\n%s", least, p.Blocks, of,
		p.Warmup, p.Duration, round(length(p, least)), round(length(p, p.Blocks)), round(longest(p, p.Blocks)), results.ForeseeCheck(p))
}

// isCheck says whether a folder can be gone on with by check.
func isCheck(m results.Manifest) error {
	if m.Check == nil {
		return errors.New("--resume: the folder is of a run, not of a check: use sockbench run --resume")
	}
	return nil
}

// rebuilt says why a folder cannot be gone on with: what it measured was built from commits, and is gone.
func rebuilt(dir string, m results.Manifest) error {
	if m.Check == nil || m.Check.Build == "" {
		return nil
	}
	return fmt.Errorf("--resume %s: its sides were built from commits, and what was built is gone: start it anew; what is there is shown by sockbench report %s", dir, dir)
}

// say tells people what goes on, unless they want no progress.
func (f *checkFlags) say(c *cobra.Command) func(format string, args ...any) {
	return func(format string, args ...any) {
		if !f.quiet {
			fmt.Fprintf(c.ErrOrStderr(), format+"\n", args...)
		}
	}
}
