package results

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results/stats"
)

// column is a metric of the run table: by name, under which heading, and how soon it goes where space is short.
type column struct {
	metric, heading string
	priority        int
}

// shown are the metrics of the run table; those of what stands between client and server, and of faults, are left out where there are none.
var shown = []column{
	{"throughput", "req/s", 1}, {"p50", "p50", 1}, {"p90", "p90", 5}, {"p99", "p99", 1}, {"p999", "p99.9", 4},
	{"server_cpu_per_request", "srv cpu", 1}, {"via_cpu_per_request", "via cpu", 1}, {"client_cpu_per_request", "cli cpu", 5}, {"errors", "errors", 3},
	{"time_to_detect", "detected", 1}, {"false_alarms", "false alarms", 1}, {"replies_lost", "lost", 1},
}

// idle says whether no cell has anything to say in a column, which then is left out.
func (c column) idle(cells []CellSummary) bool {
	return !slices.ContainsFunc(cells, func(s CellSummary) bool {
		if s.Merged == nil {
			return false
		}
		switch c.metric {
		case "via_cpu_per_request":
			return s.Merged.Metrics.Via.cpu() > 0
		case "time_to_detect", "false_alarms", "replies_lost":
			return len(s.Merged.Metrics.Faults) > 0
		}
		return true
	})
}

// columns are the plan's factors as the table shows them: what it groups by comes first.
func columns(p *plan.Plan) []plan.Factor {
	factors := slices.Clone(p.Factors)
	slices.SortStableFunc(factors, func(a, b plan.Factor) int { return cmp.Compare(groups(b), groups(a)) })
	return factors
}

// grouped says whether the first column is a group's name.
func grouped(p *plan.Plan) bool {
	return slices.ContainsFunc(p.Factors, func(f plan.Factor) bool { return groups(f) > 0 })
}

// groups is 1 for the factor by which rows are grouped: the server, where there are several.
func groups(f plan.Factor) int {
	if f.Knob == "target" && len(f.Levels) > 1 {
		return 1
	}
	return 0
}

// Table is what a run says: a row per cell, those of one target together, and the doubts its last column refers to by
// letter, one line each. How many connections were served has a column if any was not.
func Table(p *plan.Plan, cells []CellSummary) (t term.Table, legend []string) {
	factors := columns(p)
	if grouped(p) {
		cells = slices.Clone(cells)
		place := func(s CellSummary) int { return slices.Index(factors[0].Levels, s.Cell["target"]) }
		slices.SortStableFunc(cells, func(a, b CellSummary) int { return cmp.Compare(place(a), place(b)) })
	}
	for _, f := range factors {
		c := term.Column{Name: f.Knob}
		if len(f.Levels) == 1 && len(cells) > 1 { // what all rows share goes before any number, as if it were one
			c.Priority, c.Right = 6, true
		}
		t.Columns = append(t.Columns, c)
	}
	show := slices.DeleteFunc(slices.Clone(shown), func(s column) bool { return s.idle(cells) })
	for _, s := range show {
		t.Columns = append(t.Columns, term.Column{Name: s.heading, Right: true, Priority: s.priority})
	}
	starving := slices.ContainsFunc(cells, CellSummary.starved)
	if starving {
		t.Columns = append(t.Columns, term.Column{Name: "conns", Right: true, Priority: 2})
	}
	t.Columns = append(t.Columns, term.Column{Name: "notes", Priority: 1})
	var notes notes
	for i := range cells {
		t.Rows = append(t.Rows, row(p, &cells[i], show, starving, &notes))
	}
	return t, notes.lines()
}

// gaveNothing is the code of the note that says why trials failed.
const gaveNothing = "failed"

func row(p *plan.Plan, s *CellSummary, show []column, starving bool, n *notes) (cells []string) {
	for _, f := range columns(p) {
		cells = append(cells, s.Cell[f.Knob])
	}
	for _, col := range show {
		text := "–"
		if m, ok := FindMetric(col.metric); ok && s.Merged != nil {
			text = m.Text(s.Merged)
		}
		cells = append(cells, text)
	}
	if starving {
		cells = append(cells, s.served())
	}
	var letters []string
	if s.Failed > 0 {
		letters = append(letters, n.letter(CellDoubt{Doubt{gaveNothing, Fail, s.Error}, s.Failed}, s, p))
	}
	for _, d := range s.Doubts {
		letters = append(letters, n.letter(d, s, p))
	}
	return append(cells, strings.Join(letters, " "))
}

func (s CellSummary) starved() bool {
	return slices.ContainsFunc(s.Doubts, func(d CellDoubt) bool { return d.Code == "connections_starved" })
}

// served is how many connections of how many completed a request, in the mean of the trials: "1/8".
func (s *CellSummary) served() string {
	if s.Merged == nil {
		return "–"
	}
	c, trials := s.Merged.Metrics.Connections, float64(s.Trials-s.Failed)
	return term.Number(math.Floor(float64(c.Served)/trials)) + "/" + term.Number(math.Round(float64(c.Attained)/trials))
}

