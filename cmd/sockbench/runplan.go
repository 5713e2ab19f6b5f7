package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/lab"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/tuner"
	"github.com/sockbench/sockbench/unit"
)

// planFlags are what a plan is told on the command line beside its knobs.
type planFlags struct {
	name             string
	seed             uint64
	blocks           int
	warmup, duration durationFlag
	variants         []string
	exclude          []string
	budget           durationFlag
	until            untilFlag
	limits           []string

	notes []string // on the plan that was made, for people
}

func (f *planFlags) flags(c *cobra.Command) {
	f.experiment(c, "run")
	c.Flags().IntVar(&f.blocks, "blocks", plan.DefaultBlocks, "how often every cell is run; with --until: at most")
	c.Flags().Var(&f.budget, "budget", "as many blocks as fit into this time, for example 5m")
	c.Flags().Var(&f.until, "until", "more blocks until the 99 % interval of every factor's effect reaches at most this far to either side: interval=5%")
}

// experiment adds the flags that say what is run, and not how often.
func (f *planFlags) experiment(c *cobra.Command, name string) {
	f.warmup, f.duration = durationFlag(plan.DefaultWarmup), durationFlag(plan.DefaultDuration)
	c.Flags().StringArrayVar(&f.variants, "variant", nil, "a named bundle of knobs, for example 'new: backlog=1024,TCP_NODELAY=on'; several are compared")
	c.Flags().StringArrayVar(&f.exclude, "exclude", nil, "leave out the cells with these levels: target=blocking,write=split")
	c.Flags().Var(&f.duration, "duration", "length of a trial's measure phase")
	c.Flags().Var(&f.warmup, "warmup", "load before the measure phase, which does not count")
	c.Flags().Uint64Var(&f.seed, "seed", plan.DefaultSeed, "of the order of trials, arrivals and service times")
	c.Flags().StringVar(&f.name, "name", name, "of the run, for its folder")
}

// limitFlag adds the flag of what is to be kept to, for commands that look for something within limits.
func (f *planFlags) limitFlag(c *cobra.Command, help string) {
	c.Flags().StringArrayVar(&f.limits, "limit", nil, help+"; repeatable, and instead of the plan's limits")
}

// untilFlag is "interval=5%".
type untilFlag unit.Share

func (u *untilFlag) String() string { return "" }
func (u *untilFlag) Type() string   { return "interval=SHARE" }
func (u *untilFlag) Set(s string) error {
	what, text, _ := strings.Cut(s, "=")
	if what != "interval" {
		return errors.New("write for example interval=5%")
	}
	if err := (*unit.Share)(u).UnmarshalText([]byte(text)); err != nil {
		return err
	}
	if *u < 0.001 || *u > 0.5 {
		return errors.New("choose between 0.1% and 50%")
	}
	return nil
}

// plan is the changed one, with as many blocks as --budget and --until ask for.
func (f *planFlags) plan(c *cobra.Command, k *knobs, file string) (*plan.Plan, error) {
	p, err := f.changed(c, k, file)
	if err != nil || f.budget == 0 && f.until == 0 {
		return p, err
	}
	blocks, err := f.most(c, p)
	if err != nil {
		return nil, err
	}
	return p.With(plan.Changes{Blocks: &blocks})
}

// changed is the plan of file with what flags and environment change in it; without a file it is made of the knobs alone,
// or the built-in one where none is named.
func (f *planFlags) changed(c *cobra.Command, k *knobs, file string) (*plan.Plan, error) {
	change, err := f.changes(c, k)
	if err != nil {
		return nil, err
	}
	base := plan.Builtin()
	switch command, alone := onlyCommand(k, f.variants); {
	case file != "":
		base, err = readPlan(file)
	case alone:
		base, err = f.foreign(command)
	case len(k.named)+len(f.variants) > 0:
		base, err = plan.New(f.name, plan.DefaultSeed, plan.DefaultBlocks, plan.DefaultWarmup, plan.DefaultDuration, nil)
	}
	if err != nil {
		return nil, err
	}
	p, err := base.With(change)
	if err != nil {
		return nil, err
	}
	p, notes, err := merge(p)
	f.notes = append(f.notes, notes...)
	return p, err
}

// onlyCommand is the command that is named as the target, where no other knob is named.
func onlyCommand(k *knobs, variants []string) (target plan.Level, ok bool) {
	if len(k.named) != 1 || len(variants) > 0 || k.named[0].Knob != "target" || len(k.named[0].Levels) != 1 {
		return "", false
	}
	target = k.named[0].Levels[0]
	return target, strings.HasPrefix(target, "exec:")
}

// foreign is the plan for a command alone, and a note on what was chosen and what was not.
func (f *planFlags) foreign(target plan.Level) (*plan.Plan, error) {
	p, err := plan.Foreign(target, runtime.NumCPU())
	if err != nil {
		return nil, err
	}
	var chosen []string
	for _, factor := range p.Factors[1:] {
		chosen = append(chosen, factor.Knob+"="+strings.Join(factor.Levels, ","))
	}
	f.notes = append(f.notes,
		"no knob but the target is named; chosen, of those that act on a server that is not ours: "+strings.Join(chosen, " "),
		"not chosen: "+strings.Join(plan.Inside(target), ", ")+" and the options of the server's sockets act inside the server only, and this one is not ours: "+
			"write them into its command, as {workers}; sysctls act where the trial has a network of its own, which naming one makes: --set sysctl.net.…")
	return p, nil
}

