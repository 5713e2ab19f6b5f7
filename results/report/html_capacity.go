package report

import (
	"cmp"
	"slices"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

// capacityFacts are latency against load, as a search for capacities asked for it: of the first limit on a latency.
type capacityFacts struct {
	Metric string     `json:"metric"`
	Limit  float64    `json:"limit"` // ns
	Loads  []loadFact `json:"loads"` // of each cell of the plan, in its order
}

type loadFact struct {
	Label string     `json:"label"`
	Low   float64    `json:"low"` // with High: the interval, requests per second; 0: there is none
	High  float64    `json:"high"`
	Rates []rateFact `json:"rates"` // ascending
}

type rateFact struct {
	Rate    float64  `json:"rate"`
	Value   *float64 `json:"value"` // of all its trials; null: too few requests
	Kept    int      `json:"kept"`  // of the trials that decide
	Missed  int      `json:"missed"`
	AtLeast bool     `json:"at_least,omitempty"` // the value is a lower bound
}

// newCapacityFacts is nil where no capacity was looked for.
func newCapacityFacts(in Input) *capacityFacts {
	p := *in.Manifest.Plan // whose cells are those that were asked
	p.Factors = slices.DeleteFunc(slices.Clone(p.Factors), func(f plan.Factor) bool { return f.Knob == "rate" })
	for _, l := range p.Limits {
		m, ok := results.FindMetric(l.Metric)
		if !ok || m.Unit != "ns" || len(in.Answer.Capacity) == 0 {
			continue
		}
		f := &capacityFacts{Metric: m.Name, Limit: l.Value()}
		for i := range in.Answer.Capacity {
			f.Loads = append(f.Loads, newLoad(p.Label(in.Answer.Capacity[i].Cell), &in.Answer.Capacity[i], m, in.Answer.Cells))
		}
		return f
	}
	return nil
}

func newLoad(label string, c *results.Capacity, m results.Metric, cells []results.CellSummary) loadFact {
	f := loadFact{Label: label, Low: c.Low, High: c.High, Rates: []rateFact{}}
	for i := range cells {
		s := &cells[i]
		if s.Merged == nil || !s.Cell.Has(c.Cell) {
			continue
		}
		rate := float64(s.Merged.Spec.Load.Rate)
		at, asked := slices.BinarySearchFunc(c.Rates, rate, func(a results.AtRate, rate float64) int { return cmp.Compare(a.Rate, rate) })
		if asked {
			f.Rates = append(f.Rates, rateFact{rate, value(m, s.Merged), c.Rates[at].Kept, c.Rates[at].Missed, m.Censored != nil && m.Censored(s.Merged)})
		}
	}
	slices.SortFunc(f.Rates, func(a, b rateFact) int { return cmp.Compare(a.Rate, b.Rate) })
	return f
}
