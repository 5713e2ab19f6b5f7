package verify

import (
	"fmt"
	"math"
	"time"

	"github.com/sockbench/sockbench/results"
)

const (
	payload  = 1448. / 1514 // of an Ethernet frame of TCP with time stamps, without its checksum
	wrapping = 14 + 20 + 8  // bytes of Ethernet, IP and UDP before a datagram
	pingSize = 64 + head    // bytes of a request or a reply of the usual size
)

// pings are round trip times of paths, and how long each is measured.
var pings = []struct{ rtt, length time.Duration }{
	{time.Millisecond, 200 * time.Millisecond}, {20 * time.Millisecond, 300 * time.Millisecond}, {100 * time.Millisecond, 600 * time.Millisecond},
}

var delay = Test{
	Name:   "delay",
	Proves: "A path is as long as it says: no round trip is shorter, and half of them are hardly longer.",
	Formula: "RTT = 2 × delay, + 0 to 0.8 ms at p50 for the emulation and for waking up; connect, first byte and close take one RTT each, " +
		"a request with its connection two",
	Reference: "RFC 9293, 3.5 (handshake); figures of the emulation in docs/verify.md",
	Quick:     true,
	Trials:    delayTrials(),
	Judge: func(r []*results.Record) (lines []Line) {
		for i, p := range pings {
			m, rtt := r[i].Metrics, float64(p.rtt)
			lines = append(lines,
				within(fmt.Sprintf("RTT %s: p50", p.rtt), "ns", number(m.Response.P50), rtt, rtt, rtt+.8e6),
				within(fmt.Sprintf("RTT %s: shortest", p.rtt), "ns", float64(m.Response.Min), rtt, rtt, rtt+.6e6),
				atMost(fmt.Sprintf("RTT %s: lateness of the link, p50", p.rtt), "ns", number(m.Path.Lateness.P50), .4e6))
		}
		m := r[len(pings)].Metrics
		const rtt = 20e6
		for _, q := range []struct {
			name     string
			measured *int64
			turns    float64
		}{{"connect", m.Connect.P50, 1}, {"first byte", m.FirstByte.P50, 1}, {"close", m.Close.P50, 1}, {"response", m.Response.P50, 2}} {
			lines = append(lines, within("a connection for each request, RTT 20ms: "+q.name, "ns", number(q.measured), q.turns*rtt, q.turns*rtt, q.turns*(rtt+.8e6)))
		}
		return lines
	},
}

func delayTrials() (trials []Trial) {
	for _, p := range pings {
		trials = append(trials, Trial{Duration: p.length, Knobs: []string{"target=udp", "connections=2", fmt.Sprintf("path=delay=%s", p.rtt/2)}})
	}
	return append(trials, Trial{Duration: 600 * time.Millisecond, Knobs: fields("target=epoll connections=4 workload=crr path=delay=10ms")})
}

// bottleneck is a rate, and what the sender may have under way, less than the queue holds.
type bottleneck struct {
	text             string
	bits             float64
	buffer           string
	warmup, duration time.Duration
}

var rate = rateTest("rate", true, bottleneck{"100mbit", 100e6, "128KiB", 150 * time.Millisecond, 500 * time.Millisecond})

var rates = rateTest("rates", false,
	bottleneck{"1mbit", 1e6, "16KiB", 500 * time.Millisecond, 2 * time.Second},
	bottleneck{"10mbit", 10e6, "32KiB", 200 * time.Millisecond, 600 * time.Millisecond},
	bottleneck{"500mbit", 500e6, "512KiB", 200 * time.Millisecond, 800 * time.Millisecond})

// rateTest streams through each bottleneck, down and up.
func rateTest(name string, quick bool, all ...bottleneck) Test {
	t := Test{
		Name:      name,
		Proves:    "A bottleneck lets through what it says, in both directions; the record counts what arrived.",
		Formula:   "goodput = rate × 1448/1514, ±2 %",
		Reference: "IEEE 802.3 (frames), RFC 7323 (12 bytes of time stamps in each segment of 1460)",
		Quick:     quick,
		Judge: func(r []*results.Record) (lines []Line) {
			for i, c := range all {
				down, up := r[2*i].Metrics, r[2*i+1].Metrics
				lines = append(lines,
					about(c.text+" down", "bit/s", bits(down.RecvBytes, down.Duration), c.bits*payload, .02),
					about(c.text+" up", "bit/s", bits(up.SentBytes, up.Duration), c.bits*payload, .02),
					same(c.text+": frames that the queue dropped", down.Path.Down.QueueDrops+up.Path.Up.QueueDrops, 0),
					// What TCP says that it sent has passed the link, in frames with 66 bytes of heads each.
					about(c.text+": bytes in frames that left the server", "B", float64(down.Path.Down.Bytes-66*down.Path.Down.Frames), float64(down.Server.TCP["bytes_sent"]), .01))
			}
			return lines
		},
	}
	for _, c := range all {
		path := fmt.Sprintf("path=delay=1ms,rate=%s,queue=4MiB", c.text)
		t.Trials = append(t.Trials,
			Trial{Warmup: c.warmup, Duration: c.duration, Knobs: fields("target=epoll connections=1 workload=stream-down request_timeout=60s server.SO_SNDBUF=" + c.buffer + " " + path)},
			Trial{Warmup: c.warmup, Duration: c.duration, Knobs: streamUp("client.SO_SNDBUF=" + c.buffer + " " + path)})
	}
	return t
}

// bits is a rate.
func bits(bytes, ns int64) float64 { return float64(bytes) * 8 * 1e9 / float64(ns) }

