package verify

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/sockbench/sockbench/lab"
	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/targets"
)

// sampled runs a trial and returns what both sides say of each request. A trial that something outside disturbed, which
// the guard tells without a look at what was measured, is run again, at most twice.
func sampled(t *testing.T, l *lab.Lab, warmup, duration time.Duration, knobs ...string) (r results.Record, client []loadgen.Sample, server []targets.Sample) {
	t.Helper()
	var pairs []string
	for i := 0; i < len(knobs); i += 2 {
		pairs = append(pairs, knobs[i]+"="+knobs[i+1])
	}
	p, err := (&Trial{Warmup: warmup, Duration: duration, Knobs: pairs}).plan("samples")
	if err != nil {
		t.Fatal(err)
	}
	l.Sampled = func(c []loadgen.Sample, s []targets.Sample) { client, server = c, s }
	const patience = 90 * time.Second // a compiler that runs beside takes its time
	began := time.Now()
	for attempt := 1; ; attempt++ {
		r, err := l.Run(t.Context(), p.Block(0, 0)[0])
		if err != nil {
			t.Fatal(err)
		}
		m := r.Metrics
		if m == nil {
			t.Fatalf("%v failed: %s: %s", knobs, r.Stage, r.Error)
		}
		disturbed, why := results.Disturbed(&r)
		if !disturbed {
			t.Logf("%v: attempt %d", knobs, attempt)
			if m.Completed != m.Offered || int64(len(client)) != m.Offered || int64(len(server)) != m.Handled.Requests {
				t.Fatalf("%v: offered %d, completed %d, %d samples of the client; handled %d, %d samples of the server",
					knobs, m.Offered, m.Completed, len(client), m.Handled.Requests, len(server))
			}
			slices.SortFunc(client, func(a, b loadgen.Sample) int { return cmp.Compare(a.Intended, b.Intended) })
			return r, client, server
		}
		t.Logf("%v: attempt %d was disturbed: %s", knobs, attempt, why)
		if time.Since(began) > patience {
			t.Fatalf("%v: this machine is too busy to measure", knobs)
		}
		time.Sleep(time.Second)
	}
}

// A server that serves one request after another makes the next wait by Lindley's recursion,
// W[k+1] = max(0, W[k] + S[k] − A[k+1]), here with the very arrivals that the client drew and the service times that the
// server took. That is a lower bound, since a request occupies the server, or the only connection where the queue is at the
// client, for part of its way there and back too. What the way takes is known from the requests that had nothing to wait
// for; the recursion on S and all of the way is the upper bound. At a utilisation of 0.8 some 70 µs of 2 ms make W a fifth
// longer, so that the two are far apart. Above, p90 stands for the tail: one hiccup of the machine moves the twelve of 1200
// requests that are beyond p99.
func TestQueueing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 13 s; run without -short")
	}
	const length = 3 * time.Second
	var l lab.Lab
	defer l.Close()
	for _, model := range []struct{ target, connections string }{{"epoll", "200"}, {"blocking", "1"}} {
		for _, service := range []string{"exp:2ms", "2ms"} {
			r, client, server := sampled(t, &l, 0, length, "target", model.target, "connections", model.connections, "service_time", service, "rate", "400")
			if r.Metrics.Response.P99 == nil {
				t.Fatalf("%d requests support no p99", len(client))
			}
			took := map[uint64]int64{}
			busy := int64(0)
			for _, s := range server {
				took[s.ID] = s.Ended - s.Began
				busy += took[s.ID]
			}
			var measured, at, works []float64
			var ways []int64
			until := int64(0) // when the last of those before was answered
			for _, q := range client {
				if took[q.ID] == 0 {
					t.Fatalf("the server says nothing of request %d", q.ID)
				}
				measured = append(measured, float64(q.Done-q.Intended))
				at, works = append(at, float64(q.Intended)), append(works, float64(took[q.ID]))
				if q.Intended >= until {
					ways = append(ways, q.Done-q.Intended-took[q.ID])
				}
				until = max(until, q.Done)
			}
			slices.Sort(ways)
			way := ways[len(ways)/2]
			what := fmt.Sprintf("%s, service %s, utilisation %.2f, %d requests, %d µs of way", model.target, service, float64(busy)/float64(length), len(client), way/1e3)
			agree(t, what+", by the server's own time", measured, Lindley(at, works, 0), 99, .95, math.Inf(1))
			agree(t, what+", with the way", measured, Lindley(at, works, float64(way)), 90, 0, 1.15)
		}
	}
}

