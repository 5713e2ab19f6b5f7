// Package compare says how two sides differ: cells of one run, in pairs of trials of one block, or two runs of one machine,
// against how much runs differ there by themselves. Pure functions of records; whoever renders takes a Result.
package compare

import (
	"cmp"
	"math"
	"slices"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/explain"
	"github.com/sockbench/sockbench/results/stats"
)

const (
	mistaken   = 0.01 // the probability that a comparison in which nothing differs says better or worse of anything
	confidence = 0.99 // of the intervals shown
	mostPairs  = 128  // of one test; of more, means of as many neighbours each
)

// Metrics are those compared where none is named.
var Metrics = []string{"throughput", "p50", "p99", "server_cpu_per_request"}

// SameWithin is the usual margin: an interval that lies within it says that the sides are the same.
const SameWithin = 0.05

// Group is cells that are compared as one: each pair differs in the named knobs only.
type Group struct {
	Label string
	Whole bool         // of all cells, beside groups of single ones
	Cells [2]plan.Cell // what all cells of a side share
	Pairs [][2]plan.Cell
}

// Result is what a comparison says.
type Result struct {
	A, B        string    // folders; B "": both sides are of A
	Sides       [2]string // what tells them apart
	Knobs       []string  // by which the sides differ
	Same        float64   // the margin, as a share
	Verdict     string    // of the second side: better, worse, mixed, same or unclear
	Rows        []Row
	Differences []Difference // beside the knobs, that were accepted
	Sessions    *Sessions    // between runs
	Left        [2]int       // cells of either side that have no partner
	Pivot       bool         // rows are of groups that Table made
}

// Row is one group and one metric. Ratios are of the second side over the first.
type Row struct {
	Group   *Group
	Metric  results.Metric
	Values  [2]float64     // medians of the trials' own values; NaN: not supported
	AtLeast [2]bool        // that are only lower bounds
	Effect  stats.Interval // Ratio 0: none; Level 0: too few pairs for an interval
	Pairs   int            // of trials; between runs how many trials the side with fewer has
	Verdict results.Conclusion
	Needs   int    // blocks that would settle what is unclear; 0: nothing is, or blocks would not
	Note    string // why there is no verdict
	Moved   []explain.Shift

	d []float64 // ln ratios, by pair
	p float64
}

// Inside compares groups of one run's cells, by blocks.
func Inside(run *results.Run, groups []Group, knobs []string, metrics []results.Metric, same float64) *Result {
	byCell := counting(run.Records)
	r := &Result{A: run.Dir, Knobs: knobs, Same: same}
	blocks := 0
	for i := range groups {
		for _, m := range metrics {
			row := Row{Group: &groups[i], Metric: m}
			row.take(byCell, byCell, m)
			for _, pair := range groups[i].Pairs {
				xs, ys := byCell[pair[0].String()], byCell[pair[1].String()]
				for _, b := range xs.order {
					if y := ys.at[b]; y != nil {
						if ln, ok := results.Ratio(m, xs.at[b], y, knobs...); ok {
							row.d = append(row.d, ln)
						}
					}
					blocks = max(blocks, len(xs.order))
				}
			}
			row.Pairs = len(row.d)
			r.Rows = append(r.Rows, row)
		}
	}
	r.testPairs(blocks)
	r.conclude(byCell, byCell)
	return r
}

// testPairs holds every row's pairs against no difference, and all of them together to mistaken: exact signed ranks, Holm's
// correction over the rows that could have shown anything.
func (r *Result) testPairs(blocks int) {
	ranks := map[int]stats.SignedRank{}
	var least []float64
	for i := range r.Rows {
		row := &r.Rows[i]
		row.d = stats.Means(row.d, mostPairs)
		if n := len(row.d); n > 0 && ranks[n] == nil {
			ranks[n] = stats.NewSignedRank(n)
		}
		least = append(least, stats.MinP(len(row.d)))
	}
	capable, level := stats.Capable(least, mistaken)
	if capable == 0 {
		level = mistaken / float64(max(1, len(r.Rows)))
	}
	var tested []*Row
	for i := range r.Rows {
		row := &r.Rows[i]
		if len(row.d) == 0 {
			row.Note = "no pair of sound trials to compare"
			if row.Metric.Name == "throughput" && !math.IsNaN(row.Values[0]) {
				row.Note = "not compared: it is what was offered, or what both sides' CPUs set together"
			}
			continue
		}
		var ok bool
		if row.Effect, ok = ranks[len(row.d)].Interval(row.d, confidence); !ok {
			row.Effect = stats.Interval{Ratio: math.Exp(stats.Median(stats.Walsh(row.d)))}
		}
		if row.p = 1; least[i] <= level {
			row.p = ranks[len(row.d)].P(row.d)
			tested = append(tested, row)
		}
		perBlock := max(1, len(row.Group.Pairs))
		// What would show a difference as large as this one looks; or, where it looks smaller than the margin, one of the margin.
		share := max(r.Same, math.Expm1(math.Abs(math.Log(row.Effect.Ratio))))
		pairs := stats.Pairs(stats.Sigma(row.d)*math.Sqrt(float64(row.Pairs)/float64(len(row.d))), share, level/2)
		row.Needs = max((pairs+perBlock-1)/perBlock, blocks+1)
	}
	r.adjust(tested)
}