// maxPlan is more than any plan has.
const maxPlan = 2 << 20

func readPlan(name string) (*plan.Plan, error) {
	in, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the plan: %w", err)
	}
	defer in.Close()
	src, err := io.ReadAll(io.LimitReader(in, maxPlan))
	if err != nil {
		return nil, fmt.Errorf("read the plan: %w", err)
	}
	return plan.Parse(name, src)
}

// changes are the flags that were named, and the knobs.
func (f *planFlags) changes(c *cobra.Command, k *knobs) (plan.Changes, error) {
	change := plan.Changes{Knobs: k.named}
	if c.Flags().Changed("name") {
		change.Name = &f.name
	}
	if c.Flags().Changed("seed") {
		change.Seed = &f.seed
	}
	if c.Flags().Changed("blocks") {
		change.Blocks = &f.blocks
	}
	if c.Flags().Changed("warmup") {
		change.Warmup = (*unit.Duration)(&f.warmup)
	}
	if c.Flags().Changed("duration") {
		change.Duration = (*unit.Duration)(&f.duration)
	}
	var errs []error
	for _, text := range f.exclude {
		cell, err := plan.ParseKnobList(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("--exclude: %w", err))
		}
		change.Exclude = append(change.Exclude, cell)
	}
	for _, text := range f.variants {
		name, list, ok := strings.Cut(text, ":")
		if !ok {
			errs = append(errs, fmt.Errorf("--variant %q: write a name, a colon and knobs, for example 'new: backlog=1024,TCP_NODELAY=on'", text))
			continue
		}
		bundle, err := plan.ParseKnobList(list)
		if err != nil {
			errs = append(errs, fmt.Errorf("--variant %s: %w", name, err))
		}
		change.Variants = append(change.Variants, plan.Variant{Name: strings.TrimSpace(name), Knobs: bundle})
	}
	for _, text := range f.limits {
		metric, limit, ok := strings.Cut(text, "=")
		if !ok {
			errs = append(errs, fmt.Errorf("--limit %s: write a metric and what it must keep to, as p99=2ms or errors=0", text))
			continue
		}
		change.Limits = append(change.Limits, plan.Limit{Metric: strings.TrimSpace(metric), Limit: strings.TrimSpace(limit)})
	}
	return change, errors.Join(errs...)
}

// wide is how many times the blocks that --until is expected to take it may take at most, where nothing else is said.
const wide = 4

// most is how many blocks a run of p has, or may have, by --budget and --until.
func (f *planFlags) most(c *cobra.Command, p *plan.Plan) (int, error) {
	if f.budget == 0 {
		if c.Flags().Changed("blocks") {
			return p.Blocks, nil
		}
		return wide * max(results.BlocksFor(p, float64(f.until)), results.FewestBlocks(p)), nil
	}
	if c.Flags().Changed("blocks") {
		return 0, errors.New("--blocks and --budget: both say how long to run: name one")
	}
	blocks := 0
	for longest(p, blocks+1) <= time.Duration(f.budget) {
		blocks++
	}
	if blocks == 0 {
		return 0, fmt.Errorf("--budget %s: one block of %d cells takes %s, twice that if it is disturbed: give it %s or more, or name fewer levels",
			f.budget.String(), len(p.Cells()), length(p, 1), longest(p, 1).Round(time.Second))
	}
	return blocks, nil
}

// length is how long so many blocks of p take; longest, if as many as may be are run again.
func length(p *plan.Plan, blocks int) time.Duration {
	return time.Duration(blocks) * p.Time(lab.Overhead) / time.Duration(p.Blocks)
}

func longest(p *plan.Plan, blocks int) time.Duration { return length(p, blocks+tuner.Repeats(blocks)) }

// expected is how many blocks a run of p is likely to have.
func expected(p *plan.Plan, until unit.Share) int {
	if until == 0 {
		return p.Blocks
	}
	return min(p.Blocks, max(results.BlocksFor(p, float64(until)), results.FewestBlocks(p)))
}

// foretell says how long a run takes and what that buys.
func foretell(p *plan.Plan, until unit.Share) string {
	cells := len(p.Cells())
	round := func(d time.Duration) string {
		if d >= 10*time.Second {
			d = d.Round(time.Second)
		}
		return unit.Duration(d.Round(10 * time.Millisecond)).String()
	}
	says := fmt.Sprintf("%s × %s = %s of %s + %s: %s, or up to %s where disturbed blocks are run again\n%s",
		term.Count(cells, "cell"), term.Count(p.Blocks, "block"), term.Count(cells*p.Blocks, "trial"), p.Warmup, p.Duration, round(length(p, p.Blocks)), round(longest(p, p.Blocks)), results.Foresee(p, p.Blocks))
	if until == 0 {
		return says
	}
	n := expected(p, until)
	return fmt.Sprintf("until interval=%s: about %s, %s, where trials scatter as on a busy virtual machine; at most:\n%s",
		until, term.Count(n, "block"), round(length(p, n)), says)
}
