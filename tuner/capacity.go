package tuner

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/stats"
	"github.com/sockbench/sockbench/unit"
)

// How the search for a capacity goes on.
const (
	narrow      = 1.2  // a 90 % interval from low to narrow × low is an answer
	fewestRates = 8    // trials before that
	mostRates   = 60   // trials of one cell
	beyond      = 1.25 // × what a closed loop reaches is where no open loop gets
	deepest     = 64   // times less than that is where the search begins
	achieved    = .99  // of the offered rate has to be answered
	lateShare   = .2   // of a limit on a percentile is how late the generator itself may be
	fewBeyond   = 40   // requests have to lie beyond a limited percentile
	relaxations = 50   // times the time in which a queue forgets have to be measured
	longestWait = 30e9 // ns: no trial is longer
)

// Capacity looks for the highest rate at which each cell of p keeps the limits. A closed loop shows first what the cell
// can do at all; then open-loop trials double the rate until one misses a limit, and then ask where the threshold is most
// likely to be (stats.Threshold), all cells in turn. Trials are as long as the limit needs. The plan must not set a rate,
// and some limit must be on a latency.
func Capacity(p *plan.Plan, limits []plan.Limit) (*CapacityStrategy, error) {
	s := &CapacityStrategy{plan: p, derived: map[string][]plan.Trial{}}
	if slices.ContainsFunc(p.Factors, func(f plan.Factor) bool { return f.Knob == "rate" }) {
		return nil, fmt.Errorf("rate: capacity chooses it; leave it out")
	}
	for _, l := range limits {
		m, ok := results.FindMetric(l.Metric)
		if !ok || m.Unit != "ns" && m.Name != "errors" {
			return nil, fmt.Errorf("limit %s: capacity knows limits on latencies and on errors", l.Metric)
		}
		s.limits = append(s.limits, limit{m, l.Value()})
	}
	if !slices.ContainsFunc(s.limits, func(l limit) bool { return l.metric.Unit == "ns" }) {
		return nil, fmt.Errorf("no limit on a latency: name one, for example --limit p99=2ms")
	}
	return s, nil
}

// CapacityStrategy is a Strategy that can say what it has found.
type CapacityStrategy struct {
	plan    *plan.Plan
	limits  []limit
	derived map[string][]plan.Trial // by rate, length and attempt
}

// Load is what is known about one cell.
type Load struct {
	Cell       plan.Cell
	Low, High  float64 // requests/s: the threshold lies between them with probability 0.9; Low is what the cell sustains
	Middle     float64 // as likely too low as too high
	Saturation float64 // of a closed loop
	Asked      []Asked // in the order they were asked
	Done       bool    // the interval is as narrow as wanted
	Why        string  // not empty: why nothing, or no more, is known
}

// Asked is one trial at a rate.
type Asked struct {
	Rate   float64
	Passed bool
	Why    string // it did not
	Record *results.Record
}

// Next is one trial of each cell that is not done, in a random order.
func (s *CapacityStrategy) Next(done []results.Record) Step {
	step, _ := s.follow(done)
	return step
}

// Loads says how far the search has come with each cell.
func (s *CapacityStrategy) Loads(done []results.Record) []Load {
	_, loads := s.follow(done)
	return loads
}

func (s *CapacityStrategy) follow(done []results.Record) (Step, []Load) {
	before, repeats := index(done)
	cells := s.plan.Cells()
	loads, known := make([]Load, len(cells)), make([]*stats.Threshold, len(cells))
	for i, c := range cells {
		loads[i].Cell = c
	}
	for round := 0; round <= mostRates; round++ {
		var trials []plan.Trial
		why, asking := "", false
		for _, i := range s.order(round) {
			l := &loads[i]
			if l.Done || l.Why != "" {
				continue
			}
			asking = true
			rate := s.rate(l, known[i], round, i)
			attempt := func(n int) []plan.Trial { return s.trial(i, round, n, rate, l.Saturation) }
			left, again := before.pending(attempt, repeats < Repeats(round+1)*len(cells))
			if len(left) > 0 {
				trials, why = append(trials, left...), cmp.Or(why, again)
				continue
			}
			r := before.last(attempt)
			if round == 0 {
				known[i] = s.begin(l, r)
				continue
			}
			s.learn(l, known[i], rate, r)
		}
		if len(trials) > 0 {
			return Step{Run: trials, Why: why}, loads
		}
		if !asking {
			break
		}
	}
	for i := range loads {
		if l := &loads[i]; !l.Done && l.Why == "" {
			l.Why = fmt.Sprintf("after %d trials the interval is still wider than a fifth", len(l.Asked))
		}
	}
	return Step{Stop: fmt.Sprintf("the capacity of %d cells was looked for", len(cells))}, loads
}

// last is the record of the last attempt that was run.
func (p past) last(attempt func(n int) []plan.Trial) (r *results.Record) {
	for n := range maxAttempts {
		if next := p[trial{attempt(n)[0].ID, n}]; next != nil {
			r = next
		}
	}
	return r
}

// order is that of the cells in a round.
func (s *CapacityStrategy) order(round int) []int {
	return rand.New(rand.NewPCG(s.plan.Seed, uint64(round))).Perm(len(s.plan.Cells()))
}

