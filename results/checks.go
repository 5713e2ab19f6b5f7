package results

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/results/stats"
)

// Check is one question about a record: can its numbers mislead? Test is a pure function of the record, so that old
// runs can be judged by new checks. It is false where the record does not hold what the question takes: not knowing is
// neither a doubt nor its absence. A record of a failed trial has nothing to be judged.
type Check struct {
	Code, Doc string
	Test      func(*Record) (Doubt, bool)
	Disturbs  bool // a warning means that the machine disturbed the trial, which neither side had a part in
}

// Thresholds of the checks. What is at the threshold is still fine.
const (
	lateShare     = 0.20  // of the response time, by the generator's own lateness
	busyClient    = 0.90  // of the engines' time
	busyServer    = 0.80  // of the CPUs the server is pinned to
	sentShare     = 0.999 // of the schedule
	behindShare   = 0.01  // of the schedule, not completed inside the measure phase
	stealShare    = 0.01  // of one CPU
	lookShare     = 0.10  // of the measure phase
	foreignShare  = 0.10  // of one CPU
	hiccupShare   = 0.01  // of one CPU: as much of the tail as p99 is made of
	pathLateShare = 0.10  // of the path's delay, at p99, …
	pathLateLeast = 1e6   // … but at least so many nanoseconds
	pathBusy      = 0.95  // of a CPU
	hiccupShare10 = 0.001 // the same for p99.9
)

// Checks lists them in the order doubts are shown.
var Checks = []Check{
	{Code: "target_died", Doc: "a process of the trial ended before it was told to", Test: died},
	{Code: "throttled", Doc: "a CPU quota stopped the trial's processes", Test: throttled, Disturbs: true},
	{Code: "sends_late", Doc: "the load generator's own lateness is a fifth of the response time or more", Test: sendsLate},
	{Code: "client_saturated", Doc: "the load generator has no time left: it limits, not the server", Test: clientSaturated},
	{Code: "joint_limit", Doc: "client and server are both busy: the throughput is what both can do together", Test: jointLimit},
	{Code: "offered_not_achieved", Doc: "the load that was asked for is not what the server got or kept up with", Test: offeredNotAchieved},
	{Code: tooFew, Doc: "too few requests for a percentile", Test: fewSamples},
	{Code: tooAlike, Doc: "too few independent requests for a percentile: they came in good and bad moments", Test: fewIndependent},
	{Code: "connections_missing", Doc: "not all connections could be made", Test: connectionsMissing},
	{Code: "connections_starved", Doc: "some connections were never served", Test: connectionsStarved},
	{Code: "open_files", Doc: "the server had as many files open as it may have", Test: openFiles},
	{Code: "message_boundaries", Doc: "the server took reads for messages: its replies are not to what was asked", Test: messageBoundaries},
	{Code: "option_refused", Doc: "the kernel refused a socket option", Test: options(Warn, "unsupported", "denied", "unknown")},
	{Code: "option_capped", Doc: "a system-wide limit capped a socket option", Test: options(Warn, "capped")},
	{Code: "option_ignored", Doc: "a socket option was set without an error and reads otherwise", Test: options(Warn, "ignored")},
	{Code: "option_inert", Doc: "a socket option reads back, but cannot act here", Test: options(Warn, "inert")},
	{Code: "option_not_inherited", Doc: "the listening socket has the option, accepted ones do not", Test: options(Warn, "not_inherited")},
	{Code: "histogram_clipped", Doc: "a time was outside what the histogram holds", Test: clipped},
	{Code: "looks_late", Doc: "CPU times were read late: they are in part of another time", Test: looksLate, Disturbs: true},
	{Code: "steal", Doc: "the hypervisor gave CPU time to others", Test: steal, Disturbs: true},
	{Code: "foreign_cpu", Doc: "other processes used the machine", Test: foreignCPU, Disturbs: true},
	{Code: "hiccups", Doc: "the machine stood still", Test: hiccups, Disturbs: true},
	{Code: "clock_source", Doc: "reading the clock takes a system call", Test: clockSource},
	{Code: "path_late", Doc: "the emulated path delivered frames later than it should", Test: pathLate, Disturbs: true},
	{Code: "path_saturated", Doc: "the emulated path was the bottleneck itself, or lost frames of its own accord", Test: pathSaturated},
	{Code: "fault", Doc: "what a fault did: time until it was noticed, false alarms, replies lost", Test: befell},
	{Code: "errors", Doc: "requests failed", Test: failures},
	{Code: "timed_out", Doc: "requests timed out: percentiles are lower bounds from there on", Test: timedOut},
	{Code: "unfinished", Doc: "requests were never answered: percentiles are lower bounds from there on", Test: unfinished},
	{Code: "undrained", Doc: "the server did not end in good order after the trial", Test: undrained},
	{Code: "shared_namespace", Doc: "the trial shared the host's network namespace", Test: sharedNamespace},
}

