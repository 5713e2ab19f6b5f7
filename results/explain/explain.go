// Package explain says why: it holds a list of rules against the evidence in records, and names what is the matter, the
// figures that show it, and what to try. Where the evidence is missing it says nothing: a counter that no record holds is
// not zero.
package explain

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

// Rule is one diagnosis. Test is a pure function of a record that has metrics, so that old runs can be explained by new
// rules.
type Rule struct {
	Code  string
	Doc   string // what is the matter
	Needs string // the evidence it takes, with every threshold
	Limit bool   // it says what limits where nothing need be wrong
	Test  func(*results.Record) (Diagnosis, bool)
}

// Diagnosis is what a rule found.
type Diagnosis struct {
	Code      string   `json:"code"`
	Limit     bool     `json:"limit"` // it is no problem, but says what limits
	Diagnosis string   `json:"diagnosis"`
	Evidence  string   `json:"evidence"` // Figures in words
	Figures   []Figure `json:"figures"`
	Try       string   `json:"try"`      // a command to paste; "": there is none
	Strength  float64  `json:"strength"` // how many times the first figure is beyond its threshold
	Trials    int      `json:"trials"`   // that show it, of those that were asked

	cure cure
}

// Figure is a number that a rule saw and, if it depends on it, how it had to compare with a threshold.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`         // "ns", "share", "B", "B/s", "1/s", "1"
	Is    string  `json:"is,omitempty"` // "≥", ">", "≤" or "<" Limit; "": it is only told
	Limit float64 `json:"limit"`
}

// holds says whether the figure is on the rule's side of its threshold. NaN, which stands for what the record does not
// hold, never is, nor is what was divided by nothing.
func (f Figure) holds() bool {
	if f.Is != "" && (math.IsNaN(f.Value) || math.IsInf(f.Value, 0)) {
		return false
	}
	switch f.Is {
	case "≥":
		return f.Value >= f.Limit
	case ">":
		return f.Value > f.Limit
	case "≤":
		return f.Value <= f.Limit
	case "<":
		return f.Value < f.Limit
	}
	return true
}

func (f Figure) String() string {
	if f.Is == "" {
		return f.Name + " " + show(f.Value, f.Unit)
	}
	return fmt.Sprintf("%s %s (%s %s)", f.Name, show(f.Value, f.Unit), f.Is, show(f.Limit, f.Unit))
}

func show(v float64, unit string) string {
	switch unit {
	case "ns":
		return term.Duration(v)
	case "share":
		return term.Percent(v)
	case "B", "B/s":
		return term.Number(v) + unit
	case "1/s":
		return term.Number(v) + "/s"
	}
	return term.Number(v)
}

// strength is how many times f is beyond its threshold.
func (f Figure) strength() float64 {
	switch {
	case f.Limit == 0:
		return 1
	case f.Is == "≤" || f.Is == "<":
		return f.Limit / max(f.Value, 1e-9)
	}
	return f.Value / f.Limit
}

// found is the diagnosis if every figure is on its side.
func found(says string, c cure, figures ...Figure) (Diagnosis, bool) {
	if slices.ContainsFunc(figures, func(f Figure) bool { return !f.holds() }) {
		return Diagnosis{}, false
	}
	d := Diagnosis{Diagnosis: says, cure: c, Strength: figures[0].strength()}
	var words []string
	for _, f := range figures {
		if !math.IsNaN(f.Value) && !math.IsInf(f.Value, 0) {
			d.Figures, words = append(d.Figures, f), append(words, f.String())
		}
	}
	d.Evidence = strings.Join(words, "; ")
	return d, true
}

// Case is a cell and those of its records that count.
type Case struct {
	Plan    *plan.Plan
	Cell    plan.Cell
	Records []*results.Record
}

// asked are the records that rules are asked about: those with metrics that nothing outside disturbed, or all with
// metrics where everything was disturbed.
func (c *Case) asked() []*results.Record {
	var all, quiet []*results.Record
	for _, r := range c.Records {
		if r.Metrics == nil {
			continue
		}
		all = append(all, r)
		if disturbed, _ := results.Disturbed(r); !disturbed {
			quiet = append(quiet, r)
		}
	}
	if len(quiet) == 0 {
		return all
	}
	return quiet
}

// Diagnoses are what more than half of the records show, so that one bad trial does not diagnose, strongest first: in the
// order of Rules. The figures are those of the record whose strength is the median.
func (c *Case) Diagnoses() (all []Diagnosis) {
	records := c.asked()
	for _, rule := range Rules {
		var seen []Diagnosis
		for _, r := range records {
			if d, ok := rule.Test(r); ok {
				seen = append(seen, d)
			}
		}
		if 2*len(seen) <= len(records) {
			continue
		}
		slices.SortStableFunc(seen, func(a, b Diagnosis) int { return cmp.Compare(a.Strength, b.Strength) })
		d := seen[len(seen)/2]
		d.Code, d.Limit, d.Trials, d.Try = rule.Code, rule.Limit, len(seen), c.try(d.cure)
		all = append(all, d)
	}
	return all
}
