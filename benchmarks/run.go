package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// record is what is looked at of a line of trials.jsonl.
type record struct {
	Block   int               `json:"block"`
	Attempt int               `json:"attempt"`
	Started time.Time         `json:"started"`
	Cell    map[string]string `json:"cell"`
	Error   string            `json:"error"`
	Metrics *struct {
		Duration   float64 `json:"duration_ns"`
		Throughput float64 `json:"throughput"`
		Lateness   struct {
			P50 *float64 `json:"p50_ns"`
			P99 *float64 `json:"p99_ns"`
		} `json:"lateness"`
		Response struct {
			P50 *float64 `json:"p50_ns"`
			P99 *float64 `json:"p99_ns"`
		} `json:"response"`
		Failed      int            `json:"failed"`
		TimedOut    int            `json:"timed_out"`
		Errors      map[string]int `json:"errors"`
		Connections struct {
			Attained     int `json:"attained"`
			Served       int `json:"served"`
			MinCompleted int `json:"min_completed"`
		} `json:"connections"`
		Client struct {
			cpu
			MaxRSS float64 `json:"max_rss_bytes"`
			PSS    float64 `json:"pss_bytes"`
		} `json:"client"`
		Server struct {
			PSS float64 `json:"pss_bytes"`
		} `json:"server"`
		Machine struct {
			Regime  string  `json:"regime"`
			Foreign float64 `json:"foreign_cpu_ns"`
		} `json:"machine"`
	} `json:"metrics"`
}

// runTrials has sockbench run blocks trials of each cell, and returns the command and the records.
func (b *bench) runTrials(ctx context.Context, name, target string, ordinary bool, blocks int, warmup, duration time.Duration, knobs ...string) (string, []record, error) {
	home := filepath.Join(b.dir, name)
	if err := os.Mkdir(home, 0o755); err != nil {
		return "", nil, err
	}
	if ordinary && b.root {
		if err := os.Chown(home, nobody, nobody); err != nil {
			return "", nil, err
		}
	}
	argv := append([]string{b.sockbench, "run", "--target", target, "--cpus", fmt.Sprintf("server=%d;client=%d", serverCPU, clientCPU)}, knobs...)
	argv = append(argv, "--blocks", strconv.Itoa(blocks), "--warmup", warmup.String(), "--duration", duration.String())
	typed := shown(argv)
	argv = append(argv, "--quiet", "--out", filepath.Join(home, "run"))
	// Cells may be many, a disturbed trial is run again, at most twice, and thousands of connections to as many threads take seconds to make.
	limit := 10*time.Minute + 3*time.Duration(blocks)*(warmup+duration+5*time.Second)
	if _, err := (child{argv: argv, dir: home, cpu: anyCPU, ordinary: ordinary, limit: limit}).output(ctx); err != nil {
		return "", nil, err
	}
	records, err := readRecords(filepath.Join(home, "run"))
	if err != nil {
		return "", nil, err
	}
	if len(records) < blocks {
		return "", nil, fmt.Errorf("%d trials left %d records", blocks, len(records))
	}
	return typed, records, nil
}

// ask has sockbench make trials into the folder dir, with a seed of its own, and reads its answer, which it also gives where
// it exits as after a bad one.
func (b *bench) ask(ctx context.Context, argv []string, dir string, answer any) error {
	seed := strconv.FormatUint(b.rng.Uint64()>>11, 10)
	cmd, cancel := child{argv: append(slices.Clip(argv), "--quiet", "-o", "json", "--seed", seed, "--out", dir), cpu: anyCPU, limit: 30 * time.Minute}.command(ctx)
	defer cancel()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if code := (*exec.ExitError)(nil); errors.As(err, &code) && (code.ExitCode() == 1 || code.ExitCode() == 3) {
		err = nil // a verdict
	}
	if err == nil {
		err = json.Unmarshal(out.Bytes(), answer)
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, errs.Bytes())
	}
	return nil
}

// readRecords reads the trials of a run folder, of which none may have failed.
func readRecords(dir string) (records []record, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "trials.jsonl"))
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(text) {
		var r record
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("read a record: %w", err)
		}
		if r.Metrics == nil {
			return nil, fmt.Errorf("a trial failed: %s", r.Error)
		}
		records = append(records, r)
	}
	return records, nil
}

