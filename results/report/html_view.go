package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/sockopt"
)

// view is what the page says without its script.
type view struct {
	Name, Folder, Started, Verdict string
	Cells, Trials                  int
	Failed, Repeated               int
	Blocks                         int // that have a trial
	Planned                        int // blocks of the plan; a search has as many as it takes
	Plan                           *plan.Plan
	Took, Machine                  string
	Length                         string // of a trial's measure phase
	Findings                       []findingView
	Nothing                        string
	Effects                        *results.MetricEffects // nil: none were asked for
	Advice                         *results.Advice        // of a search; nil: nothing
	Search                         bool                   // that looked for a winner or a capacity
	Capacity                       bool                   // was looked for: there is a chart of it
	Headline                       string                 // of a check
	Because, Means                 []string
	Ratios                         []ratioGroup
	Table                          tableView
	Doubts                         []doubtView
	Sessions                       []string // what is wrong with all trials of a server together
	Options                        []optionView
	MoreOptions                    int
	Fingerprint, Versions          []pair
	Regimes                        []pair // and how many trials ran under each
	Places                         []pair
}

type pair struct{ Name, Value string }

type findingView struct {
	results.Finding
	Number   int
	Compared bool // a ratio of two kinds of cells is behind it
	Rests    int  // cells
	Doubts   []codeCount
}

// codeCount is a code that some cells have, and its worst verdict.
type codeCount struct {
	Code    string
	Verdict results.Verdict
	Cells   int
}

type tableView struct {
	Knobs   []string
	Metrics []string
	Served  bool // some connections were not
	Rows    []rowView
}

type rowView struct {
	Levels, Values []string
	Served         string
	Verdict        results.Verdict // the worst; "": there is no doubt
	Doubts         []results.CellDoubt
	Trials         int
}

// doubtView is a check that found something.
type doubtView struct {
	codeCount
	Doc, Evidence, Where string
	Trials               int
}

type optionView struct {
	Side string
	sockopt.Applied
	Cells, Trials int
}

// ClassKey names the class's message.
func (o optionView) ClassKey() string {
	return "class_" + strings.ReplaceAll(string(o.Class), " ", "_")
}

func newView(in Input) view {
	p := in.Manifest.Plan
	counting, repeated := results.Counting(in.Records)
	v := view{Name: p.Name, Folder: in.Answer.Run, Started: in.Manifest.Started.UTC().Format("2006-01-02 15:04 UTC"), Verdict: in.Answer.Verdict,
		Cells: len(in.Answer.Cells), Trials: len(in.Records), Repeated: len(repeated), Plan: p,
		Nothing: in.Answer.Nothing, Effects: in.Answer.Effects, Advice: in.Answer.Advice, Capacity: newCapacityFacts(in) != nil, Headline: in.Answer.Headline, Because: in.Answer.Because, Means: results.Means(p, in.Answer.Cells), Ratios: ratios(in), Table: newTable(in)}
	blocks := map[int]bool{}
	for i := range in.Records {
		if blocks[in.Records[i].Block] = true; in.Records[i].Metrics == nil {
			v.Failed++
		}
	}
	v.Blocks, v.Planned, v.Took, v.Length = len(blocks), p.Blocks, took(in.Records, p), length(in.Records, p)
	if v.Search = in.Manifest.Search != nil; v.Search {
		v.Planned = v.Blocks
	}
	for i, f := range in.Answer.Findings {
		v.Findings = append(v.Findings, newFinding(in.Answer.Cells, f, i+1))
	}
	v.Doubts, v.Sessions = doubts(in), in.Answer.SessionNotes()
	v.Options, v.MoreOptions = options(counting)
	v.environment(in)
	return v
}

// took is from when the first trial began to when the last one ended, roughly.
func took(records []results.Record, p *plan.Plan) string {
	var first, last time.Time
	for _, r := range records {
		if first.IsZero() || r.Started.Before(first) {
			first = r.Started
		}
		if r.Started.After(last) {
			last = r.Started
		}
	}
	return (last.Sub(first) + time.Duration(p.Warmup) + time.Duration(p.Duration)).Round(time.Second).String()
}

