package results

import (
	"fmt"
	"math"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/results/stats"
	"github.com/sockbench/sockbench/targets"
)

// merge adds up trials of one cell: counts are summed, histograms merged, nothing is averaged. CPU per request and
// throughput follow from sums. What has no sum (applied options, regime, intervals) is left out.
// Histograms that cannot be read are left out, and named.
func merge(records []*Record) (m *Metrics, unreadable []error) {
	m = &Metrics{}
	inside := 0.0
	for _, r := range records {
		inside += r.Metrics.inside()
		addCounts(&m.Result, &r.Metrics.Result)
		m.Handled.Requests += r.Metrics.Handled.Requests
		m.Handled.Reads += r.Metrics.Handled.Reads
		addSide(&m.Client, &r.Metrics.Client)
		addSide(&m.Server, &r.Metrics.Server)
		addSide(&m.Via, &r.Metrics.Via)
		addMachine(&m.Machine, &r.Metrics.Machine)
	}
	m.Faults = mergeAftermaths(records)
	m.Ratios()
	m.Throughput = inside * 1e9 / m.window()
	for _, q := range quantities {
		merged, _, bad := mergeQuantity(q.name, q.of, records)
		*q.of(m), unreadable = merged, append(unreadable, bad...)
	}
	return m, unreadable
}

// quantities are a record's latencies, by the names of their histograms.
var quantities = []struct {
	name string
	of   func(*Metrics) *loadgen.Quantity
}{
	{"response", response}, {"service", service}, {"connect", connecting},
	{"queue_wait", func(m *Metrics) *loadgen.Quantity { return &m.QueueWait }},
	{"lateness", func(m *Metrics) *loadgen.Quantity { return &m.Lateness }},
	{targets.QueueHistogram, func(m *Metrics) *loadgen.Quantity { return &m.Handled.Waiting }},
	{targets.ServiceHistogram, func(m *Metrics) *loadgen.Quantity { return &m.Handled.Service }},
}

func addCounts(to, r *loadgen.Result) {
	for _, p := range [][2]*int64{
		{&to.Offered, &r.Offered}, {&to.Completed, &r.Completed}, {&to.Failed, &r.Failed}, {&to.TimedOut, &r.TimedOut}, {&to.Unfinished, &r.Unfinished},
		{&to.Scheduled, &r.Scheduled}, {&to.Sent, &r.Sent}, {&to.BacklogEnd, &r.BacklogEnd}, {&to.NotSent, &r.NotSent}, {&to.Late, &r.Late},
		{&to.Duplicated, &r.Duplicated}, {&to.Reordered, &r.Reordered}, {&to.Duration, &r.Duration}, {&to.SentBytes, &r.SentBytes}, {&to.RecvBytes, &r.RecvBytes},
		{&to.Replies, &r.Replies}, {&to.Reads, &r.Reads},
		{&to.Engine.Idle, &r.Engine.Idle}, {&to.Engine.Spin, &r.Engine.Spin},
	} {
		*p[0] += *p[1]
	}
	for kind, n := range r.Errors {
		if to.Errors == nil {
			to.Errors = map[string]int64{}
		}
		to.Errors[kind] += n
	}
	to.Connections.Asked += r.Connections.Asked
	to.Connections.Attained += r.Connections.Attained
	to.Connections.Served += r.Connections.Served
	to.Engine.Threads = max(to.Engine.Threads, r.Engine.Threads)
}

func addSide(to, s *Side) {
	to.CPUUser += s.CPUUser
	to.CPUSystem += s.CPUSystem
	to.CPUSoftirq += s.CPUSoftirq
	to.Voluntary += s.Voluntary
	to.Involuntary += s.Involuntary
	to.MaxRSS = max(to.MaxRSS, s.MaxRSS)
	to.PSS = max(to.PSS, s.PSS)
	to.Processes = max(to.Processes, s.Processes)
	to.Threads = max(to.Threads, s.Threads)
}

func addMachine(to, m *Machine) {
	to.CPUs = max(to.CPUs, m.CPUs)
	to.Steal += m.Steal
	to.ForeignCPU += m.ForeignCPU
	to.Idle += m.Idle
	to.KeepAwake += m.KeepAwake
	to.Hiccups += m.Hiccups
	to.Hiccup += m.Hiccup
	to.HiccupMax = max(to.HiccupMax, m.HiccupMax)
	to.Throttled += m.Throttled
	to.LooksLate += m.LooksLate
}

// mergeQuantity merges one latency. Exact values stay exact; percentiles are there if every trial that counted anything
// left its histogram and all of them together support it. The first censored value is the least of all trials. hist is
// all of them, nil where one is missing. A histogram that cannot be read is in unreadable, and the percentiles are those of
// the other trials.
func mergeQuantity(name string, of func(*Metrics) *loadgen.Quantity, records []*Record) (merged loadgen.Quantity, hist *hdr.Histogram, unreadable []error) {
	merged = loadgen.Quantity{Min: math.MaxInt64}
	var all counts
	defer all.free()
	sum, whole := 0.0, true
	var effective []stats.Effective
	for _, r := range records {
		q := of(r.Metrics)
		if q.Count == 0 {
			continue
		}
		merged.Count += q.Count
		merged.Clipped += q.Clipped
		merged.Min, merged.Max = min(merged.Min, q.Min), max(merged.Max, q.Max)
		sum += q.Mean * float64(q.Count)
		effective = append(effective, q.Effective)
		if q.Censored != nil && (merged.Censored == nil || *q.Censored < *merged.Censored) {
			merged.Censored = q.Censored
		}
		text, ok := r.Histograms[name]
		if whole = whole && ok; !whole {
			continue
		}
		if err := all.add(text); err != nil {
			unreadable = append(unreadable, fmt.Errorf("trial %s: histogram %s: %w", r.ID, name, err))
		}
	}
	if merged.Count == 0 {
		return loadgen.Quantity{}, nil, nil
	}
	merged.Mean = sum / float64(merged.Count)
	merged.Effective = stats.Together(effective)
	if hist = all.histogram(); !whole || hist == nil {
		return merged, nil, unreadable
	}
	setPercentiles(&merged, hist)
	return merged, hist, unreadable
}

func setPercentiles(q *loadgen.Quantity, h *hdr.Histogram) {
	for _, at := range []struct {
		p  float64
		to **int64
	}{{.5, &q.P50}, {.9, &q.P90}, {.99, &q.P99}, {.999, &q.P999}, {.9999, &q.P9999}} {
		if stats.Supported(at.p, h.TotalCount()) {
			v := max(q.Min, min(q.Max, h.ValueAtQuantile(at.p*100)))
			*at.to = &v
		}
	}
}
