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

// How the search for a capacity goes on. Measured on simulated queues: TestCapacityOfAQueue.
const (
	MostRates   = 60              // trials of one cell, where nothing else is said
	FewestRates = 8               // trials before there is an answer
	UsualRates  = 29              // trials it takes in the mean
	sure        = .9              // how likely the interval holds the threshold
	narrow      = 1.2             // an interval from low to narrow × low is an answer
	beyond      = 1.25            // × what a closed loop reaches is where no open loop gets
	deepest     = 32              // times less than that is where the search begins
	below       = 4               // times less than the lowest rate that can be asked is where the threshold may still lie
	perOctave   = 16              // rates, so that trials at one rate add up, and the rates of cells are the same ones
	achieved    = .01             // of the offered rate may be missing
	lateShare   = .2              // of a limit on a latency is how late the generator itself may be
	fewBeyond   = 40              // requests have to lie beyond a limited percentile
	spare       = 1.1             // times as many are asked for, as arrivals are random
	relaxations = 50              // times the time in which a queue forgets have to be measured
	usualWait   = 5 * time.Second // no longer do the first trials take, unless it is a quarter of the capacity that takes so long
)

// LongestTrial is how long a trial may be, unless the plan's are longer.
const LongestTrial = 30 * time.Second

// Capacity looks for the highest rate at which each cell of p keeps p's limits, in at most so many trials of each cell. A
// closed loop shows first what the cell can do at all; then open-loop trials double the rate until one misses a limit, and
// then ask where the threshold is most likely to be (stats.Threshold), all cells in turn. The plan must not set a rate, and
// some limit must be on a latency.
//
// A trial is of the plan with the rate in its cell and a length of its own, and its id is that of its cell in p. Every trial
// is a block of its own.
func Capacity(p *plan.Plan, most int) (*CapacityStrategy, error) {
	s := &CapacityStrategy{plan: p, cells: p.Cells(), most: most, derived: map[string]plan.Trial{}}
	if most < FewestRates {
		return nil, fmt.Errorf("%d trials of each cell: it takes %d at least, and up to %d", most, FewestRates, MostRates)
	}
	if slices.ContainsFunc(p.Factors, func(f plan.Factor) bool { return f.Knob == "rate" }) {
		return nil, fmt.Errorf("rate: capacity chooses it: leave it out, and arrivals, dispatch and pace with it")
	}
	for _, l := range p.Limits {
		m, ok := results.FindMetric(l.Metric)
		if !ok || m.Unit != "ns" && m.Name != "errors" {
			return nil, fmt.Errorf("limit of %s: capacity knows limits on latencies and on errors", l.Metric)
		}
		s.limits = append(s.limits, limit{m, l.Value()})
		if q, ok := quantiles[m.Name]; ok {
			s.requests = max(s.requests, spare*fewBeyond/(1-q))
		}
	}
	if !slices.ContainsFunc(s.limits, func(l limit) bool { return l.metric.Unit == "ns" }) {
		return nil, fmt.Errorf("no limit on a latency: name one, for example --limit p99=2ms")
	}
	if _, err := s.at("1000", p.Duration); err != nil {
		return nil, fmt.Errorf("capacity chooses the rate: %w", err)
	}
	return s, nil
}

// quantiles of the metrics that are percentiles.
var quantiles = map[string]float64{"p50": .5, "p90": .9, "p99": .99, "p999": .999, "service_p50": .5, "service_p99": .99}

// CapacityStrategy is a Strategy that can say what it has found.
type CapacityStrategy struct {
	plan     *plan.Plan
	cells    []plan.Cell
	limits   []limit
	requests float64 // that a trial has to have
	most     int
	derived  map[string]plan.Trial
}

// Next is one trial of each cell that is not done, in a random order.
func (s *CapacityStrategy) Next(done []results.Record) Step {
	step, _ := s.follow(done)
	return step
}

// Found says how far the search has come with each cell, in the plan's order.
func (s *CapacityStrategy) Found(done []results.Record) (all []results.Capacity) {
	_, hunts := s.follow(done)
	for i := range hunts {
		all = append(all, hunts[i].Capacity)
	}
	return all
}

