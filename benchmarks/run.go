package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// record is what is looked at of a line of trials.jsonl.
type record struct {
	Block   int       `json:"block"`
	Attempt int       `json:"attempt"`
	Started time.Time `json:"started"`
	Error   string    `json:"error"`
	Metrics *struct {
		Duration float64 `json:"duration_ns"`
		Lateness struct {
			P50 *float64 `json:"p50_ns"`
			P99 *float64 `json:"p99_ns"`
		} `json:"lateness"`
		Client  cpu `json:"client"`
		Machine struct {
			Regime  string  `json:"regime"`
			Foreign float64 `json:"foreign_cpu_ns"`
		} `json:"machine"`
	} `json:"metrics"`
}

// runTrials has sockbench run blocks trials of one cell, and returns the command and the records.
func (b *bench) runTrials(ctx context.Context, name string, ordinary bool, blocks int, warmup, duration time.Duration, knobs ...string) (string, []record, error) {
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
	text, err := os.ReadFile(filepath.Join(home, "run", "trials.jsonl"))
	if err != nil {
		return "", nil, err
	}
	var records []record
	for line := range bytes.Lines(text) {
		var r record
		if err := json.Unmarshal(line, &r); err != nil {
			return "", nil, fmt.Errorf("read a record: %w", err)
		}
		if r.Metrics == nil {
			return "", nil, fmt.Errorf("a trial failed: %s", r.Error)
		}
		records = append(records, r)
	}
	if len(records) < blocks {
		return "", nil, fmt.Errorf("%d trials left %d records", blocks, len(records))
	}
	return typed, records, nil
}

// counting leaves out the trials that were run again. There is one cell: the last attempt at a block counts.
func counting(records []record) []record {
	last := map[int]record{}
	for _, r := range records {
		last[r.Block] = r
	}
	return slices.Collect(maps.Values(last))
}

// openTrials is how often P4 runs its cells.
const openTrials = 12

// lateness is P4: how late requests of an open loop leave, by the generator's own fault.
func lateness(ctx context.Context, b *bench) ([]row, error) {
	load := []string{"--rate", "10k", "--arrivals", "poisson", "--connections", "50", "--pace", "exact", "--keep-awake", "on"}
	const what = "lateness at Poisson 10,000/s, 50 connections, "
	rows, err := b.latenesses(ctx, "ordinary", true, load)
	if err != nil {
		return nil, err
	}
	rows[0].what, rows[0].goal = what+"ordinary user: p50", atMost(2_000)
	rows[1].what, rows[1].goal = what+"ordinary user: p99", atMost(60_000)
	rows[2].what, rows[2].goal = "client CPU of that", atMost(.65)
	if !b.root {
		b.say("not root: lateness in real time is left out")
		return rows, nil
	}
	root, err := b.latenesses(ctx, "root", false, append(load, "--real-time", "on"))
	if err != nil {
		return nil, err
	}
	root[1].what, root[1].goal = what+"root, real time: p99", atMost(35_000)
	return append(rows, root[1]), nil
}

// latenesses runs one cell of P4: p50, p99, and the client's share of a CPU, without their goals.
func (b *bench) latenesses(ctx context.Context, name string, ordinary bool, load []string) ([]row, error) {
	typed, records, err := b.runTrials(ctx, name, ordinary, openTrials, 200*time.Millisecond, time.Second, load...)
	if err != nil {
		return nil, err
	}
	var p50, p99, used []float64
	counted := counting(records)
	for _, r := range counted {
		m := r.Metrics
		if m.Lateness.P50 == nil || m.Lateness.P99 == nil {
			return nil, fmt.Errorf("block %d sent too few requests for a percentile", r.Block)
		}
		p50, p99 = append(p50, *m.Lateness.P50), append(p99, *m.Lateness.P99)
		used = append(used, (m.Client.User+m.Client.System)/m.Duration)
	}
	common := row{format: nanoseconds, how: []string{typed}, foreign: foreign(counted),
		note: fmt.Sprintf("%s; %d trials were disturbed and repeated", regimes(counted), len(records)-len(counted))}
	rows := []row{common, common, common}
	rows[0].got, rows[1].got, rows[2].got = median(p50), median(p99), median(used)
	rows[2].format = percent
	return rows, nil
}

// regimes says how the machine was kept.
func regimes(records []record) string {
	seen := map[string]bool{}
	for _, r := range records {
		seen[r.Metrics.Machine.Regime] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(seen)), " / ")
}

// foreign is how many CPUs other programs used in the measure phases, by the records' own evidence.
func foreign(records []record) float64 {
	sum, of := 0.0, 0.0
	for _, r := range records {
		sum, of = sum+r.Metrics.Machine.Foreign, of+r.Metrics.Duration
	}
	return sum / of
}

// trialCost is P8: what a trial takes beside its warm-up and measure phase.
func trialCost(ctx context.Context, b *bench) ([]row, error) {
	const warmup, duration = 10 * time.Millisecond, 50 * time.Millisecond
	typed, records, err := b.runTrials(ctx, "trials", false, 51, warmup, duration, "--connections", "16")
	if err != nil {
		return nil, err
	}
	var cost []float64
	for i, r := range records[1:] {
		cost = append(cost, float64(r.Started.Sub(records[i].Started)-warmup-duration))
	}
	return []row{{what: "a trial beyond warm-up and duration", goal: atMost(150e6), got: median(cost), format: nanoseconds,
		note: regimes(records) + "; between the starts of successive trials", foreign: foreign(records), how: []string{typed}}}, nil
}
