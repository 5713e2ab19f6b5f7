package tuner

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/stats"
)

// How a race goes on. Measured on simulated spaces of 48 cells: tunertest.
const (
	promising = 12 // cells that the model keeps
	fewCells  = 15 // below, no cell is left out for what a model says
	fairStart = 3  // blocks before a cell is dropped by its own trials

	unlikely  = .025
	slack     = .10 // by how much, in ln, the model may expect a limit to be missed
	everyRuns = 6   // between the knots of the drift
)

// worthwhile is the least difference of goals that matters, in ln.
var worthwhile = math.Log1p(results.Worthwhile)

// Race looks for the cell with the best goal among those that keep the limits, in few trials: one block of all cells, a
// model of main effects and pairs of factors fitted to it, and then blocks of the promising cells, from which cells drop
// out that are shown to be worse than the best one, or to miss a limit, by t intervals within blocks whose scatter is
// learned from all survivors together (after F-Race, Birattari 2002; intervals of each pair's own scatter need a third
// more trials). One that is shown to be worse by less than 3 % stays. It ends when one is left, when no survivor can be
// 3 % better than the best, or before the block that would be beyond most trials, among which repeats of disturbed blocks
// do not count. The intervals are not corrected for the looks: they steer the search, and prove nothing.
func Race(p *plan.Plan, goal results.Metric, limits []plan.Limit, most int) *RaceStrategy {
	r := &RaceStrategy{plan: p, goal: goal, most: most, place: map[string]int{}, blocks: map[[2]int][]entrant{}}
	cells := p.Cells()
	for i, c := range cells {
		r.place[c.String()] = i
		changes := 0
		for knob, level := range c {
			if level != cells[0][knob] {
				changes++
			}
		}
		r.changes = append(r.changes, changes)
	}
	for _, l := range limits {
		if m, ok := results.FindMetric(l.Metric); ok {
			r.limits = append(r.limits, limit{m, l.Value()})
		}
	}
	return r
}

// RaceStrategy is a Strategy that can say how the race stands.
type RaceStrategy struct {
	plan    *plan.Plan
	goal    results.Metric
	limits  []limit
	most    int
	place   map[string]int // of each cell in the plan
	changes []int          // of each cell, by its place: knobs that are not as in the first one
	blocks  map[[2]int][]entrant
}

// entrant is a trial of a block, and its cell's place.
type entrant struct {
	plan.Trial
	cell int
}

// block is what the plan's Block gives, made once.
func (r *RaceStrategy) block(n, attempt int) []entrant {
	key := [2]int{n, attempt}
	if r.blocks[key] == nil {
		for _, t := range r.plan.Block(n, attempt) {
			r.blocks[key] = append(r.blocks[key], entrant{t, r.place[t.Cell.String()]})
		}
	}
	return r.blocks[key]
}

type limit struct {
	metric results.Metric
	value  float64
}

// Standing is how a race stands after some records.
type Standing struct {
	Survivors []plan.Cell // the winner first, and behind it the best first
	Keeps     bool        // whether the winner keeps the limits; false: no survivor does
	Dropped   []Dropped
	Blocks    int // that are whole
	Trials    int
	Stop      string // why it is over; "": it is not
}

// Dropped is a cell that is out of the race, and why.
type Dropped struct {
	Cell  plan.Cell
	Block int // after which, from 0
	Why   string
	Blind bool // its trials do not show what the race is about
}

// Next is the first block of the survivors that is not whole.
func (r *RaceStrategy) Next(done []results.Record) Step {
	step, _ := r.follow(done)
	return step
}

// Standing follows the race through records.
func (r *RaceStrategy) Standing(done []results.Record) Standing {
	_, s := r.follow(done)
	return s
}