// hunt is the search for the capacity of one cell.
type hunt struct {
	results.Capacity
	known     *stats.Threshold
	did       float64 // the most it completed per second in a trial
	start     float64 // the rate that is doubled
	ramp      bool    // no trial has missed a limit yet
	undecided int
	failed    int
	over      bool
}

func (s *CapacityStrategy) follow(done []results.Record) (Step, []hunt) {
	before, repeats := index(done)
	hunts := make([]hunt, len(s.cells))
	for i, c := range s.cells {
		hunts[i] = hunt{ramp: true, Capacity: results.Capacity{Cell: c, Verdict: results.Unclear, Level: sure, Rates: []results.AtRate{}}}
	}
	for round := 0; ; round++ {
		step, asking := Step{}, false
		for _, i := range rand.New(rand.NewPCG(s.plan.Seed, uint64(round))).Perm(len(hunts)) {
			h := &hunts[i]
			if h.over {
				continue
			}
			asking = true
			rate := s.next(h, round, i)
			attempt := func(n int) []plan.Trial { return []plan.Trial{s.trial(i, round, n, rate, h.did)} }
			left, why := before.pending(attempt, repeats < Repeats(round+1)*len(hunts))
			if len(left) > 0 {
				h.Why = fmt.Sprintf("the search ended early, after %d of its trials", h.Trials)
				step.Run, step.Why = append(step.Run, left...), cmp.Or(step.Why, why)
				continue
			}
			s.learn(h, rate, before.last(attempt(0)[0].ID))
		}
		if len(step.Run) > 0 {
			step.Left, step.Measuring = s.left(hunts)
			return step, hunts
		}
		if !asking {
			return Step{Stop: fmt.Sprintf("the search for %d capacities is over", len(hunts))}, hunts
		}
	}
}

// last is the record of the last attempt at a trial that was run.
func (p past) last(id string) (r *results.Record) {
	for n := range maxAttempts {
		if next := p[trial{id, n}]; next != nil {
			r = next
		}
	}
	return r
}

// next is the rate to ask of a cell in a round; 0 is a closed loop.
func (s *CapacityStrategy) next(h *hunt, round, cell int) float64 {
	if round == 0 {
		return 0
	}
	if double := h.start * math.Exp2(float64(round-1)); h.ramp && double <= h.Closed*beyond {
		return max(h.Lowest, onGrid(double, math.Round))
	}
	ask := h.known.Ask(rand.New(rand.NewPCG(s.plan.Seed, uint64(round)<<32|uint64(cell))))
	return max(h.Lowest, onGrid(ask, math.Round))
}

// onGrid is the rate next to v of those that are asked, to three digits.
func onGrid(v float64, round func(float64) float64) float64 {
	v = 1000 * math.Exp2(round(perOctave*math.Log2(v/1000))/perOctave)
	scale := math.Pow10(2 - int(math.Floor(math.Log10(v))))
	return math.Round(v*scale) / scale
}

// trial is that of a cell at a rate, as long as the limits need.
func (s *CapacityStrategy) trial(cell, round, attempt int, rate, did float64) plan.Trial {
	level, length := "none", s.plan.Duration
	if rate > 0 {
		level, length = strconv.FormatFloat(rate, 'f', -1, 64), s.length(rate, did)
	}
	key := fmt.Sprintf("%d %d %d %s %s", cell, round, attempt, level, length)
	if t, ok := s.derived[key]; ok {
		return t
	}
	p, err := s.at(level, length)
	if err != nil {
		panic("tuner: " + err.Error()) // it differs from what Capacity tried in a number
	}
	block, c := round*len(s.cells)+cell, p.Cells()[cell]
	all := p.Block(block, attempt)
	t := all[slices.IndexFunc(all, func(t plan.Trial) bool { return t.Cell.String() == c.String() })]
	t.ID, t.Order = plan.ID(s.plan.Digest(), block, c), 0
	s.derived[key] = t
	return t
}

