package lab

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sockbench/sockbench/internal/quiet"
	"github.com/sockbench/sockbench/internal/testenv"
	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/netpath"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/sockopt"
	"github.com/sockbench/sockbench/targets"
)

// paths skips the test where the machine can give no path.
func paths(t testing.TB, l *Lab) {
	t.Helper()
	if testing.Short() {
		t.Skip("measures; run without -short")
	}
	r, err := l.Run(t.Context(), trials(t, 0, 20*time.Millisecond, "path", "delay=0")[0])
	if err != nil {
		t.Fatal(err)
	}
	if r.Stage == "start" {
		testenv.Skip(t, "userns", r.Error)
	}
}

// doubt is what a check says of a record.
func doubt(m *results.Metrics, code string) results.Doubt {
	for _, d := range m.Validity {
		if d.Code == code {
			return d
		}
	}
	return results.Doubt{}
}

// A request over a path takes its delay twice, and a little for the link; the path's own counts agree with the kernel's.
func TestPathDelay(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		var l Lab
		defer l.Close()
		paths(t, &l)
		for delay, want := range map[string]time.Duration{"delay=1ms": 2 * time.Millisecond, "up.delay=30ms,down.delay=10ms": 40 * time.Millisecond} {
			m := run(t, &l, 100*time.Millisecond, 800*time.Millisecond, "path", delay, "connections", "2").Metrics
			if off := time.Duration(*m.Response.P50) - want; off < 0 || off > 800*time.Microsecond {
				t.Errorf("%s: p50 of the response is %v off %v", delay, off, want)
			}
			p := m.Path
			sent, received := m.Client.TCP["segs_out"], m.Server.TCP["segs_out"]
			if p.Backend != netpath.Link || p.Path != delay || p.Up.Lost+p.Down.Lost+p.Up.QueueDrops+p.Down.QueueDrops+p.Missed+p.Overflow+p.Refused != 0 {
				t.Errorf("%s: %+v", delay, p)
			}
			// TCP_INFO is read before the last segments of the close.
			if d := p.Up.Frames - sent; d < 0 || d > 12 {
				t.Errorf("%s: %d frames went up, the client sent %d segments", delay, p.Up.Frames, sent)
			}
			if d := p.Down.Frames - received; d < 0 || d > 12 {
				t.Errorf("%s: %d frames came down, the server sent %d segments", delay, p.Down.Frames, received)
			}
			if p.Lateness.Count < m.Replies*2-8 || p.CPU <= 0 || p.Busy > .5 || doubt(m, "path_late").Verdict == results.Fail || doubt(m, "path_saturated").Verdict != results.OK {
				t.Errorf("%s: %+v", delay, p)
			}
		}
	})
}

// Every backend limits the rate to what was asked; Ethernet, IP and TCP headers with time stamps take 66 of 1514 bytes.
func TestPathRate(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		var l Lab
		defer l.Close()
		paths(t, &l)
		for _, path := range []string{"delay=1ms,rate=20mbit", "rate=20mbit,queue=256KiB,backend=tbf", "delay=1ms,rate=200mbit"} {
			m := run(t, &l, 300*time.Millisecond, time.Second, "path", path, "connections", "1", "workload", "stream-down").Metrics
			want := 20e6
			if strings.Contains(path, "200mbit") {
				want = 200e6
			}
			got := float64(m.RecvBytes) * 8 / (float64(m.Duration) / 1e9) / (want * 1448 / 1514)
			t.Logf("%s: %.4f of the rate", path, got)
			if got < .97 || got > 1.02 {
				t.Errorf("%s: %.4f of the rate: %+v", path, got, m.Path)
			}
		}
	})
}

