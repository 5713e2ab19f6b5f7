package report

import (
	"fmt"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/results"
)

const spreadName = "spread"

// spanOf is a cell's response times, as far as their percentiles are supported: no histogram is read for it.
func spanOf(s *results.CellSummary) (span term.Span, ok bool) {
	if s.Merged == nil || s.Merged.Metrics.Response.P50 == nil {
		return span, false
	}
	q := &s.Merged.Metrics.Response
	span = term.Span{Low: float64(q.Min), P50: float64(*q.P50)}
	for _, p := range []*int64{q.P90, q.P99, q.P999} {
		if p != nil {
			span.Steps = append(span.Steps, float64(*p))
			span.Open = q.Censored != nil && *p >= *q.Censored
		}
	}
	return span, true
}

// spreadAxis has room for all cells; open says whether any of them has an end that is a lower bound.
func spreadAxis(cells []results.CellSummary) (a term.Axis, open bool) {
	for i := range cells {
		if span, ok := spanOf(&cells[i]); ok {
			a.Include(span)
			open = open || span.Open
		}
	}
	return a, open
}

func spread(s *results.CellSummary, a term.Axis, screen term.Screen) string {
	span, ok := spanOf(s)
	if !ok {
		return "–"
	}
	return screen.Span(a, span)
}

// spreadNote explains the column; where there is nothing in it, it is "".
func spreadNote(a term.Axis, open bool, screen term.Screen) string {
	if a == (term.Axis{}) {
		return ""
	}
	is := screen.Shades()
	note := fmt.Sprintf("spread: response times from %s to %s, one logarithmic scale for all rows: %s p50, %s from the least to p90, %s to p99, %s to p99.9",
		term.Duration(a.Low), term.Duration(a.High), is[0], is[1], is[2], is[3])
	if open {
		note += ", " + term.Beyond + " or longer"
	}
	return note
}
