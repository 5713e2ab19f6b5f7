package doctor

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/lab"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/stats"
	"github.com/sockbench/sockbench/unit"
)

// seriesTime is how long pairs of equal trials are run.
const seriesTime = 32 * time.Second

// What an effect has to be told from chance by.
const (
	effectLevel = .01 // of a one-sided test: how often there seems to be one where there is none
	rangeLevel  = .95 // of the range within which the scatter of pairs lies
	fewestPairs = 6   // for such a range
)

// horizons are the times for which the smallest effect is told.
var horizons = []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute}

// gauge is a metric, and the effect on it that one wants to see within five minutes, as a share of 1: the thresholds at
// which a loss counts (STATISTICS B: 5 % of throughput, 10 % of p50, 20 % of p99).
var gauges = []struct {
	metric string
	wanted float64
}{{"throughput", .05}, {"p50", .10}, {"p99", .20}}

// series is what came of pairs of trials that differ in nothing.
type series struct {
	pairs [][2]*results.Record
	took  time.Duration // all of it
	cell  plan.Cell
}

// effects measures how much adjacent equal trials differ, and says what follows from it.
func effects(ctx context.Context, e *exam) ([]Line, error) {
	s, err := run(ctx, e.lab, seriesTime, plan.DefaultWarmup, plan.DefaultDuration, e.tell)
	if err != nil {
		return nil, err
	}
	return s.judge(), nil
}

// run makes pairs of adjacent trials of target epoll until the time is over, each with the seed of its pair.
func run(ctx context.Context, l *lab.Lab, long time.Duration, warmup, duration unit.Duration, tell func(what, result string)) (s series, err error) {
	p, err := plan.New("doctor", uint64(time.Now().Unix()), 1, warmup, duration, []plan.Factor{{Knob: "target", Levels: []plan.Level{"epoll"}}})
	if err != nil {
		return s, err
	}
	began := time.Now()
	for n := 0; ; n++ {
		var pair [2]*results.Record
		for i := range pair {
			rec, err := l.Run(ctx, p.Block(n, i)[0])
			if err != nil {
				return s, err
			}
			if rec.Metrics == nil {
				return s, fmt.Errorf("a trial failed: %s: %s", rec.Stage, rec.Error)
			}
			pair[i] = &rec
			throughput, _ := results.FindMetric("throughput")
			tell("equal trials", throughput.Text(&rec)+" requests/s")
		}
		s.pairs, s.took, s.cell = append(s.pairs, pair), time.Since(began), pair[0].Cell
		if s.took+s.took/time.Duration(len(s.pairs)) > long {
			return s, nil
		}
	}
}

// judge says how small an effect can be seen, and what disturbed the trials.
func (s series) judge() []Line {
	calm := slices.DeleteFunc(slices.Clone(s.pairs), func(p [2]*results.Record) bool {
		first, _ := results.Disturbed(p[0])
		second, _ := results.Disturbed(p[1])
		return first || second
	})
	used, from := calm, fmt.Sprintf("%s of equal trials in %.0f s", term.Count(len(calm), "pair"), s.took.Seconds())
	switch {
	case len(calm) < fewestPairs && len(calm) < len(s.pairs):
		used = s.pairs
		from = fmt.Sprintf("%s of equal trials in %.0f s, of which %d were undisturbed", term.Count(len(s.pairs), "pair"), s.took.Seconds(), len(calm))
	case len(calm) < len(s.pairs):
		from += fmt.Sprintf(", %d more were disturbed", len(s.pairs)-len(calm))
	}
	lines := []Line{s.disturbances(len(s.pairs) - len(calm))}
	for _, g := range gauges {
		m, _ := results.FindMetric(g.metric)
		var d []float64
		for _, p := range used {
			a, ok1 := m.Get(p[0])
			b, ok2 := m.Get(p[1])
			if ok1 && ok2 && a > 0 && b > 0 {
				d = append(d, math.Log(b/a))
			}
		}
		l := smallest(g.metric, g.wanted, d, s.took/time.Duration(max(1, len(used))), from)
		if l.Verdict == results.OK && len(used) > len(calm) {
			l.Verdict, l.Fix = results.Note, "look again when others are done"
		}
		lines = append(lines, l)
	}
	return lines
}

