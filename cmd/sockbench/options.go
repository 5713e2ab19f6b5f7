package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sockbench/sockbench/internal/near"
	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/sockopt"
)

// optionView is an option as this kernel has it.
type optionView struct {
	Name      string        `json:"name"`
	Default   string        `json:"default"` // on a fresh socket of this kernel
	Kernel    sockopt.Class `json:"kernel"`  // equal: it takes the option
	Error     string        `json:"error,omitempty"`
	Unit      sockopt.Kind  `json:"unit"`
	Phases    sockopt.Phase `json:"phases"`
	Sides     string        `json:"sides"`
	Networks  string        `json:"networks"`
	Inherited bool          `json:"inherited"`
	Reads     sockopt.Reads `json:"reads"`
	Cap       string        `json:"cap,omitempty"`
	Blocking  bool          `json:"blocking_sockets_only,omitempty"`
	Doc       string        `json:"doc"`
}

func viewOption(o *sockopt.Option) optionView {
	v := optionView{Name: o.Name, Unit: o.Kind, Phases: o.Phases, Sides: o.Sides.String(), Networks: o.On().String(), Inherited: o.Inherited,
		Reads: o.Reads, Cap: o.Cap, Blocking: o.Blocking, Doc: o.Doc}
	var err error
	if v.Default, v.Kernel, err = sockopt.Probe(o); err != nil {
		v.Error = err.Error()
	}
	return v
}

// Taken says in a word whether this kernel takes the option.
func (v optionView) Taken() string {
	if v.Kernel == sockopt.Equal {
		return "yes"
	}
	return string(v.Kernel)
}

func optionsCommand() *cobra.Command {
	output := choice{level: "table", of: []string{"table", "json"}}
	c := &cobra.Command{
		Use:   "options [NAME]",
		Short: "List the socket options, with what this kernel says of each",
		Args:  cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return optionNames(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			out := c.OutOrStdout()
			if len(args) == 1 {
				o, ok := sockopt.Find(args[0])
				if !ok {
					return fmt.Errorf("no option %q%s; sockbench options lists them", args[0], near.Suggest(args[0], optionNames()))
				}
				if output.level == "json" {
					return json.NewEncoder(out).Encode(viewOption(o))
				}
				return printOption(out, viewOption(o))
			}
			var all []optionView
			for i := range sockopt.All {
				all = append(all, viewOption(&sockopt.All[i]))
			}
			if output.level == "json" {
				return json.NewEncoder(out).Encode(all)
			}
			t := term.Table{Columns: []term.Column{{Name: "option"}, {Name: "default here"}, {Name: "this kernel"}, {Name: "unit"}, {Name: "sides"}, {Name: "set at"}, {Name: "capped by"}}}
			for _, v := range all {
				t.Rows = append(t.Rows, []string{v.Name, v.Default, v.Taken(), string(v.Unit), v.Sides, v.Phases.String(), v.Cap})
			}
			return t.Text(out, term.Columns(out))
		},
	}
	output.flag(c)
	return c
}

func optionNames() []string {
	var names []string
	for _, o := range sockopt.All {
		names = append(names, o.Name)
	}
	return names
}

func printOption(w io.Writer, v optionView) error {
	lines := [][2]string{{"default here", v.Default}, {"this kernel", v.Taken()}, {"unit", string(v.Unit)}, {"sides", v.Sides}, {"sockets of", v.Networks}, {"set at", v.Phases.String()},
		{"inherited by accepted sockets", yesNo(v.Inherited)}, {"reads back", string(v.Reads)}, {"capped by", v.Cap}, {"error", v.Error}}
	if v.Blocking {
		lines = append(lines, [2]string{"acts on", "blocking sockets only"})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\n\n", v.Name, v.Doc)
	for _, l := range lines {
		if l[1] != "" {
			fmt.Fprintf(&b, "%-30s %s\n", l[0], l[1])
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
