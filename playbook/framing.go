package playbook

import (
	_ "embed" // the plan

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

//go:embed framing.yaml
var framingPlan string

var framing = Playbook{
	Name:  "framing",
	Doc:   "How much faster is a length in front than a newline or HTTP? About 35 s.",
	Plan:  framingPlan,
	Judge: judgeFraming,
}

func judgeFraming(_ *plan.Plan, records []results.Record) Verdict {
	t := counting(records)
	compare := func(where, variant, than, expected string) condition {
		return condition{If: where, Metric: "throughput", AtLeast: 1.1, Expected: expected,
			Of: plan.Cell{"variant": variant, "framing": "length"}, Than: plan.Cell{"variant": variant, "framing": than}}
	}
	const small = "1: finding the end of 64 bytes takes nanoseconds, the system calls and wake-ups of a request microseconds"
	v := t.conclude("a length in front of each message is at least 1.1 times as fast as another framing", []condition{
		compare("the other is a newline, and messages of 64 bytes go one at a time", "alone", "line", small),
		compare("the other is a newline, and they go 64 at a time", "together", "line", "little more than 1: 64 messages share the system calls, and a search takes longer than a look at a length"),
		compare("the other is a newline, and messages have 16 KiB", "large", "line", "a little more than 1: every byte is looked at once more"),
		compare("the other is HTTP, and messages of 64 bytes go one at a time", "alone", "http", "a little more than 1: a head is read line by line, and makes the message larger"),
		compare("the other is HTTP, and they go 64 at a time", "together", "http", "several: heads are all there is to do"),
	})
	v.Because = append(v.Because, "What a framing must do comes first: a newline may not stand inside a message, and a length needs a limit. Where messages end is never TCP's business: playbook sticky-packets.")
	return v
}
