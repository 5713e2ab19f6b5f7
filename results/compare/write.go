package compare

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/explain"
	"github.com/sockbench/sockbench/results/stats"
)

// Formats are those of Write.
var Formats = []string{"table", "json", "md", "csv"}

// Write shows a result in one of Formats. A pivot's rows are shown as a table of its columns.
func (r *Result) Write(w io.Writer, format string, screen term.Screen) error {
	switch format {
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	case "csv":
		return r.sheet().CSV(w)
	case "md":
		return r.text(w, term.Screen{}, term.Table.Markdown, "**")
	}
	return r.text(w, screen, func(t term.Table, w io.Writer) error { return t.Show(w, screen) }, "")
}

// foundMost is how many findings people are told.
const foundMost = 8

func (r *Result) text(w io.Writer, screen term.Screen, show func(term.Table, io.Writer) error, bold string) error {
	var out strings.Builder
	say := func(indent, text string) {
		out.WriteString(strings.Join(term.Wrap(text, screen.Width, indent), "\n") + "\n")
	}
	heading := func(text string) { out.WriteString("\n" + screen.Bold(bold+text+bold) + "\n") }
	bullet := ""
	if bold != "" {
		heading, bullet = func(text string) { out.WriteString("\n" + bold + text + bold + "\n\n") }, "- "
	}
	say("", r.title())
	out.WriteString("\n")
	if err := show(r.table(), &out); err != nil {
		return err
	}
	if found := r.Findings(); len(found) > 0 {
		heading("Findings, strongest first")
		for i, f := range found[:min(foundMost, len(found))] {
			line := strconv.Itoa(i+1) + ". " + f.Claim
			if f.Why != "" {
				line += " Moved: " + f.Why + "."
			}
			say("   ", line)
		}
		if more := len(found) - foundMost; more > 0 {
			say("   ", fmt.Sprintf("%sand %d more: -o json", bullet, more))
		}
	}
	if notes := r.notes(); len(notes) > 0 {
		heading("Notes")
		for _, n := range notes {
			say("   ", bullet+n)
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func (r *Result) title() string {
	if r.Pivot {
		return "× is the ratio to the first column"
	}
	return fmt.Sprintf("%s against %s: ratios are of the first to the second", r.Sides[1], r.Sides[0])
}

// notes say what the numbers rest on.
func (r *Result) notes() (lines []string) {
	what := "in pairs of trials of one block"
	if r.Sessions != nil {
		what = "by the medians of each run"
	}
	lines = append(lines, fmt.Sprintf("Compared %s. Better and worse: where nothing differs, the chance of any such word in the whole table is at most %g%%, so that an interval of one row may leave 1 out and its verdict be unclear. Same: the %g%% interval lies within %g%% of no difference.",
		what, 100*mistaken, 100*confidence, 100*r.Same))
	if s := r.Sessions; s != nil {
		lines = append(lines, fmt.Sprintf("Looked at %s beside the first run; of its plan and machine, and so counted: %d (%s), of %d needed.",
			term.Count(s.Found, "other run folder"), len(s.Counts), strings.Join(s.Counts, ", "), s.Needed))
		if s.Why != "" {
			lines = append(lines, "No verdict: "+s.Why+".")
		}
	}
	if n := r.Left[0] + r.Left[1]; n > 0 {
		lines = append(lines, fmt.Sprintf("Without a partner on the other side, and left out: %s.", term.Count(n, "cell")))
	}
	for _, d := range r.Differences {
		lines = append(lines, fmt.Sprintf("They differ in %s: %s and %s.", d.What, d.A, d.B))
	}
	seen := map[string]bool{}
	for _, row := range r.Rows {
		if row.Note != "" && row.Note != noVerdict && !seen[row.Metric.Name+row.Note] {
			seen[row.Metric.Name+row.Note] = true
			lines = append(lines, row.Metric.Name+": "+row.Note+".")
		}
	}
	return lines
}

const noVerdict = "no verdict"

func (r *Result) table() (t term.Table) {
	if r.Pivot {
		return r.pivot()
	}
	t.Columns = []term.Column{{Name: "cells"}, {Name: "metric"}, {Name: "second", Right: true, Priority: 1}, {Name: "first", Right: true, Priority: 1}, {Name: "ratio", Right: true},
		{Name: "interval", Right: true, Priority: 2}, {Name: "pairs", Right: true, Priority: 3}, {Name: "verdict"}}
	if r.Sessions != nil {
		t.Columns[6].Name = "trials"
	}
	last := ""
	for i := range r.Rows {
		row := &r.Rows[i]
		label := row.Group.Label
		if label == last && i > 0 {
			label = ""
		} else {
			last = label
		}
		t.Rows = append(t.Rows, []string{label, row.Metric.Name, row.value(1), row.value(0), row.ratio(), row.interval(), strconv.Itoa(row.Pairs), row.word()})
	}
	return t
}

// pivot has a line for each level of the rows and metric, and a column for each level of the columns.
func (r *Result) pivot() (t term.Table) {
	knob := r.Knobs[0]
	t.Columns = []term.Column{{Name: "cells"}, {Name: "metric"}, {Name: knob + "=" + r.Rows[0].Group.Cells[0][knob], Right: true}}
	at, columns := map[string]int{}, map[plan.Level]int{}
	for i := range r.Rows {
		row := &r.Rows[i]
		level := row.Group.Cells[1][knob]
		if _, ok := columns[level]; !ok {
			columns[level] = len(t.Columns)
			t.Columns = append(t.Columns, term.Column{Name: knob + "=" + level, Right: true})
		}
		key := row.Group.Label + " " + row.Metric.Name
		if _, ok := at[key]; !ok {
			at[key] = len(t.Rows)
			t.Rows = append(t.Rows, []string{row.Group.Label, row.Metric.Name, row.value(0)})
		}
		line := &t.Rows[at[key]]
		for len(*line) <= columns[level] {
			*line = append(*line, "")
		}
		(*line)[columns[level]] = strings.TrimSpace(row.value(1) + " ×" + row.ratio() + " " + row.word())
	}
	return t
}

// sheet has a row for each comparison, in the metrics' own units.
func (r *Result) sheet() (t term.Table) {
	for _, name := range []string{"cells", "first_cell", "second_cell", "metric", "unit", "first", "second", "ratio", "low", "high", "level", "pairs", "verdict", "needs_blocks", "note"} {
		t.Columns = append(t.Columns, term.Column{Name: name})
	}
	number := func(v float64, known bool) string {
		if !known || math.IsNaN(v) {
			return ""
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		e, sure := row.Effect, row.Effect.Level > 0
		t.Rows = append(t.Rows, []string{row.Group.Label, row.Group.Cells[0].String(), row.Group.Cells[1].String(), row.Metric.Name, row.Metric.Unit, number(row.Values[0], true),
			number(row.Values[1], true), number(e.Ratio, e.Ratio > 0), number(e.Low, sure), number(e.High, sure), number(e.Level, sure), strconv.Itoa(row.Pairs), string(row.Verdict), strconv.Itoa(row.Needs), row.Note})
	}
	return t
}

func (row *Row) value(side int) string {
	text := "–"
	if v := row.Values[side]; !math.IsNaN(v) {
		text = row.Metric.Format(v)
		if row.AtLeast[side] {
			text = "≥" + text
		}
	}
	return text
}

// short writes a ratio: three places near 1, three digits far from it.
func short(v float64) string {
	if v >= 0.1 && v < 10 {
		return strconv.FormatFloat(v, 'f', 3, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func (row *Row) ratio() string {
	if row.Effect.Ratio == 0 {
		return "–"
	}
	return short(row.Effect.Ratio)
}

func (row *Row) interval() string {
	if row.Effect.Level == 0 {
		return "–"
	}
	return short(row.Effect.Low) + "–" + short(row.Effect.High)
}

// word is the verdict as the table says it.
func (row *Row) word() string {
	switch {
	case row.Verdict == "":
		return noVerdict
	case row.Needs > 0:
		return fmt.Sprintf("%s: needs %d blocks", row.Verdict, row.Needs)
	}
	return string(row.Verdict)
}

// Findings are the rows with a verdict, strongest first; what is unclear comes last.
func (r *Result) Findings() []results.Finding {
	out := []results.Finding{}
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Verdict == "" || row.Verdict == results.Unclear {
			continue
		}
		f := results.Finding{Code: "comparison", Metric: row.Metric.Name, Effect: row.Effect, Verdict: row.Verdict, Pairs: row.Pairs, Needs: row.Needs,
			Cells: []plan.Cell{row.Group.Cells[1], row.Group.Cells[0]}, Claim: r.claim(row), Why: words(row.Moved)}
		out = append(out, f)
	}
	slices.SortStableFunc(out, func(a, b results.Finding) int { return cmp.Compare(strength(b), strength(a)) })
	return out
}

// strength is how far a ratio is from 1 at least; below 0: it is the same.
func strength(f results.Finding) float64 {
	if f.Verdict == results.Same {
		return -1
	}
	return max(math.Log(f.Effect.Low), -math.Log(f.Effect.High), 0)
}

func words(moved []explain.Shift) string {
	var all []string
	for _, s := range moved {
		all = append(all, s.String())
	}
	return strings.Join(all, "; ")
}

func (r *Result) claim(row *Row) string {
	where := ""
	if row.Group.Label != "" {
		where = " (" + row.Group.Label + ")"
	}
	second, first := r.Sides[1], r.Sides[0]
	if r.Pivot {
		second, first, where = row.Group.Cells[1].String(), row.Group.Cells[0].String(), ""
	}
	of := term.Count(row.Pairs, "pair")
	if r.Sessions != nil {
		of = fmt.Sprintf("against %d sessions", len(r.Sessions.Counts))
	}
	return fmt.Sprintf("%s against %s%s: %s %s → %s, ratio %s (%g%% interval %s, %s): %s.", second, first, where,
		row.Metric.Name, row.value(0), row.value(1), row.ratio(), math.Floor(1000*row.Effect.Level)/10, row.interval(), of, row.Verdict)
}

// rowJSON is a row of a Result, null where there is no number.
type rowJSON struct {
	Label   string             `json:"label"`
	Cells   []plan.Cell        `json:"cells"` // the second side's, and the first's
	Metric  string             `json:"metric"`
	Values  []*float64         `json:"values"` // in the order of cells: medians of the trials' own
	AtLeast []bool             `json:"at_least"`
	Effect  *stats.Interval    `json:"effect"` // the second side's over the first's; level 0: too few pairs for limits
	Pairs   int                `json:"pairs"`
	Verdict results.Conclusion `json:"verdict"` // "": none
	Needs   int                `json:"needs"`
	Note    string             `json:"note,omitempty"`
	Moved   []explain.Shift    `json:"moved,omitempty"`
}

// MarshalJSON writes the form all commands share; cells are the rows.
func (r *Result) MarshalJSON() ([]byte, error) {
	cells := []rowJSON{}
	for i := range r.Rows {
		row := &r.Rows[i]
		number := func(side int) *float64 {
			if math.IsNaN(row.Values[side]) {
				return nil
			}
			return &row.Values[side]
		}
		j := rowJSON{row.Group.Label, []plan.Cell{row.Group.Cells[1], row.Group.Cells[0]}, row.Metric.Name, []*float64{number(1), number(0)},
			[]bool{row.AtLeast[1], row.AtLeast[0]}, nil, row.Pairs, row.Verdict, row.Needs, row.Note, row.Moved}
		if row.Effect.Ratio > 0 {
			j.Effect = &row.Effect
		}
		cells = append(cells, j)
	}
	differences := append([]Difference{}, r.Differences...)
	return json.Marshal(struct {
		Verdict     string            `json:"verdict"`
		Findings    []results.Finding `json:"findings"`
		Cells       []rowJSON         `json:"cells"`
		Run         string            `json:"run"`
		Other       string            `json:"other,omitempty"` // the second run
		Same        float64           `json:"same_within"`
		Differences []Difference      `json:"differences"`
		Sessions    *Sessions         `json:"sessions,omitempty"`
	}{r.Verdict, r.Findings(), cells, r.A, r.B, r.Same, differences, r.Sessions})
}
