package lab

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/quiet"
	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/unit"
)

func TestMain(m *testing.M) {
	Main()
	os.Exit(quiet.Run(m))
}

// trials makes a one-block plan of the given knobs.
func trials(t testing.TB, warmup, duration time.Duration, knobs ...string) []plan.Trial {
	t.Helper()
	var factors []plan.Factor
	for i := 0; i < len(knobs); i += 2 {
		factors = append(factors, plan.Factor{Knob: knobs[i], Levels: []plan.Level{knobs[i+1]}})
	}
	p, err := plan.New("test", 1, 1, unit.Duration(warmup), unit.Duration(duration), factors)
	if err != nil {
		t.Fatal(err)
	}
	return p.Block(0, 0)
}

// run runs the first trial of the knobs and demands that it came about. A trial that something outside disturbed, which
// the guard tells without a look at what was measured, is run again.
func run(t testing.TB, l *Lab, warmup, duration time.Duration, knobs ...string) results.Record {
	t.Helper()
	const patience = 90 * time.Second // a compiler that runs beside takes its time
	var why string
	for began := time.Now(); time.Since(began) < patience; {
		r, err := l.Run(t.Context(), trials(t, warmup, duration, knobs...)[0])
		if err != nil {
			t.Fatal(err)
		}
		if r.Metrics == nil {
			t.Fatalf("%v failed: %s: %s", knobs, r.Stage, r.Error)
		}
		m := r.Metrics
		if m.Offered != m.Completed+m.Failed+m.TimedOut+m.Unfinished || m.Response.Count != m.Offered {
			t.Errorf("%v: offered %d ≠ %d + %d + %d + %d, response holds %d", knobs, m.Offered, m.Completed, m.Failed, m.TimedOut, m.Unfinished, m.Response.Count)
		}
		var disturbed bool
		if disturbed, why = results.Disturbed(&r); !disturbed {
			return r
		}
		t.Logf("%v: run again: %s", knobs, why)
		time.Sleep(time.Second)
	}
	t.Fatalf("%v: this machine is too busy to measure: %s", knobs, why)
	return results.Record{}
}

// A trial that its target's network cannot carry, which a plan holds where "all" brought the target, fails alone.
func TestUnfit(t *testing.T) {
	p, err := plan.New("test", 1, 1, 0, unit.Duration(time.Second), []plan.Factor{{Knob: "target", Levels: []plan.Level{"all"}}, {Knob: "write", Levels: []plan.Level{"cork"}}})
	if err != nil {
		t.Fatal(err)
	}
	var l Lab
	defer l.Close()
	for _, trial := range p.Block(0, 0) {
		if trial.Cell["target"] != "udp" {
			continue
		}
		r, err := l.Run(t.Context(), trial)
		if err != nil || r.Metrics != nil || r.Stage != "start" || !strings.Contains(r.Error, "write single") {
			t.Errorf("%v, stage %q, error %q, metrics %v", err, r.Stage, r.Error, r.Metrics != nil)
		}
		return
	}
	t.Error("all brings no udp")
}

// Every model, measured end to end: both sides are accounted for, and the two agree on what happened.
func TestTrial(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		var l Lab
		defer l.Close()
		for _, target := range []string{"epoll", "goroutine", "blocking"} {
			m := run(t, &l, 50*time.Millisecond, 200*time.Millisecond, "target", target, "connections", "4").Metrics
			if m.Completed < 100 || m.Server.CPUUser+m.Server.CPUSystem <= 0 || m.Client.CPUUser+m.Client.CPUSystem <= 0 {
				t.Errorf("%s: completed %d, server %+v", target, m.Completed, m.Server)
			}
			if m.Handled.Requests < m.Completed || m.Handled.Accepts < int64(m.Connections.Served) {
				t.Errorf("%s: the server handled %d requests on %d connections; %d were completed on %d", target,
					m.Handled.Requests, m.Handled.Accepts, m.Completed, m.Connections.Served)
			}
			if served := map[string]int{"blocking": 1}[target]; m.Connections.Served != max(served, 4*(1-served)) {
				t.Errorf("%s: served %d of 4 connections", target, m.Connections.Served)
			}
			// The kernel counts a FIN as a byte received, and not as one sent.
			sent, received := m.Client.TCP["bytes_sent"], m.Server.TCP["bytes_received"]
			if target != "blocking" && (sent == 0 || sent+4 != received) {
				t.Errorf("%s: the client's sockets sent %d bytes and 4 FINs, the server's received %d", target, sent, received)
			}
			if m.Machine.Regime == "" || m.Machine.Namespace == "" || len(m.Validity) == 0 || m.Machine.KeepAwake <= 0 {
				t.Errorf("%s: machine %+v", target, m.Machine)
			}
		}
	})
}

// 8,000 connections that are only there cost the 16 beside them no request, and what is measured of sockets is about
// those 16.
func TestHold(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		if testing.Short() {
			t.Skip("opens 8,000 connections; run without -short")
		}
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		hold := min(8000, int(limit.Cur)-200)
		var l Lab
		defer l.Close()
		m := run(t, &l, 50*time.Millisecond, 200*time.Millisecond, "hold", fmt.Sprint(hold), "TCP_NODELAY", "on").Metrics
		if m.Connections.Held != (loadgen.Held{Asked: hold, Attained: hold}) || m.Connections.Attained != 16 || m.Connections.Served != 16 || len(m.Errors) > 0 {
			t.Errorf("connections %+v, errors %v", m.Connections, m.Errors)
		}
		if m.Completed != m.Offered || m.Completed < 100 || m.Handled.Accepts != int64(hold+16) || m.Server.Files < hold*9/10 { // which may be counted when the first have been closed
			t.Errorf("completed %d of %d; the server accepted %d connections and had %d files open", m.Completed, m.Offered, m.Handled.Accepts, m.Server.Files)
		}
		if m.Client.MaxRSS > 100<<20 || m.Server.MaxRSS > 100<<20 {
			t.Errorf("the client took %d MiB, the server %d MiB", m.Client.MaxRSS>>20, m.Server.MaxRSS>>20)
		}
		for _, a := range m.Client.Applied {
			if a.Option == "TCP_NODELAY" && a.Sockets != 16 {
				t.Errorf("an option is said to be on %d of the client's sockets", a.Sockets)
			}
		}
		t.Logf("client %d MiB, server %d MiB, %.0f requests per second", m.Client.MaxRSS>>20, m.Server.MaxRSS>>20, m.Throughput)
	})
}