// The same seed loses the same datagrams, and what the path says it lost is what never came back.
func TestPathSameSeedSameLosses(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		lost := func(block int) (ids []uint64, m *results.Metrics) {
			var l Lab
			defer l.Close()
			paths(t, &l)
			l.Sampled = func(s []loadgen.Sample, _ []targets.Sample) {
				ids = nil
				for _, r := range s {
					if r.Done-r.Intended >= int64(200*time.Millisecond) {
						ids = append(ids, r.ID)
					}
				}
				slices.Sort(ids) // several that time out at one time are told in any order
			}
			p := trials(t, 0, time.Second, "path", "loss=4%,delay=1ms", "target", "udp", "rate", "1k", "arrivals", "constant", "request_timeout", "200ms", "connections", "64")
			p[0].Seed += uint64(block)
			r, err := l.Run(t.Context(), p[0])
			if err != nil || r.Metrics == nil {
				t.Fatal(err, r.Error)
			}
			return ids, r.Metrics
		}
		a, m := lost(0)
		b, _ := lost(0)
		c, _ := lost(1)
		if len(a) < 40 || !slices.Equal(a, b) || slices.Equal(a, c) {
			t.Errorf("lost %d, %d and, with another seed, %d of %d", len(a), len(b), len(c), m.Offered)
		}
		if got := m.Path.Up.Lost + m.Path.Down.Lost; got != int64(len(a)) || m.TimedOut != got {
			t.Errorf("the path lost %d, the client misses %d and timed %d out", got, len(a), m.TimedOut)
		}
	})
}

// A dead path is found out by TCP_USER_TIMEOUT when theory says: the timeout, three round trips and 400 ms after the last
// segment got no answer; a path that comes back before is not. A reset is noticed with the next request.
func TestPathFaults(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		var l Lab
		defer l.Close()
		paths(t, &l)
		fault := func(fault string, knobs ...string) (*results.Metrics, results.Aftermath) {
			m := run(t, &l, 100*time.Millisecond, 2500*time.Millisecond, append([]string{"path", "delay=5ms", "fault", fault, "connections", "4", "think", "10ms",
				"TCP_CONGESTION", "cubic"}, knobs...)...).Metrics
			if len(m.Faults) != 1 {
				t.Fatalf("%s: %+v", fault, m.Faults)
			}
			return m, m.Faults[0]
		}
		const timeout = 600 * time.Millisecond
		m, a := fault("blackout@500ms", "client.TCP_USER_TIMEOUT", "600ms")
		if a.First == nil || m.Errors["given up by the kernel"] < 4 {
			t.Fatalf("a blackout was not noticed: %+v, %v", a, m.Errors)
		}
		if took, want := time.Duration(*a.First), timeout+30*time.Millisecond+380*time.Millisecond; took < want-30*time.Millisecond || took > want+250*time.Millisecond {
			t.Errorf("a dead path was noticed after %v, want %v or a little more", took, want)
		}
		if a.FalseAlarms != 0 || a.Lost < .95*a.Expected {
			t.Errorf("%+v", a)
		}
		m, a = fault("blackout@500ms+300ms", "client.TCP_USER_TIMEOUT", "600ms")
		if a.Noticed != 0 || len(m.Errors) != 0 || a.Lost < .1*a.Expected || a.Lost > .5*a.Expected {
			t.Errorf("a blackout of 300 ms: %+v, %v", a, m.Errors)
		}
		m, a = fault("stall@500ms+400ms", "request_timeout", "200ms")
		if a.FalseAlarms != 4 || a.First == nil || *a.First > int64(220*time.Millisecond) || m.TimedOut != 4 || m.Path.Up.FaultDrops != 0 {
			t.Errorf("a stall of 400 ms with a request timeout of 200 ms: %+v, %d timed out", a, m.TimedOut)
		}
		m, a = fault("reset@1s")
		if m.Errors["reset"] != 4 || a.Noticed != 4 || *a.First > int64(100*time.Millisecond) || m.Path.Up.Resets+m.Path.Down.Resets != 4 || a.Lost > .2*a.Expected {
			t.Errorf("a reset: %+v, %v, %+v", a, m.Errors, m.Path)
		}
	})
}