// counting leaves out the trials of one cell that were run again: the last attempt at a block counts. Blocks are in order.
func counting(records []record) []record {
	last := map[int]record{}
	for _, r := range records {
		last[r.Block] = r
	}
	return slices.SortedFunc(maps.Values(last), func(a, b record) int { return a.Block - b.Block })
}

// openTrials is how often P4 and P5 run each of their cells.
const openTrials = 12

// exactLateness is P4: how late requests of an open loop leave, by the generator's own fault.
func exactLateness(ctx context.Context, b *bench) ([]figure, error) {
	figures, err := b.lateness(ctx, "exact", true, "--pace", "exact")
	if err != nil {
		return nil, err
	}
	if !b.root {
		return append(figures, figure{spoilt: "real time takes root"}), nil
	}
	root, err := b.lateness(ctx, "real-time", false, "--pace", "exact", "--real-time", "on")
	if err != nil {
		return nil, err
	}
	return append(figures, root[1]), nil
}

// cheapLateness is P5: the same without spinning.
func cheapLateness(ctx context.Context, b *bench) ([]figure, error) {
	figures, err := b.lateness(ctx, "cheap", true, "--pace", "cheap")
	if err != nil {
		return nil, err
	}
	return figures[1:], nil
}

// lateness runs one cell of P4 or P5: p50, p99, and the client's share of a CPU.
func (b *bench) lateness(ctx context.Context, name string, ordinary bool, knobs ...string) ([]figure, error) {
	load := append([]string{"--rate", "10k", "--arrivals", "poisson", "--connections", "50", "--keep-awake", "on"}, knobs...)
	typed, records, err := b.runTrials(ctx, name, "epoll", ordinary, openTrials, 200*time.Millisecond, time.Second, load...)
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
	var figures []figure
	for _, values := range [][]float64{p50, p99, used} {
		figures = append(figures, figure{got: median(values), how: []string{typed}, foreign: foreign(counted),
			note: fmt.Sprintf("%s; %d trials were disturbed and repeated", regimes(counted), len(records)-len(counted))})
	}
	return figures, nil
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

// extra is what trials took beside their warm-up and measure phase, between their starts and those of the next ones: of
// the trials of one cell, or of all where connections is "".
func extra(records []record, connections string, phases time.Duration) (cost []float64) {
	for i, next := range records[1:] {
		if r := records[i]; connections == "" || r.Cell["connections"] == connections {
			cost = append(cost, float64(next.Started.Sub(r.Started)-phases))
		}
	}
	return cost
}

// trialCost is P8: what a trial takes beside its warm-up and measure phase.
func trialCost(ctx context.Context, b *bench) ([]figure, error) {
	const warmup, duration = 10 * time.Millisecond, 50 * time.Millisecond
	typed, records, err := b.runTrials(ctx, "trials", "epoll", false, 51, warmup, duration, "--connections", "16")
	if err != nil {
		return nil, err
	}
	plain := figure{got: median(extra(records, "", warmup+duration)), how: []string{typed}, foreign: foreign(records),
		note: regimes(records) + "; between the starts of successive trials"}
	typed, records, err = b.runTrials(ctx, "paths", "epoll", false, 51, warmup, duration, "--connections", "16", "--path", "none", "--path", "delay=1ms,rate=100mbit")
	if err != nil {
		return nil, err
	}
	path := figure{got: median(added(records)), how: []string{typed}, foreign: foreign(records), note: regimes(records) + "; the difference between the two trials of a block"}
	return []figure{plain, path}, nil
}

// added is what a trial with a path takes more than the one without beside it in the same block. The last of a run has
// no trial behind it that would tell.
func added(records []record) (cost []float64) {
	type place struct{ block, attempt int }
	plain, path := map[place]float64{}, map[place]float64{}
	for i, next := range records[1:] {
		r := records[i]
		into := path
		if r.Cell["path"] == "none" {
			into = plain
		}
		into[place{r.Block, r.Attempt}] = float64(next.Started.Sub(r.Started))
	}
	for at, with := range path {
		if without, ok := plain[at]; ok {
			cost = append(cost, with-without)
		}
	}
	return cost
}