// rate is what to ask of a cell in a round, with three digits; 0 is a closed loop.
func (s *CapacityStrategy) rate(l *Load, t *stats.Threshold, round, cell int) float64 {
	if round == 0 {
		return 0
	}
	if ramp := l.Saturation / deepest * math.Exp2(float64(round)); !slices.ContainsFunc(l.Asked, func(a Asked) bool { return !a.Passed }) && ramp <= l.Saturation*beyond {
		return threeDigits(ramp)
	}
	return threeDigits(t.Ask(rand.New(rand.NewPCG(s.plan.Seed, uint64(round)<<32|uint64(cell)))))
}

func threeDigits(v float64) float64 {
	scale := math.Pow10(2 - int(math.Floor(math.Log10(v))))
	return max(1, math.Round(v*scale)/scale)
}

// trial is that of a cell at a rate: of the plan with the rate, and as long as the limits need.
func (s *CapacityStrategy) trial(cell, round, attempt int, rate, saturation float64) []plan.Trial {
	text := strconv.FormatFloat(rate, 'f', -1, 64)
	length := s.length(rate, saturation)
	key := fmt.Sprint(cell, round, attempt, text)
	if t, ok := s.derived[key]; ok {
		return t
	}
	p := s.plan
	if rate > 0 {
		if at, err := s.plan.With(plan.Changes{Duration: &length, Knobs: []plan.Factor{{Knob: "rate", Levels: []plan.Level{text}}}}); err == nil {
			p = at
		}
	}
	c := p.Cells()[cell].String()
	trials := slices.DeleteFunc(p.Block(round, attempt), func(t plan.Trial) bool { return t.Cell.String() != c })
	s.derived[key] = trials
	return trials
}

// length is how long a trial at rate has to be: 40 requests beyond each limited percentile, and 50 relaxation times of a
// queue with one server, 1/(μ(1−√ρ)²) (Morse 1955), as far as that is within half a minute.
func (s *CapacityStrategy) length(rate, saturation float64) unit.Duration {
	ns := float64(s.plan.Duration)
	for _, l := range s.limits {
		if q, ok := quantiles[l.metric.Name]; ok {
			ns = max(ns, 1.1e9*fewBeyond/(1-q)/rate)
		}
	}
	if root := 1 - math.Sqrt(rate/saturation); root > 0 {
		ns = max(ns, relaxations*1e9/(saturation*root*root))
	}
	return unit.Duration(time.Duration(min(ns, max(longestWait, float64(s.plan.Duration)))).Round(time.Millisecond))
}

// quantiles of the metrics that are percentiles.
var quantiles = map[string]float64{"p50": .5, "p90": .9, "p99": .99, "p999": .999, "service_p50": .5, "service_p99": .99}

// begin takes in what a closed loop showed.
func (s *CapacityStrategy) begin(l *Load, r *results.Record) *stats.Threshold {
	if r.Metrics == nil {
		l.Why = r.Error
		return nil
	}
	if l.Saturation = r.Metrics.Throughput; l.Saturation < 1 {
		l.Why = "a closed loop was answered less than once a second"
		return nil
	}
	for _, lim := range s.limits {
		if q, ok := quantiles[lim.metric.Name]; ok && fewBeyond/(1-q)/l.Saturation*1e9 > max(longestWait, float64(s.plan.Duration)) {
			l.Why = fmt.Sprintf("a trial is too short for a limit on %s: at the %s/s that a closed loop reaches, %d requests take longer than 30 s; limit a lower percentile, or take --duration %s",
				lim.metric.Name, unit.Rate(l.Saturation), int(fewBeyond/(1-q)), time.Duration(2e9*fewBeyond/(1-q)/l.Saturation).Round(time.Second))
			return nil
		}
	}
	return stats.NewThreshold(l.Saturation/deepest, l.Saturation*beyond)
}

// learn takes in a trial at a rate.
func (s *CapacityStrategy) learn(l *Load, t *stats.Threshold, rate float64, r *results.Record) {
	why := s.missed(rate, r)
	l.Asked = append(l.Asked, Asked{rate, why == "", why, r})
	t.Learn(rate, why == "")
	l.Low, l.Middle, l.High = t.Quantile(.05), t.Quantile(.5), t.Quantile(.95)
	l.Done = t.Trials() >= fewestRates && l.High/l.Low <= narrow
}

// missed says why a trial did not pass; "": it did.
func (s *CapacityStrategy) missed(rate float64, r *results.Record) string {
	if r.Metrics == nil {
		return r.Error
	}
	m := r.Metrics
	if m.Throughput < achieved*float64(m.Scheduled)*1e9/float64(max(m.Duration, 1)) {
		return fmt.Sprintf("%s/s of %s/s were answered in time", unit.Rate(m.Throughput), unit.Rate(rate))
	}
	limited := false
	for _, l := range s.limits {
		limited = limited || l.metric.Name == "errors"
		v, ok := l.metric.Get(r)
		switch {
		case !ok:
			return "too few requests for " + l.metric.Name
		case v > l.value:
			return l.metric.Name + " " + l.metric.Text(r)
		case l.metric.Unit == "ns" && m.Lateness.P99 != nil && float64(*m.Lateness.P99) > lateShare*l.value:
			return "the load generator was late by p99 " + l.metric.Format(float64(*m.Lateness.P99))
		}
	}
	if n := m.Failed + m.TimedOut; n > 0 && !limited {
		return fmt.Sprintf("%d of %d requests failed", n, m.Offered)
	}
	return ""
}
