package lab

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sockbench/sockbench/internal/clock"
	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/targets"
)

// sampled runs a trial and returns what both sides say of each request. A trial that something outside disturbed, which
// the guard tells without a look at what was measured, is run again, at most twice.
func sampled(t *testing.T, l *Lab, warmup, duration time.Duration, knobs ...string) (r results.Record, client []loadgen.Sample, server []targets.Sample) {
	t.Helper()
	l.Sampled = func(c []loadgen.Sample, s []targets.Sample) { client, server = c, s }
	for attempt := 1; ; attempt++ {
		r, err := l.Run(t.Context(), trials(t, warmup, duration, knobs...)[0])
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
		if attempt == 3 {
			t.Fatalf("%v: this machine is too busy to measure", knobs)
		}
		time.Sleep(time.Duration(attempt) * 3 * time.Second)
	}
}

// meanAndP99 of some times in nanoseconds; the percentile by rank.
func meanAndP99(times []int64) (mean, p99 float64) {
	slices.Sort(times)
	for _, v := range times {
		mean += float64(v) / float64(len(times))
	}
	return mean, float64(times[int(math.Ceil(.99*float64(len(times))))-1])
}

// A server that serves one request after another makes the next wait by Lindley's recursion,
// W[k+1] = max(0, W[k] + S[k] − A[k+1]), here with the very arrivals that the client drew and the service times that the
// server took. Where the queue is at the server, response times are W + S and a little more for the way there and back.
// Where it is at the client, for the only connection, that is busy on the way too, and its own time is what counts: some
// 70 µs more of S, which at a utilisation of 0.8 make W a fifth longer.
func TestQueueing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 26 s; run without -short")
	}
	const length = 3 * time.Second
	var l Lab
	defer l.Close()
	for _, model := range []struct {
		target, connections string
		high                float64
	}{{"epoll", "200", 1.15}, {"blocking", "1", math.Inf(1)}} {
		for _, service := range []string{"exp:2ms", "2ms"} {
			for _, rate := range []string{"250", "400"} {
				r, client, server := sampled(t, &l, 0, length, "target", model.target, "connections", model.connections, "service_time", service, "rate", rate)
				if r.Metrics.Response.P99 == nil {
					t.Fatalf("%d requests support no p99", len(client))
				}
				took := map[uint64]int64{}
				busy := int64(0)
				for _, s := range server {
					took[s.ID] = s.Ended - s.Began
					busy += took[s.ID]
				}
				measured := make([]int64, len(client))
				for k, q := range client {
					if measured[k] = q.Done - q.Intended; took[q.ID] == 0 {
						t.Fatalf("the server says nothing of request %d", q.ID)
					}
				}
				what := fmt.Sprintf("%s, service %s, utilisation %.2f, %d requests", model.target, service, float64(busy)/float64(length), len(client))
				agree(t, what+", by the server's own time", measured, lindley(client, func(q loadgen.Sample) int64 { return took[q.ID] }), .95, model.high)
				if model.target == "blocking" {
					agree(t, what+", by the connection's", measured, lindley(client, func(q loadgen.Sample) int64 { return q.Done - q.Sent }), .95, 1.15)
				}
			}
		}
	}
}

// lindley predicts the response times of requests that are served one after another.
func lindley(requests []loadgen.Sample, service func(loadgen.Sample) int64) (times []int64) {
	var wait int64
	for k, q := range requests {
		if k > 0 {
			before := requests[k-1]
			wait = max(0, wait+service(before)-(q.Intended-before.Intended))
		}
		times = append(times, wait+service(q))
	}
	return times
}

// agree demands that measured times are those predicted, in mean and p99, times low to high.
func agree(t *testing.T, what string, measured, predicted []int64, low, high float64) {
	t.Helper()
	mean, p99 := meanAndP99(slices.Clone(measured))
	wantMean, wantP99 := meanAndP99(predicted)
	t.Logf("%s: mean %.2f ms, predicted %.2f, ratio %.3f; p99 %.2f ms, predicted %.2f, ratio %.3f", what,
		mean/1e6, wantMean/1e6, mean/wantMean, p99/1e6, wantP99/1e6, p99/wantP99)
	if r := min(mean/wantMean, p99/wantP99); r < low {
		t.Errorf("%s: %.3f times what Lindley's recursion gives, want %.2f or more", what, r, low)
	}
	if r := max(mean/wantMean, p99/wantP99); r > high {
		t.Errorf("%s: %.3f times what Lindley's recursion gives, want %.2f or less", what, r, high)
	}
}

