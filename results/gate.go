package results

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results/stats"
)

// Failed is the verdict of a check of which a trial gave nothing that could be compared.
const Failed stats.Verdict = "failed"

// GateCode is the code of a check's findings: one for each gate of the plan in each cell.
const GateCode = "gate"

// Checked is what the records of a check say, so far.
type Checked struct {
	Verdict  stats.Verdict
	Open     bool      // more pairs may change it
	Headline string    // the verdict in a line
	Findings []Finding // the one that decides first; Cells[0] is the new side, Cells[1] the old one
	Reason   string    // of what failed
}

// Sides are the two variants that a check compares: old is the one of that name, or the first. false: there are not two.
func Sides(p *plan.Plan) (old, new plan.Level, ok bool) {
	if len(p.Variants) != 2 {
		return "", "", false
	}
	old, new = p.Variants[0].Name, p.Variants[1].Name
	if new == "old" || old == "new" {
		old, new = new, old
	}
	return old, new, true
}

// gated is one gate of the plan in one cell.
type gated struct {
	plan.Gate
	metric   Metric
	new, old plan.Level
	cells    [2]int // of the new side and of the old one
	where    string // what tells the cell from the others; "": there is one
	cell     plan.Cell

	x, y    []float64 // the values of both sides, of the pairs that could be compared
	losses  []float64 // of those
	skipped int       // how many could not
	stats.Ruling
}

// gates lists them, with the pairs that records hold.
func gates(p *plan.Plan, records []Record) (all []*gated) {
	old, new, _ := Sides(p)
	blocks, cells := byBlock(p, records), p.Cells()
	for _, c := range comparisons(p) {
		if c.factor.Knob != variant || c.by != "" {
			continue
		}
		for _, pair := range c.twins {
			if c.x == old {
				pair[0], pair[1] = pair[1], pair[0]
			}
			cell := cells[pair[0]]
			delete(cell, variant)
			for _, g := range p.Gate {
				if m, ok := FindMetric(g.Metric); ok {
					one := &gated{Gate: g, metric: m, new: new, old: old, cells: pair, cell: cell, where: where(p, cell)}
					one.take(blocks)
					all = append(all, one)
				}
			}
		}
	}
	return all
}

// mostSkipped: of so many pairs one may be left out.
const mostSkipped = 4

// variant is the factor that a plan's variants are together.
const variant = "variant"

// where is the levels of cell that others of p do not share.
func where(p *plan.Plan, cell plan.Cell) string {
	var words []string
	for _, f := range p.Factors {
		if f.Knob != variant && len(f.Levels) > 1 {
			words = append(words, f.Knob+"="+cell[f.Knob])
		}
	}
	return strings.Join(words, " ")
}

// JudgeCheck says what the records of a check of p show by now.
func JudgeCheck(p *plan.Plan, records []Record) (c Checked) {
	all := gates(p, records)
	if len(all) == 0 || stats.Looks(len(all), p.Blocks) == nil {
		return Checked{Verdict: Failed, Reason: CheckFits(p).Error()}
	}
	var d [][]float64
	var worse []float64
	for _, g := range all {
		d = append(d, g.losses)
		worse = append(worse, math.Log1p(float64(g.Gate.Worse)))
	}
	for i, r := range stats.Judge(d, worse, p.Blocks) {
		if all[i].Ruling = r; all[i].skipped > len(all[i].losses)/mostSkipped && r.Verdict != "" && r.Verdict != stats.Regression {
			all[i].Ruling.Verdict = stats.Inconclusive // what was left out may be what was worse
		}
		c.Open = c.Open || r.Verdict == ""
	}
	if c.Reason = broke(p, records); c.Reason != "" {
		return Checked{Verdict: Failed, Reason: c.Reason, Headline: "no verdict: " + c.Reason}
	}
	slices.SortStableFunc(all, func(a, b *gated) int { return cmp.Compare(rank(a.Verdict), rank(b.Verdict)) })
	done := len(byBlock(p, records))
	for _, g := range all {
		if why := g.missing(records); why != "" && done >= stats.Looks(len(all), p.Blocks)[0] {
			c.Open = false // more of the same would not help
		}
		c.Findings = append(c.Findings, g.finding(p, records, len(all)))
	}
	c.Verdict = cmp.Or(all[0].Verdict, stats.Inconclusive)
	c.Headline = string(c.Verdict) + ": " + c.Findings[0].Claim
	if more := len(all) - 1; more > 0 {
		c.Headline += fmt.Sprintf(" (first of %d gates)", len(all))
	}
	return c
}

