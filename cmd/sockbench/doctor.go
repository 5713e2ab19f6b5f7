package main

import (
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/sockbench/sockbench/doctor"
	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/lab"
)

func doctorCommand() *cobra.Command {
	var quick, quiet bool
	output := choice{level: "table", of: []string{"table", "json", "md"}}
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say what on this machine would disturb a measurement, and how small an effect can be seen on it",
		Long: `Look at this machine before measuring on it: timers and wake-ups, who else uses the CPUs, what the hypervisor and control
groups take, the frequency governor and the kernel, what caps socket options, connections and ports, what a trial can
have of its own. Each line says what was measured, from how many, what it would disturb, and what mends it. Nothing is
changed. docs/doctor.md explains the lines.

Last, pairs of adjacent equal trials of target epoll show by how much trials differ here, and from that follows the
smallest effect that 1, 5 and 15 minutes of such pairs find. That takes half a minute; --quick is without it.

Exit 0, also with warnings. 4: nothing could be looked at.`,
		Example: `  sockbench doctor
  sockbench doctor --quick
  sockbench doctor -o md > machine.md
  sockbench doctor --quick -o json | jq '.lines[] | select(.verdict != "ok")'`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			began := time.Now()
			var l lab.Lab
			lines, err := doctor.Examine(c.Context(), &l, quick, term.NewProgress(c.ErrOrStderr(), quiet))
			if err = errors.Join(err, l.Close()); err != nil {
				return broken(err)
			}
			r := doctor.NewReport(lines, time.Since(began).Seconds())
			return broken(writeExamined(c.OutOrStdout(), output.level, &r))
		},
	}
	c.Flags().BoolVar(&quick, "quick", false, "only what takes five seconds")
	c.Flags().BoolVar(&quiet, "quiet", false, "no progress")
	output.flag(c)
	return c
}

func writeExamined(w io.Writer, format string, r *doctor.Report) error {
	switch format {
	case "json":
		return json.NewEncoder(w).Encode(r)
	case "md":
		return r.Markdown(w)
	}
	return r.Show(w, term.ScreenOf(w))
}
