// Package playbook holds named experiments: what is claimed, how to find out, and a verdict in words with the numbers it
// rests on. A playbook is one file and one line here.
package playbook

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sockbench/sockbench/internal/near"
	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

// All lists the playbooks.
var All = []Playbook{
	startCost,
	stickyPackets,
	nagle,
	writePattern,
	smallBuffers,
	autotuning,
	framing,
	pipelining,
	keepAlive,
	queueDepth,
	compression,
	modelsByConnections,
	poolSize,
	reuseportOrShared,
	proxyHop,
	timeoutsUnderLoss,
	synBurst,
	stop,
	threadsOrProcesses,
}

// Playbook is a named experiment. It has either a Plan and Judge, or Measure.
type Playbook struct {
	Name string
	Doc  string // one line: the question
	Plan string // the plan file
	// Here is what of the plan depends on the CPUs that may be used: knobs instead of, or beside, the plan's; nil: nothing.
	Here func(cpus []int) []plan.Factor
	// Judge says what the records of the plan show. It is pure.
	Judge func(*plan.Plan, []results.Record) Verdict
	// Measure is for what is no matrix of trials. Blocks is how many are measured unless another number is asked for.
	Measure func(ctx context.Context, blocks int, progress *term.Progress) (Verdict, error)
	Blocks  int
}

// Find returns the playbook of that name.
func Find(name string) (*Playbook, error) {
	i := slices.IndexFunc(All, func(b Playbook) bool { return b.Name == name })
	if i >= 0 {
		return &All[i], nil
	}
	return nil, fmt.Errorf("no playbook %q: choose one of %s%s", name, strings.Join(Names(), ", "), near.Suggest(name, Names()))
}

// Names are those of All.
func Names() (names []string) {
	for _, b := range All {
		names = append(names, b.Name)
	}
	return names
}

// Answer is what became of a claim.
type Answer string

const (
	Holds    Answer = "holds"
	HoldsIf  Answer = "holds only if"
	NotShown Answer = "not shown"
	Refuted  Answer = "refuted"
)

// Verdict is how a playbook ends.
type Verdict struct {
	Answer  Answer     `json:"verdict"`
	If      string     `json:"if,omitempty"` // of HoldsIf: the condition
	Claim   string     `json:"claim"`
	Because []string   `json:"because"` // sentences with the numbers and their counts
	Figures any        `json:"figures"` // what Table shows
	Table   term.Table `json:"-"`
}

// Write shows the verdict for people, as wide as the terminal, or as Markdown.
func (v Verdict) Write(w io.Writer, markdown bool, width int) error {
	heading, bullet, draw := "Verdict: %s", "", func() error { return v.Table.Text(w, width) }
	if markdown {
		heading, bullet, draw = "**Verdict: %s**\n", "- ", func() error { return v.Table.Markdown(w) }
		width = 0
	}
	if err := draw(); err != nil {
		return err
	}
	lines := []string{"", fmt.Sprintf(heading, strings.TrimSpace(string(v.Answer)+" "+v.If)), bullet + "Claim: " + v.Claim}
	for _, sentence := range v.Because {
		lines = append(lines, bullet+sentence)
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(w, strings.Join(term.Wrap(line, width, "   "), "\n")); err != nil {
			return err
		}
	}
	return nil
}
