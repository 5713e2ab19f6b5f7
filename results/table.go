package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
)

// shown are the metrics of the run table: by name, under which heading, and how soon they go where space is short.
var shown = []struct {
	metric, heading string
	priority        int
}{
	{"throughput", "req/s", 1}, {"p50", "p50", 2}, {"p90", "p90", 4}, {"p99", "p99", 1}, {"p999", "p99.9", 3},
	{"server_cpu_per_request", "srv cpu/req", 3}, {"client_cpu_per_request", "cli cpu/req", 5}, {"errors", "errors", 2},
}

// Table is what a run says: a row per cell, and the doubts its last column refers to by letter, one line each.
func Table(p *plan.Plan, cells []CellSummary) (t term.Table, legend []string) {
	for _, f := range p.Factors {
		c := term.Column{Name: f.Knob}
		if len(f.Levels) == 1 && len(cells) > 1 { // what all rows share can go before any number
			c.Priority = 6
		}
		t.Columns = append(t.Columns, c)
	}
	for _, s := range shown {
		t.Columns = append(t.Columns, term.Column{Name: s.heading, Right: true, Priority: s.priority})
	}
	t.Columns = append(t.Columns, term.Column{Name: "doubts", Priority: 1})
	var notes notes
	for i := range cells {
		t.Rows = append(t.Rows, row(p, &cells[i], &notes))
	}
	return t, notes.lines()
}

func row(p *plan.Plan, s *CellSummary, n *notes) (cells []string) {
	for _, f := range p.Factors {
		cells = append(cells, s.Cell[f.Knob])
	}
	for _, col := range shown {
		text := "–"
		if m, ok := FindMetric(col.metric); ok && s.Merged != nil {
			text = m.Text(s.Merged)
		}
		cells = append(cells, text)
	}
	var letters []string
	if s.Failed > 0 {
		letters = append(letters, n.letter(CellDoubt{Doubt{"failed", Fail, s.Error}, s.Failed}, s, p))
	}
	for _, d := range s.Doubts {
		letters = append(letters, n.letter(d, s, p))
	}
	return append(cells, strings.Join(letters, " "))
}

// notes gives each code a letter in the order of appearance, and keeps the worst case of each.
type notes []note

type note struct {
	CellDoubt
	label  string // the cell it is worst in
	trials int    // of that cell
	cells  int    // that have it
}

func (n *notes) letter(d CellDoubt, s *CellSummary, p *plan.Plan) string {
	i := slices.IndexFunc(*n, func(e note) bool { return e.Code == d.Code })
	if i < 0 {
		i = len(*n)
		*n = append(*n, note{CellDoubt: CellDoubt{Doubt: Doubt{Verdict: OK}}})
	}
	e := &(*n)[i]
	if e.cells++; d.Verdict.rank() > e.Verdict.rank() {
		e.CellDoubt, e.label, e.trials = d, p.Label(s.Cell), s.Trials
	}
	return letter(i)
}

// letter is a, b, … z, aa, ab, …
func letter(i int) string {
	if i < 26 {
		return string(rune('a' + i))
	}
	return letter(i/26-1) + letter(i%26)
}

// lines are the legend: "a  warn  steal: 2.1% of a CPU (target=epoll: 3 of 6 trials; and in 2 more cells)".
func (n notes) lines() (lines []string) {
	for i, e := range n {
		where := fmt.Sprintf("%d of %d trials", e.Trials, e.trials)
		if e.label != "" {
			where = e.label + ": " + where
		}
		switch {
		case e.cells == 2:
			where += "; and in 1 more cell"
		case e.cells > 2:
			where += fmt.Sprintf("; and in %d more cells", e.cells-1)
		}
		lines = append(lines, fmt.Sprintf("%s  %s  %s: %s (%s)", letter(i), e.Verdict, e.Code, e.Evidence, where))
	}
	return lines
}

// Answer is "run -o json".
type Answer struct {
	Verdict string
	Cells   []CellSummary
	Run     string // the run folder
}

// cellJSON is a cell of an Answer. Metrics have all names of All, null where not supported; at_least names those that
// are lower bounds.
type cellJSON struct {
	Cell     plan.Cell           `json:"cell"`
	Trials   int                 `json:"trials"`
	Failed   int                 `json:"failed"`
	Repeated int                 `json:"repeated"`
	Error    string              `json:"error,omitempty"`
	Counts   map[string]int64    `json:"counts,omitempty"`
	Metrics  map[string]*float64 `json:"metrics,omitempty"`
	AtLeast  []string            `json:"at_least,omitempty"`
	Doubts   []CellDoubt         `json:"doubts"`
}

