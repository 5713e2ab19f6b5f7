package playbook

import (
	"slices"
	"strings"
	"testing"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

// served is what a trial of a second measured: so many requests, half of which took no longer than p50, in nanoseconds.
func served(perSecond float64, p50 int64) *results.Metrics {
	m := &results.Metrics{}
	m.Duration, m.Throughput = 1e9, perSecond
	m.Offered, m.Completed = int64(perSecond), int64(perSecond)
	m.Response.Count, m.Response.Mean, m.Response.P50 = m.Offered, float64(p50), &p50
	m.Server.CPUs, m.Machine.CPUs = []int{0}, 2
	return m
}

// judged is what a playbook makes of so many blocks; trials of which nil is said have failed.
func judged(t *testing.T, b Playbook, blocks int, what func(plan.Cell) *results.Metrics) Verdict {
	t.Helper()
	p, err := plan.Parse(b.Name+".yaml", []byte(b.Plan))
	if err != nil {
		t.Fatal(err)
	}
	var records []results.Record
	for block := range blocks {
		for _, trial := range p.Block(block, 0) {
			r := results.Record{Schema: results.Schema, Trial: trial, Metrics: what(trial.Cell)}
			if r.Metrics == nil {
				r.Error, r.Stage = "it did not start\nmore of it", "serve"
			} else { // as trials scatter
				r.Metrics.Throughput *= 1 + float64(trial.Order%5)/10000
			}
			records = append(records, r)
		}
	}
	return b.Judge(p, records)
}

// judgement is a case of a playbook's test.
type judgement struct {
	name   string
	blocks int
	what   func(plan.Cell) *results.Metrics
	answer Answer
	onlyIf string // of HoldsIf
	says   []string
}

func judge(t *testing.T, b Playbook, cases []judgement) {
	t.Helper()
	for _, c := range append(cases,
		judgement{name: "nothing was run", blocks: 0, what: cases[0].what, answer: NotShown},
		judgement{name: "one block", blocks: 1, what: cases[0].what, answer: NotShown, says: []string{"more --blocks may help"}},
		judgement{name: "all failed", blocks: 6, what: func(plan.Cell) *results.Metrics { return nil }, answer: NotShown, says: []string{"trials failed, the first because: it did not start"}},
	) {
		v := judged(t, b, c.blocks, c.what)
		all := strings.Join(v.Because, "\n")
		if v.Answer != c.answer || v.If != c.onlyIf {
			t.Errorf("%s: %s: %s %q, want %s %q: %s", b.Name, c.name, v.Answer, v.If, c.answer, c.onlyIf, all)
		}
		for _, s := range c.says {
			if !strings.Contains(all, s) {
				t.Errorf("%s: %s: it does not say %q: %s", b.Name, c.name, s, all)
			}
		}
		if v.Claim == "" || v.Figures == nil || len(v.Table.Rows) == 0 || slices.Contains(v.Because, "") || strings.Contains(all, "NaN") || strings.Contains(all, "Inf") {
			t.Errorf("%s: %s: %+v", b.Name, c.name, v)
		}
	}
}

// What of a condition has too few pairs, or none, is neither met nor not met.
func TestConclude(t *testing.T) {
	conditions := []condition{
		{If: "a", Metric: "throughput", AtLeast: 2, Expected: "3", Of: plan.Cell{"connections": "1", "via": "none"}, Than: plan.Cell{"connections": "1", "via": "proxy"}},
		{If: "b", Metric: "throughput", AtLeast: 2, Expected: "3", Of: plan.Cell{"connections": "64", "via": "none"}, Than: plan.Cell{"connections": "64", "via": "proxy"}},
	}
	for _, c := range []struct {
		name   string
		one    float64 // times, with one connection
		many   float64 // with 64; 0: failed
		answer Answer
		onlyIf string
		says   string
	}{
		{"both", 3, 3, Holds, "", "2 times or more, as claimed. Expected: 3."},
		{"one", 3, 1, HoldsIf, "a", "less than the 2 times claimed"},
		{"neither", 1, 1, Refuted, "", "less than the 2 times claimed"},
		{"one is not known", 3, 0, NotShown, "", "If b: 0 pairs to compare, too few"},
		{"it is on the edge", 1, 2, NotShown, "", "leaves open whether it is 2 times or more"},
	} {
		p, err := plan.Parse("proxy-hop.yaml", []byte(proxyPlan))
		if err != nil {
			t.Fatal(err)
		}
		var records []results.Record
		for block := range 8 {
			for _, trial := range p.Block(block, 0) {
				times := map[string]float64{"1": c.one, "64": c.many}[trial.Cell["connections"]]
				if trial.Cell["path"] != "none" {
					continue
				}
				if trial.Cell["via"] == "proxy" && times > 0 {
					times = 1
				}
				r := results.Record{Trial: trial, Error: "it did not start"}
				if times > 0 {
					r.Metrics, r.Error = served(1000*times*(1+.01*float64(block%2)), 1000), ""
					if trial.Cell["via"] == "none" {
						r.Metrics.Throughput *= 1 + .1*float64(block%3-1)
					}
				}
				records = append(records, r)
			}
		}
		v := counting(records).conclude("more", conditions)
		if all := strings.Join(v.Because, "\n"); v.Answer != c.answer || v.If != c.onlyIf || !strings.Contains(all, c.says) {
			t.Errorf("%s: %s %q: %s", c.name, v.Answer, v.If, all)
		}
	}
}
