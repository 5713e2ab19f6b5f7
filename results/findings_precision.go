package results

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results/stats"
)

// Scatter is by how much, as a standard deviation of log ratios, pairs of trials of one block differ where nothing
// does: measured with closed loops of 1 s on a busy virtual machine with 2 CPUs, 154 trials in random pairs.
var Scatter = map[string]float64{"throughput": 0.07, "p50": 0.11, "p99": 0.21}

// foreseen are Scatter's metrics in the order they are told.
var foreseen = []string{"p50", "p99", "throughput"}

// Foresee says what a run of so many blocks of p could find, before it is run, from Scatter.
func Foresee(p *plan.Plan, blocks int) string {
	what := extent(p, blocks)
	least := fewestPairs(p)
	if least == 0 {
		return what + ": nothing to compare"
	}
	a := plannedLevel(p, blocks)
	var parts, scatter []string
	for _, name := range foreseen {
		parts = append(parts, told(name, stats.MDE(least*blocks, Scatter[name], a/2)))
		scatter = append(scatter, fmt.Sprintf("%s %.0f%%", name, 100*Scatter[name]))
	}
	if stats.MinP(least*blocks) > a {
		return fmt.Sprintf("%s cannot show an effect of every factor, however large: that takes %s", what, term.Count(FewestBlocks(p), "block"))
	}
	var all []*effect
	for _, c := range comparisons(p) {
		if n := len(c.twins) * blocks; n > 0 {
			all = append(all, slices.Repeat([]*effect{{comparison: c, pairs: n}}, len(compared))...)
		}
	}
	return fmt.Sprintf("%s can show effects of about %s or more%s, where pairs of trials scatter as on a busy virtual machine with 2 CPUs (%s)%s",
		what, strings.Join(parts, ", "), alike(all), strings.Join(scatter, ", "), incapable(all, blocks, a, "may have"))
}

// FewestBlocks is how many it takes at least for a finding about every factor of p; 0: there is nothing to compare.
func FewestBlocks(p *plan.Plan) int {
	least := fewestPairs(p)
	if least == 0 {
		return 0
	}
	blocks := 1
	for stats.MinP(least*blocks) > plannedLevel(p, blocks) {
		blocks++
	}
	return blocks
}

// extent is "6 blocks of 24 cells".
func extent(p *plan.Plan, blocks int) string {
	return term.Count(blocks, "block") + " of " + term.Count(len(p.Cells()), "cell")
}

// alone is Scatter of p50 for trials of one cell, which have no neighbour to be compared with.
const alone = 0.135

// BlocksFor is how many blocks of p make the 99 % interval of every factor's effect on p50 reach about share (0.05:
// 5 %) to either side, going by Scatter. Where there is nothing to compare it is that of the cell's p50 itself.
func BlocksFor(p *plan.Plan, share float64) int {
	least, sigma := fewestPairs(p), Scatter["p50"]
	if least == 0 {
		least, sigma = 1, alone
	}
	return (stats.PairsWithin(sigma, share, confidence) + least - 1) / least
}

// Reach is how far to either side the 99 % interval of the least certain factor's effect reaches, as a share: of each
// comparison the metric that matters most. Where there is nothing to compare it is that of a cell's p50. It goes by
// how far trials scatter, whatever the effects are. false: it is not known, or the blocks are too few for a finding.
func Reach(p *plan.Plan, records []Record) (share float64, ok bool) {
	first := map[*comparison]*effect{}
	s := newStudy(p, records)
	for _, e := range s.effects {
		if f := first[e.comparison]; e.by == "" && (f == nil || e.rank < f.rank) {
			first[e.comparison] = e
		}
	}
	for _, e := range first {
		share = max(share, stats.Within(e.pairs, s.scatter(e), confidence)) // NaN stays
	}
	if len(first) > 0 {
		return share, share < math.Inf(1) && len(s.facts) >= FewestBlocks(p)
	}
	byCell := map[string][]float64{}
	counting, _ := Counting(records)
	for _, r := range counting {
		if r.Metrics != nil && r.Metrics.Response.P50 != nil {
			byCell[r.Cell.String()] = append(byCell[r.Cell.String()], math.Log(float64(*r.Metrics.Response.P50)))
		}
	}
	for _, c := range p.Cells() {
		logs := byCell[c.String()]
		share = max(share, stats.Within(len(logs), stats.Sigma(logs), confidence))
	}
	return share, share < math.Inf(1)
}

