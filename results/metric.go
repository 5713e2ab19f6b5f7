package results

import (
	"slices"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/loadgen"
)

// Metric is anything that a goal, a limit, a gate, a column or an export can name.
type Metric struct {
	Name, Doc string
	Unit      string // of the value: "1/s", "ns", "share", "B/s", "1"
	Lower     bool   // lower is better
	// Get reads the metric. It is not supported where the record has no, or too little, data about it.
	Get func(*Record) (v float64, supported bool)
	// Censored says whether the value is only a lower bound; nil: it never is.
	Censored func(*Record) bool
}

// All lists the metrics.
var All = []Metric{
	{Name: "throughput", Unit: "1/s", Doc: "valid replies completed inside the measure phase, per second",
		Get: measured(func(m *Metrics) (float64, bool) { return m.Throughput, m.Duration > 0 })},
	percentile("p50", "half of all requests took no longer", response, func(q *loadgen.Quantity) *int64 { return q.P50 }),
	percentile("p90", "9 of 10 requests took no longer", response, func(q *loadgen.Quantity) *int64 { return q.P90 }),
	percentile("p99", "99 of 100 requests took no longer", response, func(q *loadgen.Quantity) *int64 { return q.P99 }),
	percentile("p999", "999 of 1000 requests took no longer", response, func(q *loadgen.Quantity) *int64 { return q.P999 }),
	percentile("max", "the longest response time", response, longest),
	{Name: "mean", Unit: "ns", Lower: true, Doc: "the mean response time",
		Get:      measured(func(m *Metrics) (float64, bool) { return m.Response.Mean, m.Response.Count > 0 }),
		Censored: func(r *Record) bool { return r.Metrics != nil && r.Metrics.Response.Censored != nil }},
	percentile("service_p50", "half of the completed requests took no longer from write to reply", service, func(q *loadgen.Quantity) *int64 { return q.P50 }),
	percentile("service_p99", "99 of 100 completed requests took no longer from write to reply", service, func(q *loadgen.Quantity) *int64 { return q.P99 }),
	percentile("connect_p99", "99 of 100 connections were made in this time", connecting, func(q *loadgen.Quantity) *int64 { return q.P99 }),
	{Name: "server_queue_mean", Unit: "ns", Lower: true, Doc: "the mean wait inside the server, from when it heard of a request to when it began it",
		Get: measured(func(m *Metrics) (float64, bool) { return m.Handled.Waiting.Mean, m.Handled.Waiting.Count > 0 })},
	{Name: "server_service_mean", Unit: "ns", Lower: true, Doc: "the mean time that the server worked, or slept, for a request",
		Get: measured(func(m *Metrics) (float64, bool) { return m.Handled.Service.Mean, m.Handled.Service.Count > 0 })},
	{Name: "messages_per_read", Unit: "1", Doc: "requests that the server took with one read",
		Get: measured(func(m *Metrics) (float64, bool) { return over(m.Handled.Requests, m.Handled.Reads) })},
	{Name: "reads_per_message", Unit: "1", Lower: true, Doc: "reads that the server needed for one request",
		Get: measured(func(m *Metrics) (float64, bool) { return over(m.Handled.Reads, m.Handled.Requests) })},
	perRequest("client_cpu_per_request", "CPU time of the load process per reply", func(m *Metrics) *Side { return &m.Client }),
	perRequest("server_cpu_per_request", "CPU time of the server per reply", func(m *Metrics) *Side { return &m.Server }),
	perRequest("via_cpu_per_request", "CPU time per reply of what stands between client and server", func(m *Metrics) *Side { return &m.Via }),
	{Name: "errors", Unit: "share", Lower: true, Doc: "failed, timed out and unfinished requests ÷ offered ones",
		Get: measured(func(m *Metrics) (float64, bool) {
			return float64(m.Failed+m.TimedOut+m.Unfinished) / float64(max(m.Offered, 1)), m.Offered > 0
		})},
	{Name: "time_to_detect", Unit: "ns", Lower: true, Doc: "from when a fault of the path began to when the client first learned that something is wrong", Get: measured(detection)},
	{Name: "false_alarms", Unit: "1", Lower: true, Doc: "times the client gave up on a path that came back by itself, in a trial", Get: measured(falseAlarms)},
	{Name: "replies_lost", Unit: "share", Lower: true, Doc: "replies that did not come after faults ÷ those that would have come at the pace from before", Get: measured(repliesLost)},
	{Name: "goodput", Unit: "B/s", Doc: "bytes sent and received inside the measure phase, whole messages or not, per second; of workload stream-up those that arrived",
		Get: func(r *Record) (float64, bool) {
			if r.Metrics == nil || r.Metrics.Duration <= 0 {
				return 0, false
			}
			return float64(r.Metrics.SentBytes+r.Metrics.RecvBytes) * 1e9 / float64(r.Metrics.Duration), true
		}},
}

