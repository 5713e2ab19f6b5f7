package verify

import (
	"slices"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/results"
)

// bars are those of a record's histogram, smallest first; none where the record does not hold it.
func bars(r *results.Record, name string) (all []hdr.Bar, total int64) {
	h, err := hdr.Decode([]byte(r.Histograms[name]))
	if err != nil {
		return nil, 0
	}
	all = slices.DeleteFunc(h.Distribution(), func(b hdr.Bar) bool { return b.Count == 0 })
	return all, h.TotalCount()
}

// above is the share of a record's histogram above x; NaN where there is none.
func above(r *results.Record, name string, x time.Duration) float64 {
	all, total := bars(r, name)
	var n int64
	for _, b := range all {
		if b.From > int64(x) {
			n += b.Count
		}
	}
	return float64(n) / float64(total)
}

// atRank is the bar in which the p-th part of all values ends, by counting: the value of rank p·n, rounded.
func atRank(all []hdr.Bar, total int64, p float64) (b hdr.Bar) {
	left := int64(p*float64(total) + .5)
	for _, b = range all {
		if left -= b.Count; left <= 0 {
			break
		}
	}
	return b
}

var percentiles = Test{
	Name:      "percentiles",
	Proves:    "A percentile is the value of its rank, in the histogram that the record keeps; mean, least and greatest are those of the same values.",
	Formula:   "p-th percentile: the value of rank p·n, rounded, of n; it is there if n ≥ ln 0.025 / ln p",
	Reference: "Hyndman, Fan 1996, definition 3; Hahn, Meeker 1991, 5.2; HdrHistogram V2, three digits",
	Quick:     true,
	Counts:    true,
	Trials: []Trial{
		{Duration: 500 * time.Millisecond, Knobs: []string{"target=thread", "connections=4", "rate=5k", "service_time=sleep:exp:300us"}},
		{Duration: 300 * time.Millisecond, Knobs: []string{"target=epoll", "connections=4", "workload=crr"}},
	},
	Judge: func(r []*results.Record) (lines []Line) {
		m, brief := r[0].Metrics, r[1].Metrics
		for _, q := range []struct {
			name string
			of   *loadgen.Quantity
			in   *results.Record
		}{
			{"response", &m.Response, r[0]}, {"service", &m.Service, r[0]}, {"queue_wait", &m.QueueWait, r[0]}, {"lateness", &m.Lateness, r[0]},
			{"server_queue", &m.Handled.Waiting, r[0]}, {"server_service", &m.Handled.Service, r[0]},
			{"connect", &brief.Connect, r[1]}, {"first_byte", &brief.FirstByte, r[1]}, {"close", &brief.Close, r[1]},
		} {
			lines = append(lines, ranked(q.name, q.of, q.in)...)
		}
		return lines
	},
}

// ranked holds what the record says of a quantity against the quantity's histogram.
func ranked(name string, q *loadgen.Quantity, r *results.Record) []Line {
	all, total := bars(r, name)
	if total == 0 {
		return []Line{same(name+": values", 0, q.Count)}
	}
	mean, wrong := 0.0, 0
	for _, b := range all {
		mean += float64(b.Count) / float64(total) * float64(b.From+b.To) / 2
	}
	for _, at := range []struct {
		p    float64
		says *int64
		from int64 // as many values support it
	}{{.5, q.P50, 6}, {.9, q.P90, 36}, {.99, q.P99, 368}, {.999, q.P999, 3688}, {.9999, q.P9999, 36888}} {
		b := atRank(all, total, at.p)
		low, high := max(b.From, q.Min), min(b.To, q.Max)
		if there := at.says != nil; there != (total >= at.from) || there && (*at.says < low || *at.says > high) {
			wrong++
		}
	}
	first, last := all[0], all[len(all)-1]
	return []Line{
		same(name+": values", total, q.Count),
		same(name+": percentiles that are not at their rank", wrong, 0),
		within(name+": mean of the histogram", "ns", mean, q.Mean, q.Mean*.997-1, q.Mean*1.003+1),
		within(name+": least", "ns", float64(q.Min), float64(first.From), float64(first.From), float64(first.To)),
		within(name+": greatest", "ns", float64(q.Max), float64(last.To), float64(last.From), float64(last.To)),
		same(name+": values that were clipped", q.Clipped, 0),
	}
}