// at is the plan at a rate.
func (s *CapacityStrategy) at(rate plan.Level, length unit.Duration) (*plan.Plan, error) {
	return s.plan.With(plan.Changes{Duration: &length, Knobs: []plan.Factor{{Knob: "rate", Levels: []plan.Level{rate}}}})
}

// longest is how long a trial may be.
func (s *CapacityStrategy) longest() time.Duration {
	return max(LongestTrial, time.Duration(s.plan.Duration))
}

// length is how long a trial at a rate has to be, as far as it may.
func (s *CapacityStrategy) length(rate, did float64) unit.Duration {
	seconds := s.requests / rate
	if rate < did { // else only a miss is believed, and shows soon
		seconds = max(seconds, relaxations*relaxation(rate, did))
	}
	seconds = max(time.Duration(s.plan.Duration).Seconds(), min(seconds, s.longest().Seconds()))
	return unit.Duration(time.Duration(math.Ceil(seconds*1e3)) * time.Millisecond)
}

// left is about how many trials the hunts still take, and how long they measure together: each at a rate that may be asked
// of its cell. Before a cell's closed loop nobody knows how long.
func (s *CapacityStrategy) left(hunts []hunt) (trials int, measuring time.Duration) {
	known := true
	for i := range hunts {
		h := &hunts[i]
		switch {
		case h.over:
		case h.known == nil:
			known = false
			trials += 1 + min(UsualRates, s.most)
		default:
			n := s.further(h)
			trials += n
			for _, p := range []float64{.3, .4, .5, .6, .7} { // as stats.Threshold asks
				measuring += time.Duration(n) * time.Duration(s.length(max(h.Lowest, h.known.Quantile(p)), h.did)) / 5
			}
		}
	}
	if !known {
		measuring = 0
	}
	return trials, measuring
}

// further is about how many trials a hunt still takes. In simulations its interval narrows about as 1/n.
func (s *CapacityStrategy) further(h *hunt) int {
	more := UsualRates - h.Trials
	if h.known.Trials() >= FewestRates {
		more = int(float64(h.Trials) * (math.Log(h.High/h.Low)/math.Log(narrow) - 1))
	}
	return max(1, min(more, s.most-h.Trials))
}

// relaxation is in how many seconds a queue forgets, whose server can do so many requests per second: 1/(μ(1−√ρ)²), of
// M/M/1 (Morse 1955).
func relaxation(rate, can float64) float64 {
	root := 1 - math.Sqrt(rate/can)
	if root <= 0 {
		return math.Inf(1)
	}
	return 1 / (can * root * root)
}

// learn takes in a trial.
func (s *CapacityStrategy) learn(h *hunt, rate float64, r *results.Record) {
	h.Why = ""
	if rate == 0 {
		s.begin(h, r)
		return
	}
	outcome, why := s.judge(h, rate, r)
	h.note(rate, outcome, why)
	switch {
	case r.Metrics == nil:
		h.failed++
	default:
		h.did = max(h.did, r.Metrics.Throughput)
	}
	switch outcome {
	case results.Unclear:
		h.undecided++
	default:
		h.known.Learn(rate, outcome == results.Better)
		h.Low, h.Median, h.High = h.known.Quantile((1-sure)/2), h.known.Quantile(.5), h.known.Quantile((1+sure)/2)
	}
	enough := h.known.Trials() >= FewestRates
	switch {
	case enough && h.High < h.Lowest:
		h.end(results.Worse, "")
	case enough && h.High <= h.Low*narrow && h.Low >= h.Lowest:
		h.Sustained = h.Low
		h.end(results.Better, "")
	case h.failed == maxAttempts && h.failed == h.Trials:
		h.end(results.NoResult, why)
	case h.failed == maxAttempts:
		h.end(results.Unclear, "trials failed: "+why)
	case h.undecided == FewestRates:
		h.end(results.Unclear, why)
	case h.Trials == s.most:
		h.end(results.Unclear, fmt.Sprintf("more trials (--trials %d), longer ones (--duration) or a quieter machine could tell", 2*s.most))
	}
}

