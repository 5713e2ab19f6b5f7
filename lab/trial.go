package lab

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/clock"
	"github.com/sockbench/sockbench/internal/machine"
	"github.com/sockbench/sockbench/internal/proc"
	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/netpath"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/targets"
)

// Limits on what a trial waits for, each beside what the plan itself allows.
const (
	serveLimit  = 12 * time.Second // a user's command may take 10 s to listen
	slack       = 5 * time.Second  // for a machine that is busy
	lead        = 2 * time.Millisecond
	closedDrain = 250 * time.Millisecond
	bulkDrain   = 5 * time.Second // of requests that never time out: blocks, many under way
)

// drainTime is the longest drain: in a closed loop hardly anything is under way, in an open one a whole backlog may be.
// It ends as soon as nothing is under way.
func drainTime(s loadgen.Spec) time.Duration {
	if s.RequestTimeout == 0 {
		return bulkDrain
	}
	if s.OpenLoop() {
		return time.Duration(s.RequestTimeout)
	}
	return closedDrain
}

// stageError says what was being done when a trial failed.
type stageError struct {
	stage string
	err   error
}

func (e *stageError) Error() string { return e.err.Error() }
func (e *stageError) Unwrap() error { return e.err }

// Run runs one trial. A trial that failed is a record with Error and Stage set, and a nil error; an error means that
// ctx ended or that the lab itself cannot go on.
func (l *Lab) Run(ctx context.Context, t plan.Trial) (results.Record, error) {
	rec := results.Record{Schema: results.Schema, Trial: t, Started: time.Now().UTC()}
	entry, err := targets.Find(t.Spec.Target.Target.Model)
	if err != nil {
		return rec, err
	}
	if err := t.Spec.Unfit(); err != nil {
		rec.Error, rec.Stage = err.Error(), "start"
		return rec, nil
	}
	g, err := choose(t.Spec)
	if err != nil {
		return rec, err
	}
	if err := l.keepAwake(ctx, g.keepAwake); err != nil {
		return rec, err
	}
	err = l.trial(ctx, &rec, entry, g)
	if cause := context.Cause(ctx); cause != nil {
		return rec, cause
	}
	if failed := (*stageError)(nil); errors.As(err, &failed) {
		rec.Error, rec.Stage, rec.Metrics, rec.Histograms = failed.Error(), failed.stage, nil, nil
		return rec, nil
	}
	if err == nil {
		rec.Metrics.Validity = results.Judge(&rec)
	}
	return rec, err
}

