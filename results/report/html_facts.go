package report

import (
	"math"
	"slices"
	"strconv"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

// pageFacts are what the page's script draws from. Cells are in the order of the table's rows.
type pageFacts struct {
	Factors   []plan.Factor `json:"factors"` // with several levels
	Metrics   []metricFact  `json:"metrics"` // that some cell has
	Compared  []int         `json:"compared"`
	Quantiles []float64     `json:"quantiles"` // of each cell's curve
	Cells     []cellFact    `json:"cells"`
	Choose    [][]int       `json:"choose"` // by finding: cells to look at

	Capacity *capacityFacts `json:"capacity,omitempty"` // nil: none was looked for
}

type metricFact struct {
	Name  string `json:"name"`
	Unit  string `json:"unit"`
	Lower bool   `json:"lower"`
}

type cellFact struct {
	Label    string        `json:"label"`
	Levels   []int         `json:"levels"`             // of each factor
	Values   []*float64    `json:"values"`             // of each metric; null: not supported
	AtLeast  []int         `json:"at_least,omitempty"` // metrics that are lower bounds
	Doubt    string        `json:"doubt,omitempty"`    // the worst verdict
	Count    int64         `json:"count"`              // response times behind the curve
	Curve    []int64       `json:"curve"`              // ns
	Censored *int64        `json:"censored,omitempty"` // from here on the curve is a lower bound
	Limits   []limitFact   `json:"limits,omitempty"`   // of merged percentiles
	Slice    float64       `json:"slice_ns,omitempty"` // length of a slice
	Slices   [3][][3]int64 `json:"slices"`             // throughput, p50, p99 of slices of the measure phase: lowest, median, highest trial; -1: none
	Trials   []trialFact   `json:"trials"`             // that count
}

// limitFact is between which limits a merged percentile lies, as trials differ.
type limitFact struct {
	Quantile float64 `json:"q"`
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
}

// limited are the percentiles that have limits.
var limited = []struct {
	metric   string
	quantile float64
}{{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}}

type trialFact struct {
	Block  int        `json:"block"`
	Values []*float64 `json:"values"` // of Compared
	Doubt  string     `json:"doubt,omitempty"`
}

// compared are the metrics that are shown trial by trial.
var compared = []string{"p50", "p99", "throughput", "server_cpu_per_request"}

const (
	evenly     = 54  // quantiles from 0 to 90 %, 50 % among them, and so many in each three nines from there on
	mostNines  = 6.0 // 99.9999 %
	mostSlices = 100 // of a cell

	mostBootstrapped = 2000 // trials: of more, the limits of percentiles would take longer than all else
)

// grid are the quantiles of curves: evenly apart below 0.9, where the distribution is seen, and on an axis of nines above.
func grid() (q []float64) {
	for i := range evenly {
		q = append(q, 0.9*float64(i)/evenly)
	}
	steps := int(evenly * (mostNines - 1) / 3)
	for i := range steps + 1 {
		nines := 1 + (mostNines-1)*float64(i)/float64(steps)
		q = append(q, 1-math.Pow(10, -nines))
	}
	return q
}

func newPageFacts(in Input) pageFacts {
	f := pageFacts{Quantiles: grid(), Factors: []plan.Factor{}, Cells: []cellFact{}, Choose: [][]int{}, Capacity: newCapacityFacts(in)}
	for _, factor := range in.Manifest.Plan.Factors {
		if len(factor.Levels) > 1 {
			f.Factors = append(f.Factors, factor)
		}
	}
	metrics := supported(in.Answer.Cells)
	for i, m := range metrics {
		f.Metrics = append(f.Metrics, metricFact{m.Name, m.Unit, m.Lower})
		if slices.Contains(compared, m.Name) {
			f.Compared = append(f.Compared, i)
		}
	}
	trials := byCell(in.Records)
	for i := range in.Answer.Cells {
		s := &in.Answer.Cells[i]
		c := f.cell(s, in.Manifest.Plan, metrics, trials[s.Cell.String()])
		if len(in.Records) <= mostBootstrapped && s.Merged != nil {
			c.limits(s)
		}
		f.Cells = append(f.Cells, c)
	}
	for _, finding := range in.Answer.Findings {
		f.Choose = append(f.Choose, twins(in.Answer.Cells, finding))
	}
	return f
}

// supported are the metrics that some cell has.
func supported(cells []results.CellSummary) (metrics []results.Metric) {
	for _, m := range results.All {
		if slices.ContainsFunc(cells, func(c results.CellSummary) bool {
			if c.Merged == nil {
				return false
			}
			_, ok := m.Get(c.Merged)
			return ok
		}) {
			metrics = append(metrics, m)
		}
	}
	return metrics
}

// byCell are the trials that count, by their cells.
func byCell(records []results.Record) map[string][]*results.Record {
	cells := map[string][]*results.Record{}
	counting, _ := results.Counting(records)
	for _, r := range counting {
		key := r.Cell.String()
		cells[key] = append(cells[key], r)
	}
	return cells
}

func (f *pageFacts) cell(s *results.CellSummary, p *plan.Plan, metrics []results.Metric, trials []*results.Record) (c cellFact) {
	c = cellFact{Label: p.Label(s.Cell), Levels: []int{}, Doubt: string(worst(s)), Curve: []int64{}, Trials: []trialFact{}}
	for _, factor := range f.Factors {
		c.Levels = append(c.Levels, slices.Index(factor.Levels, s.Cell[factor.Knob]))
	}
	c.Values = make([]*float64, len(metrics))
	if s.Merged == nil {
		return c
	}
	for i, m := range metrics {
		if c.Values[i] = value(m, s.Merged); c.Values[i] != nil {
			if m.Censored != nil && m.Censored(s.Merged) {
				c.AtLeast = append(c.AtLeast, i)
			}
		}
	}
	curve, q := results.Curve(trials, f.Quantiles)
	if c.Count, c.Censored = q.Count, q.Censored; curve != nil {
		c.Curve = curve
	}
	c.slices(trials)
	for _, r := range trials {
		if r.Metrics == nil {
			continue
		}
		t := trialFact{Block: r.Block, Doubt: string(worstOf(r.Metrics.Validity))}
		for _, i := range f.Compared {
			t.Values = append(t.Values, value(metrics[i], r))
		}
		c.Trials = append(c.Trials, t)
	}
	slices.SortFunc(c.Trials, func(a, b trialFact) int { return a.Block - b.Block })
	return c
}

func (c *cellFact) limits(s *results.CellSummary) {
	known, _ := s.Intervals()
	for _, at := range limited {
		if l, ok := known[at.metric]; ok {
			c.Limits = append(c.Limits, limitFact{at.quantile, l.Low, l.High})
		}
	}
}

// value is a metric of a record with six digits, which is more than any has; nil: not supported.
func value(m results.Metric, r *results.Record) *float64 {
	v, ok := m.Get(r)
	if !ok {
		return nil
	}
	v, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 6, 64), 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		return nil // no JSON, and no value
	}
	return &v
}

