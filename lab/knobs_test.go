package lab

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/quiet"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/stats"
)

// once runs a short trial, whatever the machine does beside it: nothing of it is a measurement.
func once(t testing.TB, l *Lab, knobs ...string) *results.Metrics {
	t.Helper()
	r, err := l.Run(t.Context(), trials(t, 10*time.Millisecond, 50*time.Millisecond, knobs...)[0])
	if err != nil || r.Metrics == nil {
		t.Fatalf("%v: %v, %s: %s", knobs, err, r.Stage, r.Error)
	}
	return r.Metrics
}

// Both sides run where the level says, as the kernel has it.
func TestPlacement(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		var all unix.CPUSet
		if err := unix.SchedGetaffinity(0, &all); err != nil {
			t.Fatal(err)
		}
		var l Lab
		defer l.Close()
		seen := map[string]unix.CPUSet{}
		l.Started = func(pids map[string]int) {
			for part, pid := range pids {
				var set unix.CPUSet
				if err := unix.SchedGetaffinity(pid, &set); err != nil {
					t.Error(err)
				}
				seen[part] = set
			}
		}
		for _, level := range []string{"same", "apart", "default"} {
			if level == "apart" && all.Count() < 2 {
				if _, err := l.Run(t.Context(), trials(t, 0, time.Second, "cpus", level)[0]); err == nil || !strings.Contains(err.Error(), "write cpus=same") {
					t.Errorf("with one CPU: %v", err)
				}
				continue
			}
			m := once(t, &l, "cpus", level)
			same := level == "same" || all.Count() < 2
			server, client := seen[serverPart], seen[clientPart]
			if server.Count() != 1 || client.Count() != 1 || (server == client) != same || slices.Equal(m.Server.CPUs, m.Client.CPUs) != same {
				t.Errorf("cpus=%s: the server is on %v, the client on %v; the record says %v and %v", level, server, client, m.Server.CPUs, m.Client.CPUs)
			}
		}
	})
}

// GOMAXPROCS of the server's process, as its runtime says there: as asked for, or else as the CPUs it is given have it.
func TestGOMAXPROCS(t *testing.T) {
	var l Lab
	defer l.Close()
	for _, c := range []struct {
		target, level string
		want          int
	}{{"epoll", "default", 1}, {"epoll", "3", 3}, {"thread", "default", 2 + 2}, {"thread", "1", 1}, {"goroutine", "2", 2}, {"prefork", "default", 1}, {"prefork", "2", 2}} {
		m := once(t, &l, "target", c.target, "gomaxprocs", c.level, "connections", "2", "cpus", "same")
		if m.Handled.Procs != c.want {
			t.Errorf("%s, gomaxprocs=%s: it was %d, want %d", c.target, c.level, m.Handled.Procs, c.want)
		}
	}
}

// Known answer: with N requests for each connection the server accepts one for every N that it handles, and those that
// are there at the start; with N = 1 it is as fast as crr, which does the same.
func TestRequestsPerConnection(t *testing.T) {
	if testing.Short() {
		t.Skip("measures; run without -short")
	}
	var l Lab
	defer l.Close()
	for _, n := range []string{"1", "10"} {
		each := map[string]float64{"1": 1, "10": 10}[n]
		m := run(t, &l, 50*time.Millisecond, 200*time.Millisecond, "requests_per_connection", n, "connections", "4").Metrics
		opened, want := float64(m.Handled.Accepts), float64(m.Handled.Requests)/each
		made := float64(m.Connect.Count - 4)
		if opened < want-1 || opened > want+5 || math.Abs(made-float64(m.Completed)/each) > 10 || m.Completed != m.Offered {
			t.Errorf("%s for each connection: %d requests over %d connections; %d completed, %d connects", n, m.Handled.Requests, m.Handled.Accepts, m.Completed, m.Connect.Count)
		}
	}
	const tries = 3 // others use the machine
	for try := 1; ; try++ {
		median, ratios := againstCRR(t, &l)
		t.Logf("one request for each connection has %.3f of crr's throughput: %.3f", median, ratios)
		if math.Abs(median-1) <= .05 {
			return
		}
		if try == tries {
			t.FailNow()
		}
	}
}

// againstCRR compares one request for each connection with crr, in pairs of neighbours in time, so that what the machine
// does meanwhile hits both alike.
func againstCRR(t testing.TB, l *Lab) (median float64, ratios []float64) {
	levels := [][]string{{"requests_per_connection", "1"}, {"workload", "crr"}}
	for pair := range 10 {
		var throughput [2]float64
		for k := range levels {
			k = (k + pair) % 2
			throughput[k] = run(t, l, 50*time.Millisecond, 200*time.Millisecond, append(levels[k], "connections", "4")...).Metrics.Throughput
		}
		ratios = append(ratios, throughput[0]/throughput[1])
	}
	slices.Sort(ratios)
	return stats.Median(ratios), ratios
}
