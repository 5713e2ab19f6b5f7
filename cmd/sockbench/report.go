package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/report"
)

func reportCommand() *cobra.Command {
	output := choice{level: "table", of: report.Names()}
	effects := choice{of: results.MetricNames()}
	var exports exportFlag
	c := &cobra.Command{
		Use:   "report DIR",
		Short: "Show a run folder: its table and findings, or a file in another format",
		Long: `Show what the trials of a run folder say, as run did when it ended; with the doubts that its records hold. A folder
that is still being written, was interrupted or is damaged is shown as far as it is sound, and what was left out is named.`,
		Example: `  sockbench report runs/20261123T120000Z-run
  sockbench report runs/20261123T120000Z-run -o md
  sockbench report runs/20261123T120000Z-run --effects p50
  sockbench report runs/20261123T120000Z-run --export csv=trials.csv --export hlog=trials.hlog`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				return nil
			}
			return fmt.Errorf("%s takes one run folder, for example runs/20261123T120000Z-run; see %s --help", c.CommandPath(), c.CommandPath())
		},
		ValidArgsFunction: cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs),
		RunE: func(c *cobra.Command, args []string) error {
			boundGarbage(args...)
			run, err := openRun(c.ErrOrStderr(), args[0])
			if err != nil {
				return err
			}
			in, err := input(run.Manifest, run.Records, args[0])
			if err != nil {
				return err
			}
			if m, ok := results.FindMetric(effects.level); ok {
				in.Answer.Effects = results.EffectsOn(m, run.Manifest.Plan, run.Records)
			}
			if err := exports.write(c.ErrOrStderr(), in); err != nil {
				return err
			}
			return show(c.OutOrStdout(), output.level, in)
		},
	}
	output.flag(c)
	exports.flag(c)
	c.Flags().Var(&effects, "effects", "what each level of each factor does to this `METRIC`, and which factors act together (table, json, md, html): "+
		strings.Join(effects.of, ", "))
	complete(c, "effects", effects.of)
	return c
}

// openRun reads a run folder that holds trials, and says on w what of it had to be left out.
func openRun(w io.Writer, dir string) (*results.Run, error) {
	run, err := results.Open(dir)
	if err != nil {
		return nil, err
	}
	for _, line := range run.LeftOut() {
		fmt.Fprintln(w, line)
	}
	if len(run.Records) > 0 {
		return run, nil
	}
	if len(run.Damaged) > 0 {
		return nil, fmt.Errorf("%s holds no line that can be used", dir)
	}
	return nil, errors.New(dir + " holds no trial yet")
}

// roomy is a heap, in bytes, that every machine has room for.
const roomy = 420 << 20

// boundGarbage lets garbage lie as long as there is room, for a program that looks at these run folders. Their records,
// twice the size of the files, are nearly all of the heap: where they leave no room, garbage is at most half as large.
func boundGarbage(dirs ...string) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	size := int64(0)
	for _, dir := range dirs {
		size += results.Size(dir)
	}
	if size*5/2 > roomy {
		debug.SetGCPercent(50)
		return
	}
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(roomy)
}

// input is what the formats show of a run.
func input(m results.Manifest, records []results.Record, dir string) (report.Input, error) {
	a, err := answer(m, records, dir)
	if err == nil {
		m.Plan, err = m.Asked(records)
	}
	return report.Input{Manifest: m, Records: records, Answer: a}, broken(err)
}

// show writes in one of the formats of -o.
func show(w io.Writer, format string, in report.Input) error {
	f, ok := report.Find(format)
	if !ok {
		return fmt.Errorf("no format %s: choose one of %s", format, strings.Join(report.Names(), ", "))
	}
	in.Screen = term.ScreenOf(w)
	return broken(f.Write(w, in))
}

// exportFlag is --export FORMAT=PATH, any number of times.
type exportFlag []export

type export struct {
	format report.Format
	path   string
}

func (e *exportFlag) flag(c *cobra.Command) {
	c.Flags().Var(e, "export", "write the result to a file too, FORMAT=PATH: "+strings.Join(report.Names(), ", ")+"; repeatable")
	var begin []string
	for _, name := range report.Names() {
		begin = append(begin, name+"=")
	}
	complete(c, "export", begin)
}

func (e *exportFlag) Type() string { return "FORMAT=PATH" }

func (e *exportFlag) String() string {
	var all []string
	for _, x := range *e {
		all = append(all, x.format.Name+"="+x.path)
	}
	return strings.Join(all, " ")
}

// Set takes one FORMAT=PATH.
func (e *exportFlag) Set(text string) error {
	name, path, ok := strings.Cut(text, "=")
	f, known := report.Find(name)
	switch {
	case !ok || path == "":
		return errors.New("write it as FORMAT=PATH, for example md=result.md")
	case !known:
		return fmt.Errorf("no format %s: choose one of %s", name, strings.Join(report.Names(), ", "))
	case slices.ContainsFunc(*e, func(x export) bool { return x.path == path }):
		return fmt.Errorf("%s is named twice", path)
	}
	*e = append(*e, export{f, path})
	return nil
}

// write writes every file, whole or not at all, and names each on w.
func (e exportFlag) write(w io.Writer, in report.Input) error {
	for _, x := range e {
		if err := writeWhole(x.path, func(f io.Writer) error {
			in.Screen = term.ScreenOf(f)
			return x.format.Write(f, in)
		}); err != nil {
			return broken(fmt.Errorf("export %s: %w", x.format.Name, err))
		}
		fmt.Fprintf(w, "%s written to %s\n", x.format.Name, x.path)
	}
	return nil
}

// writeWhole replaces the file at path by what write writes; where that fails, the file stays as it was.
func writeWhole(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".sockbench-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	err = write(f)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
