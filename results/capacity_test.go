package results

import (
	"strings"
	"testing"

	"github.com/sockbench/sockbench/plan"
)

func TestJudgeCapacity(t *testing.T) {
	p, err := plan.New("test", 1, 1, 0, plan.DefaultDuration, []plan.Factor{{Knob: "target", Levels: []string{"epoll", "thread", "blocking", "goroutine"}}})
	if err == nil {
		p, err = p.With(plan.Changes{Limits: []plan.Limit{{Metric: "p99", Limit: "2ms"}, {Metric: "errors", Limit: "0.1%"}}})
	}
	if err != nil {
		t.Fatal(err)
	}
	cell := func(target string) plan.Cell { return plan.Cell{"target": target} }
	known := Capacity{Cell: cell("epoll"), Verdict: Better, Sustained: 8000, Median: 8500, Low: 8000, High: 9200, Level: .9, Closed: 12000, Trials: 21,
		Rates: []AtRate{{Rate: 8000, Trials: 3, Kept: 2, Missed: 1, Why: "p99 9.00ms"}, {Rate: 9000, Trials: 3, Missed: 3, Why: "p99 3.00ms"}, {Rate: 9500, Trials: 1, Missed: 1, Why: "p99 4.00ms"}}}
	more := known
	more.Cell, more.Sustained = cell("thread"), 9000
	never := Capacity{Cell: cell("blocking"), Verdict: Worse, Level: .9, Lowest: 400, Trials: 9, Rates: []AtRate{{Rate: 400, Trials: 7, Missed: 7, Why: "p99 3.00ms"}}}
	open := Capacity{Cell: cell("goroutine"), Verdict: Unclear, Median: 100, Low: 50, High: 200, Level: .9, Trials: 60, Why: "more trials could tell"}
	short := Capacity{Cell: cell("goroutine"), Verdict: Unclear, Level: .9, Why: "a trial of 30s is too short for this limit"}
	dead := Capacity{Cell: cell("goroutine"), Verdict: NoResult, Why: "it does not start"}
	for _, c := range []struct {
		all               []Capacity
		verdict, headline string
		claims            []string
	}{
		{[]Capacity{known}, "done", "sustains 8.00k/s", []string{
			"target=epoll sustains 8.00k/s within p99 ≤ 2ms and errors ≤ 0.1%: median 8.50k/s, 90% interval 8.00k/s–9.20k/s, 21 trials; a closed loop reaches 12.0k/s; at 9.00k/s: p99 3.00ms"}},
		{[]Capacity{never}, "missed", "at no rate", []string{
			"target=blocking keeps p99 ≤ 2ms and errors ≤ 0.1% at no rate that was asked: 400/s, the lowest one, misses it already in 7 of 7: p99 3.00ms"}},
		{[]Capacity{open}, "inconclusive", "inconclusive", []string{"90% interval 50/s–200/s; more trials could tell"}},
		{[]Capacity{short}, "inconclusive", "inconclusive: a trial of 30s is too short for this limit", []string{""}},
		{[]Capacity{dead}, "failed", "target=goroutine gave nothing: it does not start", []string{""}},
		{[]Capacity{known, never, more}, "done", "The highest rate within p99 ≤ 2ms and errors ≤ 0.1% is known of 2 of 3 cells; kept at no rate that was asked: 1",
			[]string{"target=thread", "target=epoll", "target=blocking"}},
		{[]Capacity{known, open, dead}, "inconclusive", "of 1 of 3 cells; inconclusive: 1; without a result: 1", []string{"target=epoll", "", ""}},
		{[]Capacity{never, dead}, "missed", "of 0 of 2 cells", []string{"", ""}},
	} {
		verdict, headline, findings := JudgeCapacity(p, c.all)
		if verdict != c.verdict || !strings.Contains(headline, c.headline) || len(findings) != len(c.claims) {
			t.Fatalf("%s, %q, %d findings; want %s, %q, %d", verdict, headline, len(findings), c.verdict, c.headline, len(c.claims))
		}
		for i, want := range c.claims {
			if f := findings[i]; !strings.Contains(f.Claim, want) || f.Code != "capacity" || len(f.Cells) != 1 {
				t.Errorf("%+v, want %q", f, want)
			}
		}
	}
}
