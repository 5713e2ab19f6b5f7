package results

import (
	"encoding/json"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results/stats"
)

// Answer is "run -o json".
type Answer struct {
	Verdict  string    // of a check or a search: what it found; else "done"
	Headline string    // of a check or a search: the verdict in a line; only people see it
	Findings []Finding // strongest first; of a check: the one that decides first
	Nothing  string    // why there are none, and what could have been found; only people see it
	Cells    []CellSummary
	Levels   []LevelEffect  // of each factor, beside its first one; only the HTML report shows them
	Effects  *MetricEffects // nil: none were asked for
	Sessions []Session
	Capacity []Capacity // of a search for it: of each cell of its plan
	Advice   *Advice    // of a search: what to do; nil: nothing
	Run      string     // the run folder
	Because  []string   // the first diagnosis of each cell, where there is one; only people see it
}

// Advice is what a search found, as something to do.
type Advice struct {
	Change   []string  `json:"change"`   // what is to be otherwise than in the plan's first cell
	Snippets []Snippet `json:"snippets"` // as much of it as is code
	Holds    []string  `json:"holds"`    // what of it was not shown to matter, what it was measured with, and what it takes to matter
}

// Snippet is code to paste.
type Snippet struct {
	Name  string `json:"name"`  // Go, Python, C, nginx or sysctl
	Fence string `json:"fence"` // the language as Markdown names it
	Code  string `json:"code"`
}

// cellJSON is a cell of an Answer. Metrics have all names of All, null where not supported; at_least names those that
// are lower bounds.
type cellJSON struct {
	Cell     plan.Cell           `json:"cell"`
	Trials   int                 `json:"trials"`
	Failed   int                 `json:"failed"`
	Repeated int                 `json:"repeated"`
	Error    string              `json:"error,omitempty"`
	Counts   map[string]int64    `json:"counts,omitempty"`
	Metrics  map[string]*float64 `json:"metrics,omitempty"`
	AtLeast  []string            `json:"at_least,omitempty"`

	Intervals   map[string]stats.Limits `json:"intervals,omitempty"`    // of merged percentiles, by metric
	NoIntervals string                  `json:"no_intervals,omitempty"` // why there are none

	Means  *Parts      `json:"means,omitempty"` // where the server's part is known
	Doubts []CellDoubt `json:"doubts"`
}

// MarshalJSON writes the answer in the form all commands share.
func (a Answer) MarshalJSON() ([]byte, error) {
	cells := []cellJSON{}
	for i := range a.Cells {
		cells = append(cells, a.Cells[i].json())
	}
	findings := a.Findings
	if findings == nil {
		findings = []Finding{}
	}
	return json.Marshal(struct {
		Verdict  string         `json:"verdict"`
		Findings []Finding      `json:"findings"`
		Effects  *MetricEffects `json:"effects,omitempty"`
		Cells    []cellJSON     `json:"cells"`
		Sessions []Session      `json:"sessions,omitempty"`
		Capacity []Capacity     `json:"capacity,omitempty"`
		Advice   *Advice        `json:"advice,omitempty"`
		Run      string         `json:"run"`
	}{a.Verdict, findings, a.Effects, cells, a.Sessions, a.Capacity, a.Advice, a.Run})
}

func (s *CellSummary) json() cellJSON {
	c := cellJSON{Cell: s.Cell, Trials: s.Trials, Failed: s.Failed, Repeated: s.Repeated, Error: s.Error, Doubts: s.Doubts}
	if c.Doubts == nil {
		c.Doubts = []CellDoubt{}
	}
	if s.Merged == nil {
		return c
	}
	r := &s.Merged.Metrics.Result
	c.Counts = map[string]int64{"offered": r.Offered, "completed": r.Completed, "failed": r.Failed, "timed_out": r.TimedOut, "unfinished": r.Unfinished}
	if p, ok := s.Merged.Metrics.parts(); ok {
		c.Means = &p
	}
	c.Intervals, c.NoIntervals = s.Intervals()
	c.Metrics = map[string]*float64{}
	for _, m := range All {
		c.Metrics[m.Name] = nil
		if v, ok := m.Get(s.Merged); ok {
			c.Metrics[m.Name] = &v
			if m.Censored != nil && m.Censored(s.Merged) {
				c.AtLeast = append(c.AtLeast, m.Name)
			}
		}
	}
	return c
}

// SessionNotes are beside the doubts: they are of no cell, and have no letter.
func (a *Answer) SessionNotes() (lines []string) {
	for i := range a.Sessions {
		lines = append(lines, a.Sessions[i].notes()...)
	}
	return lines
}
