package results

import (
	"fmt"
	"math"
	"slices"
	"strings"

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
	what := fmt.Sprintf("%d blocks of %d cells", blocks, len(p.Cells()))
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
		return fmt.Sprintf("%s are too few for a finding about every factor: it takes %d blocks", what, FewestBlocks(p))
	}
	return fmt.Sprintf("%s can show effects of about %s or more, where pairs of trials scatter as on a busy virtual machine with 2 CPUs (%s)",
		what, strings.Join(parts, ", "), strings.Join(scatter, ", "))
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

// BlocksFor is how many blocks of p make the 99 % interval of every factor's effect on a metric of Scatter reach about
// share (0.05: 5 %) to either side; 0: there is nothing to compare, or the metric is not in Scatter.
func BlocksFor(p *plan.Plan, metric string, share float64) int {
	least, sigma := fewestPairs(p), Scatter[metric]
	if least == 0 || sigma == 0 || share <= 0 {
		return 0
	}
	return (stats.PairsWithin(sigma, share, confidence) + least - 1) / least
}

// Precision says what a run with these records could have found, from how their pairs scatter: the words beside an
// absence of findings.
func Precision(p *plan.Plan, records []Record) string {
	s := newStudy(p, records)
	what := fmt.Sprintf("%d blocks of %d cells", s.blocks, len(p.Cells()))
	if fewestPairs(p) == 0 {
		return what + ": nothing to compare"
	}
	var parts []string
	for _, name := range foreseen {
		worst := 0.0 // factor
		for _, e := range s.effects {
			if e.by == "" && e.metric.Name == name && stats.MinP(len(e.d)) <= s.least {
				worst = max(worst, stats.MDE(len(e.x), e.scatter(), s.least/2))
			}
		}
		if worst > 0 {
			parts = append(parts, told(name, worst))
		}
	}
	if len(parts) == 0 {
		return fmt.Sprintf("%s are too few for a finding: it takes %d blocks and more", what, max(FewestBlocks(p), s.blocks+1))
	}
	return fmt.Sprintf("%s could have shown effects of about %s or more", what, strings.Join(parts, ", "))
}

// scatter is by how much e's pairs differ, beside what their cells do.
func (e *effect) scatter() float64 {
	byCells := map[[2]int][]float64{}
	for i, cells := range e.cells {
		byCells[cells] = append(byCells[cells], math.Log(e.x[i]/e.y[i]))
	}
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
		if c.by == "" && len(c.pairs) > 0 {
			n = append(n, len(c.pairs))
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
		if n := len(c.pairs) * blocks; n > 0 {
			least = append(least, slices.Repeat([]float64{stats.MinP(min(n, mostPairs))}, len(compared))...)
		}
	}
	_, a := stats.Capable(least, mistaken)
	return a
}
