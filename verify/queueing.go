package verify

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sockbench/sockbench/results"
)

// Of queueing: how long the server works for a request, and for how long requests arrive.
const (
	work   = 4 * time.Millisecond
	served = 8 * time.Second
)

var queueing = Test{
	Name:   "queueing",
	Proves: "Response times of an open loop are those of queueing theory, whether requests wait at the server or in the client for the only connection.",
	Formula: "W[k+1] = max(0, W[k] + S[k] − A[k+1]) on the arrivals and service times that the seed draws: at least with S alone, at most with S " +
		"and all of the way there and back. Pollaczek–Khinchine, S with the way: mean = S + ρS(1 + c²)/2(1 − ρ), give or take 3.3 √(2(1 + ρ)S/ρ(1 − ρ)²T), " +
		"which at ρ 0.8 is too much to say anything",
	Reference: "Lindley 1952; Kleinrock, Queueing Systems I, 5.6; Whitt 1989, Planning queueing simulations: asymptotic variance of M/M/1",
	Trials:    queueingTrials(),
	Judge:     judgeQueueing,
}

// queueingCases follow the trial that tells the way to a server that others wait for.
var queueingCases = []struct {
	where       string
	target      string
	connections int
	random      bool // service times are exponential
	rate        float64
}{
	{"at the server", "epoll", 200, false, 125},
	{"at the server", "epoll", 200, true, 125},
	{"at the server", "epoll", 200, false, 200},
	{"at the server", "epoll", 200, true, 200},
	{"in the client", "blocking", 1, false, 200},
	{"in the client", "blocking", 1, true, 200},
}

func queueingTrials() []Trial {
	trials := []Trial{{Duration: time.Second, Knobs: []string{"target=epoll", "connections=1", "service_time=sleep:" + work.String()}}}
	for _, c := range queueingCases {
		service := "sleep:" + work.String()
		if c.random {
			service = "sleep:exp:" + work.String()
		}
		trials = append(trials, Trial{Duration: served, Knobs: []string{"target=" + c.target, fmt.Sprintf("connections=%d", c.connections),
			"service_time=" + service, fmt.Sprintf("rate=%g", c.rate)}})
	}
	return trials
}

func judgeQueueing(r []*results.Record) (lines []Line) {
	usual := r[0].Metrics.Response.Mean - float64(work)
	for i, c := range queueingCases {
		rec, m, way := r[i+1], r[i+1].Metrics, usual
		at := poisson(rec.Seed, c.rate, float64(served))
		service, law := constant(float64(work), len(at)), "M/D/1"
		if c.random {
			service, law = exponential(rec.Seed, float64(work), len(at)), "M/M/1"
		}
		if c.connections == 1 { // nobody waits at the server
			way = m.Service.Mean - mean(service)
		}
		name := fmt.Sprintf("%s, ρ %.1f, waiting %s: ", law, c.rate*work.Seconds(), c.where)
		least, most := Lindley(at, service, 0), Lindley(at, service, way)
		lines = append(lines, same(name+"offered", m.Offered, int64(len(at))))
		for _, of := range []struct {
			name     string
			measured float64
			of       func([]float64) float64
		}{{"mean", m.Response.Mean, mean}, {"p99", number(m.Response.P99), func(v []float64) float64 { return percentile(v, 99) }}} {
			low, high := of.of(least), of.of(most)
			lines = append(lines, within(name+of.name, "ns", of.measured, high, .97*low, 1.12*high))
		}
		if s := float64(work) + way; c.rate == 125 {
			variation := 0.0
			if c.random {
				variation = 1
			}
			load := c.rate * s / 1e9
			theory := s * (1 + load*(1+variation)/2/(1-load))
			scatter := 3.3 * math.Sqrt(2*(1+load)/load/(1-load)/(1-load)*s/float64(served))
			lines = append(lines, about(name+"mean by Pollaczek–Khinchine", "ns", m.Response.Mean, theory, scatter))
		}
		if c.connections == 1 { // all the waiting is for the connection
			lines = append(lines,
				within(name+"mean queue wait", "ns", m.QueueWait.Mean, mean(most)-mean(service)-way, .95*(mean(least)-mean(service)), 1.12*(mean(most)-mean(service))),
				atMost(name+"lateness p50", "ns", number(m.Lateness.P50), .2e6))
		}
		lines = append(lines, about(name+"mean service, as the server has it", "ns", m.Handled.Service.Mean, mean(service), .05))
	}
	return lines
}

// poisson is the arrivals that a trial's seed draws, in nanoseconds from its start: gaps of a Poisson process of that rate.
// It is written anew here, so that a generator that draws otherwise is found out.
func poisson(seed uint64, rate, length float64) (at []float64) {
	draw := rand.New(rand.NewPCG(seed, 1))
	for t := draw.ExpFloat64() / rate * 1e9; t < length; t += draw.ExpFloat64() / rate * 1e9 {
		at = append(at, t)
	}
	return at
}

