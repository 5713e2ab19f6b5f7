package loadgen

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"math"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/quiet"
	"github.com/sockbench/sockbench/sockopt"
	"github.com/sockbench/sockbench/unit"
	"github.com/sockbench/sockbench/wire"
)

func TestClosedLoop(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		for _, write := range Writes {
			s := spec()
			perRequest := 1.0
			if s.Write = unit.Word(write); write == "split" { // without Nagle's algorithm, or every request takes 40 ms
				s.Options = []sockopt.Setting{{Option: "TCP_NODELAY", Level: "on", Phase: sockopt.Fresh}}
				perRequest = 2
			}
			r, l := drive(t, s, Place{To: serve(t, &faulty{})}, 250*time.Millisecond)
			if r.Completed != r.Offered || r.Completed < 500 {
				t.Errorf("%s: completed %d of %d", write, r.Completed, r.Offered)
			}
			if r.Connections != (Connections{Asked: 4, Attained: 4, Served: 4, MinCompleted: r.Connections.MinCompleted}) || r.Connections.MinCompleted == 0 {
				t.Errorf("%s: connections %+v", write, r.Connections)
			}
			if per := float64(r.SentBytes) / float64(r.Completed); math.Abs(per-68) > 1 {
				t.Errorf("%s: %.1f bytes per request, want 68", write, per)
			}
			tcp := l.Sockets().TCP
			if got := float64(tcp["data_segs_out"]) * 68 / float64(tcp["bytes_sent"]); math.Abs(got-perRequest) > .01 {
				t.Errorf("%s: %.2f segments per request, want %v", write, got, perRequest)
			}
		}
	})
}

func TestOpenLoop(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		to := serve(t, &faulty{})
		for _, threads := range []int{1, 2} {
			for _, pace := range Paces {
				s := spec()
				s.Rate, s.Pace = 2000, unit.Word(pace)
				r, _ := drive(t, s, Place{To: to, Threads: threads}, time.Second)
				if r.Offered != 400 || r.Completed != 400 || r.Sent != 400 || r.Scheduled != 400 {
					t.Errorf("%d threads, %s: %d offered, %d sent, %d completed; want 400", threads, pace, r.Offered, r.Sent, r.Completed)
				}
				if r.Engine.Threads != threads || (r.Engine.Spin > 0) != (pace == "exact") {
					t.Errorf("%d threads, %s: engine %+v", threads, pace, r.Engine)
				}
			}
		}
	})
}

// A server that answers nobody for a known time S: the share of response times above x is (S − x) / T, though hardly
// any request was under way at one time. This is what coordinated omission hides.
func TestStallIsSeenWhole(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		f := &faulty{}
		s := spec()
		s.Rate, s.Duration, s.Connections = 500, 1e9, 4
		to := serve(t, f)
		stalls := make(chan time.Duration, 1)
		go func() {
			time.Sleep(400 * time.Millisecond)
			f.hold.Lock()
			began := time.Now()
			time.Sleep(200 * time.Millisecond)
			stalls <- time.Since(began)
			f.hold.Unlock()
		}()
		r, l := drive(t, s, Place{To: to, Samples: 10_000}, 5*time.Second)
		stalled := <-stalls
		samples, _ := l.Samples()
		for _, x := range []time.Duration{50e6, 100e6, 150e6} {
			above := 0
			for _, q := range samples {
				if time.Duration(q.Done-q.Intended) > x {
					above++
				}
			}
			got, want := float64(above)/float64(len(samples)), float64(stalled-x)/1e9
			if math.Abs(got-want) > .1*want {
				t.Fatalf("%.4f of the response times are above %v, want %.4f", got, x, want)
			}
		}
		if r.QueueWait.Max < int64(stalled)/2 {
			t.Fatalf("the longest queue wait is %v after a stall of %v", time.Duration(r.QueueWait.Max), stalled)
		}
	})
}

func TestSamplesAddUp(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		s := spec()
		s.Rate, s.RequestTimeout, s.Arrivals = 2000, 30e6, Arrivals{Law: "poisson"}
		f := &faulty{reply: func(n int, _ *wire.Message) bool { return n < 20 }} // then it falls silent
		r, l := drive(t, s, Place{To: serve(t, f), Samples: 10_000}, 100*time.Millisecond)
		samples, dropped := l.Samples()
		if int64(len(samples)) != r.Offered || dropped != 0 {
			t.Fatalf("%d samples, %d dropped, %d offered", len(samples), dropped, r.Offered)
		}
		var b bytes.Buffer
		if err := WriteSamples(&b, samples); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(bufio.NewReader(&b)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		outcomes := map[string]int64{}
		for _, row := range rows[1:] {
			v := make([]int64, 9)
			for i := range v {
				if v[i], err = strconv.ParseInt(row[i], 10, 64); err != nil {
					t.Fatal(err)
				}
			}
			if v[5]+v[6]+v[7] != v[8] || v[8] != v[4]-v[1] || v[5] < 0 || v[6] < 0 || v[7] < 0 {
				t.Fatalf("response is not queue wait + lateness + service: %v", row)
			}
			outcomes[row[9]]++
		}
		if outcomes["completed"] != r.Completed || outcomes["timed_out"] != r.TimedOut || outcomes["timed_out"] == 0 || r.NotSent == 0 {
			t.Errorf("outcomes %v, result %+v", outcomes, r)
		}
		if c := r.Response.Censored; c == nil || *c != int64(s.RequestTimeout) {
			t.Errorf("censored from %v, want the request timeout", c)
		}
		if r.Response.P99 == nil || *r.Response.P99 < int64(s.RequestTimeout) {
			t.Errorf("p99 %v does not show the time-outs", r.Response.P99)
		}
	})
}

