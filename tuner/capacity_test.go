package tuner

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

// queue is a fake server: its p99 is base/(1 − rate/most), times some noise.
type queue struct {
	most, base float64
	noise      func() float64
	lengths    []time.Duration
}

func (q *queue) run(_ context.Context, t plan.Trial) (results.Record, error) {
	q.lengths = append(q.lengths, time.Duration(t.Spec.Load.Duration))
	most := q.most
	if t.Cell["TCP_NODELAY"] == "on" {
		most *= 2
	}
	rate := float64(t.Spec.Load.Rate)
	seconds := time.Duration(t.Spec.Load.Duration).Seconds()
	m := &results.Metrics{Result: loadgen.Result{Duration: int64(seconds * 1e9), Throughput: most}}
	if rate > 0 {
		m.Scheduled, m.Offered = int64(rate*seconds), int64(rate*seconds)
		m.Throughput = min(rate, most)
		p99 := int64(1e12)
		if rate < most {
			p99 = int64(q.base / (1 - rate/most) * math.Exp(q.noise()))
		}
		m.Response.P99 = &p99
	}
	return results.Record{Schema: 1, Trial: t, Metrics: m}, nil
}

func capacityOf(t *testing.T, q *queue, limits ...plan.Limit) ([]Load, []results.Record) {
	t.Helper()
	s, err := Capacity(fourCells(t, 1), limits)
	if err != nil {
		t.Fatal(err)
	}
	var log []results.Record
	if _, err := Drive(t.Context(), s, q.run, keepIn(&log), nil); err != nil {
		t.Fatal(err)
	}
	return s.Loads(log), log
}

func TestCapacityOfAQueue(t *testing.T) {
	for _, sd := range []float64{0, .1} {
		rng := rand.New(rand.NewPCG(1, 2))
		q := &queue{most: 20_000, base: 1e6, noise: func() float64 { return sd * rng.NormFloat64() }}
		loads, log := capacityOf(t, q, plan.Limit{Metric: "p99", Limit: "5ms"})
		for _, l := range loads {
			truth := 16_000.0 // base/(1 − ρ) is 5 ms at ρ = 0.8
			if l.Cell["TCP_NODELAY"] == "on" {
				truth *= 2
			}
			if math.Abs(math.Log(l.Middle/truth)) > math.Log(1.1) || l.Low > truth*1.02 || l.High < truth*.98 || !l.Done || l.Why != "" {
				t.Errorf("noise %v, %s: %.0f (%.0f to %.0f) after %d trials, %s; the truth is %.0f", sd, l.Cell, l.Middle, l.Low, l.High, len(l.Asked), l.Why, truth)
			}
		}
		if n := len(log) / 4; n > 40 {
			t.Errorf("noise %v: %d trials of each cell", sd, n)
		}
	}
}

// Trials are as long as the limit needs, and a limit that would need longer ones than half a minute is said to.
func TestCapacityTrialsAreLongEnough(t *testing.T) {
	q := &queue{most: 2000, base: 1e6, noise: func() float64 { return 0 }}
	_, log := capacityOf(t, q, plan.Limit{Metric: "p99", Limit: "5ms"})
	for _, r := range log {
		rate, seconds := float64(r.Spec.Load.Rate), time.Duration(r.Spec.Load.Duration).Seconds()
		if rate > 0 && rate*seconds < 4000 && seconds < 30 {
			t.Errorf("at %.0f/s a trial of %.1f s has %.0f requests, want 4,000", rate, seconds, rate*seconds)
		}
	}
	q.most = 50
	loads, log := capacityOf(t, q, plan.Limit{Metric: "p99", Limit: "5ms"})
	if loads[0].Done || !strings.Contains(loads[0].Why, "too short for a limit on p99") {
		t.Errorf("%d trials, %+v", len(log), loads[0])
	}
}

func TestCapacityRefuses(t *testing.T) {
	p := fourCells(t, 1)
	for says, limits := range map[string][]plan.Limit{
		"no limit on a latency":         {{Metric: "errors", Limit: "1%"}},
		"latencies and on errors":       {{Metric: "throughput", Limit: "1k"}},
		"name one, for example --limit": nil,
	} {
		if _, err := Capacity(p, limits); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: %v, want %q", limits, err, says)
		}
	}
	rated, err := p.With(plan.Changes{Knobs: []plan.Factor{{Knob: "rate", Levels: []string{"1000"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Capacity(rated, []plan.Limit{{Metric: "p99", Limit: "5ms"}}); err == nil || !strings.Contains(err.Error(), "capacity chooses it") {
		t.Errorf("a plan with a rate: %v", err)
	}
}
