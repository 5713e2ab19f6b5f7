package results

import (
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results/stats"
	"github.com/sockbench/sockbench/unit"
)

// confirmation is that of the last cell of a plan of four.
func confirmation(t *testing.T, limits ...plan.Limit) *plan.Plan {
	t.Helper()
	p, err := plan.New("many", 5, 1, 0, unit.Duration(time.Second), []plan.Factor{{Knob: "target", Levels: []string{"epoll"}},
		{Knob: "connections", Levels: []string{"8", "16"}}, {Knob: "backlog", Levels: []string{"16", "1024"}}})
	if err != nil {
		t.Fatal(err)
	}
	if p, err = p.With(plan.Changes{Limits: limits}); err != nil {
		t.Fatal(err)
	}
	q, err := Confirmation(p, p.Cells()[3], "throughput", 15)
	if err != nil {
		t.Fatal(err)
	}
	if q.Seed == p.Seed || CheckFits(q) != nil || len(q.Cells()) != 2 {
		t.Fatalf("seed %d, %v, cells %v", q.Seed, CheckFits(q), q.Cells())
	}
	return q
}

// confirmed are its records: throughput and p99 of the winner are those of the first cell times a ratio, and all scatter.
func confirmed(q *plan.Plan, pairs int, throughput, p99 float64) (records []Record) {
	rng := rand.New(rand.NewPCG(3, 4))
	for n := range pairs {
		for _, trial := range q.Block(n, 0) {
			r := fine(trial, 0)
			tail := 1e6 * math.Exp(.02*rng.NormFloat64())
			r.Metrics.Throughput *= math.Exp(.01 * rng.NormFloat64())
			if trial.Cell["variant"] == "winner" {
				r.Metrics.Throughput *= throughput
				tail *= p99
			}
			r.Metrics.Response.P99 = ptr(int64(tail))
			records = append(records, r)
		}
	}
	return records
}

func TestJudgeConfirmation(t *testing.T) {
	for _, c := range []struct {
		name            string
		limit           string // of p99
		throughput, p99 float64
		verdict         stats.Verdict
		conclusion      Conclusion
		says            string
		costs           int // with less throughput, CPU time per request is one
	}{
		{"a gain", "", 1.2, 1, stats.Improvement, Better, "(+2", 0},
		{"a gain that costs", "", 1.2, 1.5, stats.Improvement, Better, "(+2", 1},
		{"no gain", "", 1, 1, stats.Fine, Same, "throughput ", 0},
		{"a loss", "", .8, 1, stats.Regression, Worse, "(-1", 2},
		{"a gain that misses the limit", "1.2ms", 1.2, 1.5, stats.Inconclusive, Unclear, "it does not keep p99 ≤ 1.2ms", 1},
		{"a loss, where the first cell misses the limit", "800us", .8, .5, stats.Improvement, Better, "it keeps p99 ≤ 800us, which the first cell does not", 2},
		{"a gain, and both keep the limit", "2ms", 1.2, 1, stats.Improvement, Better, "(+2", 0},
	} {
		var limits []plan.Limit
		if c.limit != "" {
			limits = []plan.Limit{{Metric: "p99", Limit: c.limit}}
		}
		q := confirmation(t, limits...)
		got := JudgeConfirmation(q, confirmed(q, 10, c.throughput, c.p99))
		if got.Verdict != c.verdict || got.Finding.Verdict != c.conclusion || !strings.Contains(got.Says, c.says) || len(got.Costs) != c.costs {
			t.Errorf("%s: %+v", c.name, got)
			continue
		}
		if e := got.Finding.Effect; math.Abs(e.Ratio/c.throughput-1) > .02 || e.Low > c.throughput || e.High < c.throughput || got.Finding.Pairs != 10 {
			t.Errorf("%s: %+v, the truth is %v", c.name, got.Finding, c.throughput)
		}
		if c.costs == 1 && !strings.HasPrefix(got.Costs[0], "p99 1.0") {
			t.Errorf("%s costs %q", c.name, got.Costs)
		}
	}
}

// Fewer pairs than a look takes show nothing, and the reason why nothing can be compared is told.
func TestJudgeConfirmationOfTooLittle(t *testing.T) {
	q := confirmation(t)
	if got := JudgeConfirmation(q, confirmed(q, 4, 2, 1)); got.Verdict != stats.Inconclusive || got.Finding.Needs != 10 || got.Costs != nil {
		t.Errorf("%+v", got)
	}
	records := confirmed(q, 2, 2, 1)
	records[3] = failed(records[3].Trial, "it would not start")
	if got := JudgeConfirmation(q, records); got.Verdict != Failed || !strings.Contains(got.Says, "it would not start") {
		t.Errorf("%+v", got)
	}
}

// A folder is gone on with where it is there, and made where it is not; also where its making was cut short.
func TestContinue(t *testing.T) {
	dir := t.TempDir() + "/confirm"
	q := confirmation(t)
	m := Manifest{Plan: q, Check: &Checking{}}
	for n := range 3 {
		log, done, err := Continue(dir, m)
		if err != nil || len(done) != n {
			t.Fatalf("%d records, want %d: %v", len(done), n, err)
		}
		if err := log.Append(confirmed(q, 2, 1, 1)[n]); err != nil {
			t.Fatal(err)
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := Continue(dir, Manifest{Plan: confirmationOf(t, q)}); err == nil || !strings.Contains(err.Error(), "another plan") {
		t.Errorf("it goes on with another plan: %v", err)
	}
	cut := t.TempDir()
	l, err := openLog(cut, os.O_CREATE) // the process ends before the manifest is there
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, _, err = Continue(cut, m)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// confirmationOf is q with another seed.
func confirmationOf(t *testing.T, q *plan.Plan) *plan.Plan {
	t.Helper()
	seed := q.Seed + 1
	other, err := q.With(plan.Changes{Seed: &seed})
	if err != nil {
		t.Fatal(err)
	}
	return other
}
