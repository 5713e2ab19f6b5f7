package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

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

func targetsCommand() *cobra.Command {
	output := choice{level: "table", of: []string{"table", "json"}}
	pid := 0
	c := &cobra.Command{
		Use:   "targets",
		Short: "List the servers that can be put under test, or look into a running one",
		Long: `List the servers that can be put under test, with the reason where one cannot work on this machine, and what can stand
in front of them. With --inspect, say of a running process what its server is made of, by
what the kernel shows of it: which sockets block, which are watched, and what each thread waits for.`,
		Example: `  sockbench targets
  sockbench targets --inspect 1234`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			out := c.OutOrStdout()
			if c.Flags().Changed("inspect") {
				return inspect(out, pid, output.level == "json")
			}
			var all []targetView
			t := term.Table{Columns: []term.Column{{Name: "target"}, {Name: "what it is"}, {Name: "known elsewhere as"}, {Name: "limit"}}}
			for i, e := range slices.Concat(targets.All, targets.Proxies) {
				v := targetView{e.Name, e.Doc, e.Elsewhere, e.Limit, e.Example, e.MaxConns, e.Knobs, i >= len(targets.All), ""}
				name := e.Name
				switch {
				case e.Foreign:
					name = e.Example
				case v.Via:
					name = "via: " + name
				}
				if err := e.Fits(); err != nil {
					v.Unfit = err.Error()
					e.Limit = strings.TrimSpace(v.Unfit + ". " + e.Limit)
				}
				all = append(all, v)
				t.Rows = append(t.Rows, []string{name, e.Doc, e.Elsewhere, e.Limit})
			}
			if output.level == "json" {
				return json.NewEncoder(out).Encode(all)
			}
			return t.Text(out, term.Columns(out))
		},
	}
	c.Flags().IntVar(&pid, "inspect", 0, "look into the process with this id instead")
	output.flag(c)
	return c
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