// trial fills rec. Failures of the trial are stageErrors.
func (l *Lab) trial(ctx context.Context, rec *results.Record, entry *targets.Entry, g regime) (err error) {
	s := rec.Spec
	config := rooms(s, entry, g)
	room, err := proc.Open(ctx, config)
	if err != nil {
		return &stageError{"start", err}
	}
	defer func() { err = errors.Join(err, room.Close()) }()
	parties, pids := map[string]*party{}, map[string]int{}
	for i, part := range config.Parts {
		parties[part.Name] = newParty(room, i, part.Name)
		pids[part.Name] = room.Part(i).PID()
	}
	if l.Started != nil {
		l.Started(pids)
	}
	server, client, via, path := parties[serverPart], parties[clientPart], parties[viaPart], parties[pathPart]
	others := []*party{server}
	if path != nil {
		others = append(others, path)
		if err := path.lay(ctx, room, s, rec.Seed); err != nil {
			return err
		}
	}
	place := targets.Place{Expect: s.Load.Total()}
	if !s.Path.IsZero() {
		place.Listen = entry.Network() + "://" + netip.AddrPortFrom(netpath.ServerAddr, 0).String()
	}
	behind := place
	if behind.Seed, behind.Samples = rec.Seed, l.samples(); via != nil {
		behind.Listen = "" // what stands in front is on the same side of the path
	}
	addr, err := server.begin(ctx, Serve{Spec: s.Target, Place: behind})
	if err != nil {
		return err
	}
	if via != nil {
		others = append(others, via)
		place.Upstream = addr
		if addr, err = via.begin(ctx, Serve{Via: s.Via, Place: place}); err != nil {
			return err
		}
	}
	if err := client.connect(ctx, rec.Spec, loadgen.Place{To: addr, Seed: rec.Seed, Threads: max(len(g.cpus[plan.Client]), 1), Samples: l.samples()}); err != nil {
		return blamed(others, err)
	}
	if err := server.settle(ctx, entry, rec.Spec); err != nil {
		return err
	}

	w := loadgen.WindowFrom(s.Load, lead, drainTime(s.Load))
	for _, p := range append(others, client) {
		if err := p.send(Message{Window: &w}); err != nil {
			return &stageError{"measure", err}
		}
	}
	watch, leave := l.watch(ctx, w, cpuOf(server.part.PID(), entry.Processes))
	defer leave()
	loaded, err := client.await(ctx, "measure", time.Duration(w.Drained-clock.Now())+slack, others...)
	if err != nil {
		return blamed(others, err)
	}
	done := map[*party]*Done{}
	for _, p := range []*party{via, server, path} { // what is in front first: it holds connections to what is behind
		if p == nil {
			continue
		}
		if done[p], err = p.finish(ctx, s.Load.Total()); err != nil {
			return err
		}
	}
	if loaded.Done == nil || loaded.Done.Client == nil {
		return &stageError{"drain", errors.New("the client did not say what it measured")}
	}
	served := done[server]
	if served.Server == nil {
		return &stageError{"drain", errors.New("the server did not say what it saw")}
	}
	seen, ok := <-watch
	if !ok {
		return &stageError{"measure", context.Cause(ctx)}
	}
	if err := l.record(rec, g, w, seen, loaded.Done); err != nil {
		return err
	}
	m := rec.Metrics
	m.Server = served.Side
	m.Server.CPUs = g.cpus[plan.Server]
	if !entry.Foreign {
		m.Server.CPUUser, m.Server.CPUSystem = seen.user, seen.system
		m.Handled = results.Handled{Result: *served.Server}
		maps.Copy(rec.Histograms, served.Histograms)
	}
	if via != nil {
		m.Via = done[via].Side
		m.Via.CPUs = g.cpus[plan.Via]
	}
	if path != nil {
		m.Path, m.Sysctls = done[path].Path, done[path].Sysctls
	}
	if l.Sampled != nil {
		l.Sampled(loaded.Done.Requests, served.Served)
	}
	m.Machine.Namespace = namespace(room.Isolation())
	attribute(m, g, seen)
	m.Faults = results.Aftermaths(rec)
	return nil
}

// rooms is where the parts of a trial are to be.
func rooms(s plan.Spec, entry *targets.Entry, g regime) (c proc.Config) {
	end := func(n int) int {
		if s.Path.IsZero() {
			return 0
		}
		return n
	}
	own := needsPath(s)
	c.Network = own || !entry.Foreign && !s.Via.Foreign()
	if !s.Path.IsZero() {
		c.Ends = pathEnds
	}
	add := func(p proc.Part) {
		p.RealTime, p.NetAdmin = s.Regime.RealTime, own
		c.Parts = append(c.Parts, p)
	}
	add(proc.Part{Name: serverPart, CPUs: g.cpus[plan.Server], Keeper: entry.Foreign, End: end(serverEnd)})
	add(proc.Part{Name: clientPart, CPUs: g.cpus[plan.Client], End: end(clientEnd)})
	if !s.Via.IsZero() {
		add(proc.Part{Name: viaPart, CPUs: g.cpus[plan.Via], Keeper: s.Via.Foreign(), End: end(serverEnd)})
	}
	if own {
		add(proc.Part{Name: pathPart, CPUs: g.cpus[plan.Path], Admin: true})
	}
	return c
}

func namespace(i proc.Isolation) string {
	switch {
	case i.Network:
		return results.Fresh
	case i.Why == "":
		return results.SharedHost
	}
	return results.SharedHost + ": " + i.Why
}

// record fills in what the client measured and what the machine did meanwhile.
func (l *Lab) record(rec *results.Record, g regime, w loadgen.Window, seen observed, loaded *Done) error {
	if seen.err != nil {
		return &stageError{"measure", seen.err}
	}
	p, err := l.awake.pauses(machine.Span{From: w.Measure, To: w.End})
	if err != nil {
		return err
	}
	m := &results.Metrics{Result: *loaded.Client, Client: loaded.Side, Machine: seen.machine}
	m.Client.CPUs = g.cpus[plan.Client]
	m.Machine.Hiccups, m.Machine.Hiccup, m.Machine.HiccupMax = p.Count, p.Sum, p.Max
	m.Machine.Regime, m.Machine.Namespace = g.name, results.SharedHost
	rec.Metrics, rec.Histograms = m, loaded.Histograms
	return nil
}

