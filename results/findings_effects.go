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
	pairs  [][2]int   // cells that differ in nothing but the factor: indices of the plan's cells, x's first
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
						whole.pairs = append(whole.pairs, [2]int{a, b})
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
			for _, pair := range c.pairs {
				if cells[pair[0]][f.Knob] == level {
					part.pairs = append(part.pairs, pair)
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
	rank   int       // of the metric, for this factor; 0 matters most
	d      []float64 // ln(x's value / y's), by pair; of many pairs, means of as many each
	x, y   []float64 // their values, by pair
	cells  [][2]int  // of each pair
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
	blocks  int // that have a trial
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
	blocks := byBlock(p, records)
	s.blocks = len(blocks)
	for _, c := range comparisons(p) {
		for rank, name := range compared {
			if m, ok := FindMetric(name); ok {
				e := &effect{comparison: c, metric: m, rank: rank}
				if slices.Contains(models, c.factor.Knob) && name == "server_cpu_per_request" {
					e.rank = -1
				}
				if e.measure(blocks) {
					s.effects = append(s.effects, e)
					if e.by != "" {
						s.conditional[e.kin(e.by)] = append(s.conditional[e.kin(e.by)], e)
					}
				}
			}
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

// measure takes the pairs in, and says whether there are any. Which pairs it leaves out never depends on which side is
// which: otherwise the choice would be an effect.
func (e *effect) measure(blocks map[int][]*Record) bool {
	for _, b := range slices.Sorted(maps.Keys(blocks)) {
		for _, pair := range e.pairs {
			x, y := blocks[b][pair[0]], blocks[b][pair[1]]
			if x == nil || y == nil || x.Metrics == nil || y.Metrics == nil || !comparable(e, x, y) {
				continue
			}
			v, ok := e.metric.Get(x)
			w, also := e.metric.Get(y)
			if !ok || !also {
				return false // the rest would be a choice of cells
			}
			if v <= 0 || w <= 0 {
				continue
			}
			if bound := e.metric.Censored; bound != nil && (bound(x) || bound(y)) {
				if less := v < w; v == w || less && bound(x) || !less && bound(y) {
					continue // it may be either way
				}
				e.bound = true
			}
			e.x, e.y, e.d, e.cells = append(e.x, v), append(e.y, w), append(e.d, math.Log(v/w)), append(e.cells, pair)
		}
	}
	e.d = means(e.d)
	return len(e.d) > 0
}

// means are of as many neighbours each as bring their number down to mostPairs.
func means(d []float64) []float64 {
	size := (len(d) + mostPairs - 1) / mostPairs
	if size < 2 {
		return d
	}
	var out []float64
	for group := range slices.Chunk(d, size) {
		sum := 0.0
		for _, v := range group {
			sum += v
		}
		out = append(out, sum/float64(len(group)))
	}
	return out
}

const (
	fewErrors   = 0.01 // of the requests, so that percentiles are of about all of them
	sameStarved = 0.10 // of the connections: sides may differ by so much in how many they never served
)

// ofRegime are the knobs that a regime is made of: between their levels it differs by design.
var ofRegime = []string{"cpus", "keep_awake", "real_time"}

// comparable says whether the difference of two records is the factor's.
func comparable(e *effect, x, y *Record) bool {
	if x.Metrics.Machine.Regime != y.Metrics.Machine.Regime && !slices.Contains(ofRegime, e.factor.Knob) || math.Abs(starved(x)-starved(y)) > sameStarved {
		return false
	}
	if e.metric.Name == "throughput" && (open(x) || open(y)) {
		return false // it is what was offered
	}
	if e.metric.Name != "server_cpu_per_request" && slices.Contains(models, e.factor.Knob) && (atLimit(x) || atLimit(y)) {
		return false
	}
	return sound(x) && sound(y)
}

// sound says whether the record's numbers are what they say.
func sound(r *Record) bool {
	failed := float64(r.Metrics.Failed+r.Metrics.TimedOut) / float64(max(r.Metrics.Offered, 1))
	return failed <= fewErrors && !slices.ContainsFunc(r.Metrics.Validity, func(d Doubt) bool { return d.Verdict == Fail })
}

func starved(r *Record) float64 {
	c := r.Metrics.Connections
	if d, ok := connectionsStarved(r); !ok || d.Verdict == OK {
		return 0
	}
	return 1 - float64(c.Served)/float64(c.Attained)
}

// atLimit says whether CPU time sets the pace of a closed loop: throughput and latency are then CPU per request said
// differently, of both sides together. A server with two CPUs for itself may be paced by how it uses them.
func atLimit(r *Record) bool {
	if open(r) {
		return false
	}
	client, _ := r.Metrics.ClientBusy()
	server, _ := r.Metrics.ServerBusy()
	cpus := r.Metrics.Server.CPUs
	apart := len(cpus) > 1 && !slices.ContainsFunc(cpus, func(n int) bool { return slices.Contains(r.Metrics.Client.CPUs, n) })
	return client > busyServer || server > busyServer && !apart
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
	for i, adjusted := range stats.Holm(p) {
		tested[i].shown = adjusted <= mistaken
	}
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
