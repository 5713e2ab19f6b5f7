package results

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results/stats"
	"github.com/sockbench/sockbench/unit"
)

// Session is how the trials of one server went from interval to interval, all of them together: what a single trial shows
// is its machine's drift. It looks at throughput, in an open loop, whose throughput is what was offered, at p50.
type Session struct {
	Cell     plan.Cell     `json:"cell"` // what says which server it is
	Metric   string        `json:"metric"`
	Trials   int           `json:"trials"`
	Interval int64         `json:"interval_ns"`
	Warmup   unit.Duration `json:"warmup"`         // before the measure phase
	Opening  int           `json:"opening"`        // intervals from the measure phase's beginning on that still differ from the rest
	Ratios   []float64     `json:"opening_ratios"` // the metric in the first intervals over the rest's, median of the trials
	Unsteady []string      `json:"unsteady"`       // ids of trials whose halves differ otherwise than those of the others

	ids  []string
	logs [][]float64 // of the metric, by trial, by interval
}

// Sessions are those of every server with trials enough, and long enough. Records may be in any order.
func Sessions(records []Record) []Session {
	counting, _ := Counting(records)
	slices.SortFunc(counting, func(a, b *Record) int { return strings.Compare(a.ID, b.ID) })
	byKind := map[string]*Session{}
	for _, r := range counting {
		s, logs, ok := sessionOf(r)
		if !ok {
			continue
		}
		kind := fmt.Sprint(s.Cell, s.Metric, s.Interval, s.Warmup, len(logs))
		if byKind[kind] == nil {
			byKind[kind] = &s
		}
		byKind[kind].ids, byKind[kind].logs = append(byKind[kind].ids, r.ID), append(byKind[kind].logs, logs)
	}
	maps.DeleteFunc(byKind, func(_ string, s *Session) bool { return len(s.ids) < stats.FewestCourses })
	out := []Session{}
	for _, kind := range slices.Sorted(maps.Keys(byKind)) {
		s := *byKind[kind]
		s.judge(len(byKind))
		out = append(out, s)
	}
	return out
}

// judge is for one of so many sessions.
func (s *Session) judge(of int) {
	opening, curve := stats.WarmUp(s.logs, of)
	s.Trials, s.Opening, s.Unsteady = len(s.ids), opening, []string{}
	for _, v := range curve {
		s.Ratios = append(s.Ratios, math.Exp(v))
	}
	for _, i := range stats.Unsteady(s.logs) {
		s.Unsteady = append(s.Unsteady, s.ids[i])
	}
}

// roundTrips is how many response times an interval holds at least: of a few the number is one more or less by when the
// first request left.
const roundTrips = 10

// sessionOf is what session the record is of, and its intervals' logarithms. It is of none where the load changes by
// design, or an interval has no value.
func sessionOf(r *Record) (s Session, logs []float64, ok bool) {
	m := r.Metrics
	_, shaped := r.Spec.Load.Arrivals.SetsRate()
	if m == nil || shaped || len(m.Faults) > 0 || m.Interval <= 0 {
		return s, nil, false
	}
	whole := int(m.Duration / m.Interval) // a shorter one at the end counts less
	if whole < stats.FewestIntervals || whole > len(m.Intervals) {
		return s, nil, false
	}
	s = Session{Cell: plan.Cell{}, Metric: "throughput", Interval: m.Interval, Warmup: r.Spec.Load.Warmup}
	value := func(i loadgen.Interval) float64 { return float64(i.Completed) }
	if open(r) {
		s.Metric = "p50"
		value = func(i loadgen.Interval) float64 {
			if i.P50 == nil {
				return 0
			}
			return float64(*i.P50)
		}
	} else if p50 := m.Response.P50; p50 != nil && *p50*roundTrips > m.Interval {
		return s, nil, false
	}
	for _, knob := range []string{"target", "variant"} {
		if level, named := r.Cell[knob]; named {
			s.Cell[knob] = level
		}
	}
	for _, i := range m.Intervals[:whole] {
		v := value(i)
		if v <= 0 {
			return s, nil, false
		}
		logs = append(logs, math.Log(v))
	}
	return s, logs, true
}

// byChance is the share of steady trials that are taken for unsteady.
const byChance = 0.03

// notes are what it has to say, in words; what chance makes of steady trials is not told.
func (s *Session) notes() (lines []string) {
	where := strings.TrimPrefix(s.Cell.String()+": ", ": ") + term.Count(s.Trials, "trial")
	if s.Opening > 0 {
		var ratios []string
		for _, v := range s.Ratios[:s.Opening] {
			ratios = append(ratios, short(v))
		}
		opening := unit.Duration(int64(s.Opening) * s.Interval)
		lines = append(lines, fmt.Sprintf("%s  warm_up: in the first %s of the measure phase %s is %s of what it is later, by intervals: take --warmup %s (%s)",
			Warn, opening, s.Metric, strings.Join(ratios, ", "), s.Warmup+opening, where))
	}
	if stats.Unlikely(len(s.Unsteady), s.Trials, byChance) {
		lines = append(lines, fmt.Sprintf("%s  unsteady: in %d trials %s changed from the first half to the second, unlike in the others: something happened meanwhile; -o json names them (%s)",
			Warn, len(s.Unsteady), s.Metric, where))
	}
	return lines
}