// smallest is the line of one metric: d are the logarithms of its ratio in the pairs, each of which takes that long.
func smallest(metric string, wanted float64, d []float64, each time.Duration, from string) Line {
	l := Line{Looked: "smallest effect on " + metric, Disturbs: "comparisons: smaller effects than these are not told from chance in that time",
		Figures: map[string]float64{"pairs": float64(len(d)), "pair_ns": float64(each)}}
	sigma := stats.Sigma(d)
	low, high, ok := scatter(d)
	if !ok {
		l.Verdict, l.Measured = results.Warn, fmt.Sprintf("not known: %s say too little", from)
		return l
	}
	low, high = min(low, sigma), max(high, sigma) // sigma is about the pairs' own median, the range about that of equal trials, 0
	l.Figures["sigma"], l.Figures["sigma_low"], l.Figures["sigma_high"] = sigma, low, high
	var said []string
	five := 0.0
	for _, h := range horizons {
		n := int(h / each)
		v := stats.MDE(n, sigma, effectLevel)
		if h == 5*time.Minute {
			five = v
		}
		if math.IsInf(v, 1) {
			said = append(said, fmt.Sprintf("none in %s", minutes(h)))
			continue
		}
		said = append(said, fmt.Sprintf("%s in %s (%s)", term.Percent(v), minutes(h), term.Count(n, "pair")))
		l.Figures[fmt.Sprintf("effect_%.0fmin", h.Minutes())] = v
	}
	l.Measured = fmt.Sprintf("%s; found in 9 of 10 runs at a level of 1 %%; pairs scatter by %s (%s to %s with 95 %% confidence), from %s",
		strings.Join(said, ", "), term.Percent(sigma), term.Percent(low), term.Percent(high), from)
	if l.Verdict = graded(five > 2*wanted, five > wanted); l.Verdict != results.OK {
		l.Fix = "mend what stands above; then run more pairs (--blocks), which counts by its root, rather than longer trials"
	}
	return l
}

func minutes(d time.Duration) string { return fmt.Sprintf("%.0f min", d.Minutes()) }

// scatter is a range for the standard deviation of d, of whatever distribution around 0, which equal trials have in
// random order: that of the median of the distances from 0, between two of them in their order (stats.Ranks), in the
// units of Sigma. false: too few.
func scatter(d []float64) (low, high float64, ok bool) {
	var off []float64
	for _, v := range d {
		off = append(off, 1.4826*math.Abs(v))
	}
	slices.Sort(off)
	a, b, _, ok := stats.Ranks(int64(len(off)), .5, rangeLevel)
	if !ok || a < 1 {
		return 0, 0, false
	}
	return off[a-1], off[b-1], true
}

// disturbances sums up what the trials' own evidence says of the machine.
func (s series) disturbances(disturbed int) Line {
	var all results.Metrics
	for _, p := range s.pairs {
		for _, r := range p {
			m := r.Metrics
			all.Duration += m.Duration
			all.Machine.Steal += m.Machine.Steal
			all.Machine.ForeignCPU += m.Machine.ForeignCPU
			all.Machine.Hiccups += m.Machine.Hiccups
			all.Machine.HiccupMax = max(all.Machine.HiccupMax, m.Machine.HiccupMax)
			all.Machine.Throttled += m.Machine.Throttled
		}
	}
	share := func(ns int64) string { return term.Percent(float64(ns) / float64(max(all.Duration, 1))) }
	m := all.Machine
	regime := s.pairs[0][0].Metrics.Machine.Regime
	l := Line{Looked: "equal trials", Verdict: graded(m.Throttled > 0 || 2*disturbed > len(s.pairs), disturbed > 0), Disturbs: "the trials it fell on, which a run makes again",
		Measured: fmt.Sprintf("%s in pairs (%s; %s); %s disturbed; in %.0f s of measuring others used %s of a CPU, %s was stolen, %s, the longest %s",
			term.Count(2*len(s.pairs), "trial"), s.cell, regime, term.Count(disturbed, "pair"), float64(all.Duration)/1e9, share(m.ForeignCPU), share(m.Steal),
			term.Count(int(m.Hiccups), "standstill"), term.Duration(float64(m.HiccupMax))),
		Figures: map[string]float64{"trials": float64(2 * len(s.pairs)), "disturbed_pairs": float64(disturbed), "foreign_cpu_ns": float64(m.ForeignCPU),
			"steal_ns": float64(m.Steal), "hiccups": float64(m.Hiccups), "hiccup_max_ns": float64(m.HiccupMax), "throttled_ns": float64(m.Throttled), "measured_ns": float64(all.Duration)}}
	if m.Throttled > 0 {
		l.Verdict, l.Measured = results.Fail, l.Measured+"; a CPU quota stopped them for "+term.Duration(float64(m.Throttled))
	}
	if l.Verdict != results.OK {
		l.Fix = "find out who it was above, and measure when they are done"
	}
	return l
}