// blankRepeats leaves the name of a group to its first row.
func blankRepeats(p *plan.Plan, t term.Table) term.Table {
	if grouped(p) {
		for i := len(t.Rows) - 1; i > 0; i-- {
			if t.Rows[i][0] == t.Rows[i-1][0] {
				t.Rows[i][0] = ""
			}
		}
	}
	return t
}

// notes gives each code a letter in the order of appearance, and keeps the worst case of each. What makes one target fail
// is not what makes another fail: each has a letter of its own.
type notes []note

type note struct {
	CellDoubt
	target plan.Level // of cells whose trials failed
	label  string     // the cell it is worst in
	trials int        // of that cell
	cells  int        // that have it
}

func (n *notes) letter(d CellDoubt, s *CellSummary, p *plan.Plan) string {
	var target plan.Level
	if d.Code == gaveNothing {
		target = s.Cell["target"] + s.Cell["variant"]
	}
	i := slices.IndexFunc(*n, func(e note) bool { return e.Code == d.Code && e.target == target })
	if i < 0 {
		i = len(*n)
		*n = append(*n, note{CellDoubt: CellDoubt{Doubt: Doubt{Verdict: OK}}, target: target})
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
	Verdict  string
	Findings []Finding // strongest first
	Nothing  string    // why there are none, and what could have been found; only people see it
	Cells    []CellSummary
	Sessions []Session
	Run      string   // the run folder
	Because  []string // the first diagnosis of each cell, where there is one; only people see it
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

	Intervals   map[string]stats.Limits `json:"intervals,omitempty"`    // of merged percentiles, by metric
	NoIntervals string                  `json:"no_intervals,omitempty"` // why there are none

	Means  *Parts      `json:"means,omitempty"` // where the server's part is known
	Doubts []CellDoubt `json:"doubts"`
}

// MarshalJSON writes the answer in the form all commands share.
func (a Answer) MarshalJSON() ([]byte, error) {
	cells := []cellJSON{}
	for i := range a.Cells {
		cells = append(cells, a.Cells[i].json())
	}
	findings := a.Findings
	if findings == nil {
		findings = []Finding{}
	}
	return json.Marshal(struct {
		Verdict  string     `json:"verdict"`
		Findings []Finding  `json:"findings"`
		Cells    []cellJSON `json:"cells"`
		Sessions []Session  `json:"sessions,omitempty"`
		Run      string     `json:"run"`
	}{a.Verdict, findings, cells, a.Sessions, a.Run})
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
	if p, ok := s.Merged.Metrics.parts(); ok {
		c.Means = &p
	}
	c.Intervals, c.NoIntervals = s.Intervals()
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
		legend = append(legend, a.sessionNotes()...)
		if err := t.Markdown(w); err != nil {
			return err
		}
		return errors.Join(section(w, "**"+a.heading()+"**\n", a.claims(". "), 0), section(w, "**"+a.because()+"**\n", bullets(a.Because), 0), section(w, "**"+meansHeading+"**\n", bullets(Means(p, a.Cells)), 0), section(w, "**Notes**\n", bullets(legend), 0))
	case "table":
		t, legend := Table(p, a.Cells)
		legend = append(legend, a.sessionNotes()...)
		if err := blankRepeats(p, t).Text(w, width); err != nil {
			return err
		}
		return errors.Join(section(w, a.heading(), a.claims("  "), width), section(w, a.because(), a.Because, width), section(w, meansHeading, Means(p, a.Cells), width), section(w, "Notes", legend, width))
	}
	return errors.New("no format " + format + ": choose one of table, json, md, csv")
}

// claims are the findings as numbered sentences, or why there are none.
func (a Answer) claims(after string) (lines []string) {
	for i, f := range a.Findings {
		line := strconv.Itoa(i+1) + after + f.Claim
		if f.Why != "" {
			line += " Moved: " + f.Why + "."
		}
		lines = append(lines, line)
	}
	if lines == nil && a.Nothing != "" {
		lines = append(lines, "None: "+a.Nothing+".")
	}
	return lines
}

// sessionNotes are beside the doubts: they are of no cell, and have no letter.
func (a Answer) sessionNotes() (lines []string) {
	for i := range a.Sessions {
		lines = append(lines, a.Sessions[i].notes()...)
	}
	return lines
}

func (a Answer) heading() string {
	if len(a.Findings) > 1 {
		return "Findings, strongest first"
	}
	return "Findings"
}

// because heads the diagnoses.
func (a Answer) because() string { return "What is the matter (more: sockbench explain " + a.Run + ")" }

func bullets(lines []string) (list []string) {
	for _, line := range lines {
		list = append(list, "- "+line)
	}
	return list
}

// section writes the lines, if there are any, behind an empty line and a heading.
func section(w io.Writer, heading string, lines []string, width int) error {
	if len(lines) == 0 {
		return nil
	}
	out := "\n" + heading + "\n"
	for _, line := range lines {
		out += strings.Join(term.Wrap(line, width, "   "), "\n") + "\n"
	}
	_, err := io.WriteString(w, out)
	return err
}
