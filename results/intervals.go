package results

import (
	"fmt"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/results/stats"
)

// mergedConfidence is of the intervals of merged percentiles.
const mergedConfidence = 0.95

// Intervals says between which limits the merged percentiles of the response time lie, in nanoseconds by the metric's
// name, as trials of the cell differ; nil, and why, where it cannot. Lower bounds have none. It decodes every trial's
// histogram.
func (s *CellSummary) Intervals() (limits map[string]stats.Limits, why string) {
	var trials []*hdr.Histogram
	for _, r := range s.measured {
		if r.Metrics.Response.Count == 0 {
			continue
		}
		h, err := hdr.Decode([]byte(r.Histograms["response"]))
		if err != nil {
			return nil, fmt.Sprintf("trial %s: its histogram cannot be read", r.ID)
		}
		trials = append(trials, h)
	}
	if n := len(trials); n < stats.FewestTrials {
		return nil, fmt.Sprintf("%s: how trials differ shows from %d on", term.Count(n, "trial"), stats.FewestTrials)
	}
	var names []string
	var ps []float64
	for _, at := range []struct {
		name string
		p    float64
	}{{"p50", .5}, {"p90", .9}, {"p99", .99}, {"p999", .999}} {
		m, _ := FindMetric(at.name)
		if _, ok := m.Get(s.Merged); ok && !m.Censored(s.Merged) {
			names, ps = append(names, at.name), append(ps, at.p)
		}
	}
	all := stats.Bootstrap(trials, ps, mergedConfidence, 1)
	if all == nil {
		return nil, "the trials' histograms differ in range or precision"
	}
	limits = map[string]stats.Limits{}
	q := &s.Merged.Metrics.Response
	seen := func(v float64) float64 { return min(max(v, float64(q.Min)), float64(q.Max)) } // a bucket's edge may lie outside
	for i, l := range all {
		limits[names[i]] = stats.Limits{Low: seen(l.Low), High: seen(l.High), Level: l.Level}
	}
	return limits, ""
}
