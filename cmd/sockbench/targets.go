package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sockbench/sockbench/internal/near"
	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/targets"
)

// targetView is a model as people are told of it.
type targetView struct {
	Name      string   `json:"name"`
	Doc       string   `json:"doc"`
	Elsewhere string   `json:"elsewhere,omitempty"`
	Limit     string   `json:"limit,omitempty"`
	Example   string   `json:"example,omitempty"`
	MaxConns  int      `json:"max_connections,omitempty"`
	Knobs     []string `json:"knobs"`
	Via       bool     `json:"via,omitempty"`   // it stands in front of a target, as knob via says
	Unfit     string   `json:"unfit,omitempty"` // why it cannot work on this machine
}

// viewTarget is e as this machine has it; via: one that stands in front of a target.
func viewTarget(e *targets.Entry, via bool) targetView {
	v := targetView{e.Name, e.Doc, e.Elsewhere, e.Limit, e.Example, e.MaxConns, e.Knobs, via, ""}
	if err := e.Fits(); err != nil {
		v.Unfit = err.Error()
	}
	return v
}

// Title is how knob target, or via, names it.
func (v targetView) Title() string {
	switch {
	case v.Example != "":
		return v.Example
	case v.Via:
		return "via: " + v.Name
	}
	return v.Name
}

func targetsCommand() *cobra.Command {
	output := choice{level: "table", of: []string{"table", "json"}}
	pid := 0
	c := &cobra.Command{
		Use:   "targets [NAME]",
		Short: "List the servers that can be put under test, or look into a running one",
		Long: `List the servers that can be put under test and what can stand in front of them, or say everything of one: what it is,
what it is called elsewhere, its limits, which knobs act on it, and why it cannot work on this machine, if that is so.

With --inspect, say of a running process what its server is made of, by what the kernel shows of it: which sockets
block, which are watched, and what each thread waits for.`,
		Example: `  sockbench targets
  sockbench targets reactors
  sockbench targets --inspect 1234`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return targetNames(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			out := c.OutOrStdout()
			if c.Flags().Changed("inspect") {
				if len(args) > 0 {
					return fmt.Errorf("--inspect looks into a process: leave %s out", args[0])
				}
				return inspect(out, pid, output.level == "json")
			}
			all := make([]targetView, 0, len(targets.All)+len(targets.Proxies))
			for i, e := range slices.Concat(targets.All, targets.Proxies) {
				all = append(all, viewTarget(&e, i >= len(targets.All)))
			}
			if len(args) == 1 {
				i := slices.Index(targetNames(), args[0])
				if i < 0 {
					return fmt.Errorf("no target %q%s; sockbench targets lists them", args[0], near.Suggest(args[0], targetNames()))
				}
				if output.level == "json" {
					return broken(json.NewEncoder(out).Encode(all[i]))
				}
				return broken(all[i].print(out, term.Columns(out)))
			}
			if output.level == "json" {
				return broken(json.NewEncoder(out).Encode(all))
			}
			return broken(listTargets(out, all))
		},
	}
	c.Flags().IntVar(&pid, "inspect", 0, "look into the process with this id instead")
	output.flag(c)
	return c
}

// targetNames are those of targets.All and then of targets.Proxies.
func targetNames() (names []string) {
	for _, e := range slices.Concat(targets.All, targets.Proxies) {
		names = append(names, e.Name)
	}
	return names
}

func listTargets(out io.Writer, all []targetView) error {
	t := term.Table{Columns: []term.Column{{Name: "target"}, {Name: "what it is", Priority: 1}, {Name: "known elsewhere as", Priority: 2}}}
	var unfit []string
	for _, v := range all {
		t.Rows = append(t.Rows, []string{v.Title(), v.Doc, v.Elsewhere})
		if v.Unfit != "" {
			unfit = append(unfit, v.Unfit)
		}
	}
	width := term.Columns(out)
	if err := t.Show(out, term.ScreenOf(out)); err != nil {
		return err
	}
	for _, line := range append(unfit, "sockbench targets NAME says everything of one: also its limits, and which knobs act on it") {
		if _, err := fmt.Fprintf(out, "\n%s\n", strings.Join(term.Wrap(line, width, ""), "\n")); err != nil {
			return err
		}
	}
	return nil
}

// print says everything, in lines of at most width columns; 0: no limit.
func (v targetView) print(out io.Writer, width int) error {
	indent := strings.Repeat(" ", 20)
	knobs := slices.Clone(v.Knobs)
	if i := slices.Index(knobs, "options"); i >= 0 {
		knobs[i] = "and the server's socket options"
	}
	if len(knobs) == 0 {
		knobs = []string{"none inside it; those of the client do"}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\n\n", v.Title(), strings.Join(term.Wrap(v.Doc, width, ""), "\n"))
	for _, l := range [][2]string{{"known elsewhere as", v.Elsewhere}, {"limit", v.Limit}, {"knobs that act", strings.Join(knobs, ", ")}, {"here", v.Unfit}} {
		if l[1] != "" {
			fmt.Fprintf(&b, "%-*s%s\n", len(indent), l[0], strings.Join(term.Wrap(l[1], width-len(indent), ""), "\n"+indent))
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func inspect(out io.Writer, pid int, asJSON bool) error {
	if pid < 1 {
		return fmt.Errorf("--inspect %d: name a process id, for example of sockbench serve", pid)
	}
	i, err := targets.Inspect(pid)
	if err != nil {
		return broken(err)
	}
	if asJSON {
		return broken(json.NewEncoder(out).Encode(i))
	}
	_, err = fmt.Fprintln(out, i)
	return broken(err)
}
