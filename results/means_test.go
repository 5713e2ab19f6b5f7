package results

import (
	"strings"
	"testing"

	"github.com/sockbench/sockbench/loadgen"
)

// The parts of a mean add up to it, the small ones are not told, and nothing is divided that the parts do not explain.
func TestMeans(t *testing.T) {
	p := newPlan(t, 1)
	rec := fine(p.Block(0, 0)[0], 0)
	m := rec.Metrics
	if lines := Means(p, []CellSummary{{Cell: rec.Cell, Merged: &rec}}); lines != nil {
		t.Errorf("the server's part is not known, and yet: %q", lines)
	}
	mean := func(us float64) loadgen.Quantity { return loadgen.Quantity{Count: 100, Mean: us * 1e3} }
	m.Response, m.Service, m.QueueWait, m.Lateness = mean(412.4), mean(410.2), mean(0.2), mean(2)
	m.Handled.Waiting, m.Handled.Service = mean(52), mean(100)
	parts, ok := m.parts()
	if !ok || parts.QueueWait+parts.Lateness+parts.Elsewhere+parts.Queue+parts.Service != parts.Response || parts.Response != 412_400 {
		t.Errorf("%+v, %v", parts, ok)
	}
	lines := Means(p, []CellSummary{{Cell: rec.Cell, Merged: &rec}})
	if want := "mean 412us = 258us network, kernel and the rest + 52.0us waiting in the server + 100us service"; len(lines) != 1 || !strings.HasSuffix(lines[0], want) {
		t.Errorf("%q, want %q", lines, want)
	}
	for what, spoil := range map[string]func(){
		"a request that failed":          func() { m.Offered++ },
		"more service than response":     func() { m.Handled.Service = mean(500) },
		"a server with next to no share": func() { m.Handled.Waiting, m.Handled.Service = mean(1), mean(3) },
	} {
		before := *m
		if spoil(); Means(p, []CellSummary{{Cell: rec.Cell, Merged: &rec}}) != nil {
			t.Errorf("%s, and the mean is divided", what)
		}
		*m = before
	}
}