func (r *RaceStrategy) follow(done []results.Record) (Step, Standing) {
	before, repeats := index(done)
	cells := r.plan.Cells()
	field := newField(r, len(cells))
	counting, _ := results.Counting(done)
	for _, rec := range counting {
		if i, ok := r.place[rec.Cell.String()]; ok {
			field.enter(rec, i)
		}
	}
	s := Standing{Trials: len(done)}
	spent := 0
	for n := 0; s.Stop == ""; n++ {
		racing := func(attempt int) (trials []plan.Trial) {
			for _, e := range r.block(n, attempt) {
				if !field.out[e.cell] {
					trials = append(trials, e.Trial)
				}
			}
			return trials
		}
		size := len(field.survivors())
		if n > 0 && spent+size > r.most {
			s.Stop = fmt.Sprintf("the next block would be beyond %d trials", r.most)
			break
		}
		if trials, why := before.pending(racing, repeats < Repeats(n+1)); len(trials) > 0 {
			return Step{Run: trials, Why: why}, s
		}
		spent += size
		s.Blocks = n + 1
		for _, out := range field.judge(n) {
			s.Dropped = append(s.Dropped, Dropped{cells[out.cell], n, out.why, out.blind})
		}
		s.Stop = field.over(n)
	}
	order := field.placed(s.Blocks)
	for _, i := range order {
		s.Survivors = append(s.Survivors, cells[i])
	}
	s.Keeps = len(order) > 0 && field.keeps(order[0], s.Blocks)
	return Step{Stop: s.Stop}, s
}

// field is the cells of a race and what their trials came to.
type field struct {
	*RaceStrategy
	out   []bool   // of each cell, by its place
	heats [][]heat // by cell and block; a block in which the cell has no trial that counts is a heat that did not happen
}

// heat is one trial. Goal and limits are natural logarithms, the goal with the sign that makes larger better.
type heat struct {
	order  float64 // in the block
	ran    bool
	failed string
	broken bool // failed with an error, and not by what it measured
	goal   float64
	limits []float64
}

func newField(r *RaceStrategy, cells int) *field {
	return &field{r, make([]bool, cells), make([][]heat, cells)}
}

// enter takes one record in.
func (f *field) enter(rec *results.Record, cell int) {
	for len(f.heats[cell]) <= rec.Block {
		f.heats[cell] = append(f.heats[cell], heat{})
	}
	h := &f.heats[cell][rec.Block]
	h.order, h.failed, h.broken = float64(rec.Order), rec.Error, rec.Metrics == nil
	if rec.Metrics == nil {
		return
	}
	v, ok := f.goal.Get(rec)
	if !ok || v <= 0 {
		h.failed = "its trials do not show " + f.goal.Name + ": too few requests"
		return
	}
	if bound(f.goal, rec) {
		h.failed = "its " + f.goal.Name + " is only a lower bound: requests timed out"
		return
	}
	if h.goal = math.Log(v); f.goal.Lower {
		h.goal = -h.goal
	}
	for _, l := range f.limits {
		v, ok := l.metric.Get(rec)
		if !ok {
			h.failed = "its trials do not show " + l.metric.Name + ": too few requests"
			return
		}
		over := l.over(v)
		if over <= 0 && bound(l.metric, rec) {
			h.failed = "its trials leave open whether it keeps " + l.String() + ": requests timed out before"
			return
		}
		h.limits = append(h.limits, over)
	}
	h.ran = true
}

// bound says whether a metric of rec is only known to be as large as it is, or larger.
func bound(m results.Metric, rec *results.Record) bool { return m.Censored != nil && m.Censored(rec) }

func (l limit) String() string { return l.metric.Name + " " + l.metric.Format(l.value) }

// over is by how much v is on the wrong side of the limit, in ln where both have one.
func (l limit) over(v float64) float64 {
	sign := 1.0
	if !l.metric.Lower {
		sign = -1
	}
	if v > 0 && l.value > 0 {
		return sign * math.Log(v/l.value)
	}
	return sign * (v - l.value)
}

// outcome of a cell that is out.
type outcome struct {
	cell  int
	why   string
	blind bool
}