func TestSysctls(t *testing.T) {
	var l Lab
	defer l.Close()
	paths(t, &l)
	const name, value = "net.ipv4.tcp_rmem", "4096 20000 20000"
	for _, path := range []string{"none", "delay=1ms"} {
		m := run(t, &l, 0, 100*time.Millisecond, "path", path, "sysctl."+name, value).Metrics
		if !slices.Equal(m.Sysctls, netpath.Sysctls{{Name: name, Value: value}}) {
			t.Errorf("path %s: %+v", path, m.Sysctls)
		}
		if got := m.Client.First["SO_RCVBUF"]; got != "20000" {
			t.Errorf("path %s: the client's receive buffer is %s", path, got)
		}
	}
	for name, says := range map[string]string{"net.core.rmem_max": "whole machine", "net.ipv4.tcp_no_such": "no such sysctl"} {
		r, err := l.Run(t.Context(), trials(t, 0, 20*time.Millisecond, "sysctl."+name, "1")[0])
		if err != nil || r.Stage != "start" || !strings.Contains(r.Error, says) {
			t.Errorf("%s: %v, stage %q: %s", name, err, r.Stage, r.Error)
		}
	}
}

// A request on a new connection takes two round trips, and with TCP Fast Open one, whatever the engine. Without the
// server's bit of the sysctl the option is in force and inert.
func TestFastOpen(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		var l Lab
		defer l.Close()
		paths(t, &l)
		for _, c := range []struct {
			engine, connect, sysctl string
			want                    time.Duration
			class                   sockopt.Class
		}{
			{"epoll", "off", "3", 40 * time.Millisecond, sockopt.Equal}, {"epoll", "on", "1", 40 * time.Millisecond, sockopt.Inert},
			{"epoll", "on", "3", 20 * time.Millisecond, sockopt.Equal}, {"net", "on", "3", 20 * time.Millisecond, sockopt.Equal}, {"block", "on", "3", 20 * time.Millisecond, sockopt.Equal},
		} {
			m := run(t, &l, 100*time.Millisecond, 400*time.Millisecond, "path", "delay=10ms", "workload", "crr", "connections", "2", "engine", c.engine,
				"sysctl.net.ipv4.tcp_fastopen", c.sysctl, "TCP_FASTOPEN", "16", "TCP_FASTOPEN_CONNECT", c.connect).Metrics
			if off := time.Duration(*m.Response.P50) - c.want; off < 0 || off > 3*time.Millisecond {
				t.Errorf("%+v: p50 of the response is %v off", c, off)
			}
			if as := m.Server.Applied; len(as) != 1 || as[0].Class != c.class {
				t.Errorf("%+v: the server applied %+v", c, as)
			}
		}
	})
}

// Without namespaces a trial with a path fails alone, and says why.
func TestPathNeedsNamespaces(t *testing.T) {
	t.Setenv("SOCKBENCH_NO_NAMESPACES", "1")
	var l Lab
	defer l.Close()
	r, err := l.Run(t.Context(), trials(t, 0, 20*time.Millisecond, "path", "delay=1ms")[0])
	if err != nil || r.Stage != "start" || !strings.Contains(r.Error, "namespaces are switched off") {
		t.Errorf("%v, stage %q: %s", err, r.Stage, r.Error)
	}
}

// Whichever process of a trial with a path is killed, nothing is left of it, neither a process nor, so, a namespace.
func TestKilledPathLeavesNothing(t *testing.T) {
	var l Lab
	defer l.Close()
	paths(t, &l)
	for _, victim := range []string{pathPart, serverPart, clientPart} {
		var all []int
		l.Started = func(pids map[string]int) {
			for _, pid := range pids {
				all = append(all, pid)
			}
			time.AfterFunc(150*time.Millisecond, func() { syscall.Kill(pids[victim], syscall.SIGKILL) })
		}
		r, err := l.Run(t.Context(), trials(t, 0, 2*time.Second, "path", "delay=1ms,rate=10mbit")[0])
		if err != nil || r.Error == "" || !strings.Contains(r.Error, "the "+victim+" process ended: killed by SIGKILL") {
			t.Errorf("%s: %v: %s", victim, err, r.Error)
		}
		for _, pid := range all {
			if _, err := os.Stat(fmt.Sprint("/proc/", pid)); err == nil {
				t.Errorf("the %s was killed, and process %d is left", victim, pid)
			}
		}
	}
}