// Coordinated omission: of an open loop on a server that stands still for S of every T, the share of response times above
// x is (S − x) / T, though hardly a request was sent into the stall. Constant arrivals leave nothing to chance.
func TestCoordinatedOmission(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 6.3 s; run without -short")
	}
	const T, stalls = 2 * time.Second, 3
	var l Lab
	defer l.Close()
	var stood atomic.Int64 // nanoseconds, in all stalls of the latest attempt
	l.Started = func(pids map[string]int) {
		stood.Store(0)
		began := clock.Now()
		go func() {
			for k := range stalls { // each in the middle of its period
				clock.Sleep(began + int64(T)*int64(k) + int64(1100*time.Millisecond))
				from := clock.Now()
				err := syscall.Kill(pids[serverPart], syscall.SIGSTOP)
				clock.Sleep(from + int64(200*time.Millisecond))
				stood.Add(clock.Now() - from)
				if e := syscall.Kill(pids[serverPart], syscall.SIGCONT); e != nil || err != nil {
					t.Errorf("stop the server: %v, %v", err, e)
				}
			}
		}()
	}
	r, client, _ := sampled(t, &l, 200*time.Millisecond, stalls*T, "target", "epoll", "rate", "1000", "arrivals", "constant", "connections", "8")
	S := float64(stood.Load()) / stalls
	for _, x := range []float64{10e6, 50e6, 100e6, 150e6, 190e6} {
		above := 0
		for _, q := range client {
			if float64(q.Done-q.Intended) > x {
				above++
			}
		}
		got, want := float64(above)/float64(len(client)), (S-x)/float64(T)
		t.Logf("above %3.0f ms: %.4f, want %.4f", x/1e6, got, want)
		if math.Abs(got-want) > .006 {
			t.Errorf("%.4f of the response times are above %.0f ms, want %.4f within 0.006", got, x/1e6, want)
		}
	}
	p99, want := float64(*r.Metrics.Response.P99)/1e6, S/1e6-.01*float64(T)/1e6
	t.Logf("the server stood still for %.1f ms each time; p99 %.1f ms, want %.1f", S/1e6, p99, want)
	if math.Abs(p99-180) > 6 {
		t.Errorf("p99 is %.1f ms, want 180 within 6", p99)
	}
}

// In a closed loop no connection is anywhere but in flight or idle. Without think time all are in flight, so that by
// Little's law throughput · mean response = connections, but for a request at either end of each connection.
func TestFlow(t *testing.T) {
	const N = 8
	var l Lab
	defer l.Close()
	m, client, _ := sampled(t, &l, 100*time.Millisecond, time.Second, "target", "thread", "connections", "8", "service_time", "sleep:2ms")
	flow(t, client, N, 0)
	R := m.Metrics.Response.Mean / 1e9
	if off := m.Metrics.Throughput*R/N - 1; math.Abs(off) > .05 || R > 1./50 {
		t.Errorf("throughput %.0f/s times a mean response of %.2f ms is %+.1f%% off %d connections", m.Metrics.Throughput, R*1e3, off*100, N)
	} else {
		t.Logf("%.0f/s · %.2f ms = %.3f · %d", m.Metrics.Throughput, R*1e3, 1+off, N)
	}
	for _, think := range []time.Duration{time.Millisecond, 5 * time.Millisecond} {
		_, client, _ := sampled(t, &l, 100*time.Millisecond, time.Second, "target", "thread", "connections", "8", "service_time", "sleep:exp:2ms", "think", think.String())
		flow(t, client, N, int64(think))
	}
}

// flow follows each connection from reply to next request, which is meant to leave after the think time: those in flight
// and those idle are n together, on the average over a time in which the samples hold all that happened.
func flow(t *testing.T, client []loadgen.Sample, n int, think int64) {
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
