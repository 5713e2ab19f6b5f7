package verify

import (
	"time"

	"github.com/sockbench/sockbench/results"
)

var timeouts = Test{
	Name:   "request-timeout",
	Proves: "Requests that time out are in the response times, with their age, and those that were never sent too.",
	Formula: "a server that answers nothing, 200 requests per second for 0.5 s, a timeout of 100 ms, 64 connections that each carry one: " +
		"100 time out after exactly 100 ms, 64 of them sent",
	Reference: "Tene, How NOT to Measure Latency; survival analysis: censored values",
	Quick:     true,
	Counts:    true,
	Trials: []Trial{{Duration: 500 * time.Millisecond,
		Knobs: fields("target=sink connections=64 rate=200 arrivals=constant request_timeout=100ms")},
		{Duration: 300 * time.Millisecond, Knobs: fields("target=thread connections=8 service_time=sleep:150ms rate=20 arrivals=constant request_timeout=100ms")}},
	Judge: func(r []*results.Record) []Line {
		m := r[0].Metrics
		share := 0.0
		if metric, ok := results.FindMetric("errors"); ok {
			share, _ = metric.Get(r[0])
		}
		const timeout = 100e6
		return []Line{
			same("offered", m.Offered, 100),
			same("timed out", m.TimedOut, 100),
			same("response times", m.Response.Count, 100),
			within("response p50", "ns", number(m.Response.P50), timeout, timeout, timeout*1.001),
			within("response p90", "ns", number(m.Response.P90), timeout, timeout, timeout*1.001),
			same("shortest response in ns", m.Response.Min, timeout),
			same("longest response in ns", m.Response.Max, timeout),
			within("percentiles are lower bounds from", "ns", number(m.Response.Censored), timeout, timeout, timeout),
			same("sent", m.Sent, 64),
			same("timed out before they were sent", m.NotSent, 36),
			same("requests the server took", m.Handled.Requests, 64),
			same("completed", m.Completed, 0),
			about("column errors", "share", share, 1, 0),
			within("throughput", "1/s", m.Throughput, 0, 0, 0),
			same("of a server that takes 150 ms: timed out", r[1].Metrics.TimedOut, 6),
			within("of a server that takes 150 ms: replies that came late, while others were awaited", "", float64(r[1].Metrics.Late), 4, 3, 5),
		}
	},
}

var wrongReplies = Test{
	Name:      "wrong-replies",
	Proves:    "A reply is valid only if it is one to what was asked: what a server sends unasked completes no request.",
	Formula:   "a server that sends replies for ever and reads nothing: every connection's request fails, none completes",
	Reference: "docs/wire.md: a reply carries the id of its request",
	Quick:     true,
	Counts:    true,
	Trials: []Trial{
		{Duration: 100 * time.Millisecond, Knobs: []string{"target=source", "connections=8"}},
		{Duration: 200 * time.Millisecond, Knobs: []string{"target=naive", "connections=8", "pipeline=8", "request_timeout=500ms"}},
	},
	Judge: func(r []*results.Record) []Line {
		source, naive := r[0].Metrics, r[1].Metrics
		return []Line{
			same("source: completed", source.Completed, 0),
			same("source: failed", source.Failed, source.Offered),
			same("source: connections lost to a reply that nobody asked for", source.Errors["reply to nothing asked"], 8),
			within("source: throughput", "1/s", source.Throughput, 0, 0, 0),
			// It takes 8 requests in one read for one and answers that: the first is answered, the others never are.
			within("naive: completed of those offered", "share", float64(naive.Completed)/float64(naive.Offered), 1./8, 0, .5),
		}
	},
}

var receiveTimeout = Test{
	Name:      "SO_RCVTIMEO",
	Proves:    "A blocking read gives up when SO_RCVTIMEO has passed, rounded up to the kernel's clock tick, which reading the option back tells.",
	Formula:   "it fires in [what reads back, what reads back + 20 ms]: a tick, and what it takes to start 16 threads and to get to the read",
	Reference: "socket(7); kernel: sock_set_timeout rounds up to jiffies",
	Quick:     true,
	Trials: []Trial{
		{Duration: 150 * time.Millisecond, Knobs: []string{"target=sink", "connections=16", "engine=block", "client.SO_RCVTIMEO=10ms"}},
		{Duration: 250 * time.Millisecond, Knobs: []string{"target=sink", "connections=16", "engine=block", "client.SO_RCVTIMEO=50ms"}},
	},
	Judge: func(r []*results.Record) (lines []Line) {
		for i, asked := range []time.Duration{10 * time.Millisecond, 50 * time.Millisecond} {
			m := r[i].Metrics
			got, sockets, name := asked, 0, asked.String()+": "
			for _, a := range m.Client.Applied {
				if d, err := time.ParseDuration(a.Got); err == nil && a.Option == "SO_RCVTIMEO" {
					got, sockets = d, a.Sockets
				}
			}
			const ms = 1e6
			lines = append(lines,
				within(name+"reads back", "ns", float64(got), float64(asked), float64(asked), float64(asked)+10*ms),
				same(name+"sockets that read so", sockets, 16),
				same(name+"reads that timed out", m.Errors["read: timed out"], 16),
				same(name+"failed", m.Failed, 16),
				within(name+"shortest response", "ns", float64(m.Response.Min), float64(got), float64(got), float64(got)+20*ms),
				within(name+"response p50", "ns", number(m.Response.P50), float64(got), float64(got), float64(got)+20*ms))
		}
		return lines
	},
}
