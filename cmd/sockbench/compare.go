package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sockbench/sockbench/internal/near"
	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/compare"
	"github.com/sockbench/sockbench/results/explain"
	"github.com/sockbench/sockbench/unit"
)

// compareFlags are what compare is told.
type compareFlags struct {
	cells, filter []string
	by            string
	metrics       []string
	same          string
	anyway        bool
	sort          choice
	rows, cols    string
	exports       []string
}

func compareCommand() *cobra.Command {
	output := choice{level: "table", of: compare.Formats}
	f := compareFlags{sort: choice{level: compare.Orders[0], of: compare.Orders}}
	c := &cobra.Command{
		Use:   "compare A [B]",
		Short: "Say how two kinds of cells of a run differ, or two runs",
		Long: `Compare two kinds of cells of the run folder A in pairs of trials of one block that differ in nothing else: --cells names
them, first what is compared with; or --by names a knob with two levels. For each pair of cells and metric: the medians of
both sides, their ratio with its interval, and better, worse, same, or how many blocks it would take.

With a second folder B the cells that both have are compared, B against A. Runs differ by themselves: a verdict is given
only where at least 5 runs of A's plan, made on one machine, lie in the folder that A lies in, as these show by how much.

What differs in more than the knobs named is listed and not compared, but with --anyway.
Exit codes: 0 there is a verdict, whichever; 3 there is none; 2 what was asked cannot be compared.`,
		Example: `  sockbench compare runs/20261123T120000Z-run --by TCP_NODELAY
  sockbench compare runs/20261123T120000Z-run --cells target=epoll,write=split --cells target=goroutine,write=split
  sockbench compare runs/20261123T120000Z-run --rows target --cols TCP_NODELAY --metric p99
  sockbench compare runs/monday runs/tuesday --metric p50 --same 3%`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 1 || len(args) == 2 {
				return nil
			}
			return fmt.Errorf("%s takes one or two run folders; see %s --help", c.CommandPath(), c.CommandPath())
		},
		ValidArgsFunction: cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := f.compare(c, args)
			if err != nil {
				return err
			}
			if err := f.export(c.ErrOrStderr(), r); err != nil {
				return err
			}
			if err := r.Write(c.OutOrStdout(), output.level, term.ScreenOf(c.OutOrStdout())); err != nil {
				return broken(err)
			}
			if r.Settled() {
				return nil
			}
			return &failure{exitInconclusive, errors.New(unsettled(r))}
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringArrayVar(&f.cells, "cells", nil, "a kind of cells, as a knob list: target=epoll,TCP_NODELAY=on; twice: the second against the first")
	flags.StringVar(&f.by, "by", "", "compare the two levels of this knob, the second against the first")
	flags.StringSliceVar(&f.metrics, "metric", compare.Metrics, "what to compare; repeatable")
	flags.StringVar(&f.same, "same", unit.Share(compare.SameWithin).String(), "sides are the same if the whole interval lies within so much of no difference")
	flags.StringArrayVar(&f.filter, "filter", nil, "only cells with these levels, a knob list; repeatable: or those")
	flags.Var(&f.sort, "sort", "how rows are sorted: "+strings.Join(compare.Orders, ", "))
	flags.StringVar(&f.rows, "rows", "", "with --cols, a table of two knobs: this one down")
	flags.StringVar(&f.cols, "cols", "", "and this one across, each level against the first")
	flags.BoolVar(&f.anyway, "anyway", false, "compare runs that differ in more than the knobs named")
	output.flag(c)
	flags.StringArrayVar(&f.exports, "export", nil, "write the result to a file too, FORMAT=PATH: "+strings.Join(compare.Formats, ", ")+"; repeatable")
	complete(c, "metric", results.MetricNames())
	complete(c, "sort", compare.Orders)
	for _, flag := range []string{"cells", "filter", "by", "rows", "cols"} {
		completeFromRun(c, flag, flag == "cells" || flag == "filter")
	}
	return c
}

// completeFromRun offers a run's knobs, with levels where these are wanted.
func completeFromRun(c *cobra.Command, flag string, levels bool) {
	err := c.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, args []string, typed string) (out []string, _ cobra.ShellCompDirective) {
		const nothingElse = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		if len(args) == 0 {
			return nil, nothingElse
		}
		m, err := results.ReadManifest(args[0])
		if err != nil {
			return nil, nothingElse
		}
		before := typed[:strings.LastIndex(typed, ",")+1]
		for _, factor := range m.Plan.Factors {
			if !levels {
				out = append(out, factor.Knob)
				continue
			}
			for _, level := range factor.Levels {
				out = append(out, before+factor.Knob+"="+level)
			}
		}
		return out, nothingElse
	})
	if err != nil {
		panic(err) // the flag was added before
	}
}

