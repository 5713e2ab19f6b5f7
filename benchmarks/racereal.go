package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/stats"
	"github.com/sockbench/sockbench/tuner"
)

// The real space of 48 cells, and how often all of it is measured.
const (
	spaceTargets = "epoll,goroutine,iouring"
	spaceBlocks  = 16

	spaceWarmup, spaceDuration = 20 * time.Millisecond, 200 * time.Millisecond
)

// spaceKnobs have the server spend much of a request's time in compressing its reply: work of its own, which no wake-up of
// another CPU is part of.
var spaceKnobs = []string{"--compress", "zstd:1,gzip:1", "--reply", "2KiB", "--set", "TCP_NODELAY=on", "--engine", "epoll,iouring",
	"--connections", "16,64", "--write", "single,split"}

func realRaceClaims() []claim {
	return []claim{
		{"48 cells of real servers in 16 blocks, replayed: a cell within 3 % of the best was found", atLeast(.95), share},
		{"… trials, of those of all cells in 8 blocks, in the mean", atMost(.3), share},
		{"… a cell was found within 3 % of the best one of the blocks that the replay did not see", limit{}, share},
		{"… standard error of the difference of two cells", limit{}, share},
	}
}

// realRaces measures a space exhaustively and replays races over that.
func realRaces(ctx context.Context, b *bench) ([]figure, error) {
	const name = "race-real"
	knobs := spaceKnobs
	if b.root {
		knobs = append([]string{"--real-time", "on"}, knobs...)
	}
	typed, of, err := b.runTrials(ctx, name, spaceTargets, false, max(2, b.few(spaceBlocks)), spaceWarmup, spaceDuration, knobs...)
	if err != nil {
		return nil, err
	}
	run, err := results.Open(filepath.Join(b.dir, name, "run"))
	if err != nil {
		return nil, err
	}
	r, err := newRecording(run.Manifest.Plan, run.Records)
	if err != nil {
		return nil, err
	}
	unsure, err := r.unsure()
	if err != nil {
		return nil, err
	}
	good, unseen, unseenGood, usedUp := 0, 0, 0, 0
	var trials []float64
	for range races {
		e, err := r.replay(ctx, b.rng)
		if err != nil {
			return nil, err
		}
		if trials = append(trials, float64(e.trials)); r.good(e.found, e.blocks) {
			good++
		}
		if rest := e.blocks[e.seen:]; len(rest) > 0 {
			if unseen++; r.good(e.found, rest) {
				unseenGood++
			}
		}
		if e.more {
			usedUp++
		}
	}
	held := figure{spoilt: "no replay left a block over"}
	if unseen > 0 {
		held = shareOf(unseenGood, unseen, typed)
	}
	figures := []figure{shareOf(good, races, typed), meanOf(trials, float64(8*len(r.of)), typed), held,
		{got: estimate{len(r.of) * len(r.blocks), unsure, math.Inf(-1), math.Inf(1), unsure, unsure}, how: []string{typed}}}
	note := fmt.Sprintf("%d replays of %d recorded blocks, of which %d wanted more blocks; %s; the intervals are of the replays alone; %s",
		races, len(r.blocks), usedUp, r.spread(), regimes(of))
	for i := range figures {
		figures[i].note, figures[i].foreign = note, foreign(of)
	}
	return figures, nil
}

// recording is what each trial of a space measured exhaustively came to.
type recording struct {
	plan   *plan.Plan
	of     [][]recorded // by the cell's place in the plan and by block
	place  map[string]int
	blocks []int // all of them
}

type recorded struct {
	order      int     // in the block
	throughput float64 // per second
}

