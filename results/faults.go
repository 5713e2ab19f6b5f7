package results

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/loadgen"
)

// Aftermath is what a fault did to the load, from when it began to the next one, or to the end of the trial.
type Aftermath struct {
	Fault       string  `json:"fault"`
	Noticed     int     `json:"noticed"`             // times the client learned that something is wrong: a request timed out, a connection was lost or not made
	First       *int64  `json:"first_ns"`            // how long after the fault began that was for the first time; nil: never. Merged: the median of the trials that noticed
	FalseAlarms int     `json:"false_alarms"`        // of Noticed, those that gave up on a path that came back by itself: all, of a fault that ends
	Expected    float64 `json:"expected_replies"`    // inside the measure phase, at the pace from before the first fault; 0: there is no such pace
	Lost        float64 `json:"lost_replies"`        // of those, how many did not come
	Cut         bool    `json:"truncated,omitempty"` // there were more troubles than a record holds
	Trials      int     `json:"-"`                   // that this is of, where they are merged
}

// lostShare is the share of the expected replies that did not come.
func (a *Aftermath) lostShare() float64 { return a.Lost / max(a.Expected, 1) }

// Aftermaths says what each fault of a record's trial did. The pace from before is that of the whole intervals of the
// measure phase before the first fault.
func Aftermaths(r *Record) (all []Aftermath) {
	m, faults := r.Metrics, r.Spec.Faults
	for i, f := range faults {
		from, to, last := int64(f.At), m.Duration, i+1 == len(faults)
		if !last {
			to = int64(faults[i+1].At)
		}
		a := Aftermath{Fault: f.String(), Cut: len(m.Troubles) >= loadgen.TroublesMax, Trials: 1}
		for _, t := range m.Troubles {
			if t.At < from || t.At >= to && !last {
				continue
			}
			if a.Noticed++; a.First == nil {
				after := t.At - from
				a.First = &after
			}
		}
		if f.For > 0 {
			a.FalseAlarms = a.Noticed
		}
		came, n := intervals(m, from, to)
		a.Expected = pace(m, int64(faults[0].At)) * n
		a.Lost = max(a.Expected-came, 0)
		all = append(all, a)
	}
	return all
}

// pace is the replies of an interval before a time, in the mean of the whole ones.
func pace(m *Metrics, until int64) float64 {
	sum, n := 0.0, 0
	for ; int64(n+1)*m.Interval <= until && n < len(m.Intervals); n++ {
		sum += float64(m.Intervals[n].Completed)
	}
	return sum / float64(max(n, 1))
}

// intervals are the replies of the intervals that one time to another touches, and how many these are.
func intervals(m *Metrics, from, to int64) (replies, n float64) {
	for i, in := range m.Intervals {
		if begin := int64(i) * m.Interval; begin+m.Interval > from && begin < to {
			replies, n = replies+float64(in.Completed), n+1
		}
	}
	return replies, n
}

// mergeAftermaths adds up what the same faults did in several trials.
func mergeAftermaths(records []*Record) (all []Aftermath) {
	var first [][]int64
	for _, r := range records {
		for i, a := range r.Metrics.Faults {
			if i == len(all) {
				all, first = append(all, Aftermath{Fault: a.Fault}), append(first, nil)
			}
			to := &all[i]
			to.Noticed += a.Noticed
			to.FalseAlarms += a.FalseAlarms
			to.Expected += a.Expected
			to.Lost += a.Lost
			to.Cut = to.Cut || a.Cut
			to.Trials++
			if a.First != nil {
				first[i] = append(first[i], *a.First)
			}
		}
	}
	for i, times := range first {
		if len(times) > 0 {
			slices.Sort(times)
			all[i].First = &times[len(times)/2]
		}
	}
	return all
}

// detection is how long the fault took to be noticed that took longest of those that were.
func detection(m *Metrics) (ns float64, noticed bool) {
	for _, a := range m.Faults {
		if a.First != nil {
			ns, noticed = max(ns, float64(*a.First)), true
		}
	}
	return ns, noticed
}

func falseAlarms(m *Metrics) (perTrial float64, faults bool) {
	for _, a := range m.Faults {
		perTrial += float64(a.FalseAlarms) / float64(max(a.Trials, 1))
	}
	return perTrial, len(m.Faults) > 0
}

func repliesLost(m *Metrics) (share float64, known bool) {
	var all Aftermath
	for _, a := range m.Faults {
		all.Expected += a.Expected
		all.Lost += a.Lost
	}
	return all.lostShare(), all.Expected > 0
}

// befell says what faults did.
func befell(r *Record) (Doubt, bool) {
	if len(r.Metrics.Faults) == 0 {
		return Doubt{}, false
	}
	var says []string
	for _, a := range r.Metrics.Faults {
		noticed := "never noticed"
		if a.First != nil {
			noticed = fmt.Sprintf("first noticed after %s, %d times in all", term.Duration(float64(*a.First)), a.Noticed)
		}
		if a.FalseAlarms > 0 {
			noticed += ", false alarms: the path came back by itself"
		}
		says = append(says, fmt.Sprintf("%s: %s; %s of the replies lost", a.Fault, noticed, term.Percent(a.lostShare())))
	}
	return judged(true, Note, "%s", strings.Join(says, "; "))
}