// unsettled says why the exit code is 3.
func unsettled(r *compare.Result) string {
	if r.Sessions != nil && r.Sessions.Why != "" {
		return "no verdict: " + r.Sessions.Why
	}
	needs := 0
	for _, row := range r.Rows {
		if row.Needs > 0 && (needs == 0 || row.Needs < needs) {
			needs = row.Needs
		}
	}
	if needs > 0 {
		return fmt.Sprintf("unclear: the least that could settle any of it is a run of %d blocks", needs)
	}
	return "no verdict"
}

// compare reads the folders and compares what is asked for.
func (f *compareFlags) compare(c *cobra.Command, args []string) (*compare.Result, error) {
	var metrics []results.Metric
	for _, name := range f.metrics {
		m, ok := results.FindMetric(name)
		if !ok {
			names := results.MetricNames()
			return nil, fmt.Errorf("--metric %s: there is no such metric%s: choose of %s", name, near.Suggest(name, names), strings.Join(names, ", "))
		}
		if !slices.ContainsFunc(metrics, func(o results.Metric) bool { return o.Name == name }) {
			metrics = append(metrics, m)
		}
	}
	var same unit.Share
	if err := same.UnmarshalText([]byte(f.same)); err != nil || same <= 0 {
		return nil, fmt.Errorf("--same %s: write it as 5%%", f.same)
	}
	boundGarbage(args...)
	a, err := openComparable(c.ErrOrStderr(), args[0])
	if err != nil {
		return nil, err
	}
	filter, err := explain.Select(a.Manifest.Plan, f.filter)
	if err != nil {
		return nil, err
	}
	switch pivot := f.rows != "" || f.cols != ""; {
	case pivot && (f.rows == "" || f.cols == "" || len(f.cells) > 0 || f.by != "" || len(args) > 1):
		return nil, errors.New("--rows and --cols go together, with one run, and without --cells and --by")
	case pivot:
		groups, err := compare.Table(a.Manifest.Plan, f.rows, f.cols, filter)
		if err != nil {
			return nil, err
		}
		r := compare.Inside(a, groups, []string{f.cols}, metrics, float64(same))
		r.Pivot = true
		return r, nil
	case len(args) == 2:
		return f.between(c, a, args[1], filter, metrics, float64(same))
	}
	x, y, err := f.sides(a.Manifest.Plan, a.Manifest.Plan)
	if err != nil {
		return nil, err
	}
	knobs, err := compare.Sides(x, y)
	if err == nil && len(knobs) == 0 {
		err = errors.New("both --cells are the same: name another level of a knob in the second")
	}
	if err != nil {
		return nil, err
	}
	groups, left := compare.Groups(a.Manifest.Plan, a.Manifest.Plan, x, y, filter)
	if len(groups) == 0 {
		return nil, fmt.Errorf("no two cells of %s differ in %s alone", a.Dir, strings.Join(knobs, ", "))
	}
	r := compare.Inside(a, groups, knobs, metrics, float64(same))
	r.Sides, r.Left = [2]string{x.String(), y.String()}, left
	r.Sort(f.sort.level)
	return r, nil
}

// openComparable is openRun of what has pairs of trials: those of a search for a capacity are each at a rate of their own.
func openComparable(w io.Writer, dir string) (*results.Run, error) {
	run, err := openRun(w, dir)
	if err == nil && run.Manifest.Search != nil && run.Manifest.Search.Strategy == results.CapacitySearch {
		return nil, fmt.Errorf("%s is of a search for a capacity: its trials are at different rates and make no pairs; compare at one rate that all sustain: sockbench run … --rate RATE", dir)
	}
	return run, err
}

// sides are what is compared inside a run, or of two: by --cells, or by --by.
func (f *compareFlags) sides(a, b *plan.Plan) (x, y plan.Cell, err error) {
	if f.by != "" && len(f.cells) > 0 {
		return nil, nil, errors.New("--by and --cells: both say what to compare: name one")
	}
	switch len(f.cells) {
	case 0:
		return compare.Default(a, f.by)
	case 2:
		xs, err := explain.Select(a, f.cells[:1])
		if err != nil {
			return nil, nil, err
		}
		ys, err := explain.Select(b, f.cells[1:])
		if err != nil {
			return nil, nil, err
		}
		return xs[0], ys[0], nil
	}
	return nil, nil, errors.New("--cells is named twice: first what is compared with, then what is compared")
}

