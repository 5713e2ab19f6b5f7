package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

func trialRows(w io.Writer, in Input) error {
	return trialTable(in.Manifest.Plan, in.Records).CSV(w)
}

// counts are a trial's, by their names in trials.jsonl.
var counts = []struct {
	name string
	of   func(*results.Metrics) int64
}{
	{"offered", func(m *results.Metrics) int64 { return m.Offered }},
	{"completed", func(m *results.Metrics) int64 { return m.Completed }},
	{"failed", func(m *results.Metrics) int64 { return m.Failed }},
	{"timed_out", func(m *results.Metrics) int64 { return m.TimedOut }},
	{"unfinished", func(m *results.Metrics) int64 { return m.Unfinished }},
	{"duration_ns", func(m *results.Metrics) int64 { return m.Duration }},
}

// trialTable has a row for each trial: knobs, counts, metrics in their own units (nothing where not supported), which of
// them are lower bounds, codes of doubts, and the error of a failed trial.
func trialTable(p *plan.Plan, records []results.Record) (t term.Table) {
	names := []string{"id", "block", "order", "attempt", "counted", "started"}
	for _, f := range p.Factors {
		names = append(names, f.Knob)
	}
	for _, c := range counts {
		names = append(names, c.name)
	}
	for _, m := range results.All {
		names = append(names, m.Name)
	}
	for _, name := range append(names, "at_least", "doubts", "stage", "error") {
		t.Columns = append(t.Columns, term.Column{Name: name})
	}
	counting, _ := results.Counting(records)
	counted := map[*results.Record]bool{}
	for _, r := range counting {
		counted[r] = true
	}
	for i := range records {
		t.Rows = append(t.Rows, trialRow(p, &records[i], counted[&records[i]]))
	}
	return t
}

func trialRow(p *plan.Plan, r *results.Record, counted bool) []string {
	row := []string{r.ID, fmt.Sprint(r.Block), fmt.Sprint(r.Order), fmt.Sprint(r.Attempt), fmt.Sprint(counted), r.Started.UTC().Format(time.RFC3339Nano)}
	for _, f := range p.Factors {
		row = append(row, r.Cell[f.Knob])
	}
	for _, c := range counts {
		if row = append(row, ""); r.Metrics != nil {
			row[len(row)-1] = fmt.Sprint(c.of(r.Metrics))
		}
	}
	var bounds, codes []string
	for _, m := range results.All {
		v, ok := m.Get(r)
		if row = append(row, ""); ok {
			row[len(row)-1] = number(v)
		}
		if ok && m.Censored != nil && m.Censored(r) {
			bounds = append(bounds, m.Name)
		}
	}
	if r.Metrics != nil {
		for _, d := range r.Metrics.Validity {
			if d.Verdict != results.OK {
				codes = append(codes, d.Code)
			}
		}
	}
	return append(row, strings.Join(bounds, " "), strings.Join(codes, " "), r.Stage, r.Error)
}

// number writes v for programs: all its digits, and no exponent.
func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
