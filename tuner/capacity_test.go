package tuner

import (
	"context"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/unit"
	"github.com/sockbench/sockbench/verify"
)

// queue is a fake server: its p99 is base/(1 − rate/most), times some noise.
type queue struct {
	most, base float64
	noise      func() float64
}

func (q *queue) run(_ context.Context, t plan.Trial) (results.Record, error) {
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

func limited(t *testing.T, p *plan.Plan, limits ...plan.Limit) *plan.Plan {
	t.Helper()
	p, err := p.With(plan.Changes{Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func p99(limit string) plan.Limit { return plan.Limit{Metric: "p99", Limit: limit} }

func capacityOf(t *testing.T, p *plan.Plan, run RunFunc) ([]results.Capacity, []results.Record) {
	t.Helper()
	s, err := Capacity(p, MostRates)
	if err != nil {
		t.Fatal(err)
	}
	var log []results.Record
	if _, err := Drive(t.Context(), s, run, keepIn(&log), nil); err != nil {
		t.Fatal(err)
	}
	return s.Found(log), log
}

func TestCapacityOfAQueue(t *testing.T) {
	for _, sd := range []float64{0, .1} {
		rng := rand.New(rand.NewPCG(1, 2))
		q := &queue{most: 20_000, base: 1e6, noise: func() float64 { return sd * rng.NormFloat64() }}
		found, log := capacityOf(t, limited(t, fourCells(t, 1), p99("5ms")), q.run)
		for _, c := range found {
			truth := 16_000.0 // base/(1 − ρ) is 5 ms at ρ = 0.8
			if c.Cell["TCP_NODELAY"] == "on" {
				truth *= 2
			}
			if math.Abs(math.Log(c.Median/truth)) > math.Log(1.1) || c.Low > truth*1.02 || c.High < truth*.98 || c.Verdict != results.Better || c.Sustained != c.Low || c.Why != "" {
				t.Errorf("noise %v, %s: the truth is %.0f: %+v", sd, c.Cell, truth, c)
			}
		}
		if n := len(log) / 4; n > 40 {
			t.Errorf("noise %v: %d trials of each cell", sd, n)
		}
	}
}

// A server that takes 2 ms for each request, one after another, with p99 within 20 ms: the capacity is that of the steady
// state, by Lindley's recursion, although trials begin empty and are as long as they are. A tenth of them is disturbed by
// pauses that nobody notices.
func TestCapacityIsLindleys(t *testing.T) {
	const service, sessions = 2 * time.Millisecond, 20
	truth := verify.Sustained(service, 20*time.Millisecond, .99, 400_000, 1)
	p, err := plan.New("lindley", 1, 1, 0, unit.Duration(time.Second), []plan.Factor{{Knob: "connections", Levels: []string{"1"}}})
	if err != nil {
		t.Fatal(err)
	}
	found, near, covered, above, trials := 0, 0, 0, 0, 0
	for seed := range uint64(sessions) {
		p, err := p.With(plan.Changes{Seed: &seed, Limits: []plan.Limit{p99("20ms")}})
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(seed, 3))
		all, _ := capacityOf(t, p, func(_ context.Context, t plan.Trial) (results.Record, error) {
			return serveOneByOne(t, service, rng.Float64() < .1), nil
		})
		c := all[0]
		if c.Verdict == results.Better {
			found++
		}
		if math.Abs(c.Median/truth-1) < .1 {
			near++
		}
		if c.Low <= truth && truth <= c.High {
			covered++
		}
		if c.Sustained > truth {
			above++
		}
		trials += c.Trials
	}
	t.Logf("the truth is %.1f/s; found: %d, within 10%%: %d, covered: %d, sustained above it: %d of %d; %.1f trials each", truth, found, near, covered, above, sessions, float64(trials)/sessions)
	if found < sessions*90/100 || near < sessions*95/100 || covered < sessions*85/100 || above > sessions*10/100 {
		t.Errorf("of %d searches %d found something, %d medians are within 10 %% of %.1f/s, %d intervals cover it, %d rates called sustained are above it", sessions, found, near, truth, covered, above)
	}
}

// serveOneByOne is a trial of a server that takes so long for each request. One that is disturbed answers late.
func serveOneByOne(t plan.Trial, service time.Duration, disturbed bool) results.Record {
	length := time.Duration(t.Spec.Load.Duration).Seconds()
	m := &results.Metrics{Result: loadgen.Result{Duration: int64(length * 1e9), Throughput: 1 / service.Seconds()}}
	if rate := float64(t.Spec.Load.Rate); rate > 0 {
		draw := rand.New(rand.NewPCG(t.Seed, uint64(t.Block)))
		var at, works []float64
		for a := draw.ExpFloat64() / rate * 1e9; a < length*1e9; a += draw.ExpFloat64() / rate * 1e9 {
			at, works = append(at, a), append(works, float64(service))
		}
		times := verify.Lindley(at, works, 0)
		inside := 0
		for k := range times {
			if at[k]+times[k] <= length*1e9 {
				inside++
			}
		}
		slices.Sort(times)
		v := int64(times[int(math.Ceil(.99*float64(len(times))))-1])
		if disturbed {
			v *= 3
		}
		m.Scheduled, m.Offered, m.Throughput, m.Response.P99 = int64(len(at)), int64(len(at)), float64(inside)/length, &v
	}
	return results.Record{Schema: 1, Trial: t, Metrics: m}
}

// Trials are as long as the limit needs, and a limit that would need longer ones than half a minute is said to.
func TestCapacityTrialsAreLongEnough(t *testing.T) {
	q := &queue{most: 2000, base: 1e6, noise: func() float64 { return 0 }}
	p := limited(t, fourCells(t, 1), p99("5ms"))
	_, log := capacityOf(t, p, q.run)
	for _, r := range log {
		rate, length := float64(r.Spec.Load.Rate), time.Duration(r.Spec.Load.Duration)
		if rate > 0 && rate*length.Seconds() < 4000 || length > 30*time.Second {
			t.Errorf("at %.0f/s a trial of %s has %.0f requests, want 4,000", rate, length, rate*length.Seconds())
		}
		// Of a queue of half the capacity in the cells with TCP_NODELAY=off.
		if can := q.most; rate > 0 && rate < can && r.Cell["TCP_NODELAY"] == "off" && length < 30*time.Second && length.Seconds() < 50*.999*relaxation(rate, can) {
			t.Errorf("at %.0f/s a trial of %s is shorter than 50 relaxation times", rate, length)
		}
	}
	q.most = 50
	found, log := capacityOf(t, p, q.run)
	if c := found[0]; c.Verdict != results.Unclear || !strings.Contains(c.Why, "too short for this limit") || !strings.Contains(c.Why, "--duration 2m5") {
		t.Errorf("%d trials, %+v", len(log), c)
	}
}

// A trial at nearly all that the server can do, which would have to be longer than may be, decides nothing if it keeps the
// limit; a wider limit than can be asked about ends with that reason.
func TestCapacityBelievesNoShortTrial(t *testing.T) {
	q := &queue{most: 500, base: 1e6, noise: func() float64 { return 0 }}
	found, _ := capacityOf(t, limited(t, fourCells(t, 1), p99("100ms")), q.run)
	if c := found[0]; c.Verdict != results.Unclear || !strings.Contains(c.Why, "too short for this limit") {
		t.Errorf("a limit that is reached at 99 %% of the capacity: %+v", c)
	}
}

// What is left is foreseen, although neither the number of trials nor their length is known: at half the steps within a factor
// of two of what comes, and never more than may be. The first closed loops have to show how long.
func TestCapacityForesees(t *testing.T) {
	p := limited(t, fourCells(t, 1), p99("5ms"))
	rng := rand.New(rand.NewPCG(1, 2))
	for _, most := range []float64{200, 2000, 20_000} { // trials as long as may be, as the limit needs, as the plan has them
		q := &queue{most: most, base: 1e6, noise: func() float64 { return .2 * rng.NormFloat64() }}
		s, err := Capacity(p, MostRates)
		if err != nil {
			t.Fatal(err)
		}
		var log []results.Record
		type sight struct {
			at int
			Step
		}
		var seen []sight
		telling := Telling(s, func(step Step) { seen = append(seen, sight{len(log), step}) })
		if _, err := Drive(t.Context(), telling, q.run, keepIn(&log), nil); err != nil {
			t.Fatal(err)
		}
		if first, last := seen[0], seen[len(seen)-1]; first.Left != 4*(1+UsualRates) || first.Measuring != 0 || last.Left != 0 || last.Measuring != 0 {
			t.Errorf("%v/s: foreseen at first %d trials of %v, at last %d of %v", most, first.Left, first.Measuring, last.Left, last.Measuring)
		}
		near := 0
		for _, f := range seen[1 : len(seen)-1] {
			var really time.Duration
			for _, r := range log[f.at:] {
				really += time.Duration(r.Spec.Load.Duration)
			}
			if 2*f.Measuring > really && f.Measuring < 2*really {
				near++
			}
			if f.Left < len(f.Run) || f.Left > 4*MostRates-(f.at-4) || f.Measuring > time.Duration(f.Left)*LongestTrial {
				t.Errorf("%v/s: after %d trials %d more are foreseen, which measure %v", most, f.at, f.Left, f.Measuring)
			}
		}
		t.Logf("%v/s: %d trials, %d of %d sights within a factor of two", most, len(log), near, len(seen)-2)
		if near < (len(seen)-2)/2 {
			t.Errorf("%v/s: %d of %d sights are within a factor of two of what came", most, near, len(seen)-2)
		}
	}
}

// A cell that misses its limit at the lowest rate is said to, soon.
func TestCapacityOfNothing(t *testing.T) {
	q := &queue{most: 20_000, base: 1e6, noise: func() float64 { return 0 }}
	found, _ := capacityOf(t, limited(t, fourCells(t, 1), p99("900us")), q.run)
	for _, c := range found {
		if c.Verdict != results.Worse || c.Sustained != 0 || c.Trials > 20 || c.Rates[0].Missed == 0 || c.Rates[0].Rate != c.Lowest || c.Rates[0].Why == "" {
			t.Errorf("%+v", c)
		}
	}
}

// Trials that fail decide nothing: a cell of which all fail gave nothing, and does not hold up the others.
func TestCapacityOfTheDead(t *testing.T) {
	q := &queue{most: 20_000, base: 1e6, noise: func() float64 { return 0 }}
	found, log := capacityOf(t, limited(t, fourCells(t, 1), p99("5ms")), func(ctx context.Context, t plan.Trial) (results.Record, error) {
		if t.Cell["connections"] == "1" {
			return results.Record{Schema: 1, Trial: t, Error: "it does not start"}, nil
		}
		if t.Cell["TCP_NODELAY"] == "on" && t.Spec.Load.Rate > 2000 {
			return results.Record{Schema: 1, Trial: t, Error: "it died"}, nil
		}
		return q.run(ctx, t)
	})
	for i, want := range []struct {
		verdict results.Conclusion
		why     string
	}{{results.NoResult, "it does not start"}, {results.NoResult, "it does not start"}, {results.Better, ""}, {results.Unclear, "trials failed: it died"}} {
		if c := found[i]; c.Verdict != want.verdict || c.Why != want.why {
			t.Errorf("%+v, want %+v", c, want)
		}
	}
	if len(log) > 60 {
		t.Errorf("%d trials", len(log))
	}
}

// What records a search leaves is all it takes to go on with it: cut anywhere, it runs the same trials, each once; a cell's
// trials name their rate, and have the id that the plan gives them.
func TestCapacityGoesOn(t *testing.T) {
	p := limited(t, fourCells(t, 1), p99("5ms"))
	q := &queue{most: 20_000, base: 1e6, noise: func() float64 { return 0 }}
	disturbedOnce := func(ctx context.Context, t plan.Trial) (results.Record, error) {
		r, err := q.run(ctx, t)
		if t.Block%7 == 0 && t.Attempt == 0 {
			r.Metrics.Machine.Steal = r.Metrics.Duration / 2
		}
		return r, err
	}
	want, log := capacityOf(t, p, disturbedOnce)
	seen := map[trial]bool{}
	for i, r := range log {
		if key := (trial{r.ID, r.Attempt}); seen[key] || r.ID != plan.ID(p.Digest(), r.Block, r.Cell) {
			t.Errorf("%s, block %d, attempt %d: id %s", r.Cell, r.Block, r.Attempt, r.ID)
		} else {
			seen[key] = true
		}
		if rate := r.Spec.Load.Rate; r.Cell["rate"] != rate.String() && (rate != 0 || r.Cell["rate"] != "none") {
			t.Errorf("%s: at %s/s", r.Cell, rate)
		}
		if i%41 != 0 {
			continue
		}
		s, err := Capacity(p, MostRates)
		if err != nil {
			t.Fatal(err)
		}
		rest := slices.Clone(log[:i])
		if _, err := Drive(t.Context(), s, disturbedOnce, keepIn(&rest), log[:i]); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(ids(rest), ids(log)) || !reflect.DeepEqual(s.Found(rest), want) {
			t.Errorf("cut after %d trials it goes another way", i)
		}
	}
	counting, repeated := results.Counting(log)
	if len(repeated) == 0 || len(counting)+len(repeated) != len(log) {
		t.Errorf("%d trials count and %d were repeated, of %d", len(counting), len(repeated), len(log))
	}
	for _, r := range counting {
		if hit, _ := results.Disturbed(r); hit {
			t.Errorf("block %d, attempt %d: a disturbed trial counts", r.Block, r.Attempt)
		}
	}
}

// The plan that a search's records are of has their cells and no others.
func TestAskedPlan(t *testing.T) {
	p := limited(t, fourCells(t, 1), p99("5ms"))
	q := &queue{most: 20_000, base: 1e6, noise: func() float64 { return 0 }}
	_, log := capacityOf(t, p, q.run)
	m := results.Manifest{Plan: p, Search: &results.Search{Strategy: results.CapacitySearch}}
	asked, err := m.Asked(log)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, r := range log {
		want[r.Cell.String()] = true
	}
	for _, c := range asked.Cells() {
		if !want[c.String()] {
			t.Errorf("%s was not asked", c)
		}
		delete(want, c.String())
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
	rates := asked.Factors[len(asked.Factors)-1]
	if rates.Knob != "rate" || rates.Levels[0] != "none" || len(rates.Levels) > len(log)/2 {
		t.Errorf("%+v", rates)
	}
}

func TestCapacityRefuses(t *testing.T) {
	p := fourCells(t, 1)
	for says, limits := range map[string][]plan.Limit{
		"no limit on a latency":         {{Metric: "errors", Limit: "1%"}},
		"latencies and on errors":       {{Metric: "throughput", Limit: "1k"}},
		"name one, for example --limit": nil,
	} {
		if _, err := Capacity(limited(t, p, limits...), MostRates); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: %v, want %q", limits, err, says)
		}
	}
	p = limited(t, p, p99("5ms"))
	for knob, level := range map[string]string{"rate": "1000", "think": "1ms"} {
		other, err := p.With(plan.Changes{Knobs: []plan.Factor{{Knob: knob, Levels: []string{level}}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Capacity(other, MostRates); err == nil || !strings.Contains(err.Error(), knob) || !strings.Contains(err.Error(), "leave it out") {
			t.Errorf("a plan with %s: %v", knob, err)
		}
	}
	if _, err := Capacity(p, 7); err == nil || !strings.Contains(err.Error(), "8 at least") {
		t.Errorf("7 trials: %v", err)
	}
}
