package stats

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Factorial is what runs of combinations of levels say about each factor. Every combination has a mean of its own, so that
// nothing is taken for granted about which factors act together; the machine's drift is that of Fit. What a level does
// beside its factor's first one, or the first one that it can be compared with, is the mean over the combinations of the
// other levels that were run with both (Montgomery, ch. 5); where that depends on another factor, it is told within each level of that one, and so on.
type Factorial struct {
	Effects      []*Effect      // by factor and level
	Interactions []*Interaction // of two factors, over all levels of the others
	Sigma        float64        // standard deviation of a run
}

// Effect is what Level of Factor does to Y beside another level.
type Effect struct {
	Factor, Level, Beside int

	At        []int    // the level of each factor that it is told at; Every: it is the mean over those that there are
	Pairs, Of int      // combinations that were run with both levels, and how many there could be
	Lacks     [][2]int // factors, and levels of them with which it was not run; only of effects over all
	Aliased   []int    // where there are no Pairs: the factors that change whenever this one does
	Estimate
	Evidence Evidence
	By       int       // the factor that it depends on, if Parts are not empty
	Parts    []*Effect // within the levels of By

	twins [][2]int // places of combinations: with Level, and with Beside
}

// Interaction is by how much more two levels do together than each by itself, beside other levels of their factors.
type Interaction struct {
	Factors, Levels, Beside [2]int
	At                      []int // as of an Effect
	Estimate
	Evidence Evidence
}

// Evidence is what there is for an effect.
type Evidence string

const (
	Shown    Evidence = "shown"     // after Holm's correction for all that is looked at in one step, at ClaimLevel
	Likely   Evidence = "likely"    // for a list: of those, a share of ListLevel is expected to be mistaken
	NotShown Evidence = "not shown" // and no more than the interval holds
	Unknown  Evidence = "too noisy" // the interval is so wide that it says nothing
	Aliased  Evidence = "not told"  // it was never changed alone
)

// Levels of evidence, and the width from which on an interval says nothing.
const (
	ClaimLevel = .01
	ListLevel  = .05
	Confidence = .99
	// Wide is 20 % to either side: what a gate takes for a loss of p99, if nothing else is asked. An interval that could
	// hide one does not say that there is no effect.
	Wide = 1.2
)

// everyRuns is between the knots of the drift.
const everyRuns = 6

// NewFactorial looks at runs of factors with so many levels each, in any order; some combinations may be missing.
// comparable says whether two combinations that differ in one factor alone can be compared; nil: all can. The error is
// ErrAliased where the runs are too few to say how they scatter.
func NewFactorial(levels []int, runs []Run, comparable func(factor int, x, y []int) bool) (*Factorial, error) {
	s := &factorial{levels: levels, place: map[string]int{}, tests: map[string]*Interaction{}}
	var of []int
	for _, r := range runs {
		key := fmt.Sprint(r.Levels)
		if _, ok := s.place[key]; !ok {
			s.place[key] = len(s.combinations)
			s.combinations = append(s.combinations, r.Levels)
		}
		of = append(of, s.place[key])
	}
	m, err := fitCells(of, len(s.combinations), runs, everyRuns)
	if err != nil {
		return nil, err
	}
	s.means = m
	f := &Factorial{Sigma: m.Sigma}
	all := slices.Repeat([]int{Every}, len(levels))
	var open []*Effect
	for factor, n := range levels {
		for level := 1; level < n; level++ {
			e := &Effect{Factor: factor, Level: level, At: all}
			f.Effects = append(f.Effects, e)
			for base := 0; base < level && len(e.twins) == 0; base++ {
				e.Beside = base
				e.twins = s.twins(e, comparable)
			}
			if len(e.twins) == 0 {
				e.Beside = 0
				e.Evidence, e.Aliased = Aliased, s.aliases(e)
				continue
			}
			e.Lacks = s.lacks(e)
			open = append(open, e)
		}
	}
	for first := true; len(open) > 0; first = false {
		next := s.step(open)
		if first {
			f.Interactions = s.inOrder
		}
		open = next
	}
	return f, nil
}

// factorial is a Factorial in the making.
type factorial struct {
	levels       []int
	combinations [][]int // that were run
	place        map[string]int
	means        *cellMeans // of the combinations

	tests   map[string]*Interaction // of this step, by what they are of: each is one of both its factors
	inOrder []*Interaction
}

// twins are the combinations that were run with both of e's levels.
func (s *factorial) twins(e *Effect, comparable func(factor int, x, y []int) bool) (twins [][2]int) {
	for x, levels := range s.combinations {
		if levels[e.Factor] != e.Level {
			continue
		}
		y, ok := s.place[fmt.Sprint(with(levels, e.Factor, e.Beside))]
		if ok && (comparable == nil || comparable(e.Factor, levels, s.combinations[y])) {
			twins = append(twins, [2]int{x, y})
		}
	}
	return twins
}

// with is levels but for that of one factor.
func with(levels []int, factor, level int) []int {
	other := slices.Clone(levels)
	other[factor] = level
	return other
}

// present are the levels of a factor that e's twins have, in order.
func (s *factorial) present(e *Effect, factor int) (levels []int) {
	for _, t := range e.twins {
		if l := s.combinations[t[0]][factor]; !slices.Contains(levels, l) {
			levels = append(levels, l)
		}
	}
	slices.Sort(levels)
	return levels
}

// lacks are the levels of other factors that none of e's twins has.
func (s *factorial) lacks(e *Effect) (missing [][2]int) {
	for factor, n := range s.levels {
		there := s.present(e, factor)
		for level := range n {
			if factor != e.Factor && !slices.Contains(there, level) {
				missing = append(missing, [2]int{factor, level})
			}
		}
	}
	return missing
}

