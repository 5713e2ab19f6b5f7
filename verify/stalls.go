package verify

import (
	"fmt"
	"math"
	"time"

	"github.com/sockbench/sockbench/results"
)

// A stall is for stood of every period, once, in the middle of it.
const (
	stood  = 200 * time.Millisecond
	period = time.Second
)

var stalledServer = Test{
	Name:   "coordinated-omission",
	Proves: "A server that stands still is in the response times of all requests that were due meanwhile, though hardly one was sent into the stall.",
	Formula: "constant arrivals, a stall of S in T: the share of response times above x is (S − x)/T, p99 is S − T/100; " +
		"it is queue wait, no lateness; service times alone would hide it",
	Reference: "Tene, How NOT to Measure Latency; Schroeder, Wierman, Harchol-Balter 2006",
	Quick:     true,
	Trials: []Trial{{Warmup: 100 * time.Millisecond, Duration: period, Stop: Stop{"server", period / 2, stood},
		Knobs: fields("target=epoll rate=1k arrivals=constant connections=8")}},
	Judge: func(r []*results.Record) []Line {
		m := r[0].Metrics
		return append(triangle(r[0], "response", 0),
			same("offered", m.Offered, 1000),
			same("completed", m.Completed, 1000),
			within("p99", "ns", number(m.Response.P99), 190e6, 184e6, 197e6),
			within("queue wait p99", "ns", number(m.QueueWait.P99), 190e6, 180e6, 197e6),
			atMost("lateness p99", "ns", number(m.Lateness.P99), 20e6),
			atMost("service p99", "ns", number(m.Service.P99), 20e6),
			within("longest service", "ns", float64(m.Service.Max), 200e6, 195e6, 215e6))
	},
}

var stalledClient = Test{
	Name:   "lateness",
	Proves: "When the load generator itself stands still, the requests that leave late say so: it is lateness, no queue wait, and the check that warns of it warns.",
	Formula: "constant arrivals, free connections, a client that is stopped for S of T: the share of latenesses above x is (S − x)/T, and response " +
		"times hold them",
	Reference: "as coordinated-omission",
	Quick:     true,
	Trials: []Trial{{Warmup: 100 * time.Millisecond, Duration: period, Stop: Stop{"client", period / 2, stood},
		Knobs: fields("target=epoll rate=400 arrivals=constant connections=128")}},
	Judge: func(r []*results.Record) []Line {
		m := r[0].Metrics
		warned := 0
		for _, d := range m.Validity {
			if d.Code == "sends_late" && d.Verdict == results.Warn {
				warned++
			}
		}
		lines := append(triangle(r[0], "lateness", .0025), triangle(r[0], "response", .0025)...)
		return append(lines,
			same("offered", m.Offered, 400),
			same("completed", m.Completed, 400),
			within("lateness p99", "ns", number(m.Lateness.P99), 190e6, 182e6, 200e6),
			atMost("queue wait p99", "ns", number(m.QueueWait.P99), 1e6),
			atMost("service p99", "ns", number(m.Service.P99), 30e6),
			same("warnings of sends_late", warned, 1))
	},
}

// triangle is the shares of a quantity above some times in a stall; grain is the share that one request is.
func triangle(r *results.Record, name string, grain float64) (lines []Line) {
	for _, x := range []time.Duration{10e6, 50e6, 100e6, 150e6, 190e6} {
		want := (stood - x).Seconds() / period.Seconds()
		lines = append(lines, within(fmt.Sprintf("%s above %s", name, x), "share", above(r, name, x), want, math.Max(0, want-.01-grain), want+.01+grain))
	}
	return lines
}
