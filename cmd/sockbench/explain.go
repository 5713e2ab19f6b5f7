package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/results/explain"
)

func explainCommand() *cobra.Command {
	output := choice{level: "table", of: []string{"table", "md", "json"}}
	c := &cobra.Command{
		Use:   "explain DIR [CELL…]",
		Short: "Say why a run came out as it did: the evidence behind each cell, and what to try",
		Long: `Hold a list of rules against what the kernel and the processes said in a run's trials, and say for each cell what is the
matter, the figures that show it with their thresholds, and a command that changes the one thing beside what was.

A CELL is a knob list: all cells that have these levels are explained; with none, all of the run. A rule speaks only if
more than half of a cell's undisturbed trials show its evidence, and is silent where evidence is missing. docs/explain.md
lists the rules.`,
		Example: `  sockbench explain runs/20261123T120000Z-run
  sockbench explain runs/20261123T120000Z-run write=split,TCP_NODELAY=off
  sockbench explain runs/20261123T120000Z-run -o json`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return nil
			}
			return fmt.Errorf("%s takes a run folder, for example runs/20261123T120000Z-run; see %s --help", c.CommandPath(), c.CommandPath())
		},
		ValidArgsFunction: cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs),
		RunE: func(c *cobra.Command, args []string) error {
			boundGarbage(args[0])
			run, err := openRun(c.ErrOrStderr(), args[0])
			if err != nil {
				return err
			}
			p, err := run.Manifest.Asked(run.Records)
			if err != nil {
				return broken(err)
			}
			wanted, err := explain.Select(p, args[1:])
			if err != nil {
				return err
			}
			cells := explain.Cells(p, run.Records, wanted)
			return broken(explain.Write(c.OutOrStdout(), output.level, term.Columns(c.OutOrStdout()), args[0], cells))
		},
	}
	output.flag(c)
	return c
}
