package results

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/netpath"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results/stats"
	"github.com/sockbench/sockbench/sockopt"
	"github.com/sockbench/sockbench/targets"
	"github.com/sockbench/sockbench/unit"
)

// applied makes the server's option one of that class.
func applied(c sockopt.Class) func(*Record) {
	return func(r *Record) {
		r.Metrics.Server.Applied[0].Class = c
		r.Metrics.Server.Applied[0].Note = "capped by net.core.rmem_max=4194304"
	}
}

func engine(idle, spin, server int64) func(*Record) {
	return func(r *Record) {
		r.Metrics.Engine = loadgen.EngineUse{Threads: 2, Idle: idle, Spin: spin} // of 2 s
		r.Metrics.Server.CPUUser, r.Metrics.Server.CPUSystem = server, 0         // of 1 s
	}
}

// took is a server that counts so many messages of 68 bytes where so many arrived, in half as many reads.
func took(conns, counted, arrived int64) func(*Record) {
	return func(r *Record) {
		r.Metrics.Handled.Result = targets.Result{Accepts: conns, Requests: counted, Received: 68*arrived + 67, Reads: arrived / 2}
	}
}

// carried adds how many requests a connection carried at one time, and what went wrong on it.
func carried(pipeline unit.Count, errors map[string]int64, change func(*Record)) func(*Record) {
	return func(r *Record) {
		change(r)
		r.Spec.Load.Pipeline, r.Metrics.Errors = pipeline, errors
	}
}

// effective is a trial whose requests are worth so many.
func effective(n int64) func(*Record) {
	return func(r *Record) { r.Metrics.Response.Effective = stats.Effective{P50: n, P90: n, P99: n, P999: n} }
}

// linked is a path of that delay whose p99 of lateness is so many nanoseconds.
func linked(late int64, delay time.Duration, e netpath.Evidence) func(*Record) {
	return func(r *Record) {
		r.Spec.Path.Up.Delay = unit.Duration(delay)
		e.Backend, e.Lateness = netpath.Link, loadgen.Quantity{Count: 1000, P99: &late}
		r.Metrics.Path = e
	}
}