// FindMetric returns the metric of that name.
func FindMetric(name string) (Metric, bool) {
	i := slices.IndexFunc(All, func(m Metric) bool { return m.Name == name })
	if i < 0 {
		return Metric{}, false
	}
	return All[i], true
}

// MetricNames are those of All.
func MetricNames() (names []string) {
	for _, m := range All {
		names = append(names, m.Name)
	}
	return names
}

// Format writes a value of the metric for people, with three significant digits.
func (m Metric) Format(v float64) string {
	switch m.Unit {
	case "ns":
		return term.Duration(v)
	case "share":
		return term.Percent(v)
	case "B/s":
		return term.Number(v) + "B/s"
	}
	return term.Number(v)
}

// Text is the metric of a record as a table shows it: "–" where it is not supported, "≥" before a lower bound.
func (m Metric) Text(r *Record) string {
	v, ok := m.Get(r)
	if !ok {
		return "–"
	}
	if m.Censored != nil && m.Censored(r) {
		return "≥" + m.Format(v)
	}
	return m.Format(v)
}

// measured reads metrics of a trial that has any.
func measured(get func(*Metrics) (float64, bool)) func(*Record) (float64, bool) {
	return func(r *Record) (float64, bool) {
		if r.Metrics == nil {
			return 0, false
		}
		return get(r.Metrics)
	}
}

func response(m *Metrics) *loadgen.Quantity   { return &m.Response }
func service(m *Metrics) *loadgen.Quantity    { return &m.Service }
func connecting(m *Metrics) *loadgen.Quantity { return &m.Connect }

func longest(q *loadgen.Quantity) *int64 {
	if q.Count == 0 {
		return nil
	}
	return &q.Max
}

// percentile is a metric that is a lower bound from the quantity's first censored value on.
func percentile(name, doc string, of func(*Metrics) *loadgen.Quantity, at func(*loadgen.Quantity) *int64) Metric {
	return Metric{Name: name, Doc: doc, Unit: "ns", Lower: true,
		Get: measured(func(m *Metrics) (float64, bool) {
			if v := at(of(m)); v != nil {
				return float64(*v), true
			}
			return 0, false
		}),
		Censored: func(r *Record) bool {
			if r.Metrics == nil {
				return false
			}
			q := of(r.Metrics)
			v := at(q)
			return v != nil && q.Censored != nil && *v >= *q.Censored
		}}
}

// over is a ratio of counts, of which neither is 0.
func over(a, b int64) (float64, bool) {
	return float64(a) / float64(max(b, 1)), a > 0 && b > 0
}

// perRequest divides a side's CPU time by the replies completed meanwhile. A side without CPU time was not measured.
func perRequest(name, doc string, side func(*Metrics) *Side) Metric {
	return Metric{Name: name, Doc: doc, Unit: "ns", Lower: true, Get: measured(func(m *Metrics) (float64, bool) {
		cpu, n := side(m).cpu(), m.inside()
		return float64(cpu) / max(n, 1), cpu > 0 && n >= 1
	})}
}
