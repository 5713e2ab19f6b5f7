package explain

import (
	"fmt"
	"math"

	"github.com/sockbench/sockbench/results"
)

func receiveWindow(r *results.Record, f *flow) (Diagnosis, bool) {
	window := worst(f.sender, "snd_wnd")
	c := cure{knob: "SO_RCVBUF", side: f.to, to: "4MiB", reset: "default"}
	return found(fmt.Sprintf("The %s's receive window is full: it holds less than fits into a round trip, so that the rate is window ÷ RTT. Leave SO_RCVBUF unset, so that the kernel lets it grow, or make it twice what is to be under way.", f.to), c,
		Figure{"limited by the receiver's window, of the time with something to send", f.limited("rwnd_limited_us"), "share", ">", limitedShare},
		Figure{"rate × RTT, of the window", f.underWay() / window, "share", "≥", filledShare},
		Figure{"window", window, "B", "", 0}, Figure{"RTT", f.rtt(), "ns", "", 0},
		Figure{"window ÷ RTT", window / f.rtt() * 1e9, "B/s", "", 0}, Figure{"rate of a connection", f.rate, "B/s", "", 0})
}

func slowReader(r *results.Record, f *flow) (Diagnosis, bool) {
	window := worst(f.sender, "snd_wnd")
	return found(fmt.Sprintf("The %s reads too slowly: its window is full although a round trip would fit into it many times. Buffers do not help; less work for each read, or more workers, do.", f.to),
		cure{knob: "service_time", to: "0"},
		Figure{"limited by the receiver's window, of the time with something to send", f.limited("rwnd_limited_us"), "share", ">", behindShare},
		Figure{"rate × RTT, of the window", f.underWay() / window, "share", "<", filledShare},
		Figure{"window", window, "B", "", 0}, Figure{"rate of a connection", f.rate, "B/s", "", 0})
}

// sendBuffer goes by what is under way alone.
// Note: sndbuf_limited_us does not tell: of a non-blocking writer over 20 ms with SO_SNDBUF=64KiB, which the buffer surely
// limited, it was 0 to 3 %, and 25 to 35 % with a buffer that the kernel let grow.
func sendBuffer(r *results.Record, f *flow) (Diagnosis, bool) {
	buffer := missing
	for _, a := range f.sender.Applied {
		if a.Option == "SO_SNDBUF" {
			buffer = size(a.GotEnd)
		}
	}
	return found(fmt.Sprintf("The %s's send buffer is full: it holds less than fits into a round trip. Leave SO_SNDBUF unset, so that the kernel lets it grow.", f.from),
		cure{knob: "SO_SNDBUF", side: f.from, to: "4MiB", reset: "default"},
		Figure{"rate × RTT, of the send buffer as it reads", f.underWay() / buffer, "share", "≥", bufferShare},
		Figure{"RTT, of the shortest", f.rtt() / f.leastRTT(), "1", "<", queueTimes},
		Figure{"limited by the receiver's window, of the time with something to send", f.limited("rwnd_limited_us"), "share", "≤", limitedShare},
		Figure{"send buffer", buffer, "B", "", 0}, Figure{"RTT", f.rtt(), "ns", "", 0}, Figure{"rate of a connection", f.rate, "B/s", "", 0})
}

// held is what requests take at p50 beside the server's own time and a round trip.
func held(m *results.Metrics, of *int64) float64 {
	return value(of) - inServer(m) - worst(&m.Client, "min_rtt_us")*1e3
}

func nagle(r *results.Record, f *flow) (Diagnosis, bool) {
	m := r.Metrics
	if stream(r) || option(f.sender, "TCP_NODELAY") == "on" {
		return Diagnosis{}, false
	}
	wait := held(m, m.Response.P50)
	return found(fmt.Sprintf("The %s writes a message in pieces, and Nagle's algorithm holds the next piece back until the other side acknowledges the one before, which delays that by some 40 ms. TCP_NODELAY on the side that writes cures it; so does one write for each message.", f.from),
		cure{knob: "TCP_NODELAY", side: f.from, to: "on", reset: "on"},
		Figure{"p50 without the server's time and a round trip", wait, "ns", "≥", heldLow},
		Figure{"the same", wait, "ns", "≤", heldHigh + worst(&m.Client, "min_rtt_us")*1e3},
		Figure{"data segments for a message", sum(f.sender, "data_segs_out") / requests(r), "1", "≥", twoSegments},
		Figure{"delayed acknowledgements for a request", counter("TcpExt.DelayedACKs", &m.Client, &m.Server) / requests(r), "1", "≥", oneEach})
}