// cases are every check at its threshold: has is just beyond it, hasNot just on it.
var cases = []struct {
	code        string
	open        bool
	has, hasNot func(*Record)
	verdict     Verdict
	evidence    string
}{
	{"path_late", false, linked(1_000_001, 5*time.Millisecond, netpath.Evidence{}), linked(1_000_000, 5*time.Millisecond, netpath.Evidence{}), Fail, "1.00ms"},
	{"path_late", false, linked(5_000_001, 50*time.Millisecond, netpath.Evidence{}), linked(5_000_000, 50*time.Millisecond, netpath.Evidence{}), Fail, "5.00ms"},
	{"path_saturated", false, linked(0, 0, netpath.Evidence{Busy: .951}), linked(0, 0, netpath.Evidence{Busy: .95}), Fail, "name a rate"},
	{"path_saturated", false, linked(0, 0, netpath.Evidence{Missed: 1}), linked(0, 0, netpath.Evidence{}), Fail, "1 frames it did not take"},
	{"path_saturated", false, linked(0, 0, netpath.Evidence{Overflow: 2}), linked(0, 0, netpath.Evidence{}), Fail, "2 frames it had no room"},
	{"path_saturated", false, linked(0, 0, netpath.Evidence{Refused: 3}), linked(0, 0, netpath.Evidence{}), Fail, "3 frames the kernel"},
	{"fault", false, func(r *Record) {
		r.Metrics.Faults = []Aftermath{{Fault: "stall@1s+1s", Noticed: 2, First: ptr(2e6), FalseAlarms: 2, Expected: 200, Lost: 50}}
	}, func(r *Record) { r.Metrics.Faults = []Aftermath{{Fault: "stall@1s+1ms", Expected: 200}} }, Note, "first noticed after 2.00ms, 2 times in all, false alarms: the path came back by itself; 25.0% of the replies lost"},
	{"target_died", false, func(r *Record) { r.Metrics.Server.Died = "signal: killed" }, nil, Fail, "signal: killed"},
	{"target_died", false, func(r *Record) { r.Metrics.Client.Died = "exit status 2" }, nil, Fail, "load process"},
	{"throttled", false, func(r *Record) { r.Metrics.Machine.Throttled = 1 }, nil, Fail, "1ns"},
	{"sends_late", true, func(r *Record) { r.Metrics.Lateness.P50, r.Metrics.Response.P50 = ptr(21), ptr(100) },
		func(r *Record) { r.Metrics.Lateness.P50, r.Metrics.Response.P50 = ptr(20), ptr(100) }, Warn, "p50"},
	{"sends_late", true, func(r *Record) { r.Metrics.Lateness.P99, r.Metrics.Response.P99 = ptr(201), ptr(1000) },
		func(r *Record) { r.Metrics.Lateness.P99, r.Metrics.Response.P99 = ptr(200), ptr(1000) }, Warn, "p99"},
	{"client_saturated", true, engine(19e7, 1e6, 0), engine(199e6, 1e6, 0), Warn, "90.5%"},
	{"client_saturated", true, engine(0, 0, 1e9), engine(0, 2e9, 1e9), Warn, "100%"},
	{"client_saturated", false, engine(19e7, 0, 799e6), engine(19e7, 0, 800e6), Warn, "the server 79.9%"},
	{"joint_limit", false, engine(19e7, 0, 800e6), engine(20e7, 0, 800e6), Note, "CPU per request"},
	{"joint_limit", false, engine(19e7, 0, 0), engine(20e7, 0, 0), Note, "not known"},
	{"offered_not_achieved", true, func(r *Record) { r.Metrics.Sent = 19_979 }, func(r *Record) { r.Metrics.Sent = 19_980 }, Warn, "19979 of 20000"},
	{"offered_not_achieved", true, func(r *Record) { r.Metrics.Throughput = 19_799 }, func(r *Record) { r.Metrics.Throughput = 19_800 }, Warn, "19799 of 20000"},
	{"offered_not_achieved", true,
		func(r *Record) { m := r.Metrics; m.Scheduled, m.Sent, m.Throughput = 100, 100, 83 },
		func(r *Record) { m := r.Metrics; m.Scheduled, m.Sent, m.Throughput = 100, 100, 84 }, Warn, "83 of 100"},
	{"few_samples", false, func(r *Record) { r.Metrics.Response = loadgen.Quantity{Count: 5} }, nil, Warn, "5 requests are too few for p50"},
	{"few_samples", false, func(r *Record) { r.Metrics.Response.P99 = nil }, nil, Note, "p99"},
	{"few_independent", true, effective(3687), effective(3688), Note, "20000 requests say as much about p99.9 as 3687 independent ones (it takes 3688)"},
	{"few_independent", false, func(r *Record) { r.Metrics.Response.Effective.P50 = 5 }, func(r *Record) {
		r.Metrics.Response.Effective.P50, r.Metrics.Response.Censored = 5, ptr(1)
	}, Note, "about p50"},
	{"connections_missing", false, func(r *Record) { r.Metrics.Connections.Attained = 15 }, nil, Warn, "15 of 16"},
	{"connections_missing", false, func(r *Record) { r.Metrics.Connections.Held = loadgen.Held{Asked: 80, Attained: 79} },
		func(r *Record) { r.Metrics.Connections.Held = loadgen.Held{Asked: 80, Attained: 80} }, Warn, "16 of 16 connections, 79 of 80 held ones"},
	{"connections_starved", false, func(r *Record) { r.Metrics.Connections.Served = 1 }, nil, Note, "15 of 16"},
	{"open_files", false, func(r *Record) { r.Metrics.Server.Files, r.Metrics.Server.FilesMax = 64, 64 },
		func(r *Record) { r.Metrics.Server.Files, r.Metrics.Server.FilesMax = 63, 64 }, Warn, "had 64 files open and may have 64"},
	{"connections_starved", false, func(r *Record) {
		r.Metrics.Connections.Served, r.Spec.Target.Target.Model = 1, "addr"
	}, nil, Note, "its ulimit -n"},
	{"message_boundaries", false, took(2, 1020, 1000), took(2, 1002, 1000), Fail, "for 1020 messages: 1000 messages in 500 reads: 2.00 messages per read, 0.50 reads per message"},
	{"message_boundaries", false, took(2, 997, 1000), took(2, 998, 1000), Fail, "for 997 messages"},
	{"message_boundaries", false, carried(64, nil, took(2, 871, 1000)), carried(64, nil, took(2, 872, 1000)), Fail, "for 871 messages"},
	{"message_boundaries", false, carried(64, map[string]int64{"reset": 1}, took(2, 997, 1000)), took(2, 998, 1000), Fail, "for 997 messages"},
	{"message_boundaries", false, carried(64, nil, took(2, 1003, 1000)), took(2, 1002, 1000), Fail, "for 1003 messages"},
	{"option_refused", false, applied(sockopt.Denied), applied(sockopt.Equal), Warn, "server TCP_NODELAY=on"},
	{"option_refused", false, applied(sockopt.Unsupported), applied(sockopt.ByModel), Warn, "server"},
	{"option_refused", false, applied(sockopt.Unknown), applied(sockopt.Capped), Warn, "server"},
	{"option_capped", false, applied(sockopt.Capped), applied(sockopt.Rounded), Warn, "net.core.rmem_max=4194304"},
	{"option_ignored", false, applied(sockopt.Ignored), applied(sockopt.Doubled), Warn, "server"},
	{"option_inert", false, applied(sockopt.Inert), applied(sockopt.Ignored), Warn, "server"},
	{"option_not_inherited", false, applied(sockopt.NotInherited), applied(sockopt.Inert), Warn, "server"},
	{"histogram_clipped", false, func(r *Record) { r.Metrics.Response.Clipped = 1 }, nil, Warn, "1 times"},
	{"looks_late", false, func(r *Record) { r.Metrics.Machine.LooksLate = 100_000_001 }, func(r *Record) { r.Metrics.Machine.LooksLate = 100_000_000 }, Warn, "100ms, which is 10.0% of the measure phase"},
	{"steal", false, func(r *Record) { r.Metrics.Machine.Steal = 30_000_000 }, func(r *Record) { r.Metrics.Machine.Steal = 20_000_000 }, Warn, "3.00%"},
	{"foreign_cpu", false, func(r *Record) { r.Metrics.Machine.ForeignCPU = 100_000_001 }, func(r *Record) { r.Metrics.Machine.ForeignCPU = 100_000_000 }, Warn, "10.0%"},
	{"hiccups", false, func(r *Record) { r.Metrics.Machine.Hiccup = 10_000_001 }, nil, Warn, "p99 may"},
	{"hiccups", false, func(r *Record) { r.Metrics.Machine.Hiccup = 10_000_000 }, func(r *Record) { r.Metrics.Machine.Hiccup = 1_000_000 }, Note, "p99.9 may"},
	{"clock_source", false, func(r *Record) { r.Metrics.Machine.Clocksource = "hpet" }, func(r *Record) { r.Metrics.Machine.Clocksource = "kvm-clock" }, Warn, "hpet"},
	{"errors", false, func(r *Record) { r.Metrics.Failed, r.Metrics.Errors = 2, map[string]int64{"reset": 2} }, nil, Warn, "2 of 20000 requests failed: 2 reset"},
	{"errors", false, func(r *Record) { r.Metrics.Errors = map[string]int64{"connect: refused": 1} }, nil, Warn, "1 connect: refused"},
	{"timed_out", false, func(r *Record) { r.Metrics.TimedOut = 1 }, nil, Note, "1 of 20000"},
	{"unfinished", false, func(r *Record) { r.Metrics.Unfinished = 1 }, nil, Note, "1 of 20000"},
	{"undrained", false, func(r *Record) { r.Metrics.Server.Undrained = "it had to be killed" }, nil, Note, "had to be killed"},
	{"shared_namespace", false, func(r *Record) { r.Metrics.Machine.Namespace = SharedHost }, nil, Note, SharedHost},
}

