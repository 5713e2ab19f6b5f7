package playbook

import (
	_ "embed" // the plan
	"fmt"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

//go:embed queue-depth.yaml
var queueDepthPlan string

var queueDepth = Playbook{
	Name:  "queue-depth",
	Doc:   "Does a service do more when more requests wait in front of it? About 20 s.",
	Plan:  queueDepthPlan,
	Judge: judgeQueueDepth,
}

func judgeQueueDepth(_ *plan.Plan, records []results.Record) Verdict {
	t := counting(records)
	cell := func(connections string) plan.Cell { return plan.Cell{"connections": connections} }
	v := t.conclude("four times as many clients are served at least 1.5 times as fast", []condition{
		{If: "4 clients instead of 1 ask four workers", Metric: "throughput", AtLeast: 1.5, Of: cell("4"), Than: cell("1"), Expected: "4: each finds an idle worker"},
		{If: "16 clients instead of 4 ask four workers", Metric: "throughput", AtLeast: 1.5, Of: cell("16"), Than: cell("4"), Expected: "little more than 1: throughput is bounded by workers ÷ service time, which 4 clients miss while their connections are made"},
		{If: "64 clients instead of 16 ask four workers", Metric: "throughput", AtLeast: 1.5, Of: cell("64"), Than: cell("16"), Expected: "1: the workers are busy already"},
	})
	const law = "clients × service time ÷ workers (Little's law, 1961: clients = throughput × response time), with %d clients,"
	v.Because = append(v.Because, t.predicted(
		prediction{"workers ÷ service time", "throughput", cell("64"), 4 / .002},
		prediction{fmt.Sprintf(law, 16), "mean", cell("16"), 16 * 2e6 / 4},
		prediction{fmt.Sprintf(law, 64), "mean", cell("64"), 64 * 2e6 / 4},
	)...)
	v.Because = append(v.Because, "A queue behind busy workers buys nothing but waiting: bound it, and say no early to what would wait longer than its client does.")
	return v
}