// judge drops cells after block n.
func (f *field) judge(n int) (gone []outcome) {
	drop := func(o outcome) {
		f.out[o.cell] = true
		gone = append(gone, o)
	}
	screening := n == 0 && len(f.out) >= fewCells
	for i, h := range f.heats {
		if f.out[i] || len(h) <= n || h[n].failed == "" {
			continue
		}
		// One trial may have met a machine that stood still, unless it did not even run. Two do not.
		if h[n].broken || screening || n > 0 && h[n-1].failed != "" {
			drop(outcome{i, h[n].failed, true})
		}
	}
	switch {
	case screening:
		for _, o := range f.screen() {
			drop(o)
		}
	case n+1 >= fairStart:
		for _, o := range f.eliminate(n + 1) {
			drop(o)
		}
	}
	return gone
}

// screen names the cells that a model of the first block does not count among the promising ones.
func (f *field) screen() (gone []outcome) {
	factors := f.plan.Factors
	sizes, levels := make([]int, 0, len(factors)), make([][]int, len(f.out))
	for _, x := range factors {
		if len(x.Levels) > 1 {
			sizes = append(sizes, len(x.Levels))
		}
	}
	for i, c := range f.plan.Cells() {
		for _, x := range factors {
			if len(x.Levels) > 1 {
				levels[i] = append(levels[i], slices.Index(x.Levels, c[x.Knob]))
			}
		}
	}
	score := make([]float64, len(f.out))
	fitted := f.expect(sizes, levels, func(h heat) float64 { return h.goal })
	copy(score, fitted)
	for l := range f.limits {
		for i, v := range f.expect(sizes, levels, func(h heat) float64 { return h.limits[l] }) {
			score[i] -= 2 * max(0, v-slack)
		}
	}
	order := f.survivors()
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(score[b], score[a]) })
	for _, i := range order[min(promising, len(order)):] {
		gone = append(gone, outcome{cell: i, why: "after one block of all cells, it is not expected among the best " + fmt.Sprint(promising)})
	}
	return gone
}

// expect is what a model expects of each cell: of main effects and pairs of factors, of main effects alone where the
// cells are too few, or the cell's own trial where even that is too much.
func (f *field) expect(sizes []int, levels [][]int, of func(heat) float64) []float64 {
	var runs []stats.Run
	own := make([]float64, len(f.out))
	mean := 0.0
	for i, h := range f.heats {
		if len(h) > 0 && h[0].ran {
			own[i] = of(h[0])
			mean += own[i]
			runs = append(runs, stats.Run{Levels: levels[i], Order: h[0].order, Y: own[i]})
		}
	}
	for order := 2; order > 0; order-- {
		m, err := stats.Fit(sizes, runs, order, everyRuns)
		if err != nil || m.DF < 1 {
			continue
		}
		expected := make([]float64, len(f.out))
		for i := range expected {
			expected[i] = mean/float64(len(runs)) + m.Mean(levels[i])
		}
		return expected
	}
	return own
}

// survivors are the cells that are still racing.
func (f *field) survivors() (list []int) {
	for i, out := range f.out {
		if !out {
			list = append(list, i)
		}
	}
	return list
}

// ranked are the survivors after so many blocks: those that keep the limits first, and of those the best goal.
func (f *field) ranked(blocks int) []int {
	list := f.survivors()
	slices.SortStableFunc(list, func(a, b int) int {
		ka, kb := f.keeps(a, blocks), f.keeps(b, blocks)
		if ka != kb {
			if ka {
				return -1
			}
			return 1
		}
		return cmp.Compare(f.mean(b, blocks), f.mean(a, blocks))
	})
	return list
}

// placed are the survivors in the order in which they came in. The winner is, of those that are shown to be as good as the
// best for all that it is worth, the one that changes least in the plan's first cell: what makes no difference is not advised.
func (f *field) placed(blocks int) []int {
	order := f.ranked(blocks)
	if len(order) == 0 {
		return nil
	}
	best, gain, winner := order[0], f.compare(blocks), 0
	for at, i := range order {
		g := gain(best, i)
		asGood := f.keeps(i, blocks) == f.keeps(best, blocks) && g.Value+g.Within(1-2*unlikely) <= worthwhile
		if asGood && f.changes[i] < f.changes[order[winner]] {
			winner = at
		}
	}
	won := order[winner]
	return slices.Insert(slices.Delete(order, winner, winner+1), 0, won)
}