// rank puts first what decides.
func rank(v stats.Verdict) int {
	return slices.Index([]stats.Verdict{stats.Regression, "", stats.Inconclusive, stats.Improvement, stats.Fine}, v)
}

// CheckFits says why p cannot be checked; nil: it can.
func CheckFits(p *plan.Plan) error {
	if _, _, ok := Sides(p); !ok {
		return fmt.Errorf("a check compares two variants, and the plan has %d: name --old and --new", len(p.Variants))
	}
	if len(p.Gate) == 0 {
		return errors.New("the plan has no gate: name --worse throughput=5%")
	}
	for _, g := range p.Gate {
		if m, ok := FindMetric(g.Metric); !ok || m.Unit == "share" || m.Name == "false_alarms" {
			return fmt.Errorf("gate of %s: it is 0 where all is well, and nothing is a percentage of 0: gate throughput or a latency; a trial in which more than %.0f%% of the requests fail ends the check anyway", g.Metric, 100*fewErrors)
		}
		if g.Worse == 0 {
			return fmt.Errorf("gate of %s: worse=0%%: no number of pairs rules out every loss: allow 1%% or more", g.Metric)
		}
		if t := p.Block(0, 0)[0]; g.Metric == "throughput" && t.Spec.Load.OpenLoop() {
			return errors.New("gate of throughput: in an open loop it is what was offered: gate p99, for example")
		}
	}
	n := len(gates(p, nil))
	if n == 0 {
		return errors.New("no cell of the old side has its like on the new one: exclude fewer")
	}
	if stats.Looks(n, p.Blocks) == nil {
		return fmt.Errorf("blocks=%d: a verdict on %s takes %d pairs at least", p.Blocks, term.Count(n, "gate"), FewestPairs(p))
	}
	if p.Blocks > stats.MostPairs {
		return fmt.Errorf("blocks=%d: a check ends after %d pairs: make trials longer instead", p.Blocks, stats.MostPairs)
	}
	return nil
}

// FewestPairs is how many a check of p takes at least for a verdict.
func FewestPairs(p *plan.Plan) int {
	return stats.Looks(max(len(gates(p, nil)), 1), stats.MostPairs)[0]
}

// ForeseeCheck says what a check of p can find, before it is run.
func ForeseeCheck(p *plan.Plan) string {
	n := len(gates(p, nil))
	var says []string
	for _, g := range p.Gate {
		sigma, known := Scatter[g.Metric]
		if t := p.Block(0, 0)[0]; !known || t.Spec.Load.OpenLoop() {
			says = append(says, fmt.Sprintf("%s may be %s worse; how far its pairs scatter here is not known before they are run", g.Metric, g.Worse))
			continue
		}
		seen := stats.Visible(n, p.Blocks, sigma, float64(g.Worse))
		text := fmt.Sprintf("%s may be %s worse; a loss of %.0f%% is found in 9 of 10 checks, where pairs scatter as on a busy virtual machine with 2 CPUs (%.0f%%)",
			g.Metric, g.Worse, math.Ceil(100*seen), 100*sigma)
		if seen > 2*float64(g.Worse) {
			text += fmt.Sprintf(": too coarse for %s, which takes some %d pairs there", g.Worse, stats.Pairs(sigma, float64(g.Worse), stats.WorseLevel/float64(n)))
		}
		says = append(says, text)
	}
	return strings.Join(says, "\n")
}

