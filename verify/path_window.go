package verify

import (
	"fmt"
	"time"

	"github.com/sockbench/sockbench/results"
)

// windowRate is that of the bottleneck of windows.
const windowRate = 100e6

// windowPaths are round trip times, and phases in which even the largest window is reached: ten round trips and more.
var windowPaths = []struct{ rtt, warmup, duration time.Duration }{
	{time.Millisecond, 300 * time.Millisecond, 500 * time.Millisecond},
	{20 * time.Millisecond, 800 * time.Millisecond, 800 * time.Millisecond},
	{100 * time.Millisecond, 2500 * time.Millisecond, 1500 * time.Millisecond},
}

// windowSizes are receive buffers, and the window scale that the kernel announces for them.
var windowSizes = []struct {
	buffer string
	scale  int64
}{{"16KiB", 0}, {"64KiB", 1}, {"256KiB", 3}, {"1MiB", 5}, {"4MiB", 7}, {"default", 10}}

var windows = Test{
	Name:   "windows",
	Proves: "No more is under way than the receiver's window; the kernel's own growing of the buffer fills the path.",
	Formula: "goodput = min(rate × 1448/1514, window / RTT), ±10 %, with the sender's window and the least RTT of TCP_INFO (down to −25 % where the two limits meet within half); " +
		"window scale = log2 of the largest window, − 15",
	Reference: "RFC 9293, 3.8.6; RFC 7323, 2; kernel: tcp_select_initial_window, tcp_rcv_space_adjust",
	Drawn:     true,
	Trials:    windowTrials(),
	Judge: func(r []*results.Record) (lines []Line) {
		var scales, buffers []Line
		i := 0
		for _, p := range windowPaths {
			for _, size := range windowSizes {
				m, name := r[i].Metrics, fmt.Sprintf("RTT %s, SO_RCVBUF=%s", p.rtt, size.buffer)
				i++
				rtt := float64(m.Client.Worst["min_rtt_us"]) * 1e3
				expected := min(windowRate*payload, float64(m.Client.Worst["snd_wnd"])*8/rtt*1e9)
				low := .9
				if fill := float64(m.Client.Worst["snd_wnd"]) * 8 / (windowRate * rtt / 1e9); fill > .67 && fill < 1.5 {
					low = .75 // a window that just fills the path leaves no room for bursts: some of it waits in the queue
				}
				lines = append(lines, within(name, "bit/s", bits(m.SentBytes, m.Duration), expected, low*expected, 1.1*expected))
				if p.rtt != windowPaths[1].rtt {
					continue
				}
				scales = append(scales, same(name+": window scale", m.Server.Worst["rcv_wscale"], size.scale))
				for _, a := range m.Server.Applied {
					if a.Option == "SO_RCVBUF" { // it no longer grows
						buffers = append(buffers, within(name+": the buffer at the end, of what it was", "", kib(a.GotEnd), kib(a.Got), kib(a.Got), kib(a.Got)))
					}
				}
			}
		}
		auto := r[len(windowSizes)*2-1].Metrics.Client.Worst["snd_wnd"]
		bdp := windowRate / 8 * .02
		return append(append(append(lines, scales...), buffers...),
			within("RTT 20ms, SO_RCVBUF=default: the window grows beyond what is under way", "B", float64(auto), bdp, bdp, 33<<20))
	},
}

// kib reads a size as options write it, in KiB; NaN is not needed: a size that reads otherwise is 0 and equals none.
func kib(text string) (n float64) {
	var unit string
	if k, err := fmt.Sscanf(text, "%g%s", &n, &unit); k < 2 || err != nil {
		return n / 1024
	}
	if unit == "MiB" {
		n *= 1024
	}
	return n
}

func windowTrials() (trials []Trial) {
	for _, p := range windowPaths {
		for _, size := range windowSizes {
			knobs := []string{"target=epoll", "connections=1", "workload=stream-up", "request_timeout=60s", "client.TCP_CONGESTION=cubic",
				"sysctl.net.ipv4.tcp_rmem=4096 131072 33554432", fmt.Sprintf("path=delay=%s,rate=100mbit", p.rtt/2)}
			if size.buffer != "default" {
				knobs = append(knobs, "server.SO_RCVBUF="+size.buffer)
			}
			trials = append(trials, Trial{Warmup: p.warmup, Duration: p.duration, Knobs: knobs})
		}
	}
	return trials
}

// sendBuffers are set sizes, and what may be under way: twice as much. Of smaller ones one write of 64 KiB passes at once.
var sendBuffers = []struct {
	buffer string
	bytes  float64
	least  float64 // share of it: the kernel counts its own overhead too, the more the more segments there are
}{{"64KiB", 128 << 10, .85}, {"256KiB", 512 << 10, .75}}

var window = Test{
	Name:      "window",
	Proves:    "Goodput over a long path is what a fixed receive buffer allows, divided by the round trip time.",
	Formula:   "goodput · RTT = the window of TCP_INFO, 0.90 to 1.05 of it, which is 0.9 to 1.4 of what was set",
	Reference: "RFC 9293, 3.8.6",
	Quick:     true,
	Trials:    []Trial{longPath("server.SO_RCVBUF=64KiB", 500*time.Millisecond)},
	Judge: func(r []*results.Record) []Line {
		m, set := r[0].Metrics, 64.*1024
		wnd := float64(m.Client.Worst["snd_wnd"])
		return []Line{
			within("goodput × RTT", "B", underWay(m), wnd, .9*wnd, 1.05*wnd),
			within("window", "B", wnd, 1.22*set, .9*set, 1.4*set),
			within("least RTT of TCP_INFO", "ns", float64(m.Client.Worst["min_rtt_us"])*1e3, 20e6, 19.9e6, 20.8e6), // in a stream, a frame may leave 50 µs early each way
		}
	},
}

var sendBuffer = Test{
	Name:      "send-buffer",
	Proves:    "Goodput over a long path is what a fixed send buffer allows, divided by the round trip time.",
	Formula:   "goodput · RTT = 2 × set, 0.85 to 1.05 of it, of 256 KiB 0.75 to 1.05",
	Reference: "socket(7): the kernel doubles SO_SNDBUF",
	Trials:    []Trial{longPath("client.SO_SNDBUF=64KiB", 1500*time.Millisecond), longPath("client.SO_SNDBUF=256KiB", 1500*time.Millisecond)},
	Judge: func(r []*results.Record) (lines []Line) {
		for i, c := range sendBuffers {
			lines = append(lines, within("SO_SNDBUF="+c.buffer+": goodput × RTT", "B", underWay(r[i].Metrics), c.bytes, c.least*c.bytes, 1.05*c.bytes))
		}
		return lines
	},
}

// underWay is goodput times the least RTT, in bytes.
func underWay(m *results.Metrics) float64 {
	return float64(m.SentBytes) / float64(m.Duration) * float64(m.Client.Worst["min_rtt_us"]) * 1e3
}

// longPath is a stream to the server with one option, over 20 ms. The longer, the less one pause of the link is a
// hundredth of its frames, which makes it a path that is late.
func longPath(option string, length time.Duration) Trial {
	return Trial{Warmup: 300 * time.Millisecond, Duration: length, Knobs: streamUp("client.TCP_CONGESTION=cubic path=delay=10ms " + option)}
}
