package lab

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/clock"
)

// above is the share of a histogram's values above x.
func above(t *testing.T, text string, x time.Duration) float64 {
	t.Helper()
	h, err := hdr.Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	for _, bar := range h.Distribution() {
		if bar.From > int64(x) {
			n += bar.Count
		}
	}
	return float64(n) / float64(h.TotalCount())
}

// A target stopped for a known time S in an open loop of T: the share of response times above x is (S − x) / T, the
// client is not blamed, and service time alone would have hidden most of it. What came in meanwhile has to be worked off
// too: with a utilisation ρ before, that makes the share larger by 1 / (1 − ρ) at most.
func TestStall(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 2.3 s; run without -short")
	}
	const T = 2 * time.Second
	var l Lab
	defer l.Close()
	var stopped atomic.Int64 // of the latest attempt
	l.Started = func(pids map[string]int) {
		go func() {
			time.Sleep(1200 * time.Millisecond)
			began := clock.Now()
			err := syscall.Kill(pids[serverPart], syscall.SIGSTOP)
			time.Sleep(200 * time.Millisecond)
			if e := syscall.Kill(pids[serverPart], syscall.SIGCONT); e != nil || err != nil {
				t.Errorf("stop the server: %v, %v", err, e)
			}
			stopped.Store(clock.Now() - began)
		}()
	}
	r := run(t, &l, 200*time.Millisecond, T, "target", "epoll", "rate", "2000", "arrivals", "constant", "connections", "8")
	S := time.Duration(stopped.Load())
	server := r.Metrics.Server
	used := float64(server.CPUUser+server.CPUSystem) / float64(T)
	for _, x := range []time.Duration{50e6, 100e6, 150e6} {
		got, want := above(t, r.Histograms["response"], x), float64(S-x)/float64(T)
		if got < .9*want || got > 1.1*want/(1-used) {
			t.Errorf("%.4f of the response times are above %v, want (%v − %v) / %v = %.4f, and at a utilisation of %.3f up to %.4f",
				got, x, S, x, T, want, used, want/(1-used))
		}
		if hidden := above(t, r.Histograms["service"], x); hidden > want/5 {
			t.Errorf("%.4f of the service times are above %v: they should hide most of %.4f", hidden, x, want)
		}
	}
	m := r.Metrics
	if m.Lateness.P99 == nil || time.Duration(*m.Lateness.P99) > S/20 {
		t.Errorf("the stall is blamed on the client: lateness %+v", m.Lateness)
	}
	if m.Offered != 4000 || m.Completed != 4000 {
		t.Errorf("offered %d, completed %d, want 4000", m.Offered, m.Completed)
	}
}

// A server cannot have used more CPU time than there was, however late it would have looked at the clock itself: with
// thousands of threads it gets to it when the measure phase is over.
func TestServerCPUIsThatOfTheWindow(t *testing.T) {
	if testing.Short() {
		t.Skip("starts 3,000 threads; run without -short")
	}
	const threads = 3000
	if most := mostThreads(t); most < threads+1000 {
		t.Skipf("it takes %d threads, and this machine allows %d: RLIMIT_NPROC, or the cgroup's pids.max", threads, most)
	}
	var l Lab
	defer l.Close()
	const T = 500 * time.Millisecond
	m := run(t, &l, 200*time.Millisecond, T, "target", "thread", "connections", fmt.Sprint(threads)).Metrics
	cpus := max(len(m.Server.CPUs), 1)
	if used := time.Duration(m.Server.CPUUser + m.Server.CPUSystem); used < T/4 || used > time.Duration(cpus)*T*11/10 {
		t.Errorf("a server that is never idle used %v of %d CPUs in %v", used, cpus, T)
	}
}

// mostThreads is how many this user may have.
func mostThreads(t *testing.T) uint64 {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &limit); err != nil {
		t.Fatal(err)
	}
	most := limit.Cur
	if text, err := os.ReadFile("/sys/fs/cgroup/pids.max"); err == nil {
		if n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil {
			most = min(most, n)
		}
	}
	return most
}

// At 120 % of what a server can do, throughput is what it can do, and the backlog is the rest.
func TestOverload(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 4 s; run without -short")
	}
	var l Lab
	defer l.Close()
	knobs := []string{"target", "epoll", "service_time", "1ms", "connections", "4"}
	capacity := run(t, &l, 100*time.Millisecond, time.Second, knobs...).Metrics.Throughput
	if capacity < 500 || capacity > 1000 {
		t.Fatalf("a server that works 1 ms for each request has a capacity of %.0f/s", capacity)
	}
	rate := 1.2 * capacity
	m := run(t, &l, 100*time.Millisecond, time.Second, append(knobs, "rate", fmt.Sprintf("%.0f", rate), "arrivals", "constant")...).Metrics
	if math.Abs(m.Throughput/capacity-1) > .1 {
		t.Errorf("throughput %.0f/s at an offered %.0f/s, the capacity is %.0f/s", m.Throughput, rate, capacity)
	}
	// What was offered since the load began and not completed: the warm-up's excess is in it too.
	if want := (rate - m.Throughput) * 1.1; math.Abs(float64(m.BacklogEnd)-want) > .15*want {
		t.Errorf("backlog %d at the end, want about %.0f", m.BacklogEnd, want)
	}
	if m.Completed != m.Offered {
		t.Errorf("%d of %d completed: the drain lasts for the request timeout, which is long enough", m.Completed, m.Offered)
	}
}

// A request in two writes waits for the peer's delayed acknowledgement, about 40 ms, unless TCP_NODELAY is set.
func TestNagle(t *testing.T) {
	var l Lab
	defer l.Close()
	p50 := map[string]float64{}
	for _, nodelay := range []string{"off", "on"} {
		m := run(t, &l, 100*time.Millisecond, 600*time.Millisecond, "write", "split", "TCP_NODELAY", nodelay, "connections", "1").Metrics
		if m.Response.P50 == nil {
			t.Fatalf("TCP_NODELAY=%s: %d requests support no median", nodelay, m.Response.Count)
		}
		p50[nodelay] = float64(*m.Response.P50) / 1e6
		for _, a := range append(m.Client.Applied, m.Server.Applied...) {
			if a.Option != "TCP_NODELAY" || a.Got != nodelay || a.GotEnd != nodelay || a.Sockets != 1 {
				t.Errorf("TCP_NODELAY=%s: %+v", nodelay, a)
			}
		}
		if len(m.Client.Applied) != 1 || len(m.Server.Applied) != 1 {
			t.Errorf("TCP_NODELAY=%s is not proven on both sides: %+v, %+v", nodelay, m.Client.Applied, m.Server.Applied)
		}
	}
	if d := p50["off"] - p50["on"]; d < 38 || d > 50 {
		t.Errorf("p50 %.2f ms without and %.2f ms with TCP_NODELAY differ by %.2f ms, want 38 to 50", p50["off"], p50["on"], d)
	}
}

// A dead target ends the trial.
func TestTargetKilled(t *testing.T) {
	var l Lab
	defer l.Close()
	l.Started = func(pids map[string]int) {
		go func() {
			time.Sleep(200 * time.Millisecond)
			if err := syscall.Kill(pids[serverPart], syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		}()
	}
	began := time.Now()
	r, err := l.Run(t.Context(), trials(t, 0, 20*time.Second)[0])
	if err != nil {
		t.Fatal(err)
	}
	if r.Error == "" || r.Stage != "measure" || r.Metrics != nil {
		t.Errorf("stage %q, error %q, metrics %v", r.Stage, r.Error, r.Metrics != nil)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v to notice", took)
	}
	t.Log(r.Error)
}