// between compares two runs.
func (f *compareFlags) between(c *cobra.Command, a *results.Run, dir string, filter []plan.Cell, metrics []results.Metric, same float64) (*compare.Result, error) {
	b, err := openComparable(c.ErrOrStderr(), dir)
	if err != nil {
		return nil, err
	}
	x, y := plan.Cell{}, plan.Cell{}
	switch {
	case f.by != "":
		return nil, errors.New("--by is for one run; of two, --cells names what is compared in each")
	case len(f.cells) > 0:
		if x, y, err = f.sides(a.Manifest.Plan, b.Manifest.Plan); err != nil {
			return nil, err
		}
	}
	knobs, err := compare.Sides(x, y)
	if err != nil {
		return nil, err
	}
	groups, left := compare.Groups(a.Manifest.Plan, b.Manifest.Plan, x, y, filter)
	if len(groups) == 0 {
		return nil, fmt.Errorf("%s and %s have no cell in common", a.Dir, b.Dir)
	}
	differences := compare.Differences(a, b, groups, knobs)
	if len(differences) > 0 && !f.anyway {
		lines := []string{fmt.Sprintf("%s and %s differ in more than what is compared; if you want that, add --anyway", a.Dir, b.Dir)}
		for _, d := range differences {
			lines = append(lines, fmt.Sprintf("  %s: %s and %s", d.What, d.A, d.B))
		}
		return nil, errors.New(strings.Join(lines, "\n"))
	}
	refused := ""
	if !compare.SameMachine(&a.Manifest, &b.Manifest) {
		refused = "the runs are of different machines, or it is not known of which"
	}
	known, found, err := sessions(a, b, metrics)
	if err != nil {
		return nil, broken(err)
	}
	r := compare.Between(a, b, groups, knobs, metrics, same, known, found, refused)
	r.Sides, r.Left, r.Differences = [2]string{strings.TrimSpace(a.Dir + " " + x.String()), strings.TrimSpace(b.Dir + " " + y.String())}, left, differences
	r.Sort(f.sort.level)
	return r, nil
}

// sessions are the runs of a's plan and machine in the folder that holds a, b left out, and how many others are there.
func sessions(a, b *results.Run, metrics []results.Metric) (known []compare.Session, found int, err error) {
	known = append(known, compare.SessionOf(a, metrics))
	own, err := os.Stat(a.Dir)
	if err != nil {
		return nil, 0, err
	}
	other, err := os.Stat(b.Dir)
	if err != nil {
		return nil, 0, err
	}
	beside := filepath.Join(a.Dir, "..")
	entries, err := os.ReadDir(beside)
	if err != nil {
		return nil, 0, err
	}
	for _, e := range entries {
		dir := filepath.Join(beside, e.Name())
		info, err := os.Stat(dir)
		if err != nil || !info.IsDir() || os.SameFile(info, own) || os.SameFile(info, other) {
			continue
		}
		m, err := results.ReadManifest(dir)
		if err != nil {
			continue // no run folder, or one that nobody can read: it is not counted
		}
		found++
		if m.Digest != a.Manifest.Digest || !compare.SameMachine(&m, &a.Manifest) {
			continue
		}
		run, err := results.Open(dir)
		if err == nil && len(run.Records) > 0 {
			known = append(known, compare.SessionOf(run, metrics))
		}
	}
	return known, found, nil
}

// export writes every file that --export names, whole or not at all, and names each on w.
func (f *compareFlags) export(w io.Writer, r *compare.Result) error {
	for _, e := range f.exports {
		format, path, ok := strings.Cut(e, "=")
		if !ok || path == "" || !slices.Contains(compare.Formats, format) {
			return fmt.Errorf("--export %s: write it as FORMAT=PATH, of the formats %s", e, strings.Join(compare.Formats, ", "))
		}
		if err := writeWhole(path, func(out io.Writer) error { return r.Write(out, format, term.Screen{}) }); err != nil {
			return broken(fmt.Errorf("export %s: %w", format, err))
		}
		fmt.Fprintf(w, "%s written to %s\n", format, path)
	}
	return nil
}
