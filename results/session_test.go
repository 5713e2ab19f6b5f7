package results

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/unit"
)

// paced are trials of a closed loop, one a block, with so many completions in each of their intervals.
func paced(p *plan.Plan, completed func(block, interval int) float64) (rs []Record) {
	one := fine(p.Block(0, 0)[0], 0)
	for b := range p.Blocks {
		for _, x := range p.Block(b, 0) {
			r, m := one, *one.Metrics
			x.Spec.Load.Warmup = unit.Duration(2e8)
			r.Trial, r.Metrics = x, &m
			m.Interval, m.Intervals = 100_000_000, nil
			for k := range 10 {
				n := completed(b, k)
				m.Intervals = append(m.Intervals, loadgen.Interval{Completed: int64(n), P50: ptr(int64(1e9 / n)), P99: ptr(1e7)})
			}
			rs = append(rs, r)
		}
	}
	return rs
}

func onlyCell(t *testing.T, blocks int) *plan.Plan {
	t.Helper()
	p, err := plan.New("x", 1, blocks, 0, unit.Duration(1e9), []plan.Factor{{Knob: "target", Levels: []string{"epoll"}}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSessions(t *testing.T) {
	p := onlyCell(t, 30)
	noisy := func(mean func(b, k int) float64) func(b, k int) float64 {
		random := rand.New(rand.NewPCG(1, 1))
		return func(b, k int) float64 { return mean(b, k) * (1 + .01*random.NormFloat64()) }
	}
	steady := noisy(func(int, int) float64 { return 10_000 })
	cold := noisy(func(_, k int) float64 { return 10_000 * (1 - .5*math.Exp(-2*float64(k))) })
	halved := noisy(func(b, k int) float64 {
		if b%5 == 0 && k > 4 {
			return 8_000
		}
		return 10_000
	})
	for _, c := range []struct {
		name      string
		completed func(b, k int) float64
		rate      unit.Rate
		opening   int
		unsteady  int
		note      string // "": none
	}{
		{"steady", steady, 0, 0, 0, ""},
		{"cold", cold, 0, 2, 0, "warn  warm_up: in the first 200ms of the measure phase throughput is 0.50, 0.93 of what it is later, by intervals: take --warmup 400ms (target=epoll: 30 trials)"},
		{"cold, open", cold, 20_000, 2, 0, "p50 is 2.00, 1.0"},
		{"halved", halved, 0, 0, 6, "warn  unsteady: in 6 trials throughput changed"},
	} {
		rs := paced(p, c.completed)
		for i := range rs {
			rs[i].Spec.Load.Rate = c.rate
		}
		got := Sessions(rs)
		if len(got) != 1 {
			t.Fatalf("%s: %d sessions", c.name, len(got))
		}
		s := got[0]
		if s.Trials != 30 || s.Opening != c.opening || len(s.Unsteady) < c.unsteady || len(s.Unsteady) > c.unsteady+2 || !reflect.DeepEqual(s.Cell, plan.Cell{"target": "epoll"}) {
			t.Errorf("%s: %+v", c.name, s)
		}
		if note := strings.Join(s.notes(), "\n"); note != c.note && (c.note == "" || !strings.Contains(note, c.note)) {
			t.Errorf("%s: note %q, want %q", c.name, note, c.note)
		}
		rand.New(rand.NewPCG(2, 2)).Shuffle(len(rs), func(i, j int) { rs[i], rs[j] = rs[j], rs[i] })
		if again := Sessions(rs); !reflect.DeepEqual(again, got) {
			t.Errorf("%s: shuffled records say %+v, not %+v", c.name, again, got)
		}
	}
}

func TestSessionsOfWhatSaysNothing(t *testing.T) {
	p := onlyCell(t, 20)
	for name, change := range map[string]func(*Record){
		"the load changes by design": func(r *Record) {
			if err := r.Spec.Load.Arrivals.UnmarshalText([]byte("ramp:1k-20k")); err != nil {
				t.Fatal(err)
			}
		},
		"there was a fault":              func(r *Record) { r.Metrics.Faults = []Aftermath{{Fault: "stall@1s+1s"}} },
		"a trial that failed":            func(r *Record) { r.Metrics = nil },
		"an interval in which nothing":   func(r *Record) { r.Metrics.Intervals[3].Completed = 0 },
		"too few intervals":              func(r *Record) { r.Metrics.Intervals = r.Metrics.Intervals[:9] },
		"the last is no whole interval":  func(r *Record) { r.Metrics.Duration = 950_000_000 },
		"no intervals":                   func(r *Record) { r.Metrics.Intervals, r.Metrics.Interval = nil, 0 },
		"few round trips in an interval": func(r *Record) { r.Metrics.Response.P50 = ptr(10_000_001) },
	} {
		rs := paced(p, func(int, int) float64 { return 1000 })
		if len(Sessions(rs)) != 1 {
			t.Fatal("20 sound trials have no session")
		}
		change(&rs[7])
		if got := Sessions(rs); len(got) != 0 {
			t.Errorf("%s: 19 trials have a session: %+v", name, got)
		}
	}
}

func TestSessionNotesAreShown(t *testing.T) {
	p := onlyCell(t, 20)
	rs := paced(p, func(_, k int) float64 { return float64(1000 + min(k, 1)*1000) })
	cells, err := Summarize(p.Cells(), rs)
	if err != nil {
		t.Fatal(err)
	}
	a := Answer{Cells: cells, Sessions: Sessions(rs), Run: "runs/x"}
	if notes := a.SessionNotes(); len(notes) != 1 || !strings.Contains(notes[0], "warn  warm_up: in the first 100ms of the measure phase throughput is 0.50 of what") {
		t.Errorf("%q", notes)
	}
	var got struct {
		Sessions []struct {
			Cell           map[string]string
			Opening        int
			Opening_ratios []float64
			Unsteady       []string
			Interval_ns    int64
			Warmup         string
		}
	}
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &got); err != nil || len(got.Sessions) != 1 {
		t.Fatalf("%v: %+v", err, got)
	}
	s := got.Sessions[0]
	if s.Opening != 1 || math.Abs(s.Opening_ratios[0]-.5) > 1e-9 || len(s.Opening_ratios) != 6 || s.Unsteady == nil || s.Interval_ns != 1e8 || s.Warmup != "200ms" || s.Cell["target"] != "epoll" {
		t.Errorf("%+v", s)
	}
}

func TestIntervalsOfMergedPercentiles(t *testing.T) {
	p := onlyCell(t, 12)
	rs := paced(p, func(int, int) float64 { return 1000 })
	for i := range rs { // each trial a little slower than the one before
		var us []int64
		for k := range 400 {
			us = append(us, int64(100+2*i)+int64(k)%50)
		}
		rs[i].Histograms = map[string]string{}
		rs[i].Metrics.Response, rs[i].Histograms["response"] = quantity(us, 1000)
	}
	sum := func(rs []Record) CellSummary {
		t.Helper()
		cells, err := Summarize(p.Cells(), rs)
		if err != nil {
			t.Fatal(err)
		}
		return cells[0]
	}
	whole := sum(rs)
	limits, why := whole.Intervals()
	var names []string
	for name, l := range limits {
		names = append(names, name)
		m, _ := FindMetric(name)
		v, _ := m.Get(whole.Merged)
		if !(l.Low <= v && v <= l.High && l.Low < l.High) || l.Level != .95 || l.High-l.Low > 25_000 {
			t.Errorf("%s is %v, its limits %+v", name, v, l)
		}
	}
	slices.Sort(names)
	if want := "p50 p90 p99 p999"; strings.Join(names, " ") != want || why != "" {
		t.Errorf("limits of %q, %q; want those of %s", names, why, want)
	}
	nine := sum(rs[:9])
	if limits, why := nine.Intervals(); limits != nil || !strings.HasPrefix(why, "9 trials: ") {
		t.Errorf("nine trials: %v %q", limits, why)
	}
	if text, err := json.Marshal(Answer{Cells: []CellSummary{whole, nine}}); err != nil || strings.Count(string(text), `"intervals":{"p50":{"low":`) != 1 || strings.Count(string(text), `"no_intervals":"9 trials`) != 1 {
		t.Errorf("%v in %s", err, text)
	}
	rs[3].Metrics.Response.Censored = ptr(140_000)
	bounded := sum(rs)
	if limits, _ := bounded.Intervals(); len(limits) != 1 || limits["p50"].Level == 0 {
		t.Errorf("lower bounds have limits: %v", limits)
	}
	rs[3].Histograms = nil
	lost := sum(rs)
	if limits, why := lost.Intervals(); limits != nil || !strings.Contains(why, rs[3].ID) {
		t.Errorf("a trial without its histogram: %v %q", limits, why)
	}
}

func TestMergedRequestsAreWorthWhatTheTrialsAre(t *testing.T) {
	p := onlyCell(t, 3)
	rs := paced(p, func(int, int) float64 { return 1000 })
	for i := range rs {
		effective(1200)(&rs[i])
		rs[i].Metrics.Validity = Judge(&rs[i])
	}
	doubts := func() string {
		cells, err := Summarize(p.Cells(), rs)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(cells[0].Doubts)
	}
	if got := doubts(); !strings.Contains(got, "60000 requests say as much about p99.9 as 3600 independent ones (it takes 3688)") || strings.Count(got, tooAlike) != 1 {
		t.Errorf("3 · 1200: %s", got)
	}
	effective(1300)(&rs[0])
	if got := doubts(); got != "[]" {
		t.Errorf("3700: %s", got)
	}
	effective(0)(&rs[0])
	if got := doubts(); got != "[]" {
		t.Errorf("not known of one trial: %s", got)
	}
}