// hung is by how much, as a log ratio, a trial that completed nothing is worse than its neighbour that did: more than any
// other difference, and finite, so that it can be averaged.
var hung = math.Log(1000)

// take takes the pairs in, in the order of the blocks: losses, positive where the new side is worse, and how many could not
// be compared.
func (g *gated) take(blocks map[int][]*Record) {
	for _, b := range slices.Sorted(maps.Keys(blocks)) {
		x, y := blocks[b][g.cells[0]], blocks[b][g.cells[1]]
		if x == nil || y == nil || x.Metrics == nil || y.Metrics == nil {
			continue // it is not finished
		}
		v, _ := g.metric.Get(x)
		w, _ := g.metric.Get(y)
		loss, ok := g.loss(x, y)
		if !ok {
			g.skipped++
			continue
		}
		g.x, g.y, g.losses = append(g.x, v), append(g.y, w), append(g.losses, loss)
	}
}

// loss is that of one pair; false: it cannot be compared, whichever side is which.
func (g *gated) loss(x, y *Record) (loss float64, ok bool) {
	if a, b := x.Metrics.Throughput == 0, y.Metrics.Throughput == 0; a != b {
		if a {
			return hung, true
		}
		return -hung, true
	}
	if loss, ok = Ratio(g.metric, y, x, variant); !g.metric.Lower {
		loss = -loss
	}
	return loss, ok
}

// silent is how many trials of a cell that completed nothing, and none that did, show that it never will.
const silent = 3

// broke says of the first trial that gave nothing to be compared what became of it, and whose it was. That requests fail
// while something outside disturbs the trial is not held against the side.
func broke(p *plan.Plan, records []Record) string {
	counting, _ := Counting(records)
	mute := map[string]int{} // trials of a cell that completed nothing
	for _, r := range counting {
		if mute[r.Cell.String()]++; r.Metrics != nil && r.Metrics.Throughput > 0 {
			mute[r.Cell.String()] = math.MinInt
		}
	}
	for _, r := range counting {
		why := ""
		disturbed, _ := Disturbed(r)
		switch m := r.Metrics; {
		case m == nil:
			why = r.Error
		case m.Server.Died != "" || m.Client.Died != "":
			d, _ := died(r)
			why = d.Evidence
		case mute[r.Cell.String()] >= silent:
			why = "it completed no request, nor did another trial of the same"
		case float64(m.Failed+m.TimedOut) > fewErrors*float64(m.Offered) && !disturbed:
			why = fmt.Sprintf("%d of %d requests failed or timed out%s", m.Failed+m.TimedOut, m.Offered, kinds(m.Errors))
		}
		if why != "" {
			return fmt.Sprintf("%s, block %d: %s", p.Label(r.Cell), r.Block+1, why)
		}
	}
	return ""
}

// missing says why no pair could be compared; "": some could.
func (g *gated) missing(records []Record) string {
	if len(g.losses) > 0 {
		return ""
	}
	for i := range records {
		if _, ok := g.metric.Get(&records[i]); !ok && records[i].Cell.Has(g.cell) {
			return "no pair has it: too few requests in a trial, or it is not measured here; make trials longer, or gate another metric"
		}
	}
	if slices.ContainsFunc(records, func(r Record) bool { return g.metric.Name == "throughput" && open(&r) }) {
		return "in an open loop it is what was offered; gate p99"
	}
	return "no pair could be compared; the notes of the two sides say why"
}

