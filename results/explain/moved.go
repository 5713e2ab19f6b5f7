package explain

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/stats"
)

// Shift is evidence that differs between two cells, in the median of pairs of trials.
type Shift struct {
	Name string  `json:"name"`
	Unit string  `json:"unit"`
	From float64 `json:"from"`
	To   float64 `json:"to"`
}

func (s Shift) String() string {
	return fmt.Sprintf("%s %s → %s", s.Name, show(s.From, s.Unit), show(s.To, s.Unit))
}

const (
	shiftTimes = 1.2  // at least: by which evidence has to differ in a pair, …
	shiftLeast = 1.02 // … or, where it is the reason of a small effect
	shiftPairs = .75  // of the pairs, at least, that differ by it in the same direction
)

// evidence is what may move. A difference below least is nobody's reason.
var evidence = []struct {
	name, unit string
	least      float64
	of         func(*results.Record) float64
}{
	{"client CPU per request", "ns", 500, perReply(func(m *results.Metrics) float64 { return cpu(&m.Client) })},
	{"server CPU per request", "ns", 500, perReply(func(m *results.Metrics) float64 { return cpu(&m.Server) })},
	{"client switches per request", "1", .05, perReply(func(m *results.Metrics) float64 { return switches(&m.Client) })},
	{"server switches per request", "1", .05, perReply(func(m *results.Metrics) float64 { return switches(&m.Server) })},
	{"client segments per request", "1", .1, segments(client)},
	{"server segments per request", "1", .1, segments(server)},
	{"client bytes per segment", "B", 100, segmentSize(client)},
	{"server bytes per segment", "B", 100, segmentSize(server)},
	{"client segments sent again", "share", .002, resent(client)},
	{"server segments sent again", "share", .002, resent(server)},
	{"client's window to the server", "B", 1448, window(client)},
	{"server's window to the client", "B", 1448, window(server)},
	{"client's time limited by the window", "share", .05, limited(client, "rwnd_limited_us")},
	{"server's time limited by the window", "share", .05, limited(server, "rwnd_limited_us")},
	{"client's time limited by the send buffer", "share", .05, limited(client, "sndbuf_limited_us")},
	{"server's time limited by the send buffer", "share", .05, limited(server, "sndbuf_limited_us")},
}

func client(m *results.Metrics) *results.Side { return &m.Client }
func server(m *results.Metrics) *results.Side { return &m.Server }

func perReply(of func(*results.Metrics) float64) func(*results.Record) float64 {
	return func(r *results.Record) float64 { return of(r.Metrics) / float64(r.Metrics.Replies) }
}

// switches are those by which a side went to sleep.
func switches(s *results.Side) float64 {
	if math.IsNaN(cpu(s)) {
		return missing // it was not measured
	}
	return float64(s.Voluntary)
}

type sideOf = func(*results.Metrics) *results.Side

func segments(side sideOf) func(*results.Record) float64 {
	return func(r *results.Record) float64 { return sum(side(r.Metrics), "data_segs_out") / requests(r) }
}

func segmentSize(side sideOf) func(*results.Record) float64 {
	return func(r *results.Record) float64 {
		return sum(side(r.Metrics), "bytes_sent") / sum(side(r.Metrics), "data_segs_out")
	}
}

func resent(side sideOf) func(*results.Record) float64 {
	return func(r *results.Record) float64 { return (&flow{sender: side(r.Metrics)}).retransmitted() }
}

func window(side sideOf) func(*results.Record) float64 {
	return func(r *results.Record) float64 { return worst(side(r.Metrics), "snd_wnd") }
}

func limited(side sideOf, by string) func(*results.Record) float64 {
	return func(r *results.Record) float64 { return (&flow{sender: side(r.Metrics)}).limited(by) }
}

// Moved is the evidence that moved from one cell's trials to another's, of which those with the same index are a pair.
func Moved(from, to []*results.Record) (shifts []Shift) { return moved(from, to, shiftTimes) }

// moved takes by how much evidence has to differ.
func moved(from, to []*results.Record, times float64) (shifts []Shift) {
	for _, e := range evidence {
		var x, y []float64
		rose, fell := 0, 0
		for i := range from {
			a, b := e.of(from[i]), e.of(to[i])
			if math.IsNaN(a) || math.IsNaN(b) || math.IsInf(a, 0) || math.IsInf(b, 0) {
				continue
			}
			x, y = append(x, a), append(y, b)
			switch {
			case math.Abs(b-a) < e.least:
			case b >= a*times:
				rose++
			case a >= b*times:
				fell++
			}
		}
		if len(x) > 0 && float64(max(rose, fell)) >= shiftPairs*float64(len(x)) {
			slices.Sort(x)
			slices.Sort(y)
			shifts = append(shifts, Shift{e.name, e.unit, stats.Median(x), stats.Median(y)})
		}
	}
	return shifts
}

// Why is the evidence that moved from Cells[1] of a finding, which is the worse or the old side, to Cells[0], in words;
// "": none did. What moved half as much as the metric may be the reason of a small effect.
func Why(f results.Finding, records []results.Record) string {
	if len(f.Cells) != 2 {
		return ""
	}
	from, to := pairs(f, records)
	var words []string
	times := shiftTimes
	if e := f.Effect.Ratio; e > 0 {
		times = min(times, 1+(max(e, 1/e)-1)/2)
	}
	for _, s := range moved(from, to, max(times, shiftLeast)) {
		words = append(words, s.String())
	}
	return strings.Join(words, "; ")
}

// pairs are the trials of a finding's two sides that are of one block and differ in nothing else.
func pairs(f results.Finding, records []results.Record) (from, to []*results.Record) {
	type place struct {
		block int
		rest  string
	}
	better, worse := f.Cells[0], f.Cells[1]
	at := func(r *results.Record) place {
		rest := plan.Cell{}
		for knob, level := range r.Cell {
			if better[knob] == worse[knob] {
				rest[knob] = level
			}
		}
		return place{r.Block, rest.String()}
	}
	counting, _ := results.Counting(records)
	partner := map[place]*results.Record{}
	for _, r := range counting {
		if r.Metrics != nil && r.Cell.Has(better) {
			partner[at(r)] = r
		}
	}
	for _, r := range counting {
		if other := partner[at(r)]; other != nil && r.Metrics != nil && r.Cell.Has(worse) {
			from, to = append(from, r), append(to, other)
		}
	}
	return from, to
}