// exponential is the service times that a trial's seed draws.
func exponential(seed uint64, mean float64, n int) []float64 {
	times := make([]float64, n)
	for k := range times {
		u := float64(rand.NewPCG(seed, uint64(k+1)).Uint64()>>11+1) / (1 << 53)
		times[k] = -math.Log(u) * mean
	}
	return times
}

func constant(v float64, n int) []float64 { return slices.Repeat([]float64{v}, n) }

// Lindley is the response times of requests that are served one after another, each of which occupies the server for its
// service and for way.
func Lindley(at, service []float64, way float64) []float64 {
	times, wait := make([]float64, len(at)), 0.0
	for k := range at {
		if k > 0 {
			wait = max(0, wait+service[k-1]+way-(at[k]-at[k-1]))
		}
		times[k] = wait + service[k] + way
	}
	return times
}

func mean(v []float64) (m float64) {
	for _, x := range v {
		m += x / float64(len(v))
	}
	return m
}

// percentile is one by rank.
func percentile(v []float64, p float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[int(math.Ceil(p/100*float64(len(v))))-1]
}

var bursts = Test{
	Name:   "bursts",
	Proves: "Where nothing is left to chance, percentiles and means are those of arithmetic, wherever the requests wait.",
	Formula: "5 requests due at one instant, every 100 ms, and 10 ms asleep for each, one after another: a response takes 10, 20, … 50 ms, each as often. " +
		"With one connection, 0 to 40 ms of it are queue wait; written together on one, they wait in the server",
	Reference: "arithmetic",
	Quick:     true,
	Trials: []Trial{
		{Duration: 800 * time.Millisecond, Knobs: fields("target=epoll connections=5 service_time=sleep:10ms rate=50 arrivals=burst:5")},
		{Duration: 800 * time.Millisecond, Knobs: fields("target=epoll connections=1 service_time=sleep:10ms rate=50 arrivals=burst:5")},
		{Duration: 800 * time.Millisecond, Knobs: fields("target=epoll connections=1 service_time=sleep:10ms rate=50 arrivals=burst:5 pipeline=5 TCP_NODELAY=on")},
	},
	Judge: func(r []*results.Record) (lines []Line) {
		const ms = 1e6
		// The way there and back and the work beside the service add to it: more for those that are served later.
		near := func(name string, measured, expected float64) Line {
			return within(name, "ns", measured, expected, expected*.995, expected*1.04+.7*ms)
		}
		names := []string{"5 connections: ", "1 connection: ", "1 connection, written together: "}
		for i, name := range names {
			m := r[i].Metrics
			lines = append(lines,
				same(name+"offered", m.Offered, 40),
				near(name+"shortest response", float64(m.Response.Min), 10*ms),
				near(name+"response p50", number(m.Response.P50), 30*ms),
				near(name+"response p90", number(m.Response.P90), 50*ms),
				within(name+"mean response", "ns", m.Response.Mean, 30*ms, 29.8*ms, 34*ms),
				near(name+"the server's service p50", number(m.Handled.Service.P50), 10*ms),
				near(name+"the server's service p90", number(m.Handled.Service.P90), 10*ms),
				within(name+"the server's mean service", "ns", m.Handled.Service.Mean, 10*ms, 9.95*ms, 11.3*ms),
				same(name+"services timed by the server", m.Handled.Service.Count, 40),
				atMost(name+"lateness p50", "ns", number(m.Lateness.P50), .5*ms))
			for k := 1; k < 5; k++ {
				x := time.Duration(10*k+5) * time.Millisecond
				want := 1 - float64(k)/5
				lines = append(lines, within(fmt.Sprintf("%sresponses above %s", name, x), "share", above(r[i], "response", x), want, want-.1, want+.1))
			}
		}
		server, client, together := r[0].Metrics, r[1].Metrics, r[2].Metrics
		return append(lines,
			atMost(names[0]+"queue wait p90", "ns", number(server.QueueWait.P90), .1*ms),
			near(names[0]+"service p50", number(server.Service.P50), 30*ms),
			near(names[1]+"queue wait p50", number(client.QueueWait.P50), 20*ms),
			near(names[1]+"queue wait p90", number(client.QueueWait.P90), 40*ms),
			within(names[1]+"mean queue wait", "ns", client.QueueWait.Mean, 20*ms, 19.8*ms, 23.5*ms),
			near(names[1]+"service p50", number(client.Service.P50), 10*ms),
			atMost(names[1]+"mean wait in the server", "ns", client.Handled.Waiting.Mean, .5*ms),
			near(names[2]+"wait in the server p50", number(together.Handled.Waiting.P50), 20*ms),
			near(names[2]+"wait in the server p90", number(together.Handled.Waiting.P90), 40*ms),
			within(names[2]+"mean wait in the server", "ns", together.Handled.Waiting.Mean, 20*ms, 19.8*ms, 23.5*ms),
			within(names[2]+"requests that the server took with one read", "", together.Handled.MessagesPerRead, 5, 4.8, 5),
			atMost(names[2]+"queue wait p90", "ns", number(together.QueueWait.P90), .1*ms))
	},
}

