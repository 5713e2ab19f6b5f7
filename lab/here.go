package lab

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/machine"
	"github.com/sockbench/sockbench/internal/proc"
	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

// Load runs one load in this process, against whatever listens at place.To: the building block behind "sockbench load".
// The record has no server side. The load is returned for its samples.
func (l *Lab) Load(ctx context.Context, t plan.Trial, place loadgen.Place) (results.Record, *loadgen.Load, error) {
	rec, s := results.Record{Schema: results.Schema, Trial: t, Started: time.Now().UTC()}, t.Spec
	g, err := l.settle(ctx, plan.Client, s)
	if err != nil {
		return rec, nil, err
	}
	place.Threads = max(len(g.cpus[plan.Client]), 1)
	if place.Trace, err = loadgen.ReadTrace(s.Load); err != nil {
		return rec, nil, err
	}
	before := machine.Network()
	load, err := loadgen.Connect(ctx, s.Load, place)
	if err != nil {
		return rec, nil, err
	}
	defer load.Close()
	w := loadgen.WindowFrom(s.Load, lead, drainTime(s.Load))
	watch, leave := l.watch(ctx, w, cpuOf(0, false))
	defer leave()
	r, side, err := Drive(ctx, load, w)
	if err != nil {
		return rec, nil, err
	}
	side.Net = join(machine.Changed(before, machine.Network()), side.Net)
	seen, ok := <-watch
	if !ok {
		return rec, nil, context.Cause(ctx)
	}
	if err := l.record(&rec, g, w, seen, &Done{Client: &r, Histograms: r.Histograms, Side: side}); err != nil {
		return rec, nil, err
	}
	seen.parent = 0 // the load is this process: it must not count twice
	attribute(rec.Metrics, g, seen)
	rec.Metrics.Validity = results.Judge(&rec)
	return rec, load, nil
}

// Settle prepares this process for being the given side of a trial: CPUs that were named, scheduling class, keep-awake
// loops. Unlike a trial's parts it stays on its caller's CPUs where none are named.
func (l *Lab) Settle(ctx context.Context, role plan.Role, s plan.Spec) error {
	_, err := l.settle(ctx, role, s)
	return err
}

func (l *Lab) settle(ctx context.Context, role plan.Role, s plan.Spec) (regime, error) {
	if s.CPUs == nil {
		s.CPUs = plan.CPUs{}
	}
	g, err := choose(s)
	if err != nil {
		return g, err
	}
	if err := l.keepAwake(ctx, g.keepAwake); err != nil {
		return g, err
	}
	if cpus := g.cpus[role]; len(cpus) > 0 {
		var set unix.CPUSet
		for _, c := range cpus {
			set.Set(c)
		}
		if err := everyThread(func(tid int) error { return unix.SchedSetaffinity(tid, &set) }); err != nil {
			return g, fmt.Errorf("pin to CPUs %v: %w", cpus, err)
		}
	}
	if s.Regime.RealTime {
		if err := everyThread(proc.RealTime); err != nil {
			return g, fmt.Errorf("real_time: %w: it takes CAP_SYS_NICE: run as root, or leave real_time off", err)
		}
	}
	return g, nil
}

// everyThread does f for each thread of this process; threads to come inherit from those.
func everyThread(f func(tid int) error) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range tasks {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		if err := f(tid); err != nil && err != unix.ESRCH { // a thread may end meanwhile
			return err
		}
	}
	return nil
}