// Judge asks every check. The answers of those that could tell are in the order of Checks, fine ones included.
func Judge(r *Record) []Doubt {
	doubts := []Doubt{}
	if r.Metrics == nil {
		return doubts
	}
	for _, c := range Checks {
		if d, ok := c.Test(r); ok {
			d.Code = c.Code
			doubts = append(doubts, d)
		}
	}
	return doubts
}

// Disturbed says whether and how something outside the trial disturbed it. It never looks at what was measured: a
// guard that did would choose among results.
func Disturbed(r *Record) (bool, string) {
	if r.Metrics == nil {
		return false, ""
	}
	for _, c := range Checks {
		if d, ok := c.Test(r); c.Disturbs && ok && d.Verdict.Rank() >= Warn.Rank() {
			return true, c.Code + ": " + d.Evidence
		}
	}
	return false, ""
}

// judged is verdict v where bad, else that all is well; either way with the evidence.
func judged(bad bool, v Verdict, evidence string, args ...any) (Doubt, bool) {
	if !bad {
		v = OK
	}
	return Doubt{Verdict: v, Evidence: fmt.Sprintf(evidence, args...)}, true
}

func died(r *Record) (Doubt, bool) {
	m := r.Metrics
	switch {
	case m.Server.Died != "":
		return judged(true, Fail, "the server ended during the trial: %s", m.Server.Died)
	case m.Client.Died != "":
		return judged(true, Fail, "the load process ended during the trial: %s", m.Client.Died)
	}
	return judged(false, Fail, "no process ended early")
}

func throttled(r *Record) (Doubt, bool) {
	return judged(r.Metrics.Machine.Throttled > 0, Fail, "throttled for %s", term.Duration(float64(r.Metrics.Machine.Throttled)))
}

// open says whether the record is of an open loop.
func open(r *Record) bool { return r.Spec.Load.OpenLoop() }

// sendsLate judges open loops only: a closed loop has no schedule to be late for.
func sendsLate(r *Record) (Doubt, bool) {
	if !open(r) {
		return Doubt{}, false
	}
	late, resp := &r.Metrics.Lateness, &r.Metrics.Response
	worst, evidence := -1.0, ""
	for _, q := range []struct {
		name       string
		late, resp *int64
	}{{"p50", late.P50, resp.P50}, {"p99", late.P99, resp.P99}} {
		if q.late == nil || q.resp == nil || *q.resp <= 0 {
			continue
		}
		if share := float64(*q.late) / float64(*q.resp); share > worst {
			worst = share
			evidence = fmt.Sprintf("lateness %s is %s, %s of response %s", q.name, term.Duration(float64(*q.late)), term.Percent(share), q.name)
		}
	}
	if worst < 0 {
		return Doubt{}, false
	}
	return judged(worst > lateShare, Warn, "%s", evidence)
}

// ClientBusy is the share of the engines' time in which they neither slept nor polled in vain.
func (m *Metrics) ClientBusy() (share float64, ok bool) {
	e := m.Engine
	if e.Threads < 1 {
		return 0, false
	}
	return 1 - float64(e.Idle+e.Spin)/(float64(e.Threads)*m.window()), true
}

// ServerBusy is the share of the CPUs the server is pinned to that it used.
func (m *Metrics) ServerBusy() (share float64, ok bool) {
	if m.Server.cpu() == 0 || len(m.Server.CPUs) == 0 {
		return 0, false
	}
	return float64(m.Server.cpu()) / (float64(len(m.Server.CPUs)) * m.window()), true
}

