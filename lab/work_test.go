package lab

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/sockbench/sockbench/internal/quiet"
	"github.com/sockbench/sockbench/results/stats"
	"github.com/sockbench/sockbench/targets"
	"github.com/sockbench/sockbench/wire"
)

// overlaps says whether requests of several connections are served at one time by each of these models.
var overlaps = map[string]bool{
	"thread": true, "goroutine": true, "pool": true, "pool-leader": true,
	"blocking": false, "nonblocking": false, "select": false, "poll": false, "epoll": false, "epoll-edge": false, "iouring": false, "udp": false, "udp-batch": false,
}

// Every model spends the service time, and says so itself. Asleep it lets others be served or holds them up, by its
// design; computing, no model gets more out of one CPU than there is.
func TestServiceTime(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		if testing.Short() {
			t.Skip("takes 15 s; run without -short")
		}
		var l Lab
		defer l.Close()
		for i := range targets.All {
			e := &targets.All[i]
			if e.Foreign || e.Teaching {
				continue
			}
			for _, service := range []string{"sleep:5ms", "exp:200us"} { // of either kind and either law
				m := run(t, &l, 50*time.Millisecond, 300*time.Millisecond, "target", e.Name, "connections", "4", "service_time", service, "cpus", "server=0;client=1").Metrics
				mean := m.Handled.Service.Mean
				want := map[string]float64{"sleep:5ms": 5e6, "exp:200us": 2e5}[service]
				busy := m.Throughput * want / 1e9 // requests in service, in the mean
				sleeps := service[0] == 's'
				t.Logf("%s, %s: %.0f/s, service %.0f us (%d timed), %.2f in service", e.Name, service, m.Throughput, mean/1e3, m.Handled.Service.Count, busy)
				if m.Completed != m.Offered || m.Handled.Service.Count < m.Replies*9/10 {
					t.Errorf("%s, %s: %d of %d completed", e.Name, service, m.Completed, m.Offered)
				}
				if service == "sleep:5ms" && float64(m.Handled.Service.Min) < want {
					t.Errorf("%s, %s: a service of %d ns", e.Name, service, m.Handled.Service.Min)
				}
				most := 1.1 // of draws as few as these
				if many, known := overlaps[e.Name]; sleeps && known && many != (busy > 2) {
					t.Errorf("%s, %s: %.2f requests are in service at one time; overlap %v", e.Name, service, busy, many)
				} else if (!sleeps || known && !many) && busy > most {
					t.Errorf("%s, %s: %.2f requests are in service at one time, with one CPU or thread to serve them", e.Name, service, busy)
				}
			}
		}
	})
}

// A pool of 4 asleep for 1 ms answers 4,000 requests per second at most, and each connection that it serves gets the
// fourth part. By Little's law throughput · mean response is how many clients there are.
func TestPoolLittle(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		if testing.Short() {
			t.Skip("measures; run without -short")
		}
		var l Lab
		defer l.Close()
		m := run(t, &l, 50*time.Millisecond, 500*time.Millisecond, "target", "pool", "workers", "4", "connections", "4", "service_time", "sleep:1ms").Metrics
		if x := m.Throughput; x > 4000 || x < 3000 {
			t.Errorf("%.0f/s of a pool of 4 that sleeps 1 ms for each request", x)
		}
		if n := m.Throughput * m.Response.Mean / 1e9; math.Abs(n/4-1) > .05 {
			t.Errorf("throughput · mean response is %.2f, want 4", n)
		}
		// 16 clients take turns where each request has a connection of its own.
		m = run(t, &l, 50*time.Millisecond, 500*time.Millisecond, "target", "pool", "workers", "4", "connections", "16", "workload", "crr", "service_time", "sleep:1ms").Metrics
		if x := m.Throughput; x > 4000 || x < 2500 {
			t.Errorf("%.0f/s of a pool of 4 that sleeps 1 ms for each of 16 clients", x)
		}
		n := m.Throughput * m.Response.Mean / 1e9
		t.Logf("%.0f/s · %.2f ms = %.2f", m.Throughput, m.Response.Mean/1e6, n)
		if math.Abs(n/16-1) > .1 {
			t.Errorf("throughput · mean response is %.2f, want 16", n)
		}
	})
}