// length is how long the measure phases were: of a search for a capacity they differ.
func length(records []results.Record, p *plan.Plan) string {
	least, most := p.Duration, p.Duration
	for i := range records {
		d := records[i].Spec.Load.Duration
		least, most = min(least, d), max(most, d)
	}
	if least == most {
		return most.String()
	}
	return least.String() + " – " + most.String()
}

func newFinding(cells []results.CellSummary, f results.Finding, number int) findingView {
	v := findingView{Finding: f, Number: number, Compared: hasRatio(f)}
	for i := range cells {
		c := &cells[i]
		if c.Merged == nil || !slices.ContainsFunc(f.Cells, func(side plan.Cell) bool { return c.Cell.Has(side) }) {
			continue
		}
		v.Rests++
		for _, d := range c.Doubts {
			if severity(d.Verdict) >= severity(results.Warn) {
				v.Doubts = count(v.Doubts, d.Code, d.Verdict)
			}
		}
	}
	slices.SortStableFunc(v.Doubts, func(a, b codeCount) int { return cmp.Compare(b.Cells, a.Cells) })
	return v
}

func count(all []codeCount, code string, v results.Verdict) []codeCount {
	i := slices.IndexFunc(all, func(c codeCount) bool { return c.Code == code })
	if i < 0 {
		return append(all, codeCount{code, v, 1})
	}
	all[i].Cells++
	if severity(v) > severity(all[i].Verdict) {
		all[i].Verdict = v
	}
	return all
}

// usual are the columns of the table; of what stands between, of faults and of goodput only where they say something.
var usual = []string{"throughput", "p50", "p90", "p99", "p999", "max", "client_cpu_per_request", "server_cpu_per_request", "errors"}

var unusual = []string{"via_cpu_per_request", "time_to_detect", "false_alarms", "replies_lost"}

func newTable(in Input) (t tableView) {
	p := in.Manifest.Plan
	for _, f := range p.Factors {
		if len(f.Levels) > 1 {
			t.Knobs = append(t.Knobs, f.Knob)
		}
	}
	if t.Knobs == nil {
		for _, f := range p.Factors {
			t.Knobs = append(t.Knobs, f.Knob)
		}
	}
	var metrics []results.Metric
	for _, m := range supported(in.Answer.Cells) {
		if slices.Contains(usual, m.Name) || slices.Contains(unusual, m.Name) {
			metrics = append(metrics, m)
			t.Metrics = append(t.Metrics, m.Name)
		}
	}
	for i := range in.Answer.Cells {
		c := &in.Answer.Cells[i]
		r := rowView{Doubts: c.Doubts, Verdict: worst(c), Trials: c.Trials, Served: "–"}
		for _, k := range t.Knobs {
			r.Levels = append(r.Levels, c.Cell[k])
		}
		for _, m := range metrics {
			text := "–"
			if c.Merged != nil {
				text = m.Text(c.Merged)
			}
			r.Values = append(r.Values, text)
		}
		if c.Failed > 0 {
			r.Doubts = append([]results.CellDoubt{{Doubt: results.Doubt{Code: "failed", Verdict: results.Fail, Evidence: c.Error}, Trials: c.Failed}}, r.Doubts...)
		}
		t.Rows = append(t.Rows, r)
	}
	return t
}