func clientSaturated(r *Record) (Doubt, bool) {
	client, ok := r.Metrics.ClientBusy()
	if !ok {
		return Doubt{}, false
	}
	if open(r) {
		return judged(client > busyClient, Warn, "the load generator is %s busy", term.Percent(client))
	}
	server, ok := r.Metrics.ServerBusy()
	if !ok {
		return Doubt{}, false
	}
	return judged(client > busyClient && server < busyServer, Warn, "the load generator is %s busy, the server %s",
		term.Percent(client), term.Percent(server))
}

func jointLimit(r *Record) (Doubt, bool) {
	client, ok := r.Metrics.ClientBusy()
	if !ok || open(r) {
		return Doubt{}, false
	}
	server, known := r.Metrics.ServerBusy()
	if !known {
		return judged(client > busyClient, Note, "the load generator is %s busy; how busy the server is, is not known: compare CPU per request",
			term.Percent(client))
	}
	return judged(client > busyClient && server >= busyServer, Note,
		"the load generator is %s busy, the server %s, a joint limit: compare CPU per request", term.Percent(client), term.Percent(server))
}

// offeredNotAchieved compares with the drawn schedule, never with the nominal rate, which is itself random. One request
// per connection may be under way at either end of the measure phase without anyone being behind.
func offeredNotAchieved(r *Record) (Doubt, bool) {
	m := r.Metrics
	if !open(r) || m.Scheduled == 0 {
		return Doubt{}, false
	}
	scheduled := float64(m.Scheduled)
	if sent := float64(m.Sent) / scheduled; sent < sentShare {
		return judged(true, Warn, "%d of %d scheduled requests were sent (%.4g%%)", m.Sent, m.Scheduled, sent*100)
	}
	behind := scheduled - m.inside()
	return judged(behind > max(behindShare*scheduled, float64(m.Connections.Attained)), Warn,
		"%.0f of %d scheduled requests were completed inside the measure phase, %d were due and incomplete at its end",
		m.inside(), m.Scheduled, m.BacklogEnd)
}

func fewSamples(r *Record) (Doubt, bool) {
	q := r.Metrics.Response
	if q.P50 == nil {
		return judged(true, Warn, "%d requests are too few for p50", q.Count)
	}
	return judged(q.P99 == nil, Note, "%d requests are too few for p99", q.Count)
}

// fewIndependent judges percentiles that their count would support.
func fewIndependent(r *Record) (Doubt, bool) {
	q := &r.Metrics.Response
	known := false
	var weak []string
	for _, at := range []struct {
		name  string
		p     float64
		value *int64
		n     int64
	}{{"p50", .5, q.P50, q.Effective.P50}, {"p90", .9, q.P90, q.Effective.P90}, {"p99", .99, q.P99, q.Effective.P99}, {"p99.9", .999, q.P999, q.Effective.P999}} {
		if at.value == nil || at.n == 0 || q.Censored != nil && *at.value >= *q.Censored {
			continue
		}
		if known = true; !stats.Supported(at.p, at.n) {
			weak = append(weak, fmt.Sprintf("about %s as %d independent ones (it takes %d)", at.name, at.n, stats.Needs(at.p)))
		}
	}
	d, _ := judged(len(weak) > 0, Note, "%d requests say as much %s", q.Count, strings.Join(weak, ", "))
	if len(weak) == 0 {
		d.Evidence = fmt.Sprintf("%d requests say enough", q.Count)
	}
	return d, known
}

func connectionsMissing(r *Record) (Doubt, bool) {
	c := r.Metrics.Connections
	evidence := fmt.Sprintf("%d of %d connections", c.Attained, c.Asked)
	if c.Held.Asked > 0 {
		evidence += fmt.Sprintf(", %d of %d held ones", c.Held.Attained, c.Held.Asked)
	}
	return judged(c.Attained < c.Asked || c.Held.Attained < c.Held.Asked, Warn, "%s", evidence)
}