// slices sums up the intervals that the trials share. Where there are many, each is the median of several.
func (c *cellFact) slices(trials []*results.Record) {
	least := math.MaxInt
	var length int64
	for _, r := range trials {
		if r.Metrics == nil {
			continue
		}
		if length != 0 && r.Metrics.Interval != length {
			return // of another length: nothing to lay over each other
		}
		length, least = r.Metrics.Interval, min(least, len(r.Metrics.Intervals))
	}
	if length == 0 || least == math.MaxInt {
		return
	}
	wide := (least + mostSlices - 1) / mostSlices
	if wide == 0 {
		return
	}
	c.Slice = float64(length) * float64(wide)
	for k := 0; k+wide <= least; k += wide {
		var of [3][]int64
		for _, r := range trials {
			if r.Metrics == nil {
				continue
			}
			var values [3][]int64
			for _, i := range r.Metrics.Intervals[k : k+wide] {
				values[0] = append(values[0], int64(math.Round(float64(i.Completed)*1e9/float64(length))))
				for j, v := range []*int64{i.P50, i.P99} {
					if v != nil {
						values[j+1] = append(values[j+1], *v)
					}
				}
			}
			for j, v := range values {
				if len(v) > 0 {
					of[j] = append(of[j], middle(v))
				}
			}
		}
		for j, v := range of {
			span := [3]int64{-1, -1, -1}
			if len(v) > 0 {
				span = [3]int64{slices.Min(v), middle(v), slices.Max(v)}
			}
			c.Slices[j] = append(c.Slices[j], span)
		}
	}
}

// middle is the median, of an even number the mean of two.
func middle(values []int64) int64 {
	v := slices.Sorted(slices.Values(values))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// twins are two cells that show a finding: one of its better side, and its like of the other, without doubts if there are such.
func twins(cells []results.CellSummary, f results.Finding) []int {
	if len(f.Cells) != 2 {
		return []int{}
	}
	pair := []int{}
	for i, better := range cells {
		if !better.Cell.Has(f.Cells[0]) || better.Merged == nil {
			continue
		}
		j := slices.IndexFunc(cells, func(c results.CellSummary) bool {
			return c.Cell.Has(f.Cells[1]) && c.Merged != nil && differ(better.Cell, c.Cell) == differ(f.Cells[0], f.Cells[1])
		})
		if j < 0 {
			continue
		}
		if clean := severity(worst(&better)) < severity(results.Warn) && severity(worst(&cells[j])) < severity(results.Warn); len(pair) == 0 || clean {
			if pair = []int{i, j}; clean {
				break
			}
		}
	}
	return pair
}

// differ counts the knobs in which two cells differ.
func differ(a, b plan.Cell) (n int) {
	for knob, level := range a {
		if b[knob] != level {
			n++
		}
	}
	return n
}

func severity(v results.Verdict) int {
	return slices.Index([]results.Verdict{results.OK, results.Note, results.Warn, results.Fail}, v)
}

// worst is the worst verdict on a cell; "": there is no doubt.
func worst(s *results.CellSummary) results.Verdict {
	if s.Failed > 0 {
		return results.Fail
	}
	if len(s.Doubts) == 0 {
		return ""
	}
	return s.Doubts[0].Verdict
}

func worstOf(doubts []results.Doubt) (v results.Verdict) {
	for _, d := range doubts {
		if d.Verdict != results.OK && severity(d.Verdict) > severity(v) {
			v = d.Verdict
		}
	}
	return v
}