// doubts gathers what the checks found, worst first; of one verdict what is found most often comes first.
func doubts(in Input) (all []doubtView) {
	at := map[string]int{}
	add := func(c *results.CellSummary, d results.CellDoubt, doc string) {
		i, ok := at[d.Code]
		if !ok {
			i = len(all)
			at[d.Code] = i
			all = append(all, doubtView{codeCount: codeCount{Code: d.Code, Verdict: results.OK}, Doc: doc})
		}
		v := &all[i]
		v.Cells++
		v.Trials += d.Trials
		if severity(d.Verdict) > severity(v.Verdict) {
			v.Verdict, v.Evidence, v.Where = d.Verdict, d.Evidence, in.Manifest.Plan.Label(c.Cell)
		}
	}
	for i := range in.Answer.Cells {
		c := &in.Answer.Cells[i]
		if c.Failed > 0 {
			add(c, results.CellDoubt{Doubt: results.Doubt{Code: "failed", Verdict: results.Fail, Evidence: c.Error}, Trials: c.Failed}, "trials without metrics")
		}
		for _, d := range c.Doubts {
			doc := ""
			if i := slices.IndexFunc(results.Checks, func(k results.Check) bool { return k.Code == d.Code }); i >= 0 {
				doc = results.Checks[i].Doc
			}
			add(c, d, doc)
		}
	}
	slices.SortStableFunc(all, func(a, b doubtView) int {
		return cmp.Or(cmp.Compare(severity(b.Verdict), severity(a.Verdict)), cmp.Compare(b.Cells, a.Cells))
	})
	return all
}

// mostOptions bounds the table of options.
const mostOptions = 200

// options gathers what became of asked options, those of one fate together, in the order they were met.
func options(records []*results.Record) (all []optionView, more int) {
	at := map[optionView]int{}
	cells := map[optionView]map[string]bool{}
	for _, r := range records {
		if r.Metrics == nil {
			continue
		}
		for _, side := range []struct {
			name string
			of   *results.Side
		}{{"client", &r.Metrics.Client}, {"server", &r.Metrics.Server}, {"via", &r.Metrics.Via}} {
			for _, a := range side.of.Applied {
				key := optionView{Side: side.name, Applied: a}
				key.Sockets = 0
				i, ok := at[key]
				if !ok {
					i = len(all)
					at[key], cells[key] = i, map[string]bool{}
					all = append(all, key)
				}
				cells[key][r.Cell.String()] = true
				all[i].Trials++
				all[i].Sockets += a.Sockets
				all[i].Cells = len(cells[key])
			}
		}
	}
	slices.SortStableFunc(all, func(a, b optionView) int {
		return cmp.Or(cmp.Compare(a.Option, b.Option), cmp.Compare(a.Side, b.Side), cmp.Compare(a.Asked, b.Asked))
	})
	if len(all) > mostOptions {
		return all[:mostOptions], len(all) - mostOptions
	}
	return all, 0
}

func (v *view) environment(in Input) {
	facts := map[string]any{}
	if json.Unmarshal(in.Manifest.Machine, &facts) == nil {
		for _, name := range slices.Sorted(maps.Keys(facts)) {
			v.Fingerprint = append(v.Fingerprint, pair{name, fmt.Sprint(facts[name])})
		}
		if cpu, ok := facts["cpu"]; ok {
			v.Machine = fmt.Sprint(cpu)
		}
		if cpus, ok := facts["cpus"]; ok {
			v.Machine += fmt.Sprintf(" × %v", cpus)
		}
		if kernel, ok := facts["kernel"]; ok {
			v.Machine += fmt.Sprintf(", Linux %v", kernel)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(in.Manifest.Versions)) {
		v.Versions = append(v.Versions, pair{name, in.Manifest.Versions[name]})
	}
	regimes, places := map[string]int{}, map[string]int{}
	for i := range in.Records {
		if m := in.Records[i].Metrics; m != nil {
			regimes[m.Machine.Regime]++
			places[m.Machine.Namespace]++
		}
	}
	v.Regimes, v.Places = often(regimes), often(places)
}

// often lists texts and in how many trials each is.
func often(trials map[string]int) (all []pair) {
	for _, text := range slices.Sorted(maps.Keys(trials)) {
		all = append(all, pair{text, term.Number(float64(trials[text]))})
	}
	return all
}
