package results

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sockbench/sockbench/plan"
)

// CellSummary is what the trials of one cell say together.
type CellSummary struct {
	Cell     plan.Cell
	Spec     plan.Spec
	Trials   int // that count: one per block
	Failed   int // of those, how many have no metrics
	Repeated int // further trials of the cell, in blocks that were run again
	Error    string
	// Merged holds the sums and merged histograms of all trials with metrics, nil if there are none. As a Record it can
	// be asked for any Metric.
	Merged *Record
	Doubts []CellDoubt // of trials that count, worst first; none that is ok

	measured []*Record // what Merged is of
}

// CellDoubt is one code, with the worst of its verdicts and that one's evidence.
type CellDoubt struct {
	Doubt
	Trials int `json:"trials"` // that have it
}

// Summarize sums up every cell, in the order given, on all CPUs. A cell without any record is there too, with no trials.
func Summarize(cells []plan.Cell, records []Record) ([]CellSummary, error) {
	counting, repeated := Counting(records)
	byCell, again := map[string][]*Record{}, map[string]int{}
	for _, r := range counting {
		byCell[r.Cell.String()] = append(byCell[r.Cell.String()], r)
	}
	for _, r := range repeated {
		again[r.Cell.String()]++
	}
	out := make([]CellSummary, len(cells))
	OnAllCPUs(len(cells), func(i int) {
		key := cells[i].String()
		out[i] = summarize(cells[i], byCell[key])
		out[i].Repeated = again[key]
	})
	return out, nil
}

// OnAllCPUs calls do for each i from 0 to n-1, several at one time, and returns when all are done.
func OnAllCPUs(n int, do func(i int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	all.Wait()
}

// Counting divides records into those that count and those of attempts that were repeated, both in the order given.
// Of each block the attempt with most trials counts, of equals the last: a repeat that was cut short replaces nothing.
func Counting(records []Record) (counting, repeated []*Record) {
	type attempt struct{ block, attempt int }
	trials := map[attempt]int{}
	best := map[int]int{}
	for _, r := range records {
		trials[attempt{r.Block, r.Attempt}]++
	}
	for a, n := range trials {
		b, seen := best[a.block]
		if m := trials[attempt{a.block, b}]; !seen || n > m || n == m && a.attempt > b {
			best[a.block] = a.attempt
		}
	}
	for i := range records {
		if r := &records[i]; r.Attempt == best[r.Block] {
			counting = append(counting, r)
		} else {
			repeated = append(repeated, r)
		}
	}
	return counting, repeated
}

// unreadable is the code of the doubt that names histograms that were left out.
const unreadable = "histogram_unreadable"

func summarize(c plan.Cell, records []*Record) CellSummary {
	s := CellSummary{Cell: c, Trials: len(records)}
	var measured []*Record
	regimes := map[string]bool{}
	for _, r := range records {
		s.Spec = r.Spec
		if r.Metrics == nil {
			s.Failed++
			s.Error = cmp.Or(s.Error, r.Error)
			continue
		}
		measured = append(measured, r)
		regimes[r.Metrics.Machine.Regime] = true
	}
	if len(measured) == 0 {
		return s
	}
	s.measured, s.Doubts = measured, unite(measured)
	defer func() { worstFirst(s.Doubts) }()
	if len(regimes) > 1 {
		s.Doubts = append(s.Doubts, CellDoubt{Doubt{"regimes_mixed", Fail, "trials of different regimes are not comparable"}, len(measured)})
	}
	m, bad := merge(measured)
	if len(bad) > 0 {
		what := bad[0].Error()
		if len(bad) > 1 {
			what += fmt.Sprintf("; and %d more", len(bad)-1)
		}
		s.Doubts = append(s.Doubts, CellDoubt{Doubt{unreadable, Warn, "left out: " + what + ": the percentiles are of the other trials"}, len(bad)})
	}
	m.Machine.Regime = measured[0].Metrics.Machine.Regime
	m.Validity = []Doubt{}
	s.Merged = &Record{Schema: Schema, Trial: plan.Trial{Cell: c, Spec: s.Spec}, Metrics: m}
	for _, c := range Checks {
		if !ofMerged(c.Code) {
			continue
		}
		if d, ok := c.Test(s.Merged); ok && d.Verdict != OK {
			d.Code = c.Code
			s.Doubts = append(s.Doubts, CellDoubt{d, len(measured)})
		}
	}
	return s
}

// The codes of the checks that are asked of the merged trials instead of each.
const (
	tooFew   = "few_samples"
	tooAlike = "few_independent"
)

func ofMerged(code string) bool { return code == tooFew || code == tooAlike }

// unite gathers the doubts of several trials, by code.
func unite(records []*Record) []CellDoubt {
	var all []CellDoubt
	for _, r := range records {
		for _, d := range r.Metrics.Validity {
			if d.Verdict == OK || ofMerged(d.Code) {
				continue
			}
			i := slices.IndexFunc(all, func(o CellDoubt) bool { return o.Code == d.Code })
			if i < 0 {
				all = append(all, CellDoubt{Doubt: d})
				i = len(all) - 1
			}
			if all[i].Trials++; d.Verdict.Rank() > all[i].Verdict.Rank() {
				all[i].Doubt = d
			}
		}
	}
	return all
}

func worstFirst(all []CellDoubt) {
	slices.SortStableFunc(all, func(a, b CellDoubt) int { return cmp.Compare(b.Verdict.Rank(), a.Verdict.Rank()) })
}
