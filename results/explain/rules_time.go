package explain

import (
	"fmt"
	"math"

	"github.com/sockbench/sockbench/results"
)

// littlesLaw holds requests under way against throughput × response time, which every closed loop obeys.
func littlesLaw(r *results.Record) (Diagnosis, bool) {
	m, s := r.Metrics, r.Spec.Load
	served := float64(m.Connections.Served)
	disturbed, _ := results.Disturbed(r) // a machine that stood still at an edge of the measure phase stretches what is cut there
	if !closed(r) || s.Workload != "rr" || s.Think > 0 || m.Failed+m.TimedOut+m.Unfinished > 0 || served == 0 || disturbed {
		return Diagnosis{}, false
	}
	expected := served * float64(max(s.Pipeline, 1))
	by := m.Throughput * m.Response.Mean / 1e9
	return found("Throughput × mean response time is not the number of requests under way, which no closed loop can escape (Little's law): requests or times are counted wrong, and the bench must be put right before anything else is believed.",
		cure{command: "sockbench verify littles-law accounting"},
		Figure{"off from what is under way by", math.Abs(by/expected - 1), "share", ">", littleOff + 2*float64(m.Response.Max)/float64(m.Duration)},
		Figure{"requests of a connection", float64(m.Completed) / served, "1", "≥", perConnMin},
		Figure{"throughput × mean response time", by, "1", "", 0}, Figure{"requests under way", expected, "1", "", 0})
}

func oversubscribed(r *results.Record) (Diagnosis, bool) {
	m := r.Metrics
	if !loopback(r) || inServer(m) > value(m.Response.P50)/2 {
		return Diagnosis{}, false
	}
	return found("Far more threads than CPUs want to run: a request waits for its thread's turn behind all others, which shows in the tail. An event loop, or a pool of a few workers, serves as many connections with a thread for each CPU.",
		cure{knob: "target", to: "epoll"},
		Figure{"threads for each of the server's CPUs", float64(m.Server.Threads) / float64(len(m.Server.CPUs)), "1", "≥", threadsEach},
		Figure{"p99", value(m.Response.P99), "ns", "≥", turnsLeast},
		Figure{"p99 over p50", value(m.Response.P99) / value(m.Response.P50), "1", "≥", tailTimes},
		Figure{"the server's switches for a reply", switches(&m.Server) / float64(m.Replies), "1", "≥", wakesEach},
		Figure{"of those involuntary", float64(m.Server.Involuntary) / float64(max(m.Replies, 1)), "1", "", 0})
}

// appLimited names what a closed loop over a path is made of.
func appLimited(r *results.Record) (Diagnosis, bool) {
	ways := flows(r)
	if !closed(r) || stream(r) || len(ways) == 0 {
		return Diagnosis{}, false
	}
	m, f := r.Metrics, &ways[0]
	return found("The sender has nothing more to send: what is under way comes back after a round trip, so that throughput is what is under way ÷ RTT. No buffer changes that; more requests under way do (pipeline, connections).",
		cure{knob: "pipeline", to: "8"},
		Figure{"RTT", worst(&m.Client, "min_rtt_us") * 1e3, "ns", "≥", farAway},
		Figure{"p50 without the server's time, in RTTs", (value(m.Response.P50) - inServer(m)) / (worst(&m.Client, "min_rtt_us") * 1e3), "1", "≤", pathTimes},
		Figure{"the busier side's CPU", busy(m), "share", "<", idleEnough},
		Figure{"limited by the receiver's window", f.limited("rwnd_limited_us"), "share", "≤", limitedShare},
		Figure{"connections whose last rate was the application's", sum(f.sender, "app_limited"), "1", "", 0})
}

func wakeUps(r *results.Record) (Diagnosis, bool) {
	m := r.Metrics
	if !loopback(r) || !closed(r) || stream(r) || m.Completed < m.Offered || inServer(m) > value(m.Response.P50)/2 {
		return Diagnosis{}, false
	}
	replies := float64(m.Replies)
	how := cure{knob: "keep_awake", to: "on"}
	if r.Spec.Regime.KeepAwake && len(m.Server.CPUs) > 0 {
		how = cure{knob: "cpus", to: fmt.Sprintf("server=%d;client=%[1]d", m.Server.CPUs[0])}
	}
	return found("Most of a request's time is spent in waking up: each side sleeps until the other has done its part, and the scheduler, not the code, is what is measured. Both sides on one CPU, polling, or several requests for one wake-up (pipeline) are quicker.", how,
		Figure{"the client's voluntary switches for a reply", float64(m.Client.Voluntary) / replies, "1", "≥", wakesEach},
		Figure{"the server's voluntary switches for a reply", float64(m.Server.Voluntary) / replies, "1", "≥", wakesEach},
		Figure{"the busier side's CPU", busy(m), "share", "<", serverBusy},
		Figure{"p50", value(m.Response.P50), "ns", "", 0})
}

func clientLimit(r *results.Record) (Diagnosis, bool) {
	client, known := r.Metrics.ClientBusy()
	server, also := r.Metrics.ServerBusy()
	if !known || !also {
		return Diagnosis{}, false
	}
	return found("The load generator has no time left while the server has: the numbers are the client's. Give it more CPUs, offer less (rate), or compare the server's CPU time for a request.",
		cure{},
		Figure{"load generator's time in use", client, "share", ">", clientBusy},
		Figure{"server's CPU", server, "share", "<", serverBusy})
}

func serverCPU(r *results.Record) (Diagnosis, bool) {
	m := r.Metrics
	server, known := m.ServerBusy()
	if !known {
		return Diagnosis{}, false
	}
	client, ok := m.ClientBusy()
	if !ok {
		client = missing
	}
	return found("The server uses all the CPU time it has. More CPUs with a worker each, less work for a request, or several requests for one system call (pipeline) raise the limit.",
		cure{knob: "pipeline", to: "8"},
		Figure{"server's CPU", server, "share", "≥", serverBusy},
		Figure{"load generator's time in use", client, "share", "", 0},
		Figure{"server's CPU time for a request", cpu(&m.Server) / float64(max(m.Replies, 1)), "ns", "", 0})
}
