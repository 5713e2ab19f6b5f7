package playbook

import (
	_ "embed" // the plan
	"fmt"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

//go:embed timeouts-under-loss.yaml
var timeoutsPlan string

var timeoutsUnderLoss = Playbook{
	Name:  "timeouts-under-loss",
	Doc:   "What does a short patience for replies buy on a path that dies, and cost on one that only loses frames? About 80 s; user namespaces.",
	Plan:  timeoutsPlan,
	Judge: judgeTimeouts,
}

func judgeTimeouts(p *plan.Plan, records []results.Record) Verdict {
	t := counting(records)
	patience := levels(p, "request_timeout")
	short, long := patience[0], patience[len(patience)-1]
	cell := func(variant, timeout string) plan.Cell {
		return plan.Cell{"variant": variant, "request_timeout": timeout}
	}
	v := t.conclude("a short patience ("+short+") notices a dead path several times sooner than a long one ("+long+"), and gives up at least ten times as many requests on a path that only loses frames", []condition{
		{If: "the path dies", Metric: "time_to_detect", AtLeast: 3, Failing: true, Of: cell("dead", long), Than: cell("dead", short),
			Expected: "6.7, as the timeouts are: a dead path is silent, and only the client's patience ends the silence"},
		{If: "the path loses every fiftieth frame", Metric: "errors", AtLeast: 10, Failing: true, Of: cell("lossy", short), Than: cell("lossy", long),
			Expected: "far more than 10: TCP sends a lone segment again after two round trips and 200 ms (Linux's tail loss probe with one segment under way), here 240 ms, and doubles the wait each time"},
	})
	return v.withLosses(t, patience)
}

// withLosses says how many requests were given up where the path lives.
func (v Verdict) withLosses(t trials, patience []string) Verdict {
	gaveUp := func(m *results.Metrics) int64 { return m.Failed + m.TimedOut + m.Unfinished }
	offered := func(m *results.Metrics) int64 { return m.Offered }
	for _, path := range []string{"clean", "lossy"} {
		says := map[string]string{"clean": "On the path that loses nothing", "lossy": "On the path that loses every fiftieth frame"}[path]
		for i, timeout := range patience {
			c := plan.Cell{"variant": path, "request_timeout": timeout}
			if i > 0 {
				says += ", and"
			}
			says += fmt.Sprintf(" %d of %s requests were given up with request_timeout=%s", t.sum(c, gaveUp), term.Number(float64(t.sum(c, offered))), timeout)
		}
		v.Because = append(v.Because, says+".")
	}
	v.Because = append(v.Because, "A request that was given up may have been served all the same: whoever asks again must ask for what may be done twice. A patience between the two, "+
		"beyond the round trip and TCP's 200 ms, is what both ends of the trade meet at.")
	return v
}
