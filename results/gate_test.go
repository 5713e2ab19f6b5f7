package results

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results/stats"
	"github.com/sockbench/sockbench/unit"
)

// checkPlan has two variants in one cell for each number of connections.
func checkPlan(t *testing.T, blocks int, connections []string, gates ...plan.Gate) *plan.Plan {
	t.Helper()
	p, err := plan.New("check", 1, blocks, 0, unit.Duration(time.Second), []plan.Factor{
		{Knob: "target", Levels: []string{"epoll"}}, {Knob: "connections", Levels: connections}})
	if err != nil {
		t.Fatal(err)
	}
	p, err = p.With(plan.Changes{Gate: gates, Variants: []plan.Variant{{Name: "old", Knobs: plan.Cell{"backlog": "16"}}, {Name: "new", Knobs: plan.Cell{"backlog": "1024"}}}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var throughput5 = plan.Gate{Metric: "throughput", Worse: .05}

// checked are the records of so many blocks, where the throughput of a new trial is that of the old one times the ratio,
// and both scatter by 1 %.
func checked(p *plan.Plan, blocks int, ratio func(plan.Cell) float64) (records []Record) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range blocks {
		for _, trial := range p.Block(n, 0) {
			r := fine(trial, 0)
			r.Metrics.Throughput *= math.Exp(.01 * rng.NormFloat64())
			if trial.Cell["variant"] == "new" {
				r.Metrics.Throughput *= ratio(trial.Cell)
			}
			records = append(records, r)
		}
	}
	return records
}

func always(ratio float64) func(plan.Cell) float64 { return func(plan.Cell) float64 { return ratio } }

func TestJudgeCheck(t *testing.T) {
	for _, c := range []struct {
		ratio      float64
		verdict    stats.Verdict
		conclusion Conclusion
		says       string
	}{
		{1, stats.Fine, Same, "a loss of 5% is ruled out"},
		{.8, stats.Regression, Worse, "(-20."},
		{1.3, stats.Improvement, Better, "better, by 5% or more"},
		{.985, stats.Fine, Same, "a loss of 5% is ruled out"},
	} {
		p := checkPlan(t, 40, []string{"16"}, throughput5)
		got := JudgeCheck(p, checked(p, 10, always(c.ratio)))
		if got.Verdict != c.verdict || got.Open || len(got.Findings) != 1 || !strings.HasPrefix(got.Headline, string(c.verdict)+": throughput ") || !strings.Contains(got.Headline, c.says) {
			t.Errorf("%v: %+v", c.ratio, got)
			continue
		}
		f := got.Findings[0]
		if e := f.Effect; f.Verdict != c.conclusion || f.Pairs != 10 || f.Cells[0]["variant"] != "new" || f.Cells[1]["variant"] != "old" ||
			math.Abs(e.Ratio/c.ratio-1) > .02 || e.Low > e.Ratio || e.High < e.Ratio || math.Abs(e.Level-.9802) > 1e-9 {
			t.Errorf("%v: %+v", c.ratio, f)
		}
	}
}

// Between looks, and where a look cannot tell, the check is open; after the last pair it is inconclusive, and says what it
// would take.
func TestJudgeCheckIsOpen(t *testing.T) {
	p := checkPlan(t, 15, []string{"16"}, throughput5)
	records := checked(p, 15, always(1))
	for i := range records { // pairs that scatter by 60 %
		if records[i].Cell["variant"] == "new" {
			records[i].Metrics.Throughput *= []float64{1.6, 1. / 1.6}[records[i].Block%2]
		}
	}
	for n, open := range map[int]bool{0: true, 9: true, 10: true, 14: true, 15: false} {
		got := JudgeCheck(p, records[:2*n])
		if got.Verdict != stats.Inconclusive || got.Open != open {
			t.Errorf("%d pairs: %+v", n, got)
		}
		if n == 15 && (got.Findings[0].Verdict != Unclear || got.Findings[0].Needs < 16 || !strings.Contains(got.Headline, "could tell")) {
			t.Errorf("%+v", got)
		}
		if n == 9 && got.Findings[0].Needs != 10 {
			t.Errorf("it does not say that 10 pairs are needed: %+v", got)
		}
	}
}

// Of several cells the worst decides, and each is judged by itself.
func TestJudgeCheckOfCells(t *testing.T) {
	p := checkPlan(t, 40, []string{"1", "16", "64", "256"}, throughput5)
	got := JudgeCheck(p, checked(p, 11, func(c plan.Cell) float64 {
		if c["connections"] == "64" {
			return .7
		}
		return 1
	}))
	if got.Verdict != stats.Regression || got.Open || len(got.Findings) != 4 || got.Findings[0].Cells[0]["connections"] != "64" ||
		!strings.HasPrefix(got.Headline, "regression: connections=64 throughput ") || !strings.Contains(got.Headline, "first of 4 gates") {
		t.Errorf("%+v", got)
	}
	for _, f := range got.Findings[1:] {
		if f.Verdict != Same {
			t.Errorf("%+v", f)
		}
	}
	// Ten pairs are too few for one of four gates.
	if got := JudgeCheck(p, checked(p, 10, always(.7))); !got.Open || got.Verdict != stats.Inconclusive {
		t.Errorf("%+v", got)
	}
}

// A latency is worse when it is higher.
func TestJudgeCheckOfLatency(t *testing.T) {
	p := checkPlan(t, 40, []string{"16"}, plan.Gate{Metric: "p99", Worse: .20})
	for ratio, want := range map[float64]stats.Verdict{1.5: stats.Regression, .5: stats.Improvement, 1.05: stats.Fine} {
		records := checked(p, 10, always(1))
		for i := range records {
			if records[i].Cell["variant"] == "new" {
				*records[i].Metrics.Response.P99 = int64(ratio * float64(*records[i].Metrics.Response.P99))
			}
		}
		if got := JudgeCheck(p, records); got.Verdict != want || math.Abs(got.Findings[0].Effect.Ratio/ratio-1) > .01 {
			t.Errorf("%v: %+v", ratio, got)
		}
	}
}

// A check in which a trial gave nothing is no comparison: it has failed, and says where.
func TestJudgeCheckFails(t *testing.T) {
	p := checkPlan(t, 40, []string{"16"}, throughput5)
	for says, spoil := range map[string]func(*Record){
		"exit status 3":                   func(r *Record) { *r = failed(r.Trial, "exit status 3") },
		"the server ended":                func(r *Record) { r.Metrics.Server.Died = "killed by SIGKILL" },
		"300 of 20000 requests failed or": func(r *Record) { r.Metrics.Failed, r.Metrics.Completed = 300, 19_700 },
	} {
		records := checked(p, 12, always(.7))
		spoil(&records[5])
		got := JudgeCheck(p, records)
		if got.Verdict != Failed || got.Open || len(got.Findings) > 0 || !strings.Contains(got.Reason, says) || !strings.Contains(got.Reason, "variant="+records[5].Cell["variant"]+", block 3") {
			t.Errorf("%s: %+v", says, got)
		}
	}
}

// A trial in which nothing was completed is as bad as can be, and no failure of the check, unless nothing else ever happens.
func TestJudgeCheckCountsWhatHung(t *testing.T) {
	p := checkPlan(t, 40, []string{"16"}, throughput5)
	hang := func(records []Record, side string, times int) []Record {
		for i := range records {
			if records[i].Cell["variant"] == side && times > 0 {
				records[i].Metrics.Throughput = 0
				times--
			}
		}
		return records
	}
	if got := JudgeCheck(p, hang(checked(p, 40, always(1)), "new", 1)); got.Verdict != stats.Fine {
		t.Errorf("one of 40 hung: %+v", got)
	}
	if got := JudgeCheck(p, hang(checked(p, 40, always(1)), "new", 35)); got.Verdict != stats.Regression {
		t.Errorf("most of the new side's trials hung: %+v", got)
	}
	if got := JudgeCheck(p, hang(checked(p, 3, always(1)), "old", 3)); got.Verdict != Failed || !strings.Contains(got.Reason, "variant=old, block 1: it completed no request") {
		t.Errorf("all of the old side's trials hung: %+v", got)
	}
}

// Failures in a trial that the machine disturbed are not held against its side: the pair does not count. Where many do
// not, nothing is fine.
func TestJudgeCheckLeavesOut(t *testing.T) {
	p := checkPlan(t, 40, []string{"16"}, throughput5)
	for n, want := range map[int]stats.Verdict{1: stats.Fine, 4: stats.Inconclusive} {
		records := checked(p, 10+n, always(1))
		for i := range 2 * n {
			if r := &records[i]; r.Cell["variant"] == "new" {
				r.Metrics.Failed, r.Metrics.Completed, r.Metrics.Machine.Steal = 300, 19_700, 5e8
			}
		}
		got := JudgeCheck(p, records)
		if got.Verdict != want || got.Open || got.Findings[0].Pairs != 10 || want == stats.Inconclusive && !strings.Contains(got.Headline, "4 pairs more could not be compared") {
			t.Errorf("%d left out: %+v", n, got)
		}
	}
}

// A metric that no trial has is not waited for.
func TestJudgeCheckWithoutTheMetric(t *testing.T) {
	p := checkPlan(t, 40, []string{"16"}, plan.Gate{Metric: "p999", Worse: .20})
	records := checked(p, 10, always(1))
	for i := range records {
		records[i].Metrics.Response.P999 = nil
	}
	got := JudgeCheck(p, records)
	if got.Verdict != stats.Inconclusive || got.Open || !strings.Contains(got.Headline, "p999: no pair has it") {
		t.Errorf("%+v", got)
	}
}

func TestCheckFits(t *testing.T) {
	for _, c := range []struct {
		blocks int
		gates  []plan.Gate
		says   string
	}{
		{40, nil, "no gate"},
		{40, []plan.Gate{{Metric: "errors", Worse: .05}}, "0 where all is well"},
		{40, []plan.Gate{{Metric: "p99"}}, "allow 1% or more"},
		{9, []plan.Gate{throughput5}, "10 pairs at least"},
		{41, []plan.Gate{throughput5}, "ends after 40 pairs"},
		{40, []plan.Gate{throughput5}, ""},
	} {
		switch err := CheckFits(checkPlan(t, c.blocks, []string{"16"}, c.gates...)); {
		case err == nil && c.says != "", err != nil && (c.says == "" || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%+v: %v", c, err)
		}
	}
	if err := CheckFits(newPlan(t, 40)); err == nil || !strings.Contains(err.Error(), "two variants") {
		t.Error(err)
	}
	if got := JudgeCheck(newPlan(t, 40), nil); got.Verdict != Failed {
		t.Errorf("%+v", got)
	}
}

// The old side is the one that is called so, wherever it stands.
func TestSides(t *testing.T) {
	for _, c := range []struct{ first, second, old string }{{"old", "new", "old"}, {"new", "old", "old"}, {"a", "b", "a"}, {"new", "b", "b"}} {
		p, err := newPlan(t, 40).With(plan.Changes{Variants: []plan.Variant{{Name: c.first, Knobs: plan.Cell{"backlog": "16"}}, {Name: c.second, Knobs: plan.Cell{"backlog": "1024"}}}})
		if err != nil {
			t.Fatal(err)
		}
		if old, _, ok := Sides(p); !ok || old != c.old {
			t.Errorf("%s, %s: the old side is %s", c.first, c.second, old)
		}
	}
}
