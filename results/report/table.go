package report

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
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
func (c column) idle(cells []results.CellSummary) bool {
	return !slices.ContainsFunc(cells, func(s results.CellSummary) bool {
		if s.Merged == nil {
			return false
		}
		switch c.metric {
		case "via_cpu_per_request":
			via := s.Merged.Metrics.Via
			return via.CPUUser+via.CPUSystem > 0
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

// table is what a run says: a row for each cell, those of one target together, and the doubts its last column refers to
// by letter. How many connections were served has a column if any was not.
func table(p *plan.Plan, cells []results.CellSummary, screen term.Screen) (t term.Table, doubts notes) {
	factors := columns(p)
	if grouped(p) {
		cells = slices.Clone(cells)
		place := func(s results.CellSummary) int { return slices.Index(factors[0].Levels, s.Cell["target"]) }
		slices.SortStableFunc(cells, func(a, b results.CellSummary) int { return cmp.Compare(place(a), place(b)) })
	}
	for _, f := range factors {
		c := term.Column{Name: f.Knob}
		if len(f.Levels) == 1 && len(cells) > 1 { // what all rows share goes before any number, as if it were one
			c.Priority, c.Right = 7, true
		}
		t.Columns = append(t.Columns, c)
	}
	show := slices.DeleteFunc(slices.Clone(shown), func(s column) bool { return s.idle(cells) })
	for _, s := range show {
		t.Columns = append(t.Columns, term.Column{Name: s.heading, Right: true, Priority: s.priority})
	}
	starving := slices.ContainsFunc(cells, starved)
	if starving {
		t.Columns = append(t.Columns, term.Column{Name: "conns", Right: true, Priority: 2})
	}
	axis, open := spreadAxis(cells)
	t.Columns = append(t.Columns, term.Column{Name: spreadName, Priority: 6, Whole: true, Note: spreadNote(axis, open, screen)}, term.Column{Name: "notes", Priority: 1})
	for i := range cells {
		s := &cells[i]
		cells := row(p, s, show)
		if starving {
			cells = append(cells, served(s))
		}
		t.Rows = append(t.Rows, append(cells, spread(s, axis, screen), strings.Join(doubts.letters(s, p), " ")))
	}
	t.Columns[len(t.Columns)-1].Paint = func(cell string) string { return doubts.paint(cell, screen) }
	return t, doubts
}

// row is a cell's levels and metrics.
func row(p *plan.Plan, s *results.CellSummary, show []column) (cells []string) {
	for _, f := range columns(p) {
		cells = append(cells, s.Cell[f.Knob])
	}
	for _, col := range show {
		text := "–"
		if m, ok := results.FindMetric(col.metric); ok && s.Merged != nil {
			text = m.Text(s.Merged)
		}
		cells = append(cells, text)
	}
	return cells
}

func starved(s results.CellSummary) bool {
	return slices.ContainsFunc(s.Doubts, func(d results.CellDoubt) bool { return d.Code == "connections_starved" })
}

// served is how many connections of how many completed a request, in the mean of the trials: "1/8".
func served(s *results.CellSummary) string {
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
