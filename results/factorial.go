package results

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results/stats"
)

// MetricEffects is what every level of every factor does to one metric, beside its factor's first one, by least squares
// on the metric's logarithm: what holds and what cannot be told. Findings say what is worth knowing of a run; this is all
// of one metric.
type MetricEffects struct {
	Metric       string         `json:"metric"`
	Trials       int            `json:"trials"`  // that it rests on
	Scatter      float64        `json:"scatter"` // standard deviation of the logarithm of trials of one cell, but for the machine's drift
	Effects      []FactorEffect `json:"effects"`
	Interactions []TwoFactors   `json:"interactions"`
	Unbalanced   []string       `json:"unbalanced"`        // what was not run, or cannot be used, in words
	Nothing      string         `json:"nothing,omitempty"` // why there are no effects
}

// FactorEffect is of one level. With more than one part it depends on other factors, and no number is given for all.
type FactorEffect struct {
	Knob    string       `json:"knob"`
	Level   plan.Level   `json:"level"`
	Beside  plan.Level   `json:"beside"`
	Claim   string       `json:"claim"`
	Depends []string     `json:"depends_on,omitempty"` // knobs
	Parts   []EffectPart `json:"parts"`
}

// EffectPart is an effect over all cells that have these levels of other factors.
type EffectPart struct {
	At       plan.Cell      `json:"at"`
	Effect   stats.Interval `json:"effect"` // of Level's metric over Beside's; zero: not told
	Evidence stats.Evidence `json:"evidence"`
	P        float64        `json:"p"`     // uncorrected
	Pairs    int            `json:"pairs"` // of cells
	Of       int            `json:"of"`    // pairs there could be
}

// TwoFactors is an interaction: how many times larger the effect of one level is with the other one.
type TwoFactors struct {
	Knobs    [2]string      `json:"knobs"`
	Levels   [2]plan.Level  `json:"levels"`
	Beside   [2]plan.Level  `json:"beside"`
	Effect   stats.Interval `json:"effect"` // a ratio of ratios
	Evidence stats.Evidence `json:"evidence"`
	P        float64        `json:"p"`
}

// EffectsOn finds the effects on m.
func EffectsOn(m Metric, p *plan.Plan, records []Record) *MetricEffects {
	d := newDesign(m, p, records)
	out := &MetricEffects{Metric: m.Name, Trials: len(d.runs), Effects: []FactorEffect{}, Interactions: []TwoFactors{}}
	if len(d.factors) == 0 {
		out.Nothing = "no factor has several levels"
		return out
	}
	f, err := stats.NewFactorial(d.levels(), d.runs, d.comparable)
	if out.Unbalanced = d.unbalanced(); len(d.runs) == 0 {
		out.Nothing = "no trial can be used"
		return out
	}
	if err != nil {
		out.Nothing = fmt.Sprintf("%s of %s do not say by how much trials scatter: it takes two blocks and more",
			term.Count(len(d.runs), "trial"), term.Count(d.used(), "cell"))
		return out
	}
	if out.Nothing = d.fraction(f); out.Nothing != "" {
		return out
	}
	out.Scatter = f.Sigma
	for _, e := range f.Effects {
		out.Effects = append(out.Effects, d.effect(e))
	}
	for _, t := range f.Interactions {
		x := TwoFactors{Effect: ratioOf(t.Estimate), Evidence: t.Evidence, P: t.P()}
		for i, factor := range t.Factors {
			x.Knobs[i] = d.factors[factor].Knob
			x.Levels[i], x.Beside[i] = d.factors[factor].Levels[t.Levels[i]], d.factors[factor].Levels[t.Beside[i]]
		}
		out.Interactions = append(out.Interactions, x)
	}
	return out
}

// ratioOf is what an estimate of logarithms says; zero without degrees of freedom.
func ratioOf(e stats.Estimate) stats.Interval {
	if e.DF < 1 {
		return stats.Interval{}
	}
	within := e.Within(stats.Confidence)
	return stats.Interval{Ratio: math.Exp(e.Value), Low: math.Exp(e.Value - within), High: math.Exp(min(e.Value+within, mostLog)), Level: stats.Confidence}
}

// mostLog keeps what is multiplied by it a number.
const mostLog = 700

// design is the trials of a run as an experiment on one metric.
type design struct {
	metric  Metric
	plan    *plan.Plan
	factors []plan.Factor // those with several levels
	cells   []plan.Cell
	places  map[string]int      // of the cells, by their levels' places
	blocks  [][]*Record         // trials of each block, by cell
	facts   map[*Record]*fact   // of trials that can be used
	why     []string            // of each cell: why it cannot be used; "": it can
	usable  []int               // trials of each cell
	runs    []stats.Run         // all of them, in the order they were run
	apart   map[[2]int]struct{} // cells that differ in one factor but cannot be compared
}

// unsound is why a trial is left out, but not its cell.
const unsound = "its trials failed, or are not sound"