// Precision says what a run with these records could have found, from how their pairs scatter: the words beside an
// absence of findings.
func Precision(p *plan.Plan, records []Record) string {
	s := newStudy(p, records)
	what := extent(p, len(s.facts))
	if fewestPairs(p) == 0 {
		return what + ": nothing to compare"
	}
	var parts []string
	for _, name := range foreseen {
		worst := 0.0 // factor
		for _, e := range s.effects {
			if e.by == "" && e.metric.Name == name && stats.MinP(len(e.d)) <= s.least {
				worst = max(worst, stats.MDE(e.pairs, s.scatter(e), s.least/2))
			}
		}
		if worst > 0 {
			parts = append(parts, told(name, worst))
		}
	}
	if s.capable == 0 {
		return fmt.Sprintf("%s cannot show any effect, however large: that takes %d blocks and more", what, max(FewestBlocks(p), len(s.facts)+1))
	}
	rest := incapable(s.effects, len(s.facts), s.least, "have")
	if len(parts) == 0 {
		return what + ": it is not known how far pairs of trials scatter, and so not how small an effect could have been shown" + rest
	}
	return fmt.Sprintf("%s could have shown effects of about %s or more%s%s", what, strings.Join(parts, ", "), alike(s.effects), rest)
}

// alike is what an effect has to be for its size to say whether it is found over all cells: one that is in half of them alone
// may be missed there, however large.
func alike(all []*effect) string {
	if slices.ContainsFunc(all, func(e *effect) bool { return e.by != "" }) {
		return ", alike in all cells"
	}
	return ""
}

// incapable says of how many effects the pairs of so many blocks cannot reach level, whatever they show, and how many blocks
// do for all of them; "": these do. All have pairs.
func incapable(all []*effect, blocks int, level float64, have string) string {
	var over, within []string
	n, fewest := 0, math.MaxInt
	for _, e := range all {
		fewest = min(fewest, e.pairs)
		if stats.MinP(e.pairs) <= level {
			continue
		}
		n++
		if where := e.factor.Knob + " over all cells"; e.by == "" && !slices.Contains(over, where) {
			over = append(over, where)
		}
		if e.by != "" && !slices.Contains(within, e.by) {
			within = append(within, e.by)
		}
	}
	if n == 0 {
		return ""
	}
	if len(within) > 0 {
		over = append(over, "within one level of "+strings.Join(within, ", "))
	}
	takes := fewest
	for stats.MinP(takes) > mistaken/float64(len(all)) {
		takes++
	}
	return fmt.Sprintf("; %d of %d comparisons %s too few pairs to show any, however large (%s): that takes --blocks %d",
		n, len(all), have, strings.Join(over, ", "), (takes*blocks+fewest-1)/fewest)
}

// scatter is by how much e's pairs differ, beside what their cells do.
func (s *study) scatter(e *effect) float64 {
	byCells := map[[2]int][]float64{}
	s.pairs(e, func(cells [2]int, x, y float64) { byCells[cells] = append(byCells[cells], math.Log(x/y)) })
	var off []float64
	for _, d := range byCells {
		if n := float64(len(d)); n > 1 {
			m := middle(d)
			for _, v := range d {
				off = append(off, (v-m)*math.Sqrt(n/(n-1))) // what the centre takes up
			}
		}
	}
	return stats.Sigma(off)
}

// told is "12% on p50".
func told(metric string, share float64) string {
	return fmt.Sprintf("%.0f%% on %s", math.Ceil(100*share), metric)
}

// fewestPairs is of a factor's levels, in one block.
func fewestPairs(p *plan.Plan) int {
	var n []int
	for _, c := range comparisons(p) {
		if c.by == "" && len(c.twins) > 0 {
			n = append(n, len(c.twins))
		}
	}
	if n == nil {
		return 0
	}
	return slices.Min(n)
}

// plannedLevel is the p-value that one effect of a run of p has to reach.
func plannedLevel(p *plan.Plan, blocks int) float64 {
	var least []float64
	for _, c := range comparisons(p) {
		if n := len(c.twins) * blocks; n > 0 {
			least = append(least, slices.Repeat([]float64{stats.MinP(min(n, mostPairs))}, len(compared))...)
		}
	}
	_, a := stats.Capable(least, mistaken)
	return a
}