// attribute settles what depends on both sides: softirq time by CPU, and what nobody of ours used.
func attribute(m *results.Metrics, g regime, seen observed) {
	m.Client.CPUSoftirq = seen.after.SoftirqSince(&seen.before, m.Client.CPUs)
	m.Server.CPUSoftirq = seen.after.SoftirqSince(&seen.before, m.Server.CPUs)
	ours := m.Client.CPUUser + m.Client.CPUSystem + m.Server.CPUUser + m.Server.CPUSystem + m.Via.CPUUser + m.Via.CPUSystem + m.Path.CPU + seen.parent
	// With a loop on every CPU none of them idles, so that what is left is exact; else the kernel's 10 ms steps must do.
	busy := seen.busy
	if len(g.keepAwake) == m.Machine.CPUs {
		busy = int64(m.Machine.CPUs)*seen.window - m.Machine.Steal
	}
	m.Machine.ForeignCPU = max(0, busy-ours-m.Machine.KeepAwake)
}

// observed is what the lab itself saw at the edges of the measure phase.
type observed struct {
	before, after machine.Snapshot
	// CPU times between the looks are scaled to the window.
	window       int64
	machine      results.Machine
	busy         int64 // CPU time of all
	parent       int64 // of this process
	user, system int64 // of the server's
	err          error
}

// watch looks at the machine, and at the process that is the server or its keeper, when the measure phase begins and
// ends. The server itself would look late where thousands of its threads want to run. It says nothing if ctx ends first.
// Leave it before the keep-awake loops may end, which it asks.
func (l *Lab) watch(ctx context.Context, w loadgen.Window, server func() (user, system time.Duration)) (said <-chan observed, leave func()) {
	ctx, cancel := context.WithCancel(ctx)
	out := make(chan observed, 1)
	awake := l.awake
	look := func() (s machine.Snapshot, keepAwake int64, u proc.Usage, err error) {
		if s, err = machine.Read(); err == nil {
			u, err = proc.SelfUsage()
		}
		return s, awake.cpu(), u, err
	}
	// The thread itself sleeps: a timer of the runtime first wakes another, which has no priority.
	until := func(at int64) bool {
		for now := clock.Now(); now < at; now = clock.Now() {
			if ctx.Err() != nil {
				return false
			}
			slice := unix.NsecToTimespec(min(at-now, int64(100*time.Millisecond)))
			unix.Nanosleep(&slice, nil)
		}
		return true
	}
	go func() {
		defer close(out)
		runtime.LockOSThread() // and never unlocks: the thread ends, and with it its priority
		proc.RealTime(0)       // where that is allowed; else a look may come late, which is told
		if !until(w.Measure) {
			return
		}
		before, awake0, u0, err := look()
		user0, system0 := server()
		late := clock.Now() - w.Measure
		if !until(w.End) {
			return
		}
		after, awake1, u1, err1 := look()
		user1, system1 := server()
		late += clock.Now() - w.End
		scale := float64(w.End-w.Measure) / float64(max(after.At-before.At, 1))
		scaled := func(ns int64) int64 { return int64(float64(ns) * scale) }
		out <- observed{before: before, after: after, window: w.End - w.Measure, err: errors.Join(err, err1),
			busy: scaled(after.Busy - before.Busy), parent: scaled(int64(u1.User + u1.System - u0.User - u0.System)),
			user: scaled(int64(user1 - user0)), system: scaled(int64(system1 - system0)),
			machine: results.Machine{CPUs: len(after.Softirq), Steal: scaled(after.Steal - before.Steal), Idle: scaled(after.Idle - before.Idle),
				KeepAwake: scaled(awake1 - awake0), Throttled: after.Throttled - before.Throttled, LooksLate: late, Clocksource: machine.Clocksource()}}
	}()
	return out, func() {
		cancel()
		for range out {
		}
	}
}

// cpuOf tells the CPU time of a server, where it serves in processes with that of its children, and of those it has
// waited for; of pid 0 it is none. Children are listed by thread: of a server with thousands of these that would take as
// long as a trial.
func cpuOf(pid int, processes bool) func() (user, system time.Duration) {
	return func() (user, system time.Duration) {
		user, system = proc.CPUOf(pid)
		if processes {
			for _, p := range proc.Children(pid) {
				u, s := proc.CPUOf(p)
				user, system = user+u, system+s
			}
		}
		return user, system
	}
}