func newDesign(m Metric, p *plan.Plan, records []Record) *design {
	d := &design{metric: m, plan: p, cells: p.Cells(), places: map[string]int{}, facts: map[*Record]*fact{}, apart: map[[2]int]struct{}{}}
	for _, f := range p.Factors {
		if len(f.Levels) > 1 {
			d.factors = append(d.factors, f)
		}
	}
	trials := byBlock(p, records)
	for _, b := range slices.Sorted(maps.Keys(trials)) {
		d.blocks = append(d.blocks, trials[b])
	}
	var used []*Record
	for i, c := range d.cells {
		d.places[fmt.Sprint(d.place(c))] = i
		of, why := d.usableTrials(i)
		used = append(used, of...)
		d.why, d.usable = append(d.why, why), append(d.usable, len(of))
	}
	slices.SortFunc(used, func(a, b *Record) int {
		return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.Block, b.Block), cmp.Compare(a.Attempt, b.Attempt), cmp.Compare(a.Order, b.Order))
	})
	for i, r := range used {
		d.runs = append(d.runs, stats.Run{Levels: d.place(r.Cell), Order: float64(i), Y: math.Log(d.facts[r].values[0])})
	}
	return d
}

// usableTrials are those of a cell; or why there are none. Trials are left out only for what is no outcome of theirs, or
// else with their whole cell: the rest would be a choice.
func (d *design) usableTrials(cell int) (used []*Record, why string) {
	none := "it has no trial"
	for _, block := range d.blocks {
		r := block[cell]
		if r == nil {
			continue
		}
		if r.Metrics == nil || !sound(r) {
			none = unsound
			continue
		}
		f := factOf(r, []Metric{d.metric})
		switch v := f.values[0]; {
		case d.metric.Name == "throughput" && f.open:
			return nil, "the throughput of an open loop is what was offered"
		case math.IsNaN(v):
			return nil, "it holds too little for " + d.metric.Name
		case f.bounds[0]:
			return nil, "of its " + d.metric.Name + " only a lower bound is known"
		case v <= 0:
			return nil, "its " + d.metric.Name + " is 0, which has no logarithm"
		}
		d.facts[r] = &f
		used = append(used, r)
	}
	if len(used) == 0 {
		return nil, none
	}
	return used, ""
}

// place is a cell's levels, by their places.
func (d *design) place(c plan.Cell) (levels []int) {
	for _, f := range d.factors {
		levels = append(levels, slices.Index(f.Levels, c[f.Knob]))
	}
	return levels
}

func (d *design) levels() (n []int) {
	for _, f := range d.factors {
		n = append(n, len(f.Levels))
	}
	return n
}

// full is how many combinations of levels there are.
func (d *design) full() int {
	n := 1
	for _, levels := range d.levels() {
		n *= levels
	}
	return n
}

// used is how many cells can be.
func (d *design) used() (n int) {
	for _, why := range d.why {
		if why == "" {
			n++
		}
	}
	return n
}

// comparable says whether the trials of two cells are, most of them: as of pairs in findings.
func (d *design) comparable(factor int, x, y []int) bool {
	i, j := d.places[fmt.Sprint(x)], d.places[fmt.Sprint(y)]
	both, yes := 0, 0
	for _, block := range d.blocks {
		a, b := d.facts[block[i]], d.facts[block[j]]
		if a == nil || b == nil {
			continue
		}
		if both++; a.comparable(b, d.metric.Name, d.factors[factor].Knob) {
			yes++
		}
	}
	if both > 0 && 2*yes <= both {
		d.apart[[2]int{i, j}] = struct{}{}
		return false
	}
	return true
}

func (d *design) effect(e *stats.Effect) FactorEffect {
	f := d.factors[e.Factor]
	out := FactorEffect{Knob: f.Knob, Level: f.Levels[e.Level], Beside: f.Levels[e.Beside]}
	leaves := e.Leaves()
	slices.SortStableFunc(leaves, byEvidence)
	for _, l := range leaves {
		p := EffectPart{At: plan.Cell{}, Evidence: l.Evidence, Pairs: l.Pairs, Of: l.Of, P: 1}
		if l.Pairs > 0 {
			p.Effect, p.P = ratioOf(l.Estimate), l.P()
		}
		for i, level := range l.At {
			if level != stats.Every {
				p.At[d.factors[i].Knob] = d.factors[i].Levels[level]
			}
		}
		out.Parts = append(out.Parts, p)
	}
	for _, by := range dependsOn(e) {
		out.Depends = append(out.Depends, d.factors[by].Knob)
	}
	out.Claim = d.claim(e, out)
	return out
}

// dependsOn are the factors by whose levels e is told, in the order they come.
func dependsOn(e *stats.Effect) (factors []int) {
	if len(e.Parts) == 0 {
		return nil
	}
	factors = []int{e.By}
	for _, p := range e.Parts {
		for _, f := range dependsOn(p) {
			if !slices.Contains(factors, f) {
				factors = append(factors, f)
			}
		}
	}
	return factors
}

// byEvidence orders what is told of one level: what is shown first, the largest of that first.
func byEvidence(a, b *stats.Effect) int {
	rank := func(e *stats.Effect) int {
		return slices.Index([]stats.Evidence{stats.Shown, stats.Likely, stats.NotShown, stats.Unknown, stats.Aliased}, e.Evidence)
	}
	if r := cmp.Compare(rank(a), rank(b)); r != 0 || a.Evidence != stats.Shown {
		return r
	}
	return cmp.Compare(math.Abs(b.Value), math.Abs(a.Value))
}
