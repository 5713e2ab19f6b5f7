package verify

import (
	"fmt"
	"time"

	"github.com/sockbench/sockbench/results"
)

// head is the bytes of framing length before what a size counts.
const head = 4

var accounting = Test{
	Name:   "accounting",
	Proves: "Every request is counted once, on both sides alike, and every byte of it.",
	Formula: "offered = completed + failed + timed out + unfinished; response = queue wait + lateness + service; " +
		"bytes = messages × (size + 4), as client, server and the kernel's TCP_INFO count them",
	Reference: "docs/wire.md; RFC 9293 (sequence space); tcp(7), TCP_INFO",
	Quick:     true,
	Counts:    true,
	Trials: []Trial{
		{Duration: 300 * time.Millisecond, Knobs: []string{"target=epoll", "connections=4", "request=100", "reply=300"}},
		{Duration: 200 * time.Millisecond, Knobs: []string{"target=goroutine", "connections=2", "pipeline=16", "request=100", "reply=300", "engine=net"}},
		{Duration: 200 * time.Millisecond, Knobs: []string{"target=thread", "connections=3", "rate=3k", "hold=5", "request=1000", "reply=64", "engine=block"}},
	},
	Judge: func(r []*results.Record) (lines []Line) {
		for i, c := range []struct{ connections, depth, held, request, reply int64 }{{4, 1, 0, 100, 300}, {2, 16, 0, 100, 300}, {3, 1, 5, 1000, 64}} {
			for _, l := range flow(r[i], c.connections, c.depth, c.held, c.request+head, c.reply+head) {
				l.Name = fmt.Sprintf("%s: %s", r[i].Cell["target"], l.Name)
				lines = append(lines, l)
			}
		}
		return append(lines, columns(r[0])...)
	},
}

// flow holds both sides' counts of a trial without warm-up against each other: all that the server ever handled was
// offered in the measure phase. depth requests are under way on each of n connections at one time.
func flow(r *results.Record, n, depth, held, request, reply int64) []Line {
	m, h := r.Metrics, &r.Metrics.Handled
	var inIntervals int64
	for _, i := range m.Intervals {
		inIntervals += i.Completed
	}
	under := n * depth
	client, server := m.Client.TCP, m.Server.TCP
	return []Line{
		same("offered, by how they ended", m.Completed+m.Failed+m.TimedOut+m.Unfinished, m.Offered),
		same("completed", m.Completed, m.Offered),
		same("sent", m.Sent, m.Offered),
		same("scheduled", m.Scheduled, m.Offered),
		same("response times", m.Response.Count, m.Offered),
		same("service times", m.Service.Count, m.Completed),
		same("queue waits", m.QueueWait.Count, m.Sent),
		same("latenesses", m.Lateness.Count, m.Sent),
		about("mean response, of its parts", "ns", m.QueueWait.Mean+m.Lateness.Mean+m.Service.Mean, m.Response.Mean, 1e-6),
		same("requests the server took", h.Requests, m.Offered),
		same("bytes the server read", h.Received, m.Offered*request),
		same("bytes the server wrote", h.Sent, m.Completed*reply),
		same("bytes the client's TCP sent", client["bytes_sent"]-client["bytes_retrans"], m.Offered*request),
		same("bytes the server's TCP sent", server["bytes_sent"]-server["bytes_retrans"], m.Completed*reply),
		// The kernel counts a FIN as a byte received.
		within("bytes the server's TCP received", "", float64(server["bytes_received"]), float64(m.Offered*request), float64(m.Offered*request), float64(m.Offered*request+n+held)),
		// At the end of the measure phase some are due and perhaps not yet written, or read and not yet complete.
		within("bytes the client wrote in the measure phase", "", float64(m.SentBytes), float64(m.Offered*request), float64((m.Offered-m.BacklogEnd)*request), float64(m.Offered*request)),
		within("bytes the client read in the measure phase", "", float64(m.RecvBytes), float64(m.Replies*reply), float64(m.Replies*reply), float64((m.Replies+under)*reply)),
		about("throughput × length", "", m.Throughput*float64(m.Duration)/1e9, float64(m.Replies), 1e-9),
		same("length of the measure phase in ns", m.Duration, int64(r.Spec.Load.Duration)),
		same("completions in all intervals", inIntervals, m.Replies),
		same("intervals of 100 ms", int64(len(m.Intervals))*m.Interval, m.Duration),
		within("completed after the measure phase", "", float64(m.Offered-m.Replies), float64(m.BacklogEnd), float64(m.BacklogEnd), float64(m.BacklogEnd)),
		about("replies per read × reads of the client", "", m.MessagesPerRead*float64(m.Reads), float64(m.Replies), 1e-9),
		about("reads per reply × replies", "", m.ReadsPerMessage*float64(m.Replies), float64(m.Reads), 1e-9),
		about("requests per read × reads of the server", "", h.MessagesPerRead*float64(h.Reads), float64(h.Requests), 1e-9),
		within("reads of the server", "", float64(h.Reads), float64(h.Requests), float64(h.Requests)/float64(depth), float64(h.Requests*(1+request/(16<<10)+depth/8))),
		within("writes of the server", "", float64(h.Writes), float64(h.Requests), float64(h.Requests)/float64(depth), float64(h.Requests)),
		same("connections asked", m.Connections.Asked, int(n)),
		same("connections attained", m.Connections.Attained, int(n)),
		same("connections served", m.Connections.Served, int(n)),
		same("connections held", m.Connections.Held.Attained, int(held)),
		same("connections the server accepted", h.Accepts, n+held),
		within("completed by the connection that did least", "", float64(m.Connections.MinCompleted), float64(m.Completed/n), 1, float64(m.Completed/n)),
		same("connects timed", m.Connect.Count, n),
		same("kinds of errors", len(m.Errors), 0),
		same("protocol errors of the server", h.Protocol, 0),
	}
}