// aliases are the other factors in which combinations with e's levels differ at least.
func (s *factorial) aliases(e *Effect) (factors []int) {
	least := len(s.levels) + 1
	for _, x := range s.combinations {
		for _, y := range s.combinations {
			if x[e.Factor] != e.Level || y[e.Factor] != e.Beside {
				continue
			}
			var others []int
			for f := range x {
				if f != e.Factor && x[f] != y[f] {
					others = append(others, f)
				}
			}
			if len(others) < least {
				least, factors = len(others), nil
			}
			if len(others) == least {
				factors = append(factors, others...)
			}
		}
	}
	slices.Sort(factors)
	return slices.Compact(factors)
}

// step looks at effects and at whether they depend on other factors, corrected together for all of them. It returns the
// parts of those that do, to be looked at in the next step.
func (s *factorial) step(open []*Effect) (next []*Effect) {
	clear(s.tests)
	s.inOrder = nil
	of := make([][]*Interaction, len(open))
	for i, e := range open {
		s.measure(e)
		of[i] = s.interactions(e)
	}
	var p []float64
	for _, e := range open {
		p = append(p, e.P())
	}
	for _, t := range s.inOrder {
		p = append(p, t.P())
	}
	claims, list := Holm(p), BenjaminiHochberg(p)
	for i, e := range open {
		e.Evidence = e.evidence(claims[i], list[i])
	}
	for i, t := range s.inOrder {
		t.Evidence = t.evidence(claims[len(open)+i], list[len(open)+i])
	}
	for i, e := range open {
		shown := slices.DeleteFunc(of[i], func(t *Interaction) bool { return t.Evidence != Shown })
		if len(shown) == 0 {
			continue
		}
		strongest := slices.MinFunc(shown, func(a, b *Interaction) int { return cmp.Compare(b.size(), a.size()) })
		e.By = strongest.Factors[0]
		if e.By == e.Factor {
			e.By = strongest.Factors[1]
		}
		for _, level := range s.present(e, e.By) {
			part := &Effect{Factor: e.Factor, Level: e.Level, Beside: e.Beside, At: with(e.At, e.By, level),
				twins: slices.DeleteFunc(slices.Clone(e.twins), func(t [2]int) bool { return s.combinations[t[0]][e.By] != level })}
			e.Parts = append(e.Parts, part)
		}
		next = append(next, e.Parts...)
	}
	return next
}

// measure estimates e. It is told at what all twins have in common: elsewhere it was not run.
func (s *factorial) measure(e *Effect) {
	e.At, e.Pairs, e.Of = slices.Clone(e.At), len(e.twins), 1
	for factor, n := range s.levels {
		if factor == e.Factor || e.At[factor] != Every {
			continue
		}
		if there := s.present(e, factor); len(there) == 1 {
			e.At[factor] = there[0]
			continue
		}
		e.Of *= n
	}
	e.Estimate = s.contrast(e.twins, nil)
}

// contrast is the mean difference of twins, less that of others.
func (s *factorial) contrast(twins, others [][2]int) Estimate {
	weights := make([]float64, len(s.combinations))
	add := func(twins [][2]int, sign float64) {
		for _, t := range twins {
			weights[t[0]] += sign / float64(len(twins))
			weights[t[1]] -= sign / float64(len(twins))
		}
	}
	add(twins, 1)
	add(others, -1)
	return s.means.contrast(weights)
}

// interactions are of e with each level of each other factor, over twins that differ in that alone.
func (s *factorial) interactions(e *Effect) (all []*Interaction) {
	twin := map[int]int{} // of the place with e's level
	for _, t := range e.twins {
		twin[t[0]] = t[1]
	}
	for factor := range s.levels {
		if factor == e.Factor || e.At[factor] != Every {
			continue
		}
		there := s.present(e, factor)
		for _, level := range there[1:] {
			var here, beside [][2]int
			for _, t := range e.twins {
				levels := s.combinations[t[0]]
				x, ran := s.place[fmt.Sprint(with(levels, factor, there[0]))]
				if y, both := twin[x]; ran && both && levels[factor] == level {
					here, beside = append(here, t), append(beside, [2]int{x, y})
				}
			}
			if len(here) == 0 {
				continue
			}
			t := &Interaction{Factors: [2]int{e.Factor, factor}, Levels: [2]int{e.Level, level}, Beside: [2]int{e.Beside, there[0]}, At: e.At}
			if factor < e.Factor {
				for _, pair := range []*[2]int{&t.Factors, &t.Levels, &t.Beside} {
					pair[0], pair[1] = pair[1], pair[0]
				}
			}
			key := fmt.Sprint(t.Factors, t.Levels, t.Beside, t.At)
			if s.tests[key] == nil {
				t.Estimate = s.contrast(here, beside)
				s.tests[key] = t
				s.inOrder = append(s.inOrder, t)
			}
			all = append(all, s.tests[key])
		}
	}
	return all
}

// size is how many standard errors the interaction has.
func (t *Interaction) size() float64 { return math.Abs(t.Value / t.SE) }

// evidence is what p-values, corrected for claims and for lists, make of an estimate.
func (e Estimate) evidence(claim, list float64) Evidence {
	switch {
	case claim <= ClaimLevel:
		return Shown
	case list <= ListLevel:
		return Likely
	case e.Within(Confidence) > math.Log(Wide):
		return Unknown
	}
	return NotShown
}

// Leaves are the effects that e is told by: its parts, or theirs, or itself.
func (e *Effect) Leaves() (all []*Effect) {
	if len(e.Parts) == 0 {
		return []*Effect{e}
	}
	for _, p := range e.Parts {
		all = append(all, p.Leaves()...)
	}
	return all
}
