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
	"github.com/sockbench/sockbench/sockopt"
)

// optionView is an option as this kernel has it.
type optionView struct {
	Name      string            `json:"name"`
	Default   string            `json:"default"`          // on a fresh socket of this kernel
	Kernel    sockopt.Class     `json:"kernel,omitempty"` // equal: it takes the option; "": not asked, for it is refused
	Error     string            `json:"error,omitempty"`
	Refuse    string            `json:"refused,omitempty"`
	Level     int               `json:"level"` // -1: it is no option of setsockopt
	Number    int               `json:"number"`
	Unit      sockopt.Kind      `json:"unit"`
	Range     string            `json:"range,omitempty"`
	Phases    sockopt.Phase     `json:"phases"`
	Sides     string            `json:"sides"`
	Networks  string            `json:"networks"`
	Inherited bool              `json:"inherited"`
	Listener  bool              `json:"read_on_listening_socket,omitempty"`
	Reads     sockopt.Reads     `json:"reads"`
	RoundsTo  string            `json:"rounded_up_to,omitempty"`
	Cap       string            `json:"cap,omitempty"`
	Privilege string            `json:"privilege,omitempty"`
	Blocking  bool              `json:"blocking_sockets_only,omitempty"`
	Condition sockopt.Condition `json:"cannot_act_without,omitempty"`
	Needs     string            `json:"matters_where,omitempty"`
	Doc       string            `json:"doc"`
	facts     [][2]string
}

func viewOption(o *sockopt.Option) optionView {
	v := optionView{Name: o.Name, Refuse: o.Refuse, Level: o.Level, Number: o.Num, Unit: o.Kind, Range: o.Range(), Phases: o.Phases,
		Sides: o.Sides.String(), Networks: o.On().String(), Inherited: o.Inherited, Listener: o.Listener, Reads: o.Reads, RoundsTo: o.RoundsTo,
		Cap: o.Cap, Privilege: o.Privilege, Blocking: o.Blocking, Condition: o.Condition, Needs: o.Needs, Doc: o.Doc, facts: o.Facts()}
	if o.Refuse != "" {
		return v
	}
	var err error
	if v.Default, v.Kernel, err = sockopt.Probe(o); err != nil {
		v.Error = err.Error()
	}
	return v
}

// Taken says in a word whether this kernel takes the option.
func (v optionView) Taken() string {
	switch {
	case v.Refuse != "":
		return "refused"
	case v.Kernel == sockopt.Equal:
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
			t := term.Table{Columns: []term.Column{{Name: "option"}, {Name: "default here"}, {Name: "this kernel"}, {Name: "unit"}, {Name: "range"}, {Name: "sides"}, {Name: "set at"}, {Name: "capped by"}, {Name: "privilege"}}}
			for _, v := range all {
				if v.Refuse != "" {
					t.Rows = append(t.Rows, []string{v.Name, "", v.Taken(), "", "", "", "", "", ""})
					continue
				}
				t.Rows = append(t.Rows, []string{v.Name, v.Default, v.Taken(), string(v.Unit), v.Range, v.Sides, v.Phases.String(), v.Cap, v.Privilege})
			}
			return t.Show(out, term.ScreenOf(out))
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
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\n\n", v.Name, v.Doc)
	for _, l := range slices.Concat([][2]string{{"default here", v.Default}, {"this kernel", v.Taken()}, {"because", v.Error}}, v.facts) {
		if l[1] != "" {
			fmt.Fprintf(&b, "%-30s %s\n", l[0], l[1])
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
