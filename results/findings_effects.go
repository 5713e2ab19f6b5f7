package results

import (
	"maps"
	"math"
	"slices"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results/stats"
)

// comparison is two levels of a factor, over all cells or those with one level of another factor.
type comparison struct {
	factor plan.Factor
	x, y   plan.Level
	by     string     // the other factor; "": over all cells
	at     plan.Level // its level
	twins  [][2]int   // cells that differ in nothing but the factor: indices of the plan's cells, x's first
	place  int        // in the order of the plan
}

// comparisons lists all there are, without and with conditions.
func comparisons(p *plan.Plan) (all []*comparison) {
	cells := p.Cells()
	for _, f := range p.Factors {
		twins := map[string]map[plan.Level]int{} // by the rest of the cell, by f's level
		var order []string
		for i, c := range cells {
			level := c[f.Knob]
			delete(c, f.Knob)
			rest := c.String()
			c[f.Knob] = level
			if twins[rest] == nil {
				twins[rest] = map[plan.Level]int{}
				order = append(order, rest)
			}
			twins[rest][level] = i
		}
		for i, x := range f.Levels {
			for _, y := range f.Levels[i+1:] {
				whole := &comparison{factor: f, x: x, y: y}
				for _, rest := range order {
					a, hasA := twins[rest][x]
					b, hasB := twins[rest][y]
					if hasA && hasB {
						whole.twins = append(whole.twins, [2]int{a, b})
					}
				}
				all = append(append(all, whole), whole.conditional(p.Factors, cells)...)
			}
		}
	}
	for i, c := range all {
		c.place = i
	}
	return all
}

func (c *comparison) conditional(factors []plan.Factor, cells []plan.Cell) (all []*comparison) {
	for _, f := range factors {
		if f.Knob == c.factor.Knob || len(f.Levels) < 2 {
			continue
		}
		for _, level := range f.Levels {
			part := &comparison{factor: c.factor, x: c.x, y: c.y, by: f.Knob, at: level}
			for _, pair := range c.twins {
				if cells[pair[0]][f.Knob] == level {
					part.twins = append(part.twins, pair)
				}
			}
			all = append(all, part)
		}
	}
	return all
}

// effect is a comparison on one metric.
type effect struct {
	*comparison
	metric Metric
	column int       // of the metric in compared
	rank   int       // of the metric, for this factor; 0 matters most
	pairs  int       // of trials, that count
	d      []float64 // ln(x's value / y's), by pair; of many pairs, means of as many each
	bound  bool      // some worse value is only a lower bound, and the effect too

	shown    bool
	interval *stats.Interval // of x's value over y's, once it was asked for; zero: too few pairs
}

// levels are the factor's, the better one first. The effect must have an interval.
func (e *effect) levels() (better, worse plan.Level) {
	if (e.interval.Ratio < 1) == e.metric.Lower {
		return e.comparison.x, e.comparison.y
	}
	return e.comparison.y, e.comparison.x
}

// compared are the metrics, in the order they name a finding.
var compared = []string{"p50", "p99", "throughput", "server_cpu_per_request"}

// models are the knobs by which servers differ in how they use CPUs. They are ranked by CPU per request first.
var models = []string{"target", "via", "workers", "listener"}

// study is all effects of a run.
type study struct {
	plan    *plan.Plan
	facts   [][]fact // of each block that has a trial, by cell
	effects []*effect
	least   float64 // the p-value that one effect has to reach, when all are corrected for
	capable int     // effects that can

	conditional map[kin][]*effect
	ranks       map[int]stats.SignedRank
}

// mostPairs bounds the work of one test. The means of a few pairs each are as good differences as pairs.
const mostPairs = 128

func newStudy(p *plan.Plan, records []Record) *study {
	s := &study{plan: p, conditional: map[kin][]*effect{}, ranks: map[int]stats.SignedRank{}}
	var metrics []Metric
	for _, name := range compared {
		m, _ := FindMetric(name) // all of them are in All
		metrics = append(metrics, m)
	}
	s.gather(records, metrics)
	var all []*effect
	for _, c := range comparisons(p) {
		for i, m := range metrics {
			e := &effect{comparison: c, metric: m, column: i, rank: i}
			if slices.Contains(models, c.factor.Knob) && m.Name == "server_cpu_per_request" {
				e.rank = -1
			}
			all = append(all, e)
		}
	}
	OnAllCPUs(len(all), func(i int) { s.measure(all[i]) })
	for _, e := range all {
		if len(e.d) == 0 {
			continue
		}
		s.effects = append(s.effects, e)
		if e.by != "" {
			s.conditional[e.kin(e.by)] = append(s.conditional[e.kin(e.by)], e)
		}
	}
	s.test()
	return s
}

