package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/lab"
	"github.com/sockbench/sockbench/verify"
)

// How long trials that were disturbed may be run again for, in all.
const (
	quickPatience = 2500 * time.Millisecond
	fullPatience  = 2 * time.Minute
)

func verifyCommand() *cobra.Command {
	var quick, list, quiet bool
	output := choice{level: "table", of: []string{"table", "json", "md", "html"}}
	c := &cobra.Command{
		Use:   "verify [TEST…]",
		Short: "Run experiments whose answer is known: can numbers from this machine be believed?",
		Long: `Run experiments whose answer is known from theory, from the kernel's documentation or from counting, each as any other
trial is run, and hold what its record says against the answer. Every line has what was expected, what was measured, what
is accepted, a formula and where it comes from. docs/verify.md says what each can see and what it cannot.

A trial that something outside disturbed is run again, which is decided without a look at what was measured.

Exit 0: all lines agree. 1: a line disagrees, and numbers from this machine are not to be trusted. 4: some could not be
run, with the reason.`,
		Example: `  sockbench verify --quick
  sockbench verify
  sockbench verify nagle bursts -o json
  sockbench verify --list`,
		ValidArgs: verify.Names(),
		RunE: func(c *cobra.Command, args []string) error {
			tests, err := verify.Find(args, quick)
			if err != nil {
				return err
			}
			if list {
				return listTests(c.OutOrStdout(), output.level, tests)
			}
			patience := fullPatience
			if quick {
				patience = quickPatience
			}
			began := time.Now()
			var l lab.Lab
			lines, err := verify.Run(c.Context(), &l, tests, patience, term.NewProgress(c.ErrOrStderr(), quiet))
			if err = errors.Join(err, l.Close()); err != nil {
				return broken(err)
			}
			r := verify.NewReport(tests, lines, time.Since(began).Seconds())
			if err := writeVerified(c.OutOrStdout(), output.level, &r); err != nil {
				return broken(err)
			}
			return verdictOf(&r)
		},
	}
	c.Flags().BoolVar(&quick, "quick", false, "only what takes half a minute")
	c.Flags().BoolVar(&list, "list", false, "say what the tests prove, and run nothing")
	c.Flags().BoolVar(&quiet, "quiet", false, "no progress")
	output.flag(c)
	return c
}

// verdictOf is the exit of a report.
func verdictOf(r *verify.Report) error {
	code := map[verify.Verdict]int{verify.Fail: exitWrong, verify.NotRun: exitEnvironment}[r.Verdict]
	if code == exitFine {
		return nil
	}
	return &failure{code, fmt.Errorf("%s\n%s", r.Sum(), strings.Join(r.Bad(10), "\n"))}
}

func writeVerified(w io.Writer, format string, r *verify.Report) error {
	switch format {
	case "json":
		return json.NewEncoder(w).Encode(r)
	case "md":
		return r.Markdown(w)
	case "html":
		return r.HTML(w)
	}
	return r.Show(w, term.ScreenOf(w))
}

func listTests(w io.Writer, format string, tests []verify.Test) error {
	type view struct {
		Name      string `json:"name"`
		Quick     bool   `json:"quick"`
		Proves    string `json:"proves"`
		Formula   string `json:"formula"`
		Reference string `json:"reference"`
	}
	var all []view
	t := term.Table{Columns: []term.Column{{Name: "test"}, {Name: "what it proves"}, {Name: "formula", Priority: 2}, {Name: "reference", Priority: 3}, {Name: "in --quick", Priority: 1}}}
	for _, x := range tests {
		all = append(all, view{x.Name, x.Quick, x.Proves, x.Formula, x.Reference})
		t.Rows = append(t.Rows, []string{x.Name, x.Proves, x.Formula, x.Reference, map[bool]string{true: "yes"}[x.Quick]})
	}
	switch format {
	case "json":
		return broken(json.NewEncoder(w).Encode(all))
	case "md":
		return broken(t.Markdown(w))
	case "html":
		return errors.New("--list: -o html is for what was measured: write table, json or md")
	}
	return broken(t.Show(w, term.ScreenOf(w)))
}
