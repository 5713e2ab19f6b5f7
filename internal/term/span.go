package term

import (
	"math"
	"strings"
)

// SpanWidth is how many columns a Span takes.
const SpanWidth = 16

// Span is a distribution in quantiles, to be drawn on an Axis: P50 lies in it, Steps are where shade gives way to the
// next lighter one.
type Span struct {
	Low, P50 float64
	Steps    []float64 // at most one for each of Shades, rising; the last one drawn ends the span
	Open     bool      // the end is a lower bound
}

// shades of a span: its median, and what lies up to each step.
var shades = map[bool][]string{
	false: {"█", "▒", "░", "·"},
	true:  {"#", "=", "-", "."},
}

// Beyond ends a span that is open.
const Beyond = ">"

// Shades are the letters of a span: of its median, then of what lies up to each step.
func (s Screen) Shades() []string { return shades[s.ASCII] }

// Axis is a logarithmic scale that several spans share.
type Axis struct{ Low, High float64 }

// Include makes room for a span. An Axis{} has room for nothing yet.
func (a *Axis) Include(s Span) {
	if a.High == 0 {
		a.Low, a.High = s.Low, s.end()
	}
	a.Low, a.High = min(a.Low, s.Low), max(a.High, s.end())
}

func (s Span) end() float64 {
	if len(s.Steps) == 0 {
		return s.P50
	}
	return s.Steps[len(s.Steps)-1]
}

// column is where v lies on the axis.
func (a Axis) column(v float64) int {
	low, high := math.Log(max(a.Low, 1)), math.Log(max(a.High, 1))
	if high <= low {
		return 0
	}
	at := (math.Log(max(v, 1)) - low) / (high - low)
	return min(SpanWidth-1, max(0, int(at*SpanWidth)))
}

// Span draws s on the axis.
func (s Screen) Span(a Axis, span Span) string {
	letters := s.Shades()
	out := make([]string, SpanWidth)
	for i := range out {
		out[i] = " "
	}
	from := a.column(span.Low)
	for n, step := range span.Steps {
		to := a.column(step)
		for i := from; i <= to; i++ {
			out[i] = letters[n+1]
		}
		from = to + 1
	}
	out[a.column(span.P50)] = letters[0]
	if span.Open {
		out[min(a.column(span.end())+1, SpanWidth-1)] = Beyond
	}
	return strings.TrimRight(strings.Join(out, ""), " ")
}