func cork(r *results.Record) (Diagnosis, bool) {
	m := r.Metrics
	if stream(r) {
		return Diagnosis{}, false
	}
	unless := ""
	if foreign(r) {
		unless = ", unless your server itself takes 200 ms"
	}
	wait := held(m, m.Response.P50)
	return found("Every request takes 200 ms and nothing was lost: somebody sets TCP_CORK and does not take it off, or MSG_MORE on the last write of a message"+unless+". The kernel sends what is corked by itself only after 200 ms.",
		cure{knob: "TCP_CORK", side: "client", to: "off", reset: "off"},
		Figure{"p50 without the server's time and a round trip", wait, "ns", "≥", corkLow},
		Figure{"the same", wait, "ns", "≤", corkHigh},
		Figure{"p90 over p50", value(m.Response.P90) / value(m.Response.P50), "1", "≤", 1.1},
		Figure{"segments sent again, of the data segments", sum(&m.Client, "total_retrans") / sum(&m.Client, "data_segs_out"), "share", "≤", resentShare})
}

func spuriousTimeout(r *results.Record, f *flow) (Diagnosis, bool) {
	return found(fmt.Sprintf("The %s's retransmission timer fired while the data was only late: the other side had it already. The path pauses for longer than the timer waits; a longer least timeout, or one that was not lowered, avoids it.", f.from),
		cure{knob: "sysctl.net.ipv4.tcp_rto_min_us", to: "1000000", reset: "default"},
		Figure{"retransmission timeouts", sum(f.sender, "total_rto"), "1", "≥", 1},
		Figure{"segments the other side had already, of those sent again", sum(f.sender, "dsack_dups") / sum(f.sender, "total_retrans"), "share", "≥", needless})
}

func retransmissionTimeout(r *results.Record) (Diagnosis, bool) {
	m := r.Metrics
	if stream(r) {
		return Diagnosis{}, false
	}
	resent := sum(&m.Client, "total_retrans")
	if server := sum(&m.Server, "total_retrans"); !math.IsNaN(server) && r.Spec.Via.IsZero() {
		resent += server
	}
	return found("Segments are lost, and short messages wait for the retransmission timer, 200 ms at least: no acknowledgements follow that would tell sooner. A lower least timeout shortens the wait; more requests on fewer connections give the sender something to notice by.",
		cure{knob: "sysctl.net.ipv4.tcp_rto_min_us", to: "20000"},
		Figure{"p99 without the server's time and a round trip", held(m, m.Response.P99), "ns", "≥", rtoLeast},
		Figure{"segments sent again, of the requests", resent / requests(r), "share", "≥", rtoShare})
}

func networkQueue(r *results.Record, f *flow) (Diagnosis, bool) {
	if loopback(r) {
		return Diagnosis{}, false
	}
	to := cure{knob: "TCP_CONGESTION", side: f.from, to: "bbr", reset: "bbr"}
	if option(f.sender, "TCP_CONGESTION") == "bbr" {
		to = cure{knob: "SO_SNDBUF", side: f.from, to: fmt.Sprintf("%.0f", math.Ceil(f.rate*f.leastRTT()/1e9))}
	}
	return found(fmt.Sprintf("What the %s sends waits in a queue in the network, longer than the path itself takes: its window is more than the path holds. A congestion control that goes by delay (bbr), or a smaller window, keeps the queue short at the same rate.", f.from), to,
		Figure{"RTT, of the shortest", f.rtt() / f.leastRTT(), "1", "≥", queueTimes},
		Figure{"RTT beyond the shortest", f.rtt() - f.leastRTT(), "ns", "≥", queueLeast},
		Figure{"segments under way", f.underWay() * f.conns / worst(f.sender, "snd_mss"), "1", "≥", flightLeast},
		Figure{"shortest RTT", f.leastRTT(), "ns", "", 0})
}

