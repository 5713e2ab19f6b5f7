package verify

import (
	"fmt"
	"time"

	"github.com/sockbench/sockbench/results"
)

// many is how many requests are due at one instant in the tests of timers: each is a sample.
const many = 20

// idle is how long after the path has died the next requests are due.
const idle = 250e6

// dead is a load of two bursts, before and after the path has died.
func dead(more string) []string {
	return fields(fmt.Sprintf("connections=%d rate=%d arrivals=burst:%d request_timeout=30s fault=blackout@250ms %s", many, 2*many, many, more))
}

var connectTimeouts = Test{
	Name:   "connect-timeouts",
	Proves: "A connect into a path that has died ends when the kernel has sent its SYNs, or earlier, when the client says so.",
	Formula: "TCP_SYNCNT n: at the first SYN timer at or after 2^(n+1) − 1 s, which the timer wheel may make an eighth later; " +
		"TCP_USER_TIMEOUT and connect_timeout: when they say",
	Reference: "RFC 6298, 2.1 and 5.5; tcp(7); kernel: retransmits_timed_out",
	Trials: []Trial{
		{Duration: 600 * time.Millisecond, Knobs: dead("target=epoll workload=crr path=delay=5ms connect_timeout=20s client.TCP_SYNCNT=1")},
		{Duration: 600 * time.Millisecond, Knobs: dead("target=epoll workload=crr path=delay=5ms connect_timeout=20s client.TCP_SYNCNT=2")},
		{Duration: 600 * time.Millisecond, Knobs: dead("target=epoll workload=crr path=delay=5ms connect_timeout=20s client.TCP_USER_TIMEOUT=1500ms")},
		{Duration: 600 * time.Millisecond, Knobs: dead("target=epoll workload=crr path=delay=5ms connect_timeout=700ms")},
	},
	Judge: func(r []*results.Record) (lines []Line) {
		const s = 1e9
		for i, c := range []struct {
			name      string
			at        float64
			low, high float64 // beside it
		}{
			{"TCP_SYNCNT=1", 3 * s, -.05 * s, .125 * 3 * s},
			{"TCP_SYNCNT=2", 7 * s, -.05 * s, .125 * 7 * s},
			{"TCP_USER_TIMEOUT=1.5s", 1.5 * s, -.05 * s, .125 * 1.5 * s},
			{"connect_timeout=700ms", .7 * s, 0, .02 * s},
		} {
			lines = append(lines, ended(c.name, r[i], c.at, c.at+c.low, c.at+c.high)...)
			lines = append(lines, same(c.name+": connects that timed out", r[i].Metrics.Errors["connect: timed out"], many))
		}
		return lines
	},
}

// ended are the lines of many requests that succeeded before the path died and as many that failed after.
func ended(name string, r *results.Record, expected, low, high float64) []Line {
	m := r.Metrics
	return []Line{
		same(name+": completed before the path died", m.Completed, many),
		same(name+": failed after", m.Failed, many),
		within(name+": p90, which is one of those that failed", "ns", number(m.Response.P90), expected, low, high),
		within(name+": longest", "ns", float64(m.Response.Max), expected, low, high),
		same(name+": times that the client learned of it", noticed(m).Noticed, many),
		within(name+": first learned", "ns", number(noticed(m).First), expected+idle, low+idle, high+idle),
	}
}

var userTimeout = Test{
	Name:      "TCP_USER_TIMEOUT",
	Proves:    "Data that a dead path does not acknowledge ends the connection when TCP_USER_TIMEOUT has passed since the first retransmission by timer.",
	Formula:   "TCP_USER_TIMEOUT + 3·RTT + 400 ms: a tail probe after 2·RTT + 200 ms, a retransmission RTT + 200 ms later, and the timeout from then",
	Reference: "RFC 5482; RFC 8985, 7.2 (tail loss probe); kernel: tcp_write_timeout",
	Trials: []Trial{
		{Duration: 600 * time.Millisecond, Knobs: dead("target=epoll client.TCP_USER_TIMEOUT=1s path=delay=5ms")},
		{Duration: 600 * time.Millisecond, Knobs: dead("target=epoll client.TCP_USER_TIMEOUT=1s path=delay=25ms")},
	},
	Judge: func(r []*results.Record) (lines []Line) {
		const ms, timeout = 1e6, 1e9
		for i, rtt := range []float64{10 * ms, 50 * ms} {
			at := timeout + 3*rtt
			lines = append(lines, ended(fmt.Sprintf("RTT %s", time.Duration(rtt)), r[i], at+400*ms, at+380*ms, at+400*ms+150*ms)...)
		}
		return lines
	},
}

var keepAlive = Test{
	Name:      "keep-alive",
	Proves:    "Without anything to send, a connection over a path that has died ends when its keep-alive probes are not answered.",
	Formula:   "TCP_KEEPIDLE + TCP_KEEPINTVL × TCP_KEEPCNT after the last packet",
	Reference: "RFC 1122, 4.2.3.6; tcp(7)",
	Trials: []Trial{
		{Duration: 450 * time.Millisecond, Knobs: dead("target=sink client.SO_KEEPALIVE=on client.TCP_KEEPIDLE=1s client.TCP_KEEPINTVL=1s client.TCP_KEEPCNT=1 path=delay=5ms")},
		{Duration: 450 * time.Millisecond, Knobs: dead("target=sink client.SO_KEEPALIVE=on client.TCP_KEEPIDLE=1s client.TCP_KEEPINTVL=1s client.TCP_KEEPCNT=3 path=delay=5ms")},
	},
	Judge: func(r []*results.Record) (lines []Line) {
		for i, expected := range []float64{2e9, 4e9} { // the last packet is the delayed acknowledgement of the request
			m, name := r[i].Metrics, fmt.Sprintf("%d probes: ", 1+2*i)
			lines = append(lines,
				same(name+"failed", m.Failed, many),
				within(name+"p50", "ns", number(m.Response.P50), expected, expected-50e6, expected+300e6),
				within(name+"longest", "ns", float64(m.Response.Max), expected, expected-50e6, expected+300e6))
		}
		return lines
	},
}