// Known answer: one connection, and a server that computes for 200 us. It says so, nothing waits in it, and the parts of
// the mean response time add up.
func TestMeanParts(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		if testing.Short() {
			t.Skip("measures; run without -short")
		}
		var l Lab
		defer l.Close()
		// Whoever else uses the CPU makes some requests longer, and the mean with them: the Go runtime's own monitor, which may
		// look every 20 us, has made half of them half as long again. None can be shorter.
		near := func(q stats.Quantity) bool {
			return q.P50 != nil && q.Min >= 200e3 && q.Min < 205e3 && *q.P50 < 340e3 && q.Mean < 360e3
		}
		m := run(t, &l, 50*time.Millisecond, 500*time.Millisecond, "target", "epoll", "connections", "1", "service_time", "200us").Metrics
		h := m.Handled
		if h.Service.Count < m.Replies-1 || !near(h.Service) || h.Waiting.Mean > 20e3 { // one may be begun before the window and answered in it
			t.Errorf("%d replies, service of median %v %+v, waiting %+v", m.Replies, *h.Service.P50, h.Service, h.Waiting)
		}
		rest := m.Response.Mean - m.QueueWait.Mean - m.Lateness.Mean - h.Waiting.Mean - h.Service.Mean
		if client := m.QueueWait.Mean + m.Lateness.Mean + m.Service.Mean; math.Abs(client-m.Response.Mean) > 1 || rest < 0 || rest > m.Response.Mean/2 {
			t.Errorf("response %.0f ns, the client's parts %.0f, rest %.0f", m.Response.Mean, client, rest)
		}
		// With several connections an event loop finds several requests at a time, and all but the first wait.
		m = run(t, &l, 50*time.Millisecond, 500*time.Millisecond, "target", "epoll", "connections", "8", "service_time", "200us").Metrics
		h = m.Handled
		t.Logf("8 connections: %+v", h.Waiting)
		if h.Waiting.Mean < 200e3 || h.Waiting.Mean > m.Response.Mean || !near(h.Service) {
			t.Errorf("service of median %v %+v, waiting %+v", *h.Service.P50, h.Service, h.Waiting)
		}
	})
}

// What a reply's size is has nothing to do with its request's, whatever the framing; and the counts of both sides say how
// messages and reads go together.
func TestSizesAndReads(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		if testing.Short() {
			t.Skip("measures; run without -short")
		}
		var l Lab
		defer l.Close()
		for i := range wire.All {
			for _, size := range [][2]int{{32, 40_000}, {40_000, 32}} {
				knobs := []string{"framing", wire.All[i].Name, "connections", "2"}
				request, reply := []string{"request", fmt.Sprint(size[0])}, []string{"reply", fmt.Sprint(size[1])}
				switch {
				case wire.All[i].Name != "resp":
					knobs = slices.Concat(knobs, request, reply)
				case size[0] > size[1]: // a value goes one way
					knobs = slices.Concat(knobs, request, []string{"keys", "1", "reads", "0"})
				default:
					knobs = slices.Concat(knobs, reply, []string{"keys", "1", "reads", "1"})
				}
				m := run(t, &l, 20*time.Millisecond, 100*time.Millisecond, knobs...).Metrics
				sent, received := float64(m.SentBytes)/float64(m.Completed), float64(m.RecvBytes)/float64(m.Completed)
				if m.Completed != m.Offered || m.Completed < 20 || math.Abs(sent/float64(size[0])-1) > 3 || math.Abs(received/float64(size[1])-1) > 3 ||
					sent > received != (size[0] > size[1]) {
					t.Errorf("%s %d: completed %d of %d, %.0f bytes sent and %.0f received each", wire.All[i].Name, size, m.Completed, m.Offered, sent, received)
				}
				h := m.Handled
				if h.Reads < h.Requests || math.Abs(h.ReadsPerMessage-float64(h.Reads)/float64(h.Requests)) > 1e-9 || math.Abs(h.MessagesPerRead*h.ReadsPerMessage-1) > 1e-9 {
					t.Errorf("%s %d: %d requests, %d reads, %.3f and %.3f", wire.All[i].Name, size, h.Requests, h.Reads, h.MessagesPerRead, h.ReadsPerMessage)
				}
			}
		}
		m := run(t, &l, 20*time.Millisecond, 100*time.Millisecond, "pipeline", "16", "connections", "1").Metrics
		if m.Handled.MessagesPerRead < 2 || m.MessagesPerRead < 2 || m.Replies < 1 || m.MessagesPerRead != float64(m.Replies)/float64(m.Reads) {
			t.Errorf("16 requests are written together: the server takes %.2f of them with a read, the client %.2f replies", m.Handled.MessagesPerRead, m.MessagesPerRead)
		}
	})
}