func verdictOf(r *Record, code string) Doubt {
	for _, d := range Judge(r) {
		if d.Code == code {
			return d
		}
	}
	return Doubt{}
}

func TestChecks(t *testing.T) {
	trial := newPlan(t, 1).Block(0, 0)[0]
	tested := map[string]bool{}
	for _, c := range cases {
		tested[c.code] = true
		record := func(change func(*Record)) *Record {
			r := fine(trial, map[bool]unit.Rate{true: 20_000}[c.open])
			if change != nil {
				change(&r)
			}
			return &r
		}
		if d := verdictOf(record(c.hasNot), c.code); d.Verdict != OK && d.Verdict != "" || c.hasNot == nil && d.Verdict != OK {
			t.Errorf("%s: a record that has it not is judged %+v", c.code, d)
		}
		if d := verdictOf(record(c.has), c.code); d.Verdict != c.verdict || !strings.Contains(d.Evidence, c.evidence) {
			t.Errorf("%s: a record that has it is judged %+v, want %s with %q", c.code, d, c.verdict, c.evidence)
		}
	}
	doc, err := os.ReadFile("../docs/reading-the-numbers.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range Checks {
		if !tested[c.Code] {
			t.Errorf("check %s has no test", c.Code)
		}
		if line := "| `" + c.Code + "` | " + c.Doc + " |\n"; !strings.Contains(string(doc), line) {
			t.Errorf("docs/reading-the-numbers.md does not say: %s", line)
		}
	}
}