// agree demands that the mean and a percentile of what was measured are low to high times those predicted.
func agree(t *testing.T, what string, measured, predicted []float64, p, low, high float64) {
	t.Helper()
	for _, of := range []struct {
		name                string
		measured, predicted float64
	}{{"mean", mean(measured), mean(predicted)}, {fmt.Sprintf("p%g", p), percentile(measured, p), percentile(predicted, p)}} {
		r := of.measured / of.predicted
		t.Logf("%s: %s %.2f ms, predicted %.2f, ratio %.3f", what, of.name, of.measured/1e6, of.predicted/1e6, r)
		if r < low || r > high {
			t.Errorf("%s: %s is %.3f times what Lindley's recursion gives, want %.2f to %.2f", what, of.name, r, low, high)
		}
	}
}

// In a closed loop no connection is anywhere but in flight or idle. Without think time all are in flight, so that by
// Little's law throughput · mean response = connections, but for a request at either end of each connection.
func TestFlow(t *testing.T) {
	if testing.Short() {
		t.Skip("measures; run without -short")
	}
	const N = 8
	var l lab.Lab
	defer l.Close()
	m, client, _ := sampled(t, &l, 100*time.Millisecond, time.Second, "target", "thread", "connections", "8", "service_time", "sleep:2ms")
	followed(t, client, N, 0)
	R := m.Metrics.Response.Mean / 1e9
	if off := m.Metrics.Throughput*R/N - 1; math.Abs(off) > .05 || R > 1./50 {
		t.Errorf("throughput %.0f/s times a mean response of %.2f ms is %+.1f%% off %d connections", m.Metrics.Throughput, R*1e3, off*100, N)
	} else {
		t.Logf("%.0f/s · %.2f ms = %.3f · %d", m.Metrics.Throughput, R*1e3, 1+off, N)
	}
	for _, think := range []time.Duration{time.Millisecond, 5 * time.Millisecond} {
		_, client, _ := sampled(t, &l, 100*time.Millisecond, time.Second, "target", "thread", "connections", "8", "service_time", "sleep:exp:2ms", "think", think.String())
		followed(t, client, N, int64(think))
	}
}

// followed follows each connection from reply to next request, which is meant to leave after the think time: those in flight
// and those idle are n together, on the average over a time in which the samples hold all that happened.
func followed(t *testing.T, client []loadgen.Sample, n int, think int64) {
	t.Helper()
	var longest int64
	replies := map[int64]int{} // by the time at which they let the next request leave
	for _, q := range client {
		longest = max(longest, q.Done-q.Intended)
		replies[q.Done+think]++
	}
	from, to := client[0].Intended+longest+think, client[len(client)-1].Intended
	within := func(a, b int64) float64 { return float64(max(0, min(b, to)-max(a, from))) / float64(to-from) }
	var inFlight, idle float64
	for _, q := range client {
		inFlight += within(q.Intended, q.Done)
		if q.Intended < from {
			continue
		}
		if replies[q.Intended]--; replies[q.Intended] < 0 {
			t.Fatalf("request %d left without a connection that was free for it", q.ID)
		}
		idle += within(q.Intended-think, q.Intended)
	}
	for at, k := range replies { // whose next request comes after the samples
		if at > to {
			idle += float64(k) * within(at-think, at)
		}
	}
	t.Logf("think %v: in flight %.3f, idle %.3f, together %.3f of %d", time.Duration(think), inFlight, idle, inFlight+idle, n)
	if off := inFlight/(float64(n)-idle) - 1; math.Abs(off) > .02 {
		t.Errorf("think %v: in flight %.3f, idle %.3f of %d: %+.1f%% off", time.Duration(think), inFlight, idle, n, off*100)
	}
}