func TestSamplesAreBounded(t *testing.T) {
	r, l := drive(t, spec(), Place{To: serve(t, &faulty{}), Samples: 10}, time.Second)
	if s, dropped := l.Samples(); len(s) != 10 || int64(len(s))+dropped != r.Offered {
		t.Errorf("%d samples, %d dropped, %d offered", len(s), dropped, r.Offered)
	}
}

func TestConnectFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to := "tcp://" + l.Addr().String()
	l.Close()
	_, err = Connect(t.Context(), spec(), Place{To: to})
	if !errors.Is(err, unix.ECONNREFUSED) || !strings.Contains(err.Error(), to) {
		t.Errorf("connect to nobody: %v", err)
	}
	for _, bad := range []string{"", "tcp://", "tcp://127.0.0.1", "tcp://127.0.0.1:0", "sctp://127.0.0.1:9", "tcp://127.0.0.1:99999"} {
		if _, err := Connect(t.Context(), spec(), Place{To: bad}); err == nil || !strings.Contains(err.Error(), "address") {
			t.Errorf("address %q: %v", bad, err)
		}
	}
}

func TestCheck(t *testing.T) {
	s := spec()
	s.Workload, s.Engine, s.Write, s.Pace, s.Arrivals.Law, s.Framing, s.Dispatch = "x", "x", "x", "x", "x", "x", "x"
	s.Connections, s.Duration, s.ConnectTimeout, s.Pipeline = 0, 0, 0, 1025
	err := s.Check()
	if err == nil || strings.Count(err.Error(), "\n") != 10 {
		t.Errorf("eleven mistakes: %v", err)
	}
	s = spec()
	if err := s.Check(); err != nil {
		t.Error(err)
	}
}

func TestInterrupted(t *testing.T) {
	each(t, func(t testing.TB, engine unit.Word) {
		for _, workload := range []unit.Word{"rr", "crr"} {
			s := spec()
			s.Engine, s.Workload, s.Duration = engine, workload, 30e9
			l, err := Connect(t.Context(), s, Place{To: serve(t, &faulty{})})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			began := time.Now()
			if _, err := l.Run(ctx, WindowFrom(s, 0, time.Second), nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v", err)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("took %v to stop", took)
			}
		}
	})
}

// With no option named, every socket is as the kernel makes it: compared with one made by hand.
func TestKernelDefaults(t *testing.T) {
	to := serve(t, &faulty{})
	addr, err := resolve(to)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := unix.Socket(addr.family, addr.kind, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(raw)
	if errno := connect(raw, &addr.to); errno != 0 {
		t.Fatal(errno)
	}
	want := sockopt.ReadAll(raw)
	l, err := Connect(t.Context(), spec(), Place{To: to})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, fd := range l.dial.fds {
		for name, got := range sockopt.ReadAll(fd) {
			if got != want[name] {
				t.Errorf("%s = %s, a raw socket has %s", name, got, want[name])
			}
		}
	}
}

// A load allocates before its window, not in it.
func TestNoAllocation(t *testing.T) {
	if testing.Short() {
		t.Skip("counts allocations, of which the race detector has its own; run without -short")
	}
	each(t, func(t testing.TB, engine unit.Word) {
		for _, change := range []func(*Spec){
			func(s *Spec) { s.Rate = 5000 },
			func(s *Spec) { s.Pipeline = 8 },
		} {
			s := spec()
			change(&s)
			s.Engine, s.Duration = engine, 300e6
			notAllocating(t, s)
		}
	})
}

func notAllocating(t testing.TB, s Spec) {
	f := &faulty{}
	l, err := Connect(t.Context(), s, Place{To: serve(t, f), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var before, after runtime.MemStats
	r, err := l.Run(t.Context(), WindowFrom(s, time.Millisecond, time.Second), func(begins bool) {
		if begins {
			runtime.ReadMemStats(&before)
		} else {
			runtime.ReadMemStats(&after)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := after.Mallocs - before.Mallocs; n > 100 {
		t.Errorf("pipeline %d: %d allocations while %d requests ran", s.Pipeline, n, r.Completed)
	}
}

// In a closed loop with think time Z, N connections and a response time R, N / (Z + R) requests complete per second
// (Little's law), and none leaves early: the intended time of each is Z after the reply before it.
func TestThink(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		for _, threads := range []int{1, 2} {
			s := spec()
			s.Think, s.Connections, s.Warmup, s.Duration = 10e6, 8, 0, 500e6
			r, l := drive(t, s, Place{To: serve(t, &faulty{}), Threads: threads, Samples: 10_000}, 250*time.Millisecond)
			want := 8 / (10e-3 + r.Response.Mean/1e9)
			if r.Completed != r.Offered || math.Abs(r.Throughput/want-1) > .03 {
				t.Errorf("%d threads: %d of %d completed, %.0f/s, want %.0f/s", threads, r.Completed, r.Offered, r.Throughput, want)
			}
			samples, _ := l.Samples()
			slices.SortFunc(samples, func(a, b Sample) int { return cmp.Compare(a.Intended, b.Intended) })
			for i := range samples[1:8] { // connections that begin together would stay together
				if gap := samples[i+1].Intended - samples[i].Intended; gap != 10e6/8 {
					t.Errorf("%d threads: first requests %d and %d are %d ns apart, want %d", threads, i, i+1, gap, int64(10e6/8))
				}
			}
		}
	})
}