// keeps says whether the median of each limited metric is within its limit.
func (f *field) keeps(cell, blocks int) bool {
	for l := range f.limits {
		over := f.values(cell, blocks, func(h heat) float64 { return h.limits[l] })
		slices.Sort(over)
		if len(over) == 0 || stats.Median(over) > 0 {
			return false
		}
	}
	return true
}

func (f *field) mean(cell, blocks int) float64 {
	v := f.values(cell, blocks, func(h heat) float64 { return h.goal })
	if len(v) == 0 {
		return math.Inf(-1)
	}
	return stats.MeanOf(v).Value
}

func (f *field) values(cell, blocks int, of func(heat) float64) (v []float64) {
	for n, h := range f.heats[cell] {
		if n < blocks && h.ran {
			v = append(v, of(h))
		}
	}
	return v
}

// compare says by how much the goal of one survivor is larger than that of another: each block has a mean of its own,
// and how much trials scatter is learned from all survivors together (randomized complete blocks; Montgomery, ch. 4).
func (f *field) compare(blocks int) (gain func(x, y int) stats.Estimate) {
	place := map[int]int{}
	var runs []stats.Run
	for _, i := range f.survivors() {
		for n, h := range f.heats[i] {
			if n < blocks && h.ran {
				if _, ok := place[i]; !ok {
					place[i] = len(place)
				}
				runs = append(runs, stats.Run{Levels: []int{place[i]}, Order: float64(n), Y: h.goal})
			}
		}
	}
	m, err := stats.Fit([]int{len(place)}, runs, 1, 1)
	return func(x, y int) stats.Estimate {
		i, ok := place[x]
		j, also := place[y]
		if err != nil || !ok || !also {
			return stats.Estimate{}
		}
		return m.Difference([]int{i}, []int{j})
	}
}

// eliminate names the cells that are shown to be worse than the best, and not shown to be so by less than is worthwhile, or
// to miss a limit.
func (f *field) eliminate(blocks int) (gone []outcome) {
	order := f.ranked(blocks)
	if len(order) == 0 {
		return nil
	}
	best, gain := order[0], f.compare(blocks)
	for _, i := range order[1:] {
		g := gain(best, i)
		within := g.Within(1 - 2*unlikely)
		if f.keeps(best, blocks) && g.Value-within > 0 && g.Value+within > worthwhile {
			gone = append(gone, outcome{cell: i, why: fmt.Sprintf("its %s is %s times the best one's, after %d blocks", f.goal.Name, f.times(g.Value), blocks)})
			continue
		}
		for l, lim := range f.limits {
			e := stats.MeanOf(f.values(i, blocks, func(h heat) float64 { return h.limits[l] }))
			if e.Value-e.Within(1-2*unlikely) > 0 {
				gone = append(gone, outcome{cell: i, why: fmt.Sprintf("it misses %s, in %d trials", lim, e.DF+1)})
				break
			}
		}
	}
	return gone
}

// times is how many times the best cell's goal that of a cell is which lies so far behind it.
func (f *field) times(behind float64) string {
	if !f.goal.Lower {
		behind = -behind
	}
	return fmt.Sprintf("%.3g", math.Exp(behind))
}

// over says why the race is, after block n; "": it goes on.
func (f *field) over(n int) string {
	order := f.ranked(n + 1)
	switch {
	case len(order) == 0:
		return "no cell gave a result"
	case n+1 < fairStart:
		return ""
	case len(order) == 1:
		return "one cell is left"
	}
	gain := f.compare(n + 1)
	for _, i := range order[1:] {
		if g := gain(i, order[0]); g.Value+g.Within(1-2*unlikely) > worthwhile {
			return ""
		}
	}
	return fmt.Sprintf("none of the %d cells left can be %.0f%% better than the best of them", len(order), 100*results.Worthwhile)
}