// finding puts the gate into words.
func (g *gated) finding(p *plan.Plan, records []Record, gates int) Finding {
	f := Finding{Code: GateCode, Metric: g.metric.Name, Pairs: g.Ruling.Pairs, Cells: []plan.Cell{g.side(p, g.new), g.side(p, g.old)},
		Verdict: map[stats.Verdict]Conclusion{stats.Regression: Worse, stats.Improvement: Better, stats.Fine: Same}[g.Verdict]}
	f.Verdict = cmp.Or(f.Verdict, Unclear)
	what := strings.TrimSpace(g.where + " " + g.metric.Name)
	if g.Ruling.Pairs == 0 {
		f.Claim = fmt.Sprintf("%s: %s, too few for a verdict", what, term.Count(len(g.losses), "pair"))
		if why := g.missing(records); why != "" {
			f.Claim = what + ": " + why
		} else if first := stats.Looks(gates, p.Blocks)[0]; first > len(g.losses) {
			f.Needs = first
		}
		return f
	}
	f.Effect = g.ratio()
	n := g.Ruling.Pairs
	f.Claim = fmt.Sprintf("%s %s → %s (%s, %.0f%% interval %s to %s, %s): %s", what, g.metric.Format(middle(g.y[:n])), g.metric.Format(middle(g.x[:n])),
		change(f.Effect.Ratio), 100*f.Effect.Level, change(f.Effect.Low), change(f.Effect.High), term.Count(n, "pair"), g.words())
	switch {
	case g.skipped > n/mostSkipped:
		f.Claim += fmt.Sprintf("; %s more could not be compared, and may be what is worse", term.Count(g.skipped, "pair"))
	case g.Verdict == stats.Inconclusive || g.Verdict == "":
		f.Needs = max(g.needs(), n+1)
		f.Claim += fmt.Sprintf("; pairs scatter by %.0f%%, and some %d of them could tell", 100*g.Sigma, f.Needs)
	}
	return f
}

// manyPairs is more than anybody runs.
const manyPairs = 100_000

// needs is how many pairs would tell, in 9 of 10 checks, if the difference is what it seems: the closer it is to the
// threshold, the more.
func (g *gated) needs() int {
	threshold := math.Log1p(float64(g.Gate.Worse))
	apart, level := threshold-g.Median, stats.FineLevel
	if apart <= 0 {
		apart, level = g.Median, g.Ruling.Worse
	}
	least := g.Sigma * math.Sqrt(1./manyPairs)
	return min(stats.Pairs(g.Sigma, math.Expm1(max(apart, least)), level), manyPairs)
}

// words are what the verdict means.
func (g *gated) words() string {
	least := math.Ceil(1000*stats.MDE(g.Ruling.Pairs, g.Sigma, g.Ruling.Worse)) / 10
	switch allowed := g.Gate.Worse; g.Verdict {
	case stats.Regression:
		return fmt.Sprintf("worse, by %s or more", allowed)
	case stats.Improvement:
		return fmt.Sprintf("better, by %s or more", allowed)
	case stats.Fine:
		return fmt.Sprintf("a loss of %s is ruled out; so many pairs tell %.1f%% from nothing", allowed, least)
	default:
		return fmt.Sprintf("a loss of %s is neither shown nor ruled out", allowed)
	}
}

// ratio is of the metric, new over old.
func (g *gated) ratio() stats.Interval {
	i := stats.Interval{Ratio: math.Exp(g.Median), Low: math.Exp(g.Low), High: math.Exp(g.High), Level: g.Ruling.Level()}
	if !g.metric.Lower {
		i = inverse(i)
	}
	return i
}

// change writes a ratio as a difference, "-11.7%", "+0.4%", or where that says little as "÷ 380", "× 12".
func change(ratio float64) string {
	if 0 < ratio && ratio < .01 || 10 < ratio && !math.IsInf(ratio, 1) {
		return times(ratio)
	}
	return fmt.Sprintf("%+.1f%%", 100*(ratio-1))
}

// side is the knobs that all trials of a side share.
func (g *gated) side(p *plan.Plan, level plan.Level) plan.Cell {
	c := plan.Cell{variant: level}
	for _, f := range p.Factors {
		if f.Knob != variant {
			c[f.Knob] = g.cell[f.Knob]
		}
	}
	return c
}