func TestNothingIsDoubtedWithoutReason(t *testing.T) {
	trial := newPlan(t, 1).Block(0, 0)[0]
	for _, rate := range []unit.Rate{0, 20_000} {
		r := fine(trial, rate)
		for _, d := range Judge(&r) {
			if d.Verdict != OK {
				t.Errorf("rate %v: %+v", rate, d)
			}
		}
	}
	if f := failed(trial, "no such file"); len(Judge(&f)) != 0 {
		t.Error("a failed trial has nothing to be judged")
	}
}

func TestNotKnowingIsNoVerdict(t *testing.T) {
	r := Record{Schema: 1, Metrics: &Metrics{}}
	for _, d := range Judge(&r) {
		switch d.Code {
		case "sends_late", "client_saturated", "joint_limit", "offered_not_achieved", "connections_starved", "option_capped", "clock_source", "shared_namespace":
			t.Errorf("a record without evidence is judged %+v", d)
		}
	}
}

func TestDisturbed(t *testing.T) {
	trial := newPlan(t, 1).Block(0, 0)[0]
	for _, c := range []struct {
		code string
		make func(*Machine)
		want bool
	}{
		{"steal", func(m *Machine) { m.Steal = 30e6 }, true}, {"steal", func(m *Machine) { m.Steal = 20e6 }, false},
		{"looks_late", func(m *Machine) { m.LooksLate = 2e8 }, true}, {"looks_late", func(m *Machine) { m.LooksLate = 5e7 }, false},
		{"foreign_cpu", func(m *Machine) { m.ForeignCPU = 2e8 }, true}, {"hiccups", func(m *Machine) { m.Hiccup = 2e7 }, true},
		{"hiccups", func(m *Machine) { m.Hiccup = 5e6 }, false}, {"throttled", func(m *Machine) { m.Throttled = 1 }, true},
	} {
		r := fine(trial, 0)
		c.make(&r.Metrics.Machine)
		if got, why := Disturbed(&r); got != c.want || got && !strings.HasPrefix(why, c.code) {
			t.Errorf("%s: %v %q, want %v", c.code, got, why, c.want)
		}
	}
}

// TestDisturbedNeverLooksAtMetrics changes everything that was measured, for the worse.
func TestDisturbedNeverLooksAtMetrics(t *testing.T) {
	r := fine(newPlan(t, 1).Block(0, 0)[0], 20_000)
	machine, length := r.Metrics.Machine, r.Metrics.Duration
	*r.Metrics = Metrics{Machine: machine, Result: loadgen.Result{Duration: length, Offered: 9, Failed: 4, TimedOut: 3, Unfinished: 2,
		Errors: map[string]int64{"reset": 4}, Response: loadgen.Quantity{Count: 9, P50: ptr(5e9), Clipped: 7}}, Server: Side{Died: "signal: killed"}}
	if got, why := Disturbed(&r); got {
		t.Errorf("bad results alone repeat a block: %s", why)
	}
	if f := failed(plan.Trial{}, "x"); func() bool { d, _ := Disturbed(&f); return d }() {
		t.Error("a failed trial repeats a block")
	}
}
