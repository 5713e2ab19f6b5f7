package results

import (
	"fmt"
	"strings"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/loadgen"
)

// Aftermath is what a fault did to the load, from when it began to the next one, or to the end of the measure phase.
type Aftermath struct {
	Fault       string  `json:"fault"`
	Noticed     int     `json:"noticed"`             // times the client learned that something is wrong: a request timed out, a connection was lost or not made
	First       *int64  `json:"first_ns"`            // how long after the fault began that was for the first time; nil: never
	P50         *int64  `json:"p50_ns"`              // in the middle
	FalseAlarms int     `json:"false_alarms"`        // of Noticed, those that gave up on a path that came back by itself: all, of a fault that ends
	LostReplies float64 `json:"lost_replies"`        // that would have come at the pace from before the fault
	LostShare   float64 `json:"lost_share"`          // of those that would have come
	Cut         bool    `json:"truncated,omitempty"` // there were more troubles than a record holds
}

// Aftermaths says what each fault of a record's trial did. The pace from before is that of the whole intervals of the
// measure phase before the first fault; where there is none, nothing can be said about lost replies.
func Aftermaths(r *Record) (all []Aftermath) {
	m := r.Metrics
	for i, f := range r.Spec.Faults {
		from, to := int64(f.At), m.Duration
		if i+1 < len(r.Spec.Faults) {
			to = int64(r.Spec.Faults[i+1].At)
		}
		a := Aftermath{Fault: f.String(), Cut: len(m.Troubles) >= loadgen.TroublesMax}
		var after []int64
		for _, t := range m.Troubles {
			if t.At >= from && (t.At < to || i+1 == len(r.Spec.Faults)) {
				after = append(after, t.At-from)
			}
		}
		if a.Noticed = len(after); a.Noticed > 0 {
			a.First, a.P50 = &after[0], &after[len(after)/2]
		}
		if f.For > 0 {
			a.FalseAlarms = a.Noticed
		}
		a.LostReplies, a.LostShare = lostReplies(m, int64(r.Spec.Faults[0].At), from, to)
		all = append(all, a)
	}
	return all
}

// lostReplies compares the replies from one time to another with the pace before the first fault.
func lostReplies(m *Metrics, first, from, to int64) (lost, share float64) {
	before, paced := 0.0, 0
	for ; int64(paced+1)*m.Interval <= first && paced < len(m.Intervals); paced++ {
		before += float64(m.Intervals[paced].Completed)
	}
	if paced == 0 || before == 0 {
		return 0, 0
	}
	pace := before / float64(paced)
	came, n := 0.0, 0.0
	for i, in := range m.Intervals {
		if begin := int64(i) * m.Interval; begin+m.Interval > from && begin < to {
			came, n = came+float64(in.Completed), n+1
		}
	}
	lost = max(pace*n-came, 0)
	return lost, lost / max(pace*n, 1)
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
			noticed += fmt.Sprintf(", %d of them false alarms: the path came back by itself", a.FalseAlarms)
		}
		says = append(says, fmt.Sprintf("%s: %s; %s of the replies lost", a.Fault, noticed, term.Percent(a.LostShare)))
	}
	return judged(true, Note, "%s", strings.Join(says, "; "))
}
