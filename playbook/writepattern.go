package playbook

import (
	_ "embed" // the plan

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

//go:embed write-pattern.yaml
var writePatternPlan string

var writePattern = Playbook{
	Name:  "write-pattern",
	Doc:   "What do small writes cost where nothing is held back? About 30 s.",
	Plan:  writePatternPlan,
	Judge: judgeWritePattern,
}

func judgeWritePattern(_ *plan.Plan, records []results.Record) Verdict {
	t := counting(records)
	compare := func(where, metric, of, than, expected string) condition {
		return condition{If: where, Metric: metric, AtLeast: 1.1, Expected: expected, Of: plan.Cell{"variant": of}, Than: plan.Cell{"variant": than}}
	}
	const pieces = "more than 1, less than 2: a system call and a segment less, and a wake-up of the server less where it would have read the head alone"
	v := t.conclude("the same bytes in fewer or larger segments come through at least 1.1 times as fast", []condition{
		compare("head and body leave in one write instead of two", "throughput", "one", "two", pieces),
		compare("they leave in one writev", "throughput", "writev", "two", pieces),
		compare("they leave in two writes behind TCP_CORK", "throughput", "cork", "two", "less than with one write: one segment too, but two system calls more instead of one less"),
		compare("a stream is written 64 KiB at a time instead of 4 KiB", "goodput", "64KiB", "4KiB", "up to 16, as the number of system calls; less, since copying the bytes takes its time whatever the calls are"),
	})
	v.Because = append(v.Because, "TCP_NODELAY was on: what is compared is the cost of calls, segments and wake-ups alone. With it off, two writes also wait: playbook nagle.")
	return v
}