// MarshalJSON writes the answer in the form all commands share. A run compares nothing, so it finds nothing.
func (a Answer) MarshalJSON() ([]byte, error) {
	cells := []cellJSON{}
	for i := range a.Cells {
		cells = append(cells, a.Cells[i].json())
	}
	return json.Marshal(struct {
		Verdict  string     `json:"verdict"`
		Findings []struct{} `json:"findings"`
		Cells    []cellJSON `json:"cells"`
		Run      string     `json:"run"`
	}{a.Verdict, []struct{}{}, cells, a.Run})
}

func (s *CellSummary) json() cellJSON {
	c := cellJSON{Cell: s.Cell, Trials: s.Trials, Failed: s.Failed, Repeated: s.Repeated, Error: s.Error, Doubts: s.Doubts}
	if c.Doubts == nil {
		c.Doubts = []CellDoubt{}
	}
	if s.Merged == nil {
		return c
	}
	r := &s.Merged.Metrics.Result
	c.Counts = map[string]int64{"offered": r.Offered, "completed": r.Completed, "failed": r.Failed, "timed_out": r.TimedOut, "unfinished": r.Unfinished}
	c.Metrics = map[string]*float64{}
	for _, m := range All {
		c.Metrics[m.Name] = nil
		if v, ok := m.Get(s.Merged); ok {
			c.Metrics[m.Name] = &v
			if m.Censored != nil && m.Censored(s.Merged) {
				c.AtLeast = append(c.AtLeast, m.Name)
			}
		}
	}
	return c
}

// WriteJSON writes a as one indented document.
func WriteJSON(w io.Writer, a Answer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(a)
}

// TrialTable has a row per trial, for CSV: knobs, metrics in their own units (nothing where not supported), which of
// them are lower bounds, codes of doubts, and the error of a failed trial.
func TrialTable(p *plan.Plan, records []Record) (t term.Table) {
	names := []string{"id", "block", "order", "attempt", "started"}
	for _, f := range p.Factors {
		names = append(names, f.Knob)
	}
	for _, m := range All {
		names = append(names, m.Name)
	}
	for _, name := range append(names, "at_least", "doubts", "error") {
		t.Columns = append(t.Columns, term.Column{Name: name})
	}
	for i := range records {
		r := &records[i]
		row := []string{r.ID, fmt.Sprint(r.Block), fmt.Sprint(r.Order), fmt.Sprint(r.Attempt), r.Started.UTC().Format(time.RFC3339Nano)}
		for _, f := range p.Factors {
			row = append(row, r.Cell[f.Knob])
		}
		var bounds, codes []string
		for _, m := range All {
			v, ok := m.Get(r)
			if row = append(row, ""); ok {
				row[len(row)-1] = strconv.FormatFloat(v, 'f', -1, 64)
			}
			if ok && m.Censored != nil && m.Censored(r) {
				bounds = append(bounds, m.Name)
			}
		}
		if r.Metrics != nil {
			for _, d := range r.Metrics.Validity {
				if d.Verdict != OK {
					codes = append(codes, d.Code)
				}
			}
		}
		t.Rows = append(t.Rows, append(row, strings.Join(bounds, " "), strings.Join(codes, " "), r.Error))
	}
	return t
}

// Write shows a run in one of the formats of -o: table, as wide as width (0: no limit), md, csv or json.
func Write(w io.Writer, format string, width int, p *plan.Plan, records []Record, a Answer) error {
	switch format {
	case "json":
		return WriteJSON(w, a)
	case "csv":
		return TrialTable(p, records).CSV(w)
	case "md":
		t, legend := Table(p, a.Cells)
		if err := t.Markdown(w); err != nil {
			return err
		}
		return writeLegend(w, legend, 0, "- ")
	case "table":
		t, legend := Table(p, a.Cells)
		if err := t.Text(w, width); err != nil {
			return err
		}
		return writeLegend(w, legend, width, "")
	}
	return errors.New("no format " + format + ": choose one of table, json, md, csv")
}

// writeLegend sets the lines apart from the table above them.
func writeLegend(w io.Writer, legend []string, width int, bullet string) error {
	var out strings.Builder
	for _, note := range legend {
		out.WriteString("\n" + bullet + strings.Join(term.Wrap(note, width, "   "), "\n"))
	}
	if out.Len() == 0 {
		return nil
	}
	_, err := fmt.Fprintln(w, out.String())
	return err
}