// columns holds what tables show against the counts that it is made of.
func columns(r *results.Record) (lines []Line) {
	m := r.Metrics
	seconds := float64(m.Duration) / 1e9
	for _, c := range []struct {
		name string
		want float64
	}{
		{"throughput", float64(m.Replies) / seconds},
		{"p50", number(m.Response.P50)}, {"p99", number(m.Response.P99)}, {"max", float64(m.Response.Max)}, {"mean", m.Response.Mean},
		{"service_p50", number(m.Service.P50)}, {"service_p99", number(m.Service.P99)},
		{"server_queue_mean", m.Handled.Waiting.Mean}, {"server_service_mean", m.Handled.Service.Mean},
		{"messages_per_read", float64(m.Handled.Requests) / float64(m.Handled.Reads)},
		{"reads_per_message", float64(m.Handled.Reads) / float64(m.Handled.Requests)},
		{"client_cpu_per_request", float64(m.Client.CPUUser+m.Client.CPUSystem) / float64(m.Replies)},
		{"server_cpu_per_request", float64(m.Server.CPUUser+m.Server.CPUSystem) / float64(m.Replies)},
		{"goodput", float64(m.SentBytes+m.RecvBytes) / seconds},
	} {
		if metric, ok := results.FindMetric(c.name); ok {
			v, _ := metric.Get(r)
			unit := metric.Unit
			if unit == "1" {
				unit = ""
			}
			lines = append(lines, about("column "+c.name, unit, v, c.want, 1e-9))
		}
	}
	return lines
}

var warmup = Test{
	Name:      "warm-up",
	Proves:    "What was meant to leave in the warm-up is sent, and in no number of the measure phase.",
	Formula:   "constant arrivals: offered = rate × length of the measure phase; the server takes rate × (warm-up + measure phase)",
	Reference: "counting",
	Quick:     true,
	Counts:    true,
	Trials: []Trial{{Warmup: 300 * time.Millisecond, Duration: 400 * time.Millisecond,
		Knobs: []string{"target=epoll", "connections=8", "rate=1k", "arrivals=constant"}}},
	Judge: func(r []*results.Record) []Line {
		m := r[0].Metrics
		lines := []Line{
			same("offered in 400 ms", m.Offered, 400),
			same("scheduled", m.Scheduled, 400),
			same("sent", m.Sent, 400),
			same("response times", m.Response.Count, 400),
			same("requests the server took in 700 ms", m.Handled.Requests, 700),
			within("throughput", "1/s", m.Throughput, 1000, 985, 1015),
			within("bytes sent", "B", float64(m.SentBytes), 400*68, 394*68, 406*68),
			within("bytes received", "B", float64(m.RecvBytes), 400*68, 394*68, 406*68),
		}
		for i, v := range m.Intervals {
			lines = append(lines, within(fmt.Sprintf("completions in interval %d", i+1), "", float64(v.Completed), 100, 94, 106))
		}
		return lines
	},
}

var briefConnections = Test{
	Name:      "brief-connections",
	Proves:    "Where every request has a connection of its own, connections are counted as requests are.",
	Formula:   "accepts = requests + 1, the connection that looks whether somebody is there; each is timed from connect to close",
	Reference: "counting",
	Quick:     true,
	Counts:    true,
	Trials:    []Trial{{Duration: 200 * time.Millisecond, Knobs: []string{"target=epoll", "connections=4", "workload=crr"}}},
	Judge: func(r []*results.Record) []Line {
		m := r[0].Metrics
		offered, most := float64(m.Offered), float64(m.Offered+8)
		return []Line{
			same("completed", m.Completed, m.Offered),
			same("requests the server took", m.Handled.Requests, m.Offered),
			same("connections the server accepted", m.Handled.Accepts, m.Offered+1),
			within("connects timed", "", float64(m.Connect.Count), offered, offered-8, most),
			within("first bytes timed", "", float64(m.FirstByte.Count), offered, offered-8, most),
			within("closes timed", "", float64(m.Close.Count), offered, offered-8, most),
			within("mean connect + mean first byte", "ns", m.Connect.Mean+m.FirstByte.Mean, m.Service.Mean, .5*m.Service.Mean, 1.02*m.Service.Mean),
		}
	},
}
