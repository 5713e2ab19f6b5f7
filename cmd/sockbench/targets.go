package main

import (
	"encoding/json"

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
}

func targetsCommand() *cobra.Command {
	output := choice{level: "table", of: []string{"table", "json"}}
	c := &cobra.Command{
		Use:   "targets",
		Short: "List the servers that can be put under test",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			out := c.OutOrStdout()
			var all []targetView
			t := term.Table{Columns: []term.Column{{Name: "target"}, {Name: "what it is"}, {Name: "known elsewhere as"}, {Name: "limit"}}}
			for _, e := range targets.All {
				all = append(all, targetView{e.Name, e.Doc, e.Elsewhere, e.Limit, e.Example, e.MaxConns, e.Knobs})
				name := e.Name
				if e.Foreign {
					name = e.Example
				}
				t.Rows = append(t.Rows, []string{name, e.Doc, e.Elsewhere, e.Limit})
			}
			if output.level == "json" {
				return json.NewEncoder(out).Encode(all)
			}
			return t.Text(out, term.Columns(out))
		},
	}
	output.flag(c)
	return c
}
