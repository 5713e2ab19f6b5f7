package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/sockbench/sockbench/results"
)

// runTrials has sockbench run blocks trials of one cell and returns the command and its records.
func (b *bench) runTrials(ctx context.Context, name string, ordinary bool, blocks int, warmup, duration time.Duration, knobs ...string) (string, *results.Run, error) {
	home := filepath.Join(b.dir, name)
	if err := os.Mkdir(home, 0o755); err != nil {
		return "", nil, err
	}
	if ordinary && b.root {
		if err := os.Chown(home, nobody, nobody); err != nil {
			return "", nil, err
		}
	}
	argv := append([]string{b.sockbench, "run", "--target", "epoll", "--cpus", fmt.Sprintf("server=%d;client=%d", serverCPU, clientCPU)}, knobs...)
	argv = append(argv, "--blocks", strconv.Itoa(blocks), "--warmup", warmup.String(), "--duration", duration.String())
	typed := shown(argv)
	argv = append(argv, "--quiet", "--out", filepath.Join(home, "run"))
	// A disturbed trial is run again, at most twice.
	limit := 10*time.Second + 3*time.Duration(blocks)*(warmup+duration+time.Second)
	if _, err := (child{argv: argv, dir: home, cpu: anyCPU, ordinary: ordinary, limit: limit}).output(ctx); err != nil {
		return "", nil, err
	}
	run, err := results.Open(filepath.Join(home, "run"))
	if err != nil {
		return "", nil, err
	}
	for _, r := range run.Records {
		if r.Metrics == nil {
			return "", nil, fmt.Errorf("a trial failed: %s: %s", r.Stage, r.Error)
		}
	}
	return typed, run, nil
}

// openTrials is how often P4 runs its cells.
const openTrials = 12

// lateness is P4: how late requests of an open loop leave, by the generator's own fault.
func lateness(ctx context.Context, b *bench) ([]row, error) {
	load := []string{"--rate", "10k", "--arrivals", "poisson", "--connections", "50", "--pace", "exact", "--keep-awake", "on"}
	typed, run, err := b.runTrials(ctx, "ordinary", true, openTrials, 200*time.Millisecond, time.Second, load...)
	if err != nil {
		return nil, err
	}
	p50, p99, share, note := latenesses(run)
	const what = "lateness at Poisson 10,000/s, 50 connections, "
	rows := []row{
		{what: what + "ordinary user: p50", goal: atMost(2_000), got: p50, format: nanoseconds, note: note, how: []string{typed}},
		{what: what + "ordinary user: p99", goal: atMost(60_000), got: p99, format: nanoseconds, note: note, how: []string{typed}},
		{what: what + "ordinary user: client CPU", goal: atMost(.65), got: share, format: percent, note: note, how: []string{typed}},
	}
	if !b.root {
		b.say("not root: lateness under real time is left out")
		return rows, nil
	}
	typed, run, err = b.runTrials(ctx, "root", false, openTrials, 200*time.Millisecond, time.Second, append(load, "--real-time", "on")...)
	if err != nil {
		return nil, err
	}
	_, p99, _, note = latenesses(run)
	return append(rows, row{what: what + "root, real time: p99", goal: atMost(35_000), got: p99, format: nanoseconds, note: note, how: []string{typed}}), nil
}

func latenesses(run *results.Run) (p50, p99, share Interval, note string) {
	var l50, l99, cpu []float64
	counting, repeated := results.Counting(run.Records)
	regimes := map[string]bool{}
	for _, r := range counting {
		m := r.Metrics // of 10,000 requests: p99 is always supported
		l50, l99 = append(l50, float64(*m.Lateness.P50)), append(l99, float64(*m.Lateness.P99))
		cpu = append(cpu, float64(m.Client.CPUUser+m.Client.CPUSystem)/float64(m.Duration))
		regimes[m.Machine.Regime] = true
	}
	for _, r := range slices.Sorted(maps.Keys(regimes)) {
		note += r + "; "
	}
	return Median(l50), Median(l99), Median(cpu), note + fmt.Sprintf("%d trials repeated", len(repeated))
}

// trialCost is P8: what a trial takes beside its warm-up and measure phase.
func trialCost(ctx context.Context, b *bench) ([]row, error) {
	const warmup, duration = 10 * time.Millisecond, 50 * time.Millisecond
	typed, run, err := b.runTrials(ctx, "trials", false, 51, warmup, duration, "--connections", "16")
	if err != nil {
		return nil, err
	}
	var cost []float64
	for i, r := range run.Records[1:] {
		cost = append(cost, float64(r.Started.Sub(run.Records[i].Started)-warmup-duration))
	}
	return []row{{what: "a trial beyond warm-up and duration", goal: atMost(150e6), got: Median(cost), format: nanoseconds,
		note: "between the starts of successive trials", how: []string{typed}}}, nil
}