func (h *hunt) end(v results.Conclusion, why string) { h.over, h.Verdict, h.Why = true, v, why }

// note counts a trial at its rate.
func (h *hunt) note(rate float64, outcome results.Conclusion, why string) {
	h.Trials++
	i, there := slices.BinarySearchFunc(h.Rates, rate, func(a results.AtRate, rate float64) int { return cmp.Compare(a.Rate, rate) })
	if !there {
		h.Rates = slices.Insert(h.Rates, i, results.AtRate{Rate: rate})
	}
	at := &h.Rates[i]
	at.Trials++
	switch outcome {
	case results.Better:
		at.Kept++
		return
	case results.Worse:
		at.Missed++
		h.ramp = false
	}
	at.Why = why
}

// begin takes in what a closed loop showed.
func (s *CapacityStrategy) begin(h *hunt, r *results.Record) {
	if r.Metrics == nil {
		h.end(results.NoResult, r.Error)
		return
	}
	h.Closed, h.did = r.Metrics.Throughput, r.Metrics.Throughput
	if h.Closed < 1 {
		h.end(results.NoResult, "a closed loop was answered less than once a second")
		return
	}
	long := s.longest()
	h.Lowest = onGrid(max(h.Closed/deepest, s.requests/long.Seconds()), math.Ceil)
	if h.Lowest > h.Closed {
		need := time.Duration(2 * s.requests / h.Closed * 1e9).Round(time.Second)
		h.end(results.Unclear, fmt.Sprintf("a trial of %s is too short for this limit: at the %s/s that a closed loop reaches, %.0f requests take longer; limit a lower percentile, or take --duration %s",
			unit.Duration(long), unit.Rate(math.Round(h.Closed)), s.requests, unit.Duration(need)))
		return
	}
	h.start = max(h.Lowest, min(h.Closed/4, s.requests/usualWait.Seconds()))
	h.known = stats.NewThreshold(h.Lowest/below, h.Closed*beyond)
}

// judge says whether a trial kept the limits, or decides nothing, and why it did not keep them.
func (s *CapacityStrategy) judge(h *hunt, rate float64, r *results.Record) (results.Conclusion, string) {
	m := r.Metrics
	if m == nil {
		return results.Unclear, r.Error
	}
	seconds := float64(max(m.Duration, 1)) / 1e9
	if due := float64(m.Scheduled); due-m.Throughput*seconds > max(achieved*due, float64(m.Connections.Attained)) {
		return results.Worse, fmt.Sprintf("%.0f of %.0f requests were answered in time", m.Throughput*seconds, due)
	}
	limited := false
	for _, l := range s.limits {
		limited = limited || l.metric.Name == "errors"
		v, ok := l.metric.Get(r)
		switch {
		case !ok:
			return results.Unclear, fmt.Sprintf("a trial of %s is too short for this limit: too few requests for %s", r.Spec.Load.Duration, l.metric.Name)
		case v > l.value || l.metric.Censored != nil && l.metric.Censored(r):
			return results.Worse, l.metric.Name + " " + l.metric.Text(r)
		case l.metric.Unit == "ns" && m.Lateness.P99 != nil && float64(*m.Lateness.P99) > lateShare*l.value:
			return results.Worse, "the load generator itself was late, by p99 " + l.metric.Format(float64(*m.Lateness.P99))
		}
	}
	if n := m.Failed + m.TimedOut; n > 0 && !limited {
		return results.Worse, fmt.Sprintf("%d of %d requests failed", n, m.Offered)
	}
	// A queue begins empty: that a short trial misses a limit is to be believed, that it keeps it is not.
	if need := relaxations * relaxation(rate, h.did); seconds < .999*need {
		return results.Unclear, fmt.Sprintf("a trial of %s is too short for this limit: a queue at %.0f%% of what the server can do takes longer to show itself; take a longer --duration",
			r.Spec.Load.Duration, 100*rate/h.did)
	}
	return results.Better, ""
}