// adjust replaces the rows' p-values by Holm's, and judges all rows that have an effect.
func (r *Result) adjust(tested []*Row) {
	var p []float64
	for _, row := range tested {
		p = append(p, row.p)
	}
	for i, adjusted := range stats.Holm(p) {
		tested[i].p = adjusted
	}
	margin := math.Log1p(r.Same)
	for i := range r.Rows {
		row := &r.Rows[i]
		e := row.Effect
		switch {
		case row.Note != "":
			row.Needs = 0
			continue
		case e.Level > 0 && math.Log(e.Low) >= -margin && math.Log(e.High) <= margin:
			row.Verdict = results.Same
		case row.p <= mistaken && (e.Ratio < 1) == row.Metric.Lower:
			row.Verdict = results.Better
		case row.p <= mistaken:
			row.Verdict = results.Worse
		default:
			row.Verdict = results.Unclear
			continue
		}
		row.Needs = 0
	}
}

// conclude sums the verdicts up, and finds what moved with those that differ.
func (r *Result) conclude(a, b map[string]trials) {
	seen := map[results.Conclusion]bool{}
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Group.Whole == r.Rows[0].Group.Whole {
			seen[row.Verdict] = true
		}
		if row.Verdict != results.Better && row.Verdict != results.Worse {
			continue
		}
		var from, to []*results.Record
		for _, pair := range row.Group.Pairs {
			xs, ys := a[pair[0].String()], b[pair[1].String()]
			for _, n := range xs.order {
				if x, y := xs.at[n], ys.at[n]; y != nil && x.Metrics != nil && y.Metrics != nil {
					from, to = append(from, x), append(to, y)
				}
			}
		}
		row.Moved = explain.Moved(from, to)
	}
	switch better, worse := seen[results.Better], seen[results.Worse]; {
	case better && worse:
		r.Verdict = "mixed"
	case better:
		r.Verdict = string(results.Better)
	case worse:
		r.Verdict = string(results.Worse)
	case seen[results.Same] && !seen[results.Unclear]:
		r.Verdict = string(results.Same)
	default:
		r.Verdict = string(results.Unclear)
	}
}

// Settled says whether any row has a verdict.
func (r *Result) Settled() bool {
	return slices.ContainsFunc(r.Rows, func(row Row) bool { return row.Verdict != "" && row.Verdict != results.Unclear })
}

// take sets the medians of both sides' trials.
func (row *Row) take(a, b map[string]trials, m results.Metric) {
	for side, of := range []map[string]trials{a, b} {
		var values []float64
		for _, pair := range row.Group.Pairs {
			all := of[pair[side].String()]
			for _, n := range all.order {
				if v, ok := m.Get(all.at[n]); ok {
					values = append(values, v)
					row.AtLeast[side] = row.AtLeast[side] || m.Censored != nil && m.Censored(all.at[n])
				}
			}
		}
		slices.Sort(values)
		row.Values[side] = stats.Median(values)
	}
}

// trials are a cell's that count, by block.
type trials struct {
	order []int
	at    map[int]*results.Record
}

func counting(records []results.Record) map[string]trials {
	byCell := map[string]trials{}
	all, _ := results.Counting(records)
	for _, r := range all {
		key := r.Cell.String()
		t, ok := byCell[key]
		if !ok {
			t.at = map[int]*results.Record{}
		}
		t.at[r.Block] = r
		t.order = append(t.order, r.Block)
		byCell[key] = t
	}
	for _, t := range byCell {
		slices.Sort(t.order)
	}
	return byCell
}

// Orders are the ways to sort rows, the first being the usual one.
var Orders = []string{"plan", "ratio", "verdict"}

// Sort puts rows in one of Orders; those of all cells stay first.
func (r *Result) Sort(order string) {
	words := []results.Conclusion{results.Worse, results.Better, results.Unclear, results.Same, ""}
	distance := func(row Row) float64 {
		if row.Effect.Ratio == 0 {
			return -1
		}
		return math.Abs(math.Log(row.Effect.Ratio))
	}
	slices.SortStableFunc(r.Rows, func(a, b Row) int {
		switch {
		case a.Group.Whole != b.Group.Whole:
			if a.Group.Whole {
				return -1
			}
			return 1
		case order == "ratio":
			return cmp.Compare(distance(b), distance(a))
		case order == "verdict":
			return cmp.Compare(slices.Index(words, a.Verdict), slices.Index(words, b.Verdict))
		}
		return 0
	})
}
