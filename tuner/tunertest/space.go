// Package tunertest invents spaces of cells whose truth is known, and runs races in them over recorded noise.
package tunertest

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/stats/statstest"
	"github.com/sockbench/sockbench/tuner"
	"github.com/sockbench/sockbench/unit"
)

// Cells is how many a space has, and Factorial how many trials all of them take in 8 blocks.
const (
	Cells     = 48
	Factorial = 8 * Cells
)

// Space is an invented truth about 48 cells: three architectures by 2^4 options, each with effects, pairs of factors that
// act together, and a rest that no model of those explains. 60 % of the cells keep a limit on p99.
type Space struct {
	Plan       *plan.Plan
	Ran        int                // trials
	throughput map[string]float64 // ln
	p99        map[string]float64 // ln of ns
	limit      float64            // of p99, in ns
	best       float64            // ln throughput of the best cell that keeps the limit
	noise      [][2]float64       // of ln throughput and ln p99, trial after trial
}

// Noise is how far both metrics of recorded trials, in which nothing was varied, are from their medians, as logarithms, by
// batches of trials that followed one another.
type Noise [][][2]float64

// Recorded is that of a closed loop.
func Recorded() (noise Noise) {
	throughput, p99 := statstest.Find("throughput, closed loop").Deviations(), statstest.Find("p99, closed loop").Deviations()
	for i, batch := range throughput {
		var both [][2]float64
		for j := range batch {
			both = append(both, [2]float64{batch[j], p99[i][j]})
		}
		noise = append(noise, both)
	}
	return noise
}

// NewSpace draws one. residual is the standard deviation of what no model explains, as a share; nil noise is none.
func NewSpace(rng *rand.Rand, residual float64, noise Noise) (*Space, error) {
	p, err := plan.New("space", rng.Uint64()>>11, 8, 0, unit.Duration(time.Second), []plan.Factor{
		{Knob: "target", Levels: []string{"epoll", "goroutine", "thread"}}, {Knob: "TCP_NODELAY", Levels: []string{"off", "on"}},
		{Knob: "connections", Levels: []string{"8", "64"}}, {Knob: "write", Levels: []string{"single", "split"}}, {Knob: "backlog", Levels: []string{"16", "1024"}}})
	if err != nil {
		return nil, err
	}
	s := &Space{Plan: p, throughput: map[string]float64{}, p99: map[string]float64{}, best: math.Inf(-1)}
	effects := map[string][2]float64{}
	effect := func(name string, sd float64) [2]float64 {
		if _, ok := effects[name]; !ok {
			a := rng.NormFloat64()
			effects[name] = [2]float64{sd * a, -sd * a * .7 * (1 + .5*rng.NormFloat64())}
		}
		return effects[name]
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
			add(effect(f.Knob+c[f.Knob], sd))
			for _, g := range p.Factors[i+1:] {
				add(effect(f.Knob+c[f.Knob]+g.Knob+c[g.Knob], .02))
			}
		}
		add(effect(c.String(), residual))
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
	return s, nil
}

func (s *Space) run(_ context.Context, t plan.Trial) (results.Record, error) {
	off := [2]float64{}
	if s.noise != nil {
		off = s.noise[s.Ran]
	}
	s.Ran++
	p99 := int64(math.Exp(s.p99[t.Cell.String()] + off[1]))
	m := &results.Metrics{Result: loadgen.Result{Duration: 1e9, Throughput: math.Exp(s.throughput[t.Cell.String()] + off[0])}}
	m.Response.P99 = &p99
	return results.Record{Schema: 1, Trial: t, Metrics: m}, nil
}

// Race runs one for throughput within the limit, of most trials at most, and returns how it ends.
func (s *Space) Race(ctx context.Context, most int) (tuner.Standing, error) {
	goal, _ := results.FindMetric("throughput")
	r := tuner.Race(s.Plan, goal, []plan.Limit{{Metric: "p99", Limit: fmt.Sprint(time.Duration(s.limit))}}, most)
	var log []results.Record
	keep := func(rec results.Record) error { log = append(log, rec); return nil }
	if _, err := tuner.Drive(ctx, r, s.run, keep, nil); err != nil {
		return tuner.Standing{}, err
	}
	return r.Standing(log), nil
}

// Best says whether c is the best cell that keeps the limit.
func (s *Space) Best(c plan.Cell) bool {
	return s.throughput[c.String()] == s.best && s.p99[c.String()] <= math.Log(s.limit)
}

// Good says whether c is within 3 % of the best cell and its p99 within a tenth of the limit.
func (s *Space) Good(c plan.Cell) bool {
	return s.throughput[c.String()] >= s.best-math.Log(1.03) && s.p99[c.String()] <= math.Log(1.1*s.limit)
}

// Tally is how races over recorded noise ended.
type Tally struct {
	Races, Good int
	Trials      []float64 // that each took
}

// Races runs so many, each in a space of its own, of most trials at most.
func Races(ctx context.Context, rng *rand.Rand, races int, residual float64, most int) (t Tally, err error) {
	noise := Recorded()
	for range races {
		s, err := NewSpace(rng, residual, noise)
		if err != nil {
			return t, err
		}
		end, err := s.Race(ctx, most)
		if err != nil {
			return t, err
		}
		if t.Races++; len(end.Survivors) > 0 && s.Good(end.Survivors[0]) {
			t.Good++
		}
		t.Trials = append(t.Trials, float64(s.Ran))
	}
	return t, nil
}
