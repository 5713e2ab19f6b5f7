package tuner

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/unit"
)

// space is an invented truth about 48 cells: three architectures by 2^4 options, each with effects, pairs of factors that
// act together, and a rest that no model of those explains.
type space struct {
	plan        *plan.Plan
	throughput  map[string]float64 // ln
	p99         map[string]float64 // ln of seconds
	limit       float64            // of p99
	best        float64            // ln throughput of the best cell that keeps the limit
	noise       [][2]float64       // ln deviations of both, trial after trial, as recorded
	ran, blocks int
}

func newSpace(t *testing.T, rng *rand.Rand, residual float64, noise [][][2]float64) *space {
	t.Helper()
	p, err := plan.New("space", rng.Uint64()>>11, 8, 0, unit.Duration(time.Second), []plan.Factor{
		{Knob: "target", Levels: []string{"epoll", "goroutine", "thread"}}, {Knob: "TCP_NODELAY", Levels: []string{"off", "on"}},
		{Knob: "connections", Levels: []string{"8", "64"}}, {Knob: "write", Levels: []string{"single", "split"}}, {Knob: "backlog", Levels: []string{"16", "1024"}}})
	if err != nil {
		t.Fatal(err)
	}
	s := &space{plan: p, throughput: map[string]float64{}, p99: map[string]float64{}, best: math.Inf(-1)}
	effect := map[string][2]float64{}
	draw := func(name string, sd float64) [2]float64 {
		if _, ok := effect[name]; !ok {
			a := rng.NormFloat64()
			effect[name] = [2]float64{sd * a, -sd * a * .7 * (1 + .5*rng.NormFloat64())}
		}
		return effect[name]
	}
	var all []float64
	for _, c := range p.Cells() {
		sum := [2]float64{}
		add := func(e [2]float64) { sum[0] += e[0]; sum[1] += e[1] }
		for i, f := range p.Factors {
			sd := .04
			if f.Knob == "target" {
				sd = .10
			}
			add(draw(f.Knob+c[f.Knob], sd))
			for _, g := range p.Factors[i+1:] {
				add(draw(f.Knob+c[f.Knob]+g.Knob+c[g.Knob], .02))
			}
		}
		add(draw(c.String(), residual))
		s.throughput[c.String()], s.p99[c.String()] = math.Log(20_000)+sum[0], math.Log(1e6)+2*sum[1]
		all = append(all, s.p99[c.String()])
	}
	slices.Sort(all)
	s.limit = math.Exp(all[len(all)*6/10])
	for c, v := range s.throughput {
		if s.p99[c] <= math.Log(s.limit) {
			s.best = max(s.best, v)
		}
	}
	for len(s.noise) < 2000 && noise != nil {
		s.noise = append(s.noise, noise[rng.IntN(len(noise))]...)
	}
	return s
}

func (s *space) run(_ context.Context, t plan.Trial) (results.Record, error) {
	off := [2]float64{}
	if s.noise != nil {
		off = s.noise[s.ran]
	}
	s.ran++
	p99 := int64(math.Exp(s.p99[t.Cell.String()] + off[1]))
	m := &results.Metrics{Result: loadgen.Result{Duration: 1e9, Throughput: math.Exp(s.throughput[t.Cell.String()] + off[0])}}
	m.Response.P99 = &p99
	return results.Record{Schema: 1, Trial: t, Metrics: m}, nil
}

// race runs one and returns how it stands at the end.
func (s *space) race(t *testing.T, most int) Standing {
	t.Helper()
	goal, _ := results.FindMetric("throughput")
	r := Race(s.plan, goal, []plan.Limit{{Metric: "p99", Limit: fmt.Sprint(time.Duration(s.limit))}}, most)
	var log []results.Record
	if _, err := Drive(t.Context(), r, s.run, keepIn(&log), nil); err != nil {
		t.Fatal(err)
	}
	return r.Standing(log)
}

// found says whether c is within 3 % of the best cell and its p99 within a tenth of the limit.
func (s *space) found(c plan.Cell) bool {
	return s.throughput[c.String()] >= s.best-math.Log(1.03) && s.p99[c.String()] <= math.Log(1.1*s.limit)
}

// most bounds one race: the mean is below 30 % of the trials of 8 blocks of 48 cells.
const most = 190

func TestRaceWithoutNoise(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		s := newSpace(t, rng, .01, nil)
		end := s.race(t, most)
		if best := end.Survivors[0]; s.throughput[best.String()] != s.best || !end.Keeps {
			t.Errorf("found %s (ln throughput %.4f, keeps the limit: %v), the best has %.4f", best, s.throughput[best.String()], end.Keeps, s.best)
		}
	}
}

// On spaces that were not used to choose how a race goes on, with the noise of recorded trials.
func TestRaceFindsTheBest(t *testing.T) {
	spaces := 200
	if testing.Short() {
		spaces = 40
	}
	noise := recorded(t)
	for _, residual := range []float64{.01, .04} {
		rng := rand.New(rand.NewPCG(26, 11))
		good, trials := 0, 0
		for range spaces {
			s := newSpace(t, rng, residual, noise)
			if end := s.race(t, most); len(end.Survivors) > 0 && s.found(end.Survivors[0]) {
				good++
			}
			trials += s.ran
		}
		t.Logf("residual %.0f%%: a cell within 3%% of the best in %d of %d spaces, in %.0f trials in the mean", 100*residual, good, spaces, float64(trials)/float64(spaces))
		if share := float64(good) / float64(spaces); share < .94 {
			t.Errorf("residual %.0f%%: found in %.3f", 100*residual, share)
		}
		if mean := float64(trials) / float64(spaces); mean > .3*48*8 {
			t.Errorf("residual %.0f%%: %.0f trials in the mean, of 384 of the whole matrix", 100*residual, mean)
		}
	}
}

func TestRaceSaysWhyCellsAreOut(t *testing.T) {
	p := fourCells(t, 8)
	m := machine{measures: func(t plan.Trial) float64 { return 1000 + 200*float64(len(t.Cell["TCP_NODELAY"])) + float64(t.Block) }}
	failing := func(ctx context.Context, t plan.Trial) (results.Record, error) {
		r, err := m.run(ctx, t)
		if t.Cell["connections"] == "2" && t.Cell["TCP_NODELAY"] == "on" {
			r.Metrics, r.Error = nil, "it would not start"
		}
		return r, err
	}
	goal, _ := results.FindMetric("throughput")
	r := Race(p, goal, nil, 100)
	var log []results.Record
	if _, err := Drive(t.Context(), r, failing, keepIn(&log), nil); err != nil {
		t.Fatal(err)
	}
	s := r.Standing(log)
	var why []string
	for _, d := range s.Dropped {
		why = append(why, d.Why)
	}
	all := strings.Join(why, "; ")
	if len(s.Dropped) != 2 || !strings.Contains(all, "it would not start") || !strings.Contains(all, "behind the best, after 3 blocks") {
		t.Errorf("dropped %q", why)
	}
	if len(s.Survivors) != 2 || s.Survivors[0]["TCP_NODELAY"] != "off" || !strings.Contains(s.Stop, "none of the 2 cells left") {
		t.Errorf("survivors %v, stop %q", s.Survivors, s.Stop)
	}
	// A race that is cut off anywhere goes on to the same end.
	for cut := range log {
		var again []results.Record
		if _, err := Drive(t.Context(), r, failing, keepIn(&again), log[:cut]); err != nil || len(again) != len(log)-cut {
			t.Errorf("after %d of %d records, %d more", cut, len(log), len(again))
		}
	}
}