// newRecording takes the trials that count. Each cell has one in every block.
func newRecording(p *plan.Plan, records []results.Record) (*recording, error) {
	r := &recording{plan: p, place: map[string]int{}}
	for n := range p.Blocks {
		r.blocks = append(r.blocks, n)
	}
	for i, c := range p.Cells() {
		r.place[c.String()], r.of = i, append(r.of, make([]recorded, p.Blocks))
	}
	counting, _ := results.Counting(records)
	for _, rec := range counting {
		if rec.Metrics != nil {
			r.of[r.place[rec.Cell.String()]][rec.Block] = recorded{rec.Order, rec.Metrics.Throughput}
		}
	}
	for i, c := range p.Cells() {
		for n, t := range r.of[i] {
			if t.throughput <= 0 {
				return nil, fmt.Errorf("block %d: %s answered no request: measure on a quiet machine", n, p.Label(c))
			}
		}
	}
	return r, nil
}

// means are the cells' mean ln throughput in these blocks: what is taken for the truth.
func (r *recording) means(blocks []int) []float64 {
	means := make([]float64, len(r.of))
	for i, trials := range r.of {
		for _, n := range blocks {
			means[i] += math.Log(trials[n].throughput) / float64(len(blocks))
		}
	}
	return means
}

// good says whether a cell is within 3 % of the best one in these blocks.
func (r *recording) good(cell int, blocks []int) bool {
	means := r.means(blocks)
	for _, m := range means {
		if means[cell] < m-math.Log(1.03) {
			return false
		}
	}
	return true
}

// spread says how far the cells are apart.
func (r *recording) spread() string {
	least, most, near := math.Inf(1), math.Inf(-1), 0
	for i, m := range r.means(r.blocks) {
		if least, most = min(least, m), max(most, m); r.good(i, r.blocks) {
			near++
		}
	}
	return fmt.Sprintf("the worst cell has %.0f %% of the best one's throughput, %d of %d cells are within 3 %% of it", 100*math.Exp(least-most), near, len(r.of))
}

// unsure is the standard error of the difference of two cells' means over all blocks, in ln, where each block has a mean
// of its own.
func (r *recording) unsure() (float64, error) {
	var runs []stats.Run
	for i, trials := range r.of {
		for n, t := range trials {
			runs = append(runs, stats.Run{Levels: []int{i}, Order: float64(n), Y: math.Log(t.throughput)})
		}
	}
	m, err := stats.Fit([]int{len(r.of)}, runs, 1, 1)
	if err != nil {
		return 0, err
	}
	return m.Difference([]int{0}, []int{1}).SE, nil
}

// ending is how a replay ended.
type ending struct {
	found  int   // the cell's place
	blocks []int // recorded ones, in the order of the replay, which saw the first of them
	seen   int
	trials int
	more   bool // it would have gone on, had there been more blocks
}

var errUsedUp = errors.New("all recorded blocks are used up")

// replay runs one race whose blocks are recorded ones in random order, each once. Where a trial was in its block is kept,
// and with it the drift, so that trials of a later block, which are neighbours in a race, are as far apart as they were
// among those of all cells.
func (r *recording) replay(ctx context.Context, rng *rand.Rand) (e ending, err error) {
	goal, _ := results.FindMetric("throughput")
	e.blocks = rng.Perm(len(r.blocks))
	var log []results.Record
	run := func(_ context.Context, t plan.Trial) (results.Record, error) {
		if t.Block == len(e.blocks) {
			return results.Record{}, errUsedUp
		}
		was := r.of[r.place[t.Cell.String()]][e.blocks[t.Block]]
		t.Order = was.order
		return results.Record{Schema: 1, Trial: t, Metrics: &results.Metrics{Result: loadgen.Result{Duration: 1e9, Throughput: was.throughput}}}, nil
	}
	keep := func(rec results.Record) error { log = append(log, rec); return nil }
	_, err = tuner.Drive(ctx, tuner.Race(r.plan, goal, nil, raceMost), run, keep, nil)
	if e.more = errors.Is(err, errUsedUp); err != nil && !e.more {
		return e, err
	}
	end := tuner.Race(r.plan, goal, nil, len(log)).Standing(log) // as if no further trial were allowed
	if len(end.Survivors) == 0 {
		return e, errors.New("a replay found no cell")
	}
	e.found, e.seen, e.trials = r.place[end.Survivors[0].String()], end.Blocks, len(log)
	return e, nil
}