// byBlock holds the records that count: of each block, those of the plan's cells in their order, nil where there is none.
func byBlock(p *plan.Plan, records []Record) map[int][]*Record {
	place := map[string]int{}
	for i, c := range p.Cells() {
		place[c.String()] = i
	}
	blocks := map[int][]*Record{}
	counting, _ := Counting(records)
	for _, r := range counting {
		if blocks[r.Block] == nil {
			blocks[r.Block] = make([]*Record, len(place))
		}
		if i, ok := place[r.Cell.String()]; ok {
			blocks[r.Block][i] = r
		}
	}
	return blocks
}

// gather finds the facts of the trials that count.
func (s *study) gather(records []Record, metrics []Metric) {
	blocks := byBlock(s.plan, records)
	for _, b := range slices.Sorted(maps.Keys(blocks)) {
		facts := make([]fact, len(blocks[b]))
		for i, r := range blocks[b] {
			if r != nil && r.Metrics != nil {
				facts[i] = factOf(r, metrics)
			}
		}
		s.facts = append(s.facts, facts)
	}
}

// measure takes e's pairs in, if there are any.
func (s *study) measure(e *effect) {
	var d []float64
	if s.pairs(e, func(_ [2]int, x, y float64) { d = append(d, math.Log(x/y)) }) {
		e.pairs, e.d = len(d), stats.Means(d, mostPairs)
	}
}

// pairs yields e's pairs of trials: their cells, and their values. Which pairs it leaves out never depends on which side is
// which: otherwise the choice would be an effect. false: some trial has no value.
func (s *study) pairs(e *effect, take func(cells [2]int, x, y float64)) bool {
	for _, block := range s.facts {
		for _, cells := range e.twins {
			x, y := &block[cells[0]], &block[cells[1]]
			if x.record == nil || y.record == nil || !x.comparable(y, e.metric.Name, e.factor.Knob) {
				continue
			}
			v, w := x.values[e.column], y.values[e.column]
			if math.IsNaN(v) || math.IsNaN(w) {
				return false // the rest would be a choice of cells
			}
			if use, bound := decided(v, w, x.bounds[e.column], y.bounds[e.column]); use {
				e.bound = e.bound || bound
				take(cells, v, w)
			}
		}
	}
	return true
}

// values are both sides' of all of e's pairs.
func (s *study) values(e *effect) (x, y []float64) {
	s.pairs(e, func(_ [2]int, v, w float64) { x, y = append(x, v), append(y, w) })
	return x, y
}

// test says which effects are shown.
func (s *study) test() {
	var least []float64
	for _, e := range s.effects {
		least = append(least, stats.MinP(len(e.d)))
	}
	s.capable, s.least = stats.Capable(least, mistaken)
	var tested []*effect
	var p []float64
	for i, e := range s.effects {
		if least[i] <= s.least {
			tested = append(tested, e)
			p = append(p, s.signedRank(len(e.d)).P(e.d))
		}
	}
	any := false
	for i, adjusted := range stats.Holm(p) {
		tested[i].shown = adjusted <= mistaken
		any = any || tested[i].shown
	}
	if !any {
		return
	}
	for _, e := range s.effects {
		s.signedRank(len(e.d)) // before they are read on several CPUs
	}
	OnAllCPUs(len(s.effects), func(i int) { s.interval(s.effects[i]) })
}

func (s *study) signedRank(n int) stats.SignedRank {
	if s.ranks[n] == nil {
		s.ranks[n] = stats.NewSignedRank(n)
	}
	return s.ranks[n]
}

// interval is of x's value over y's; zero where there are too few pairs.
func (s *study) interval(e *effect) stats.Interval {
	if e.interval == nil {
		i, _ := s.signedRank(len(e.d)).Interval(e.d, confidence)
		e.interval = &i
	}
	return *e.interval
}

// kin is what the effects of one comparison at the levels of another factor share.
type kin struct {
	factor, by, metric string
	x, y               plan.Level
}

func (e *effect) kin(by string) kin {
	return kin{e.factor.Knob, by, e.metric.Name, e.comparison.x, e.comparison.y}
}

// siblings are the effects of e's comparison at the other levels of the factor that conditions it.
func (s *study) siblings(e *effect) (others []*effect) {
	for _, o := range s.conditional[e.kin(e.by)] {
		if o != e {
			others = append(others, o)
		}
	}
	return others
}
