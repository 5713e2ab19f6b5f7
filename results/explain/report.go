package explain

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/sockbench/sockbench/internal/near"
	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

// Explained is a cell and what explains it.
type Explained struct {
	Cell      plan.Cell   `json:"cell"`
	Label     string      `json:"-"`               // what tells it from the plan's other cells
	Trials    int         `json:"trials"`          // that count
	Asked     int         `json:"asked"`           // of those, which the rules were asked about
	Error     string      `json:"error,omitempty"` // of a trial that failed
	Diagnoses []Diagnosis `json:"diagnoses"`       // strongest first
}

// Cells explains the cells that have all levels of one of those wanted, or all where none is, on all CPUs.
func Cells(p *plan.Plan, records []results.Record, wanted []plan.Cell) []Explained {
	byCell := map[string][]*results.Record{}
	counting, _ := results.Counting(records)
	for _, r := range counting {
		key := r.Cell.String()
		byCell[key] = append(byCell[key], r)
	}
	cells := p.Cells()
	if len(wanted) > 0 {
		cells = slices.DeleteFunc(cells, func(c plan.Cell) bool { return !slices.ContainsFunc(wanted, c.Has) })
	}
	all := make([]Explained, len(cells))
	results.OnAllCPUs(len(cells), func(i int) {
		c := Case{Plan: p, Cell: cells[i], Records: byCell[cells[i].String()]}
		e := Explained{Cell: c.Cell, Label: p.Label(c.Cell), Diagnoses: []Diagnosis{}, Trials: len(c.Records), Asked: len(c.asked())}
		for _, r := range c.Records {
			if r.Metrics == nil {
				e.Error = r.Error
			}
		}
		e.Diagnoses = append(e.Diagnoses, c.Diagnoses()...)
		all[i] = e
	})
	return all
}

// Select reads knob lists as cells of the plan. One that no cell has is an error that says what there is.
func Select(p *plan.Plan, lists []string) (wanted []plan.Cell, err error) {
	var errs []error
	for _, list := range lists {
		c, err := plan.ParseKnobList(list)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, knob := range slices.Sorted(maps.Keys(c)) {
			var names []string
			at := -1
			for i, f := range p.Factors {
				names = append(names, f.Knob)
				if f.Knob == knob {
					at = i
				}
			}
			switch {
			case at < 0:
				errs = append(errs, fmt.Errorf("cell %s: this run did not name the knob %s: it has %s%s", list, knob, strings.Join(names, ", "), near.Suggest(knob, names)))
			case !slices.Contains(p.Factors[at].Levels, c[knob]):
				levels := p.Factors[at].Levels
				errs = append(errs, fmt.Errorf("cell %s: this run has no %s=%s: it has %s%s", list, knob, c[knob], strings.Join(levels, ", "), near.Suggest(c[knob], levels)))
			}
		}
		if len(errs) == 0 && !slices.ContainsFunc(p.Cells(), func(cell plan.Cell) bool { return cell.Has(c) }) {
			errs = append(errs, fmt.Errorf("cell %s: the plan leaves it out", list))
		}
		wanted = append(wanted, c)
	}
	return wanted, errors.Join(errs...)
}

// nothing is what is said of a cell without a diagnosis.
func (e *Explained) nothing() string {
	switch {
	case e.Trials == 0:
		return "no trial of this cell is there"
	case e.Asked == 0:
		return "all trials failed: " + e.Error
	}
	return "no rule fires: what limits is not visible in this evidence"
}

// Write shows cells as table (text as wide as width; 0: no limit), md or json.
func Write(w io.Writer, format string, width int, dir string, cells []Explained) error {
	if format == "json" {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(struct {
			Run   string      `json:"run"`
			Cells []Explained `json:"cells"`
		}{dir, cells})
	}
	var out strings.Builder
	line := func(text, indent string) {
		out.WriteString(strings.Join(term.Wrap(text, width, indent), "\n") + "\n")
	}
	bold, code := func(s string) string { return s }, func(s string) string { return "   try: " + s }
	if format == "md" {
		width = 0
		bold = func(s string) string { return "**" + s + "**\n" }
		code = func(s string) string { return "\n       " + s + "\n" }
	}
	for i, e := range cells {
		if i > 0 {
			out.WriteString("\n")
		}
		line(bold(fmt.Sprintf("%s (%s)", e.Label, term.Count(e.Asked, "trial"))), "   ")
		if len(e.Diagnoses) == 0 {
			line(e.nothing()+".", "   ")
		}
		for n, d := range e.Diagnoses {
			line(fmt.Sprintf("%d. %s: %s", n+1, d.Code, d.Diagnosis), "   ")
			line(fmt.Sprintf("   Evidence, in %d of %s: %s.", d.Trials, term.Count(e.Asked, "trial"), d.Evidence), "   ")
			if d.Try != "" {
				out.WriteString(code(d.Try) + "\n") // never broken: it is to be pasted
			}
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// namedMost is how many cells a line of Top names.
const namedMost = 3

// Top is a line for each rule that is the first problem of some cell, with the cells' names.
func Top(cells []Explained) (lines []string) {
	where := map[string][]string{}
	for _, e := range cells {
		if i := slices.IndexFunc(e.Diagnoses, func(d Diagnosis) bool { return !d.Limit }); i >= 0 {
			where[e.Diagnoses[i].Code] = append(where[e.Diagnoses[i].Code], e.Label)
		}
	}
	for _, r := range Rules {
		labels := where[r.Code]
		if len(labels) == 0 {
			continue
		}
		text := strings.Join(labels[:min(len(labels), namedMost)], "; ")
		if more := len(labels) - namedMost; more > 0 {
			text += "; and in " + term.Count(more, "more cell")
		}
		lines = append(lines, fmt.Sprintf("%s: %s (%s)", r.Code, r.Doc, text))
	}
	return lines
}
