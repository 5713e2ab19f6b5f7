package verify

import (
	"fmt"
	"math"
	"time"

	"github.com/sockbench/sockbench/results"
)

var nagleFar = Test{
	Name:      "nagle-far",
	Proves:    "Over a path, a request that Nagle's algorithm holds back waits for the delayed acknowledgement and for a round trip more.",
	Formula:   nagleHolds,
	Reference: nagleRefs,
	Trials:    nagleTrials(Trial{Warmup: 150 * time.Millisecond, Duration: 500 * time.Millisecond, Knobs: fields("target=epoll connections=8 path=delay=5ms")}),
	Judge:     func(r []*results.Record) []Line { return judgeNagle(r, 10e6) },
}

// mathisCases are losses of one direction, and how far goodput may be from the formula.
var mathisCases = []struct {
	loss      float64
	low, high float64
}{{.01, .75, 1.3}, {.04, .7, 1.2}}

var mathis = Test{
	Name:      "losses-tcp",
	Proves:    "Random loss alone limits what Reno sends, as the square root of it; BBR fills the path all the same.",
	Formula:   "Reno: goodput = MSS/RTT · 1.22/√p, RTT 20 ms; BBR with 1 % of loss and a bottleneck of 20 Mbit/s: rate × 1448/1514",
	Reference: "Mathis, Semke, Mahdavi, Ott 1997; Cardwell et al. 2016",
	Trials: []Trial{
		{Warmup: time.Second, Duration: 5 * time.Second, Knobs: streamUp("client.TCP_CONGESTION=reno path=delay=10ms,up.loss=1%")},
		{Warmup: time.Second, Duration: 5 * time.Second, Knobs: streamUp("client.TCP_CONGESTION=reno path=delay=10ms,up.loss=4%")},
		{Warmup: time.Second, Duration: 3 * time.Second, Knobs: streamUp("client.TCP_CONGESTION=bbr path=delay=10ms,rate=20mbit,up.loss=1%")},
	},
	Judge: func(r []*results.Record) (lines []Line) {
		for i, c := range mathisCases {
			m := r[i].Metrics
			expected := 1448 * 8 / .02 * 1.22 / math.Sqrt(c.loss)
			n := float64(m.Path.Up.Frames)
			lines = append(lines,
				within(fmt.Sprintf("reno, %g %% lost", c.loss*100), "bit/s", bits(m.SentBytes, m.Duration), expected, c.low*expected, c.high*expected),
				within(fmt.Sprintf("frames lost of %.0f at %g %%", n, c.loss*100), "", float64(m.Path.Up.Lost), n*c.loss, n*c.loss-3.3*math.Sqrt(n*c.loss), n*c.loss+3.3*math.Sqrt(n*c.loss)))
		}
		m := r[2].Metrics
		return append(lines, about("bbr, 1 % lost", "bit/s", bits(m.SentBytes, m.Duration), 20e6*payload, .06))
	},
}

// streamUp are the knobs of blocks to the server over one connection.
func streamUp(more string) []string {
	return fields("target=epoll connections=1 workload=stream-up request_timeout=60s " + more)
}

// records1000 are the knobs of many small requests under way over one connection, each of which tells how old it is when
// it arrives: its service time is from when the socket took it to its reply.
func records1000(more string) []string {
	return fields("target=epoll connections=1 pipeline=1024 write=writev server.TCP_NODELAY=on request=1000 reply=16 request_timeout=60s path=delay=10ms,rate=10mbit,queue=1514000 " + more)
}

var bufferbloat = Test{
	Name:   "bufferbloat",
	Proves: "A large queue is filled by CUBIC and left empty by BBR; what then waits is in the sender's own socket, unless TCP_NOTSENT_LOWAT keeps it out.",
	Formula: "10 Mbit/s, RTT 20 ms, a queue of 1.2 s: with BBR RTT + queue < 2.5 RTT at p50; with CUBIC more than 5 times that; with " +
		"TCP_NOTSENT_LOWAT=16KiB a record is as old as RTT, queue, 16 KiB and at most one unsent segment of 64 KiB make it; without it, with BBR, more than 2.5 times as old; goodput = rate × 1448/1514",
	Reference: "Gettys, Nichols 2011; RFC 9438; Cardwell et al. 2016; tcp(7)",
	Trials: []Trial{
		{Warmup: 2 * time.Second, Duration: 4 * time.Second, Knobs: records1000("client.TCP_CONGESTION=cubic")},
		{Warmup: 2 * time.Second, Duration: 4 * time.Second, Knobs: records1000("client.TCP_CONGESTION=cubic client.TCP_NOTSENT_LOWAT=16KiB")},
		{Warmup: 2 * time.Second, Duration: 4 * time.Second, Knobs: records1000("client.TCP_CONGESTION=bbr")},
		{Warmup: 2 * time.Second, Duration: 4 * time.Second, Knobs: records1000("client.TCP_CONGESTION=bbr client.TCP_NOTSENT_LOWAT=16KiB")},
	},
	Judge: func(r []*results.Record) (lines []Line) {
		const rtt = 20e6
		scatter := [4]float64{.07, .07, .03, .03}       // behind a hole in CUBIC's full queue up to 1.2 s of data wait, which the measure phase's end may cut off
		const unsent = (16 + 64) << 10 * 8 / 10e6 * 1e9 // ns that 16 KiB take, and the segment that was begun before, at most
		var ping, age [4]float64
		names := []string{"cubic", "cubic, TCP_NOTSENT_LOWAT", "bbr", "bbr, TCP_NOTSENT_LOWAT"}
		for i, rec := range r {
			m := rec.Metrics
			ping[i], age[i] = rtt+number(m.Path.Up.QueueDelay.P50), number(m.Service.P50)
			lines = append(lines, about(names[i]+": goodput", "bit/s", m.Throughput*(1000+head)*8, 10e6*payload, scatter[i]))
		}
		for i := 1; i < 4; i += 2 {
			lines = append(lines, within(names[i]+": age of a record when its reply came, p50", "ns", age[i], ping[i]+unsent/2, .85*ping[i], 1.15*ping[i]+unsent))
		}
		for i := 2; i < 4; i++ {
			lines = append(lines,
				within(names[i]+": RTT and queue, p50", "ns", ping[i], rtt, rtt, 2.5*rtt),
				within(names[i]+": cubic's RTT and queue, of bbr's", "", ping[i-2]/ping[i], 10, 5, 60))
		}
		return append(lines, within("bbr: age of a record without TCP_NOTSENT_LOWAT, of that with it", "", age[2]/age[3], 5, 2.5, 60))
	},
}
