package playbook

import (
	_ "embed" // the plan
	"fmt"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

//go:embed pipelining.yaml
var pipeliningPlan string

var pipelining = Playbook{
	Name:  "pipelining",
	Doc:   "Does a connection carry more when requests do not wait for replies? About 45 s; user namespaces.",
	Plan:  pipeliningPlan,
	Judge: judgePipelining,
}

func judgePipelining(_ *plan.Plan, records []results.Record) Verdict {
	t := counting(records)
	const far = "delay=10ms"
	cell := func(path, depth string) plan.Cell { return plan.Cell{"path": path, "pipeline": depth, noDelay: "on"} }
	compare := func(where, path, of, than, expected string) condition {
		return condition{If: where, Metric: "throughput", AtLeast: 4, Expected: expected, Of: cell(path, of), Than: cell(path, than)}
	}
	v := t.conclude("eight times as many requests under way on a connection are served at least four times as fast", []condition{
		compare("there are 8 instead of 1, over an RTT of 20 ms", far, "8", "1", "8: throughput is depth ÷ RTT"),
		compare("there are 64 instead of 8, over an RTT of 20 ms", far, "64", "8", "8 at most: throughput is depth ÷ RTT, where nothing else holds requests back"),
		compare("there are 8 instead of 1, on a loopback", "none", "8", "1", "less than 8: the CPU time of a request bounds it, of which system calls and wake-ups are shared by 8"),
		compare("there are 64 instead of 8, on a loopback", "none", "64", "8", "less than before: fewer calls are left to be saved"),
	})
	const law = "depth ÷ RTT (Little's law, 1961), of 20 ms, with %s"
	held := plan.Cell{"path": far, "pipeline": "64", noDelay: "off"}
	v.Because = append(v.Because, t.predicted(
		prediction{fmt.Sprintf(law, "1"), "throughput", cell(far, "1"), 1 / .020},
		prediction{fmt.Sprintf(law, "64"), "throughput", cell(far, "64"), 64 / .020},
		prediction{fmt.Sprintf(law, "64, and TCP_NODELAY off,"), "throughput", held, 64 / .020},
	)...)
	return v.withHeld(t, cell(far, "64"), held)
}

// withHeld says why 64 requests fall short of the law where Nagle's algorithm may hold some of them back.
func (v Verdict) withHeld(t trials, free, held plan.Cell) Verdict {
	if len(t.with(free)) == 0 || len(t.with(held)) == 0 {
		return v
	}
	p50, _ := results.FindMetric("p50")
	response := func(c plan.Cell) string {
		return p50.Format(t.median(c, func(r *results.Record) float64 { return metric("p50", r) }))
	}
	v.Because = append(v.Because, fmt.Sprintf("With TCP_NODELAY off half of 64 requests took %s and longer, with it on %s. 64 requests, and 64 replies, fill several segments: "+
		"the last of a batch is not full and waits, on both sides, until those before it are acknowledged (RFC 896), an RTT later and up to 40 ms more where the acknowledgement is delayed. "+
		"8 requests fill a part of one segment, and wait for none.", response(held), response(free)))
	return v
}
