package results

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
)

// CapacitySearch is the Strategy of a Search that asks for trials at rates which its plan does not name.
const CapacitySearch = "capacity"

// Capacity is the highest rate at which a cell keeps the plan's limits, as far as its trials show it. Rates are requests
// per second; those of the interval are 0 before there is one.
type Capacity struct {
	Cell      plan.Cell  `json:"cell"`
	Verdict   Conclusion `json:"verdict"`     // Better: it is known; Worse: no rate keeps the limits; Unclear; NoResult
	Sustained float64    `json:"sustained"`   // Low where it is known, else 0
	Median    float64    `json:"median"`      // as likely too low as too high
	Low       float64    `json:"low"`         // with High: the interval
	High      float64    `json:"high"`        //
	Level     float64    `json:"level"`       // of the interval
	Lowest    float64    `json:"lowest"`      // that is asked of the cell: at lower rates a trial would be too long
	Closed    float64    `json:"closed_loop"` // what a closed loop reaches
	Trials    int        `json:"trials"`      // at a rate, those left out that were run again
	Rates     []AtRate   `json:"rates"`       // ascending
	Why       string     `json:"why,omitempty"`
}

// AtRate is what became of the trials at one rate. Those neither Kept nor Missed decide nothing.
type AtRate struct {
	Rate   float64 `json:"rate"`
	Trials int     `json:"trials"`
	Kept   int     `json:"kept"`
	Missed int     `json:"missed"`
	Why    string  `json:"why,omitempty"` // the last one did not keep the limits
}

// Asked is the plan that records are of: m's or, where a search chose the rates, that with the rates of the records, with
// no other cells than theirs, and as many blocks.
func (m *Manifest) Asked(records []Record) (*plan.Plan, error) {
	if m.Search == nil || m.Search.Strategy != CapacitySearch || len(records) == 0 {
		return m.Plan, nil
	}
	ran, rates, blocks := map[string]bool{}, map[plan.Level]float64{}, 0
	for i := range records {
		ran[records[i].Cell.String()] = true
		rates[records[i].Cell["rate"]] = float64(records[i].Spec.Load.Rate)
		blocks = min(max(blocks, records[i].Block+1), 10_000) // more no plan may have
	}
	levels := slices.SortedFunc(maps.Keys(rates), func(a, b plan.Level) int { return cmp.Compare(rates[a], rates[b]) })
	asked := []plan.Factor{{Knob: "rate", Levels: levels}}
	all, err := m.Plan.With(plan.Changes{Knobs: asked})
	if err != nil {
		return nil, err
	}
	others := slices.DeleteFunc(all.Cells(), func(c plan.Cell) bool { return ran[c.String()] })
	return m.Plan.With(plan.Changes{Blocks: &blocks, Knobs: asked, Exclude: others})
}

// JudgeCapacity says what a search for the capacities of p's cells found: "done", "missed" where no cell keeps the limits
// at any rate, "inconclusive" where it is not known of some, or "failed". Findings are those of most capacity first, which
// is no claim that they differ: that takes trials at one rate, in pairs.
func JudgeCapacity(p *plan.Plan, all []Capacity) (verdict, headline string, findings []Finding) {
	all = slices.SortedStableFunc(slices.Values(all), func(a, b Capacity) int { return cmp.Compare(b.Sustained, a.Sustained) })
	count := map[Conclusion]int{}
	for i := range all {
		c := &all[i]
		count[c.Verdict]++
		findings = append(findings, Finding{Code: "capacity", Claim: c.claim(p), Metric: "throughput", Cells: []plan.Cell{c.Cell}, Verdict: c.Verdict})
	}
	switch {
	case count[Unclear] > 0:
		verdict = "inconclusive"
	case count[Better] > 0:
		verdict = "done"
	case count[Worse] > 0:
		verdict = "missed"
	default:
		verdict = string(NoResult)
	}
	if len(all) == 1 {
		return verdict, findings[0].Claim, findings
	}
	headline = fmt.Sprintf("The highest rate within %s is known of %d of %s", LimitWords(p.Limits...), count[Better], term.Count(len(all), "cell"))
	for _, rest := range []struct {
		of   Conclusion
		says string
	}{{Worse, "kept at no rate that was asked"}, {Unclear, "inconclusive"}, {NoResult, "without a result"}} {
		if n := count[rest.of]; n > 0 {
			headline += fmt.Sprintf("; %s: %d", rest.says, n)
		}
	}
	return verdict, headline, findings
}

// claim is the finding in a sentence.
func (c *Capacity) claim(p *plan.Plan) string {
	label := p.Label(c.Cell)
	interval := fmt.Sprintf("%.0f%% interval %s–%s", 100*c.Level, perSecond(c.Low), perSecond(c.High))
	trials := term.Count(c.Trials, "trial")
	switch c.Verdict {
	case Better:
		return fmt.Sprintf("%s sustains %s within %s: median %s, %s, %s; a closed loop reaches %s%s",
			label, perSecond(c.Sustained), LimitWords(p.Limits...), perSecond(c.Median), interval, trials, perSecond(c.Closed), c.beyond())
	case Worse:
		return fmt.Sprintf("%s keeps %s at no rate that was asked: %s, the lowest one, misses it already in %d of %d%s",
			label, LimitWords(p.Limits...), perSecond(c.Lowest), c.Rates[0].Missed, c.Rates[0].Trials, because(c.Rates[0].Why))
	case NoResult:
		return fmt.Sprintf("%s gave nothing: %s", label, c.Why)
	}
	if c.High == 0 {
		return fmt.Sprintf("%s: inconclusive: %s", label, c.Why)
	}
	return fmt.Sprintf("%s: inconclusive within %s after %s: median %s, %s; %s", label, LimitWords(p.Limits...), trials, perSecond(c.Median), interval, c.Why)
}

// beyond is what went wrong at the lowest rate above the median that was seen to miss a limit.
func (c *Capacity) beyond() string {
	for _, r := range c.Rates {
		if r.Rate > c.Median && r.Missed > 0 {
			return fmt.Sprintf("; at %s%s", perSecond(r.Rate), because(r.Why))
		}
	}
	return ""
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

// perSecond is a rate for people.
func perSecond(v float64) string { return term.Number(v) + "/s" }