// connectionsStarved judges where every connection has its own requests to be served: an open loop that takes the
// first free connection may well leave some unused.
func connectionsStarved(r *Record) (Doubt, bool) {
	c := r.Metrics.Connections
	if open(r) && r.Spec.Load.Dispatch != "sticky" || c.Attained == 0 {
		return Doubt{}, false
	}
	why := ""
	if r.Spec.Target.Target.Model == "addr" { // of other servers check open_files knows
		why = ": the server takes fewer at one time, or it may open no more files (its ulimit -n)"
	}
	return judged(c.Served < c.Attained, Note, "%d of %d connections were never served%s", c.Attained-c.Served, c.Attained, why)
}

func openFiles(r *Record) (Doubt, bool) {
	s := &r.Metrics.Server
	if s.FilesMax == 0 {
		return Doubt{}, false
	}
	return judged(s.Files >= s.FilesMax, Warn, "the server had %d files open and may have %d: it can take no more connections: allow it more, with ulimit -n or LimitNOFILE", s.Files, s.FilesMax)
}

func clipped(r *Record) (Doubt, bool) {
	m := r.Metrics
	var n int64
	for _, q := range []*loadgen.Quantity{&m.Response, &m.Service, &m.QueueWait, &m.Lateness, &m.Connect} {
		n = max(n, q.Clipped)
	}
	return judged(n > 0, Warn, "%d times were outside 1 ns to 60 s and were counted at the edge", n)
}

// ofOneCPU is t as a share of one CPU's time in the measure phase.
func ofOneCPU(r *Record, t int64) float64 { return float64(t) / r.Metrics.window() }

// steal is counted in ticks of 10 ms, and the first of them may have begun before the window.
func steal(r *Record) (Doubt, bool) {
	const tick = 10_000_000
	stolen := r.Metrics.Machine.Steal
	return judged(ofOneCPU(r, stolen-tick) > stealShare, Warn, "%s of a CPU", term.Percent(ofOneCPU(r, stolen)))
}

func looksLate(r *Record) (Doubt, bool) {
	late := r.Metrics.Machine.LooksLate
	share := float64(late) / float64(max(r.Metrics.Duration, 1))
	return judged(share > lookShare, Warn, "%s, which is %s of the measure phase", term.Duration(float64(late)), term.Percent(share))
}

func foreignCPU(r *Record) (Doubt, bool) {
	share := ofOneCPU(r, r.Metrics.Machine.ForeignCPU)
	return judged(share > foreignShare, Warn, "%s of a CPU", term.Percent(share))
}

func hiccups(r *Record) (Doubt, bool) {
	m := &r.Metrics.Machine
	share := ofOneCPU(r, m.Hiccup)
	evidence := fmt.Sprintf("%d, together %s of a CPU, the longest %s", m.Hiccups, term.Percent(share), term.Duration(float64(m.HiccupMax)))
	if share > hiccupShare {
		return judged(true, Warn, "%s: p99 may be the machine's", evidence)
	}
	return judged(share > hiccupShare10, Note, "%s: p99.9 may be the machine's", evidence)
}

// inVDSO are the clock sources that are read without a system call.
var inVDSO = []string{"tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter", "riscv_clocksource"}

func clockSource(r *Record) (Doubt, bool) {
	source := r.Metrics.Machine.Clocksource
	d, _ := judged(!slices.Contains(inVDSO, source), Warn, "%s", source)
	return d, source != ""
}

func failures(r *Record) (Doubt, bool) {
	m := r.Metrics
	return judged(m.Failed > 0 || len(m.Errors) > 0, Warn, "%d of %d requests failed%s", m.Failed, m.Offered, kinds(m.Errors))
}

func timedOut(r *Record) (Doubt, bool) {
	m := r.Metrics
	return judged(m.TimedOut > 0, Note, "%d of %d requests, %d of them before they could be sent", m.TimedOut, m.Offered, m.NotSent)
}

func unfinished(r *Record) (Doubt, bool) {
	m := r.Metrics
	return judged(m.Unfinished > 0, Note, "%d of %d requests", m.Unfinished, m.Offered)
}

func undrained(r *Record) (Doubt, bool) {
	why := r.Metrics.Server.Undrained
	if why == "" {
		return judged(false, Note, "the server ended in good order")
	}
	return judged(true, Note, "%s", why)
}

func sharedNamespace(r *Record) (Doubt, bool) {
	ns := r.Metrics.Machine.Namespace
	d, _ := judged(ns == SharedHost, Note, "%s", ns)
	return d, ns != ""
}
