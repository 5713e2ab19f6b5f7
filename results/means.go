package results

import (
	"fmt"
	"math"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
)

// Parts are what a cell's mean response time is made of, in whole nanoseconds that add up to it. Only means add up:
// percentiles of parts belong to different requests.
type Parts struct {
	Response  int64 `json:"response_ns"`
	QueueWait int64 `json:"queue_wait_ns"`     // no connection was free
	Lateness  int64 `json:"lateness_ns"`       // the load generator's own
	Elsewhere int64 `json:"elsewhere_ns"`      // network, both kernels, and what client and server do besides: the rest
	Queue     int64 `json:"server_queue_ns"`   // the server had heard of the request, and served others
	Service   int64 `json:"server_service_ns"` // it worked on it, or slept for it
}

// parts divides the mean response time of m. It cannot where the server's part is not known, or where requests without a
// reply have response times and nothing else.
func (m *Metrics) parts() (p Parts, ok bool) {
	server := &m.Handled
	if m.Response.Count == 0 || m.Completed != m.Offered || server.Service.Count == 0 {
		return p, false
	}
	whole := func(v float64) int64 { return int64(math.Round(v)) }
	p = Parts{Response: whole(m.Response.Mean), QueueWait: whole(m.QueueWait.Mean), Lateness: whole(m.Lateness.Mean),
		Queue: whole(server.Waiting.Mean), Service: whole(server.Service.Mean)}
	p.Elsewhere = p.Response - p.QueueWait - p.Lateness - p.Queue - p.Service
	return p, p.Elsewhere >= 0 // the server's part is a sample: of few requests it may be off
}

// String leaves out what is less than a hundredth of the whole, but not the rest.
func (p Parts) String() string {
	text := "mean " + term.Duration(float64(p.Response)) + " ="
	plus := ""
	for _, part := range []struct {
		ns   int64
		what string
	}{{p.QueueWait, "waiting for a free connection"}, {p.Lateness, "late"}, {p.Elsewhere, "network, kernel and the rest"},
		{p.Queue, "waiting in the server"}, {p.Service, "service"}} {
		if part.ns*100 < p.Response && part.ns != p.Elsewhere {
			continue
		}
		text += fmt.Sprintf("%s %s %s", plus, term.Duration(float64(part.ns)), part.what)
		plus = " +"
	}
	return text
}

// meansMax is how many cells Means tells of.
const meansMax = 24

// Means says what the mean response times are made of, a line for each cell in which the server's queue and service are a
// tenth of it or more: elsewhere there is nothing to divide.
func Means(p *plan.Plan, cells []CellSummary) (lines []string) {
	more := 0
	for i := range cells {
		if cells[i].Merged == nil {
			continue
		}
		parts, ok := cells[i].Merged.Metrics.parts()
		if !ok || parts.Queue+parts.Service < parts.Response/10 {
			continue
		}
		if len(lines) == meansMax {
			more++
			continue
		}
		line := parts.String()
		if label := p.Label(cells[i].Cell); label != "" {
			line = label + ": " + line
		}
		lines = append(lines, line)
	}
	if more > 0 {
		lines = append(lines, fmt.Sprintf("and of %d more cells: -o json", more))
	}
	return lines
}
