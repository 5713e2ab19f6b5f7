package results

import (
	"cmp"
	"math"
	"slices"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results/stats"
)

// Finding is the one shape of every conclusion. Cells[0] is the better side, Cells[1] what it is compared with; each
// holds the knobs that all trials of its side share. Effect is Cells[0]'s metric over Cells[1]'s.
type Finding struct {
	Code    string         `json:"code"` // "effect", or "conditional_effect": at one level of another factor
	Claim   string         `json:"claim"`
	Metric  string         `json:"metric"`
	Cells   []plan.Cell    `json:"cells"`
	Effect  stats.Interval `json:"effect"` // zero: none
	Verdict Conclusion     `json:"verdict"`
	Pairs   int            `json:"pairs"`
	Needs   int            `json:"needs"`         // blocks that would settle what is unclear; 0: nothing is
	Try     string         `json:"try"`           // a command to paste; "": none
	Why     string         `json:"why,omitempty"` // the evidence that moved with it, filled in by results/explain
}

// Conclusion is what a comparison says about its Cells[0].
type Conclusion string

const (
	Better  Conclusion = "better"
	Worse   Conclusion = "worse"
	Same    Conclusion = "same"
	Unclear Conclusion = "unclear"

	NoResult Conclusion = "failed" // there is nothing to conclude from
)

const (
	mistaken     = 0.01 // the probability that a run in which nothing differs has any finding
	confidence   = 0.99 // of the intervals shown
	mostFindings = 3
)

// worth is the least effect, as a log ratio, that is worth a sentence.
var worth = math.Log(1.05)

// Findings compares the levels of each factor, in pairs of trials of one block whose cells differ in nothing else, and
// where two factors interact, one of them at each level of the other. It states what exact signed-rank tests show after
// Holm's correction for all comparisons that could have shown anything, strongest first, one per factor.
// A finding says what holds for these records' machine and load, in whatever order they come.
func Findings(p *plan.Plan, records []Record) []Finding { return newStudy(p, records).findings() }

func (s *study) findings() []Finding {
	var stated []*effect
	all := s.candidates()
	for _, e := range all {
		repeats := func(o *effect) bool { return o.factor.Knob == e.factor.Knob }
		told := func(o *effect) bool { return e.about(o) && s.plainer(o, e) }
		if len(stated) < mostFindings && !slices.ContainsFunc(stated, repeats) && !slices.ContainsFunc(all, told) {
			stated = append(stated, e)
		}
	}
	var out []Finding
	for _, e := range stated {
		out = append(out, s.finding(e))
	}
	return out
}

// candidates are the effects to be stated, strongest first; of those of one comparison on several metrics only one.
func (s *study) candidates() []*effect {
	groups := map[*comparison][]*effect{}
	for _, e := range s.effects {
		if s.states(e) {
			groups[e.comparison] = append(groups[e.comparison], e)
		}
	}
	var out []*effect
	for _, g := range groups {
		out = append(out, s.primary(g))
	}
	slices.SortFunc(out, func(a, b *effect) int {
		return cmp.Or(cmp.Compare(s.strength(b), s.strength(a)), cmp.Compare(a.place, b.place))
	})
	return out
}

// states says whether e is shown, is worth a sentence, and is true as it would be said: an effect that depends on
// another factor's level is told for each of its levels, one that does not is told once.
func (s *study) states(e *effect) bool {
	if !e.shown || math.Abs(math.Log(s.interval(e).Ratio)) < worth {
		return false
	}
	if e.by != "" {
		return slices.ContainsFunc(s.siblings(e), func(o *effect) bool { return s.differ(e, o) })
	}
	for _, f := range s.plan.Factors {
		group := s.conditional[e.kin(f.Knob)]
		for i, a := range group {
			if slices.ContainsFunc(group[i+1:], func(b *effect) bool { return s.differ(a, b) }) {
				return false
			}
		}
	}
	return true
}

// differ says whether the effects of one comparison at two levels of another factor are shown to be different.
func (s *study) differ(a, b *effect) bool {
	i, j := s.interval(a), s.interval(b)
	return i != (stats.Interval{}) && j != (stats.Interval{}) && (i.High < j.Low || j.High < i.Low) &&
		math.Abs(math.Log(i.Ratio/j.Ratio)) >= worth
}

// primary is the effect that names the finding: of the metric that matters most for the factor, unless it moves less
// than half as much as another.
func (s *study) primary(group []*effect) *effect {
	most := 0.0
	for _, e := range group {
		most = max(most, s.strength(e))
	}
	first := group[0]
	for _, e := range group {
		enough, before := s.strength(e) >= most/2, s.strength(first) >= most/2
		if enough && !before || enough == before && e.rank < first.rank {
			first = e
		}
	}
	return first
}

// strength is how far from no difference the effect is at least, as a log ratio.
func (s *study) strength(e *effect) float64 {
	i := s.interval(e)
	return max(math.Log(i.Low), -math.Log(i.High), 0)
}

// plainer says which of two effects about one thing is told: the one that is least to be seen elsewhere, as that says
// what it takes; of equals, the stronger one.
func (s *study) plainer(a, b *effect) bool {
	elsewhere := func(e *effect) (most float64) {
		for _, o := range s.siblings(e) {
			if o.shown {
				most = max(most, s.strength(o))
			}
		}
		return most
	}
	return cmp.Or(cmp.Compare(elsewhere(a), elsewhere(b)), cmp.Compare(s.strength(b), s.strength(a)), cmp.Compare(a.place, b.place)) < 0
}

// about says whether both conditional effects tell of one combination of levels that differs from its neighbours.
func (e *effect) about(o *effect) bool {
	if e.by != o.factor.Knob || o.by != e.factor.Knob {
		return false
	}
	better, worse := e.levels()
	otherBetter, otherWorse := o.levels()
	return e.at == otherBetter && o.at == better || e.at == otherWorse && o.at == worse
}
