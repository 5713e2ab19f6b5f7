package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sockbench/sockbench/internal/machine"
	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/playbook"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/report"
	"github.com/sockbench/sockbench/unit"
)

func playbookCommand() *cobra.Command {
	f := runFlags{output: choice{level: "table", of: []string{"table", "json", "md"}}}
	printPlan := false
	c := &cobra.Command{
		Use:   "playbook [NAME]",
		Short: "List the named experiments, or run one and hear what it shows",
		Long: `Without a name, list the experiments. With one, run it: it ends with a verdict on what it claims (holds, holds only if …,
not shown, refuted), with the numbers that it rests on and how many are behind them.

Most are a plan as sockbench run takes it, which --plan prints to be changed; its trials are kept in a run folder and shown
as run shows them. Some measure by themselves, and leave no folder: start-cost, stop.`,
		Example: `  sockbench playbook
  sockbench playbook start-cost
  sockbench playbook sticky-packets --blocks 12
  sockbench playbook sticky-packets --plan > my.yaml && sockbench run my.yaml --target naive,epoll`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 2 {
				return nil
			}
			return fmt.Errorf("%s takes one name, not %q too; see %s --help", c.CommandPath(), args[1], c.CommandPath())
		},
		ValidArgs: playbook.Names(),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return listPlaybooks(c, f.output.level)
			}
			b, err := playbook.Find(args[0])
			if err != nil {
				return err
			}
			switch {
			case printPlan && b.Plan == "":
				return fmt.Errorf("--plan: playbook %s has none: it is no matrix of trials", b.Name)
			case printPlan:
				_, err := io.WriteString(c.OutOrStdout(), b.Plan)
				return broken(err)
			case b.Plan == "":
				return f.measure(c, b)
			}
			return f.playPlan(c, b)
		},
	}
	c.Flags().BoolVar(&printPlan, "plan", false, "print the playbook's plan file, and run nothing")
	c.Flags().IntVar(&f.blocks, "blocks", 0, "how often everything is measured; default: as the playbook says")
	c.Flags().Var(&f.duration, "duration", "length of a trial's measure phase; default: as the playbook says")
	c.Flags().StringVar(&f.out, "out", "", "the run folder, new or empty; default runs/<UTC>-<name>")
	c.Flags().StringVar(&f.resume, "resume", "", "go on with the run in this folder, or judge it again")
	c.Flags().BoolVar(&f.quiet, "quiet", false, "no progress")
	f.output.flag(c)
	return c
}

func listPlaybooks(c *cobra.Command, format string) error {
	for _, name := range []string{"plan", "blocks", "duration", "out", "resume"} {
		if c.Flags().Changed(name) {
			return fmt.Errorf("--%s: name a playbook: %s", name, strings.Join(playbook.Names(), ", "))
		}
	}
	t := term.Table{Columns: []term.Column{{Name: "playbook"}, {Name: "what it finds out"}}}
	type view struct {
		Name string `json:"name"`
		Doc  string `json:"doc"`
	}
	var all []view
	for _, b := range playbook.All {
		all = append(all, view{b.Name, b.Doc})
		t.Rows = append(t.Rows, []string{b.Name, b.Doc})
	}
	switch out := c.OutOrStdout(); format {
	case "json":
		return broken(json.NewEncoder(out).Encode(all))
	case "md":
		return broken(t.Markdown(out))
	default:
		return broken(t.Show(out, term.ScreenOf(out)))
	}
}

// measure runs a playbook that measures by itself.
func (f *runFlags) measure(c *cobra.Command, b *playbook.Playbook) error {
	for _, name := range []string{"duration", "out", "resume"} {
		if c.Flags().Changed(name) {
			return fmt.Errorf("--%s: playbook %s has no trials, and no folder for them", name, b.Name)
		}
	}
	blocks := b.Blocks
	if c.Flags().Changed("blocks") {
		if blocks = f.blocks; blocks < 1 {
			return fmt.Errorf("--blocks %d: at least one block is needed", blocks)
		}
	}
	progress := term.NewProgress(c.ErrOrStderr(), f.quiet)
	v, err := b.Measure(c.Context(), blocks, progress)
	progress.Close()
	if err != nil {
		return broken(err)
	}
	out := c.OutOrStdout()
	if f.output.level == "json" {
		return broken(json.NewEncoder(out).Encode(v))
	}
	return broken(v.Write(out, f.output.level == "md", term.Columns(out)))
}

// playPlan runs a playbook's plan as run does, and ends with the verdict.
func (f *runFlags) playPlan(c *cobra.Command, b *playbook.Playbook) error {
	f.again = c.CommandPath() + " " + b.Name
	f.show = func(w io.Writer, format string, in report.Input) error { return showVerdict(w, format, in, b) }
	p, err := plan.Parse(b.Name+".yaml", []byte(b.Plan))
	if err != nil {
		return broken(err)
	}
	if f.resume != "" {
		f.resumed = func(old results.Manifest) error {
			if old.Plan.Name == p.Name {
				return nil
			}
			return fmt.Errorf("--resume %s: it is a run of %s, not of playbook %s", f.resume, old.Plan.Name, b.Name)
		}
		return f.continueRun(c, &knobs{}, nil)
	}
	var change plan.Changes
	if b.Here != nil {
		cpus, err := machine.Allowed()
		if err != nil {
			return broken(err)
		}
		change.Knobs = b.Here(cpus)
	}
	if c.Flags().Changed("blocks") {
		change.Blocks = &f.blocks
	}
	if c.Flags().Changed("duration") {
		change.Duration = (*unit.Duration)(&f.duration)
	}
	if p, err = p.With(change); err != nil {
		return err
	}
	return f.newRun(c, p)
}

// showVerdict shows the run, and then what the playbook makes of it.
func showVerdict(w io.Writer, format string, in report.Input, b *playbook.Playbook) error {
	v := b.Judge(in.Manifest.Plan, in.Records)
	if format == "json" {
		return broken(json.NewEncoder(w).Encode(struct {
			playbook.Verdict
			Result results.Answer `json:"result"` // as of run
		}{v, in.Answer}))
	}
	if err := show(w, format, in); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return broken(err)
	}
	return broken(v.Write(w, format == "md", term.Columns(w)))
}