var losses = Test{
	Name:   "losses",
	Proves: "A path loses, doubles and turns round as many frames as it says, the same ones with the same seed, and the client notices each.",
	Formula: "UDP: timed out = lost; losses are binomial (± 3.3 σ); equal seeds lose equally many both ways, and another seed others; " +
		"duplicated replies = doubled frames; bytes = frames × (42 + 68)",
	Reference: "counting; the binomial distribution",
	Quick:     true,
	Counts:    true,
	Trials: []Trial{
		{Duration: 400 * time.Millisecond, Seed: 7, Knobs: lossy},
		{Duration: 400 * time.Millisecond, Seed: 7, Knobs: lossy},
		{Duration: 400 * time.Millisecond, Seed: 8, Knobs: lossy},
		{Duration: 500 * time.Millisecond, Knobs: fields("target=udp connections=1 pipeline=64 rate=2k arrivals=constant request_timeout=100ms path=delay=2ms,down.duplicate=5%,down.reorder=3%")},
	},
	Judge: func(r []*results.Record) (lines []Line) {
		for i, rec := range r[:3] {
			m, name := rec.Metrics, fmt.Sprintf("trial %d: ", i+1)
			up, down := &m.Path.Up, &m.Path.Down
			n := float64(m.Sent)
			lines = append(lines,
				same(name+"offered", m.Offered, 800),
				same(name+"frames up", up.Frames, m.Sent),
				same(name+"requests that the server took", m.Handled.Requests, up.Frames-up.Lost),
				same(name+"frames down", down.Frames, m.Handled.Requests),
				same(name+"timed out", m.TimedOut, up.Lost+down.Lost),
				same(name+"completed", m.Completed, m.Offered-up.Lost-down.Lost),
				same(name+"bytes up", up.Bytes, up.Frames*(wrapping+pingSize)),
				same(name+"bytes down", down.Bytes, down.Frames*(wrapping+pingSize)),
				within(name+"lost up", "", float64(up.Lost), .02*n, .02*n-3.3*math.Sqrt(.02*.98*n), .02*n+3.3*math.Sqrt(.02*.98*n)))
		}
		one, again, other := &r[0].Metrics.Path, &r[1].Metrics.Path, &r[2].Metrics.Path
		changed := 0
		if one.Up.Lost != other.Up.Lost || one.Down.Lost != other.Down.Lost {
			changed = 1
		}
		m := r[3].Metrics
		doubled, turned := float64(m.Path.Down.Duplicated), float64(m.Path.Down.Reordered)
		return append(lines,
			same("same seed: lost up", again.Up.Lost, one.Up.Lost),
			same("same seed: lost down", again.Down.Lost, one.Down.Lost),
			same("another seed: it loses otherwise", changed, 1),
			same("duplicated replies", m.Duplicated, m.Path.Down.Duplicated),
			within("frames that were doubled", "", doubled, 50, 50-3.3*math.Sqrt(50*.95), 50+3.3*math.Sqrt(50*.95)),
			within("frames that went before others", "", turned, 30, 30-3.3*math.Sqrt(30*.97), 30+3.3*math.Sqrt(30*.97)),
			within("replies that came out of order", "", float64(m.Reordered), turned, .5*turned, 6*turned),
			same("completed all the same", m.Completed, m.Offered))
	},
}

var lossy = fields("target=udp connections=256 rate=2k arrivals=constant request_timeout=100ms path=delay=1ms,loss=2%")

var pathFaults = Test{
	Name:   "faults",
	Proves: "A path stands still, dies and forgets when it is told to, for as long as it is told to.",
	Formula: "a stall of S in T: the share of response times above x is (S − x)/T; a blackout of S loses rate × S requests; " +
		"a reset ends every connection",
	Reference: "as coordinated-omission; RFC 9293, 3.5.2 (reset)",
	Trials: []Trial{
		{Duration: period, Knobs: fields("target=udp connections=300 rate=1k arrivals=constant path=delay=1ms fault=stall@400ms+200ms")},
		{Duration: 500 * time.Millisecond, Knobs: fields("target=udp connections=300 rate=1k arrivals=constant request_timeout=100ms path=delay=1ms fault=blackout@200ms+100ms")},
		{Duration: 500 * time.Millisecond, Knobs: fields("target=epoll connections=8 rate=1k arrivals=constant request_timeout=1s path=delay=1ms fault=reset@300ms")},
	},
	Judge: func(r []*results.Record) []Line {
		stall, dark, reset := r[0].Metrics, r[1].Metrics, r[2].Metrics
		const burst = .012 // of the round trip before the stall, and of what comes at once after it
		return append(triangle(r[0], "response", burst),
			same("stall: offered", stall.Offered, 1000),
			same("stall: completed", stall.Completed, 1000),
			within("blackout: timed out", "", float64(dark.TimedOut), 100, 97, 104),
			same("blackout: frames dropped in all", dark.Path.Up.FaultDrops+dark.Path.Down.FaultDrops, dark.TimedOut),
			same("blackout: noticed", int64(noticed(dark).Noticed), dark.TimedOut),
			same("blackout: false alarms, since the path came back", int64(noticed(dark).FalseAlarms), dark.TimedOut),
			within("blackout: first noticed", "ns", number(noticed(dark).First), 100e6, 95e6, 110e6),
			within("blackout: replies lost of those that would have come", "", noticed(dark).Lost, 100, 90, 110),
			same("blackout: completed", dark.Completed, 500-dark.TimedOut),
			same("reset: connections lost", reset.Errors["reset"], 8),
			within("reset: failed, one of each connection", "", float64(reset.Failed), 8, 1, 200),
			same("reset: completed", reset.Completed, 500-reset.Failed))
	},
}

// noticed is what the record says of its only fault.
func noticed(m *results.Metrics) (a results.Aftermath) {
	if len(m.Faults) == 1 {
		a = m.Faults[0]
	}
	return a
}
