package compare

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"sort"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/stats"
)

// Difference is something in which two runs differ beside the knobs that are compared.
type Difference struct {
	What string `json:"what"`
	A    string `json:"a"`
	B    string `json:"b"`
}

// Differences are those of two runs: machine, versions, regime, and what the trials of the groups' cells were told.
func Differences(a, b *results.Run, groups []Group, knobs []string) (all []Difference) {
	add := func(what string, x, y any) {
		xs, ys := leaves(x), leaves(y)
		for _, path := range slices.Sorted(maps.Keys(maps.Collect(both(xs, ys)))) {
			if xs[path] != ys[path] {
				d := Difference{what + path, xs[path], ys[path]}
				if !slices.ContainsFunc(all, func(o Difference) bool { return o.What == d.What }) {
					all = append(all, d)
				}
			}
		}
	}
	add("machine", a.Manifest.Machine, b.Manifest.Machine)
	add("version", a.Manifest.Versions, b.Manifest.Versions)
	add("warm-up", a.Manifest.Plan.Warmup, b.Manifest.Plan.Warmup)
	add("duration", a.Manifest.Plan.Duration, b.Manifest.Plan.Duration)
	add("regime", regimes(a.Records), regimes(b.Records))
	if len(knobs) > 0 {
		return all // what the knobs do to a trial's spec is what is compared
	}
	xs, ys := specs(a.Manifest.Plan), specs(b.Manifest.Plan)
	for _, g := range groups {
		for _, pair := range g.Pairs {
			if x, y := xs[pair[0].String()], ys[pair[1].String()]; !reflect.DeepEqual(x, y) {
				add("trials", x, y)
			}
		}
	}
	return all
}

// both yields the keys of two maps.
func both(a, b map[string]string) func(func(string, bool) bool) {
	return func(yield func(string, bool) bool) {
		for _, m := range []map[string]string{a, b} {
			for k := range m {
				if !yield(k, true) {
					return
				}
			}
		}
	}
}

// leaves are the values in what v is as JSON, by their paths.
func leaves(v any) map[string]string {
	text, err := json.Marshal(v)
	var tree any
	if err == nil {
		err = json.Unmarshal(text, &tree)
	}
	if err != nil {
		return map[string]string{"": err.Error()} // a manifest's machine may be anything
	}
	out := map[string]string{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, e := range v {
				walk(path+" "+k, e)
			}
		case []any:
			for i, e := range v {
				walk(fmt.Sprintf("%s %d", path, i), e)
			}
		default:
			out[path] = fmt.Sprint(v)
		}
	}
	walk("", tree)
	return out
}

// regimes are those of the records, in words.
func regimes(records []results.Record) (all []string) {
	for i := range records {
		if m := records[i].Metrics; m != nil && !slices.Contains(all, m.Machine.Regime) {
			all = append(all, m.Machine.Regime)
		}
	}
	sort.Strings(all)
	return all
}

// specs are the trials' by cell, without warm-up and duration, which are the plan's.
func specs(p *plan.Plan) map[string]plan.Spec {
	out := map[string]plan.Spec{}
	for _, t := range p.Block(0, 0) {
		t.Spec.Load.Warmup, t.Spec.Load.Duration = 0, 0
		out[t.Cell.String()] = t.Spec
	}
	return out
}

// SameMachine says whether two runs are of one machine, with the same kernel and settings.
func SameMachine(a, b *results.Manifest) bool {
	x := leaves(a.Machine)
	return len(x) > 1 && maps.Equal(x, leaves(b.Machine))
}

// Session is one run as others of its plan are compared with it: by cell, and by metric, the median of ln metric over its
// sound trials.
type Session struct {
	Dir  string
	logs map[string]map[string]float64
}

// SessionOf reads the metrics off a run.
func SessionOf(run *results.Run, metrics []results.Metric) Session {
	s := Session{run.Dir, map[string]map[string]float64{}}
	for cell, t := range counting(run.Records) {
		s.logs[cell] = map[string]float64{}
		for _, m := range metrics {
			var logs []float64
			for _, b := range t.order {
				if v, _, ok := results.Value(m, t.at[b]); ok {
					logs = append(logs, math.Log(v))
				}
			}
			if slices.Sort(logs); len(logs) > 0 {
				s.logs[cell][m.Name] = stats.Median(logs)
			}
		}
	}
	return s
}

// of is the session's value of one side of a group: the mean of its cells' medians. false: some cell has none.
func (s *Session) of(g *Group, side int, metric string) (v float64, ok bool) {
	for _, pair := range g.Pairs {
		ln, ok := s.logs[pair[side].String()][metric]
		if !ok {
			return 0, false
		}
		v += ln / float64(len(g.Pairs))
	}
	return v, len(g.Pairs) > 0
}

// Sessions is what is known of how runs differ by themselves.
type Sessions struct {
	Found  int      `json:"found"` // other run folders beside the first one
	Counts []string `json:"counts"`
	Needed int      `json:"needed"`
	Why    string   `json:"why,omitempty"` // there is no verdict
}

// Between compares two runs. known are the runs of the first one's plan and machine, that one included, the second not; found
// is how many folders were looked at. refused says why there can be no verdict whatever the sessions; "": there can.
func Between(a, b *results.Run, groups []Group, knobs []string, metrics []results.Metric, same float64, known []Session, found int, refused string) *Result {
	r := &Result{A: a.Dir, B: b.Dir, Knobs: knobs, Same: same, Sessions: &Sessions{Found: found, Counts: []string{}, Needed: stats.FewestSessions, Why: refused}}
	for _, s := range known {
		r.Sessions.Counts = append(r.Sessions.Counts, s.Dir)
	}
	if n := len(known); refused == "" && n < stats.FewestSessions {
		r.Sessions.Why = fmt.Sprintf("how runs of this plan differ on this machine by themselves is not known: that takes %d of them in one folder, and there are %d", stats.FewestSessions, n)
	}
	x, y := SessionOf(a, metrics), SessionOf(b, metrics)
	as, bs := counting(a.Records), counting(b.Records)
	var tested []*Row
	for i := range groups {
		for _, m := range metrics {
			row := Row{Group: &groups[i], Metric: m}
			row.take(as, bs, m)
			row.Pairs = fewest(&groups[i], as, bs)
			r.Rows = append(r.Rows, row)
		}
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		from, ok := x.of(row.Group, 0, row.Metric.Name)
		to, also := y.of(row.Group, 1, row.Metric.Name)
		if !ok || !also {
			row.Note = "not every cell has a sound trial with this metric on both sides"
			continue
		}
		row.Effect = stats.Interval{Ratio: math.Exp(to - from)}
		if row.AtLeast[0] || row.AtLeast[1] {
			row.Note = "some values are only lower bounds"
			continue
		}
		var values []float64
		for _, s := range known {
			if v, ok := s.of(row.Group, 0, row.Metric.Name); ok {
				values = append(values, v)
			}
		}
		if r.Sessions.Why != "" || len(values) < stats.FewestSessions {
			row.Note = noVerdict
			continue
		}
		spread := stats.SpreadOf(values)
		row.Effect, row.p = spread.Interval(to-from, confidence), spread.P(to-from)
		tested = append(tested, row)
	}
	r.adjust(tested)
	r.conclude(as, bs)
	return r
}

// fewest is how many trials the side with fewer has.
func fewest(g *Group, a, b map[string]trials) int {
	n := [2]int{}
	for _, pair := range g.Pairs {
		n[0] += len(a[pair[0].String()].order)
		n[1] += len(b[pair[1].String()].order)
	}
	return min(n[0], n[1])
}