func ownSocket(r *results.Record) (Diagnosis, bool) {
	m, ways := r.Metrics, flows(r)
	if stream(r) || len(ways) == 0 {
		return Diagnosis{}, false
	}
	f := &ways[0]
	took := value(m.Service.P50) - inServer(m)
	return found(fmt.Sprintf("What the %s writes waits in its own socket for what was written before, not in the network: buffers take more than the path does. TCP_NOTSENT_LOWAT keeps the queue in the program, which can drop or merge what is stale.", f.from),
		cure{knob: "TCP_NOTSENT_LOWAT", side: f.from, to: "16KiB", reset: "16KiB"},
		Figure{"time of a request from write to reply, in RTTs", took / f.rtt(), "1", "≥", ownTimes},
		Figure{"queue in a socket: rate × (that time − RTT)", f.rate * (took - f.rtt()) / 1e9, "B", "≥", ownQueue * kib},
		Figure{"limited by the receiver's window, of the time with something to send", f.limited("rwnd_limited_us"), "share", "≤", limitedShare},
		Figure{"the busier side's CPU", busy(m), "share", "<", serverBusy},
		Figure{"RTT", f.rtt(), "ns", "", 0})
}

func lossLimited(r *results.Record, f *flow) (Diagnosis, bool) {
	cc := option(f.sender, "TCP_CONGESTION")
	if cc == "bbr" || f.underWay() < filledShare*worst(f.sender, "snd_mss") {
		return Diagnosis{}, false
	}
	figures := []Figure{
		{"segments sent again, of the data segments", f.retransmitted(), "share", ">", resentShare},
		{"limited by the receiver's window, of the time with something to send", f.limited("rwnd_limited_us"), "share", "≤", limitedShare},
		{"congestion window, segments", worst(f.sender, "snd_cwnd"), "1", "", 0},
		{"rate of a connection", f.rate, "B/s", "", 0},
	}
	rate := r.Spec.Path.Up.Rate
	if f.from == "server" {
		rate = r.Spec.Path.Down.Rate
	}
	if rate > 0 {
		figures = append(figures, Figure{"rate of all, of the path's", f.rate * f.conns * 8 / float64(rate), "share", "<", serverBusy})
	}
	if !stream(r) && r.Spec.Load.Pipeline < 2 { // a request at a time has no window to lose
		return Diagnosis{}, false
	}
	return found(fmt.Sprintf("The %s's congestion control (%s) takes every loss for congestion and halves or cuts its window: the rate follows from RTT and loss, not from the path. bbr does not go by loss; it sends more again.", f.from, cc),
		cure{knob: "TCP_CONGESTION", side: f.from, to: "bbr", reset: "bbr"}, figures...)
}

func smallSegments(r *results.Record, f *flow) (Diagnosis, bool) {
	m := r.Metrics
	mss, sent := worst(f.sender, "snd_mss"), sum(f.sender, "bytes_sent")
	n := requests(r)
	needed := n * math.Ceil(sent/n/mss)
	how, most := cure{}, moreSegments
	if stream(r) {
		needed, most = sent/mss, streamSegments
		if how = (cure{knob: "request", to: "64KiB"}); f.from == "server" {
			how.knob = "reply"
		}
	}
	if how.knob == "" && f.from == "client" && r.Spec.Load.Write == "split" {
		how = cure{knob: "write", to: "single"}
	}
	return found(fmt.Sprintf("The %s's messages leave in more segments than their bytes take, and each costs CPU time on both sides: write a message at once (one write, writev, MSG_MORE), or larger ones.", f.from), how,
		Figure{"data segments, of those that the bytes take", sum(f.sender, "data_segs_out") / needed, "1", ">", most},
		Figure{"the busier side's CPU", busy(m), "share", "≥", busyEnough},
		Figure{"bytes of a segment", sent / sum(f.sender, "data_segs_out"), "B", "", 0})
}