var littlesLaw = Test{
	Name:      "littles-law",
	Proves:    "In a closed loop, as many are under way or thinking as there are connections; think time is thought.",
	Formula:   "throughput · (mean response + think time) = connections",
	Reference: "Little 1961",
	Quick:     true,
	Trials: []Trial{
		{Warmup: 100 * time.Millisecond, Duration: 500 * time.Millisecond, Knobs: []string{"target=thread", "connections=16", "service_time=sleep:5ms"}},
		{Warmup: 100 * time.Millisecond, Duration: 500 * time.Millisecond, Knobs: []string{"target=thread", "connections=16", "service_time=sleep:5ms", "think=10ms"}},
		{Warmup: 100 * time.Millisecond, Duration: 300 * time.Millisecond, Knobs: []string{"target=pool", "workers=4", "connections=4", "service_time=sleep:2ms", "workload=crr"}},
	},
	Judge: func(r []*results.Record) []Line {
		const ms = 1e6
		still, thinking, brief := r[0].Metrics, r[1].Metrics, r[2].Metrics
		return []Line{
			about("without think time", "", still.Throughput*still.Response.Mean/1e9, 16, .03),
			within("without think time: response p50", "ns", number(still.Response.P50), 5*ms, 5*ms, 5.8*ms),
			within("without think time: the server's service p50", "ns", number(still.Handled.Service.P50), 5*ms, 5*ms, 5.4*ms),
			about("with 10 ms of think time", "", thinking.Throughput*(thinking.Response.Mean+10*ms)/1e9, 16, .04),
			within("with 10 ms of think time: response p50", "ns", number(thinking.Response.P50), 5*ms, 5*ms, 5.8*ms),
			within("with 10 ms of think time: throughput", "1/s", thinking.Throughput, 16/.015, 16/.016, 16/.01485),
			within("without think time: intervals with another p50", "", odd(still, 5*ms, 6.5*ms), 0, 0, 1),
			about("a connection for each request", "", brief.Throughput*brief.Response.Mean/1e9, 4, .1),
		}
	},
}

// odd is how many intervals have a p50 outside low to high, or none.
func odd(m *results.Metrics, low, high float64) (n float64) {
	for _, v := range m.Intervals {
		if p50 := number(v.P50); !(p50 >= low && p50 <= high) {
			n++
		}
	}
	return n
}

// laws are ways for 2000 requests per second to arrive, on average, and how many come in each 100 ms of half a second.
var laws = []struct {
	knobs  string
	counts []float64
	random bool
}{
	{"rate=2k arrivals=constant", constant(200, 5), false},
	{"rate=2k arrivals=poisson", constant(200, 5), true},
	{"arrivals=ramp:500-3500", []float64{80, 140, 200, 260, 320}, true},
	{"arrivals=steps:1k,3k", []float64{100, 100, 200, 300, 300}, true},
}

var arrivalLaws = Test{
	Name:   "arrivals",
	Proves: "Requests arrive as the law says that was asked for: evenly, at random, faster and faster, in steps.",
	Formula: "counts n in 5 intervals of 100 ms, of which m are expected: Σ(n − m)²/m is 0 for constant arrivals, and of a Poisson process χ² with " +
		"5 degrees of freedom (quantiles of 0.1 % and 99.9 %)",
	Reference: "Cox, Lewis 1966, 6.2: index of dispersion",
	Trials:    lawTrials(),
	Judge: func(r []*results.Record) (lines []Line) {
		for i, law := range laws {
			m := r[i].Metrics
			dispersion := 0.0
			for k, v := range m.Intervals {
				d := float64(v.Completed) - law.counts[k]
				dispersion += d * d / law.counts[k]
			}
			if !law.random { // a few may be complete a little later than they were due
				lines = append(lines,
					same(law.knobs+": offered", m.Offered, 1000),
					within(law.knobs+": dispersion of the counts", "", dispersion, 0, 0, .2))
				continue
			}
			lines = append(lines,
				within(law.knobs+": dispersion of the counts", "", dispersion, 5, .21, 20.5),
				within(law.knobs+": offered", "", float64(m.Offered), 1000, 1000-3.3*math.Sqrt(1000), 1000+3.3*math.Sqrt(1000)))
		}
		drawn := int64(len(poisson(r[1].Seed, 2000, .5e9)))
		return append(lines, same(laws[1].knobs+": offered, as the seed draws", r[1].Metrics.Offered, drawn))
	},
}

func lawTrials() (trials []Trial) {
	for _, law := range laws {
		trials = append(trials, Trial{Duration: 500 * time.Millisecond, Knobs: append(fields("target=epoll connections=64"), fields(law.knobs)...)})
	}
	return trials
}
