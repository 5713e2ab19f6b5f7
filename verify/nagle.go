package verify

import (
	"time"

	"github.com/sockbench/sockbench/results"
)

const (
	nagleHolds = "a request in two writes waits for the delayed acknowledgement of the first: 40 to 44 ms + 2·RTT; with a cure it does not"
	nagleRefs  = "RFC 896 (Nagle); RFC 9293, 3.7.4 and 3.8.6.3; kernel: TCP_DELACK_MIN is 40 ms; tcp(7)"
)

// nagleCases are ways to send a request in two pieces, and whether the second waits.
var nagleCases = []struct {
	name  string
	knobs []string
	waits bool
	turns float64 // round trips, of one that does not wait
}{
	{"two writes", []string{"write=split"}, true, 2},
	{"TCP_QUICKACK set once", []string{"write=split", "server.TCP_QUICKACK=on"}, true, 2}, // it does not stick
	{"TCP_NODELAY", []string{"write=split", "client.TCP_NODELAY=on"}, false, 1},
	{"TCP_QUICKACK after each read", []string{"write=split", "server.TCP_QUICKACK=on@each_read"}, false, 2},
	{"one write", []string{"write=single"}, false, 1},
	{"one writev", []string{"write=writev"}, false, 1},
	{"two writes behind TCP_CORK", []string{"write=cork"}, false, 1},
}

var nagle = Test{
	Name:      "nagle",
	Proves:    "Nagle's algorithm and delayed acknowledgements together hold a request back, on the loopback too, and each known cure helps.",
	Formula:   nagleHolds,
	Reference: nagleRefs,
	Quick:     true,
	Trials:    nagleTrials(Trial{Warmup: 50 * time.Millisecond, Duration: 200 * time.Millisecond, Knobs: fields("target=epoll connections=8")}),
	Judge:     func(r []*results.Record) []Line { return judgeNagle(r, 0) },
}

// nagleTrials are those of nagleCases, each with what base has.
func nagleTrials(base Trial) (trials []Trial) {
	for _, c := range nagleCases {
		t := base
		t.Knobs = append(append([]string{}, base.Knobs...), c.knobs...)
		trials = append(trials, t)
	}
	return trials
}

// judgeNagle judges nagleCases on a path of that round trip time, in nanoseconds.
func judgeNagle(r []*results.Record, rtt float64) (lines []Line) {
	const ms = 1e6
	for i, c := range nagleCases {
		p50 := number(r[i].Metrics.Response.P50)
		if c.waits {
			lines = append(lines, within(c.name, "ns", p50, 2*rtt+40*ms, 2*rtt+38*ms, 2*rtt+60*ms))
		} else {
			lines = append(lines, within(c.name, "ns", p50, c.turns*rtt, c.turns*rtt, c.turns*rtt*1.05+2*ms))
		}
	}
	return lines
}
