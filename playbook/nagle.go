package playbook

import (
	_ "embed" // the plan

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

//go:embed nagle.yaml
var naglePlan string

var nagle = Playbook{
	Name:  "nagle",
	Doc:   "When does TCP_NODELAY make replies come sooner? About 35 s; user namespaces.",
	Plan:  naglePlan,
	Judge: judgeNagle,
}

func judgeNagle(_ *plan.Plan, records []results.Record) Verdict {
	t := counting(records)
	const far = "delay=5ms"
	cell := func(write, path, on string) plan.Cell {
		return plan.Cell{"write": write, "path": path, noDelay: on}
	}
	compare := func(where, write, path, expected string) condition {
		return condition{If: where, Metric: "p50", AtLeast: 1.25, Expected: expected, Of: cell(write, path, "off"), Than: cell(write, path, "on")}
	}
	const lone = "1, since a segment waits only while an earlier one is not acknowledged (RFC 896)"
	v := t.conclude("replies take at least 1.25 times as long with TCP_NODELAY off as with it on", []condition{
		compare("requests leave in two writes", "split", "none", "hundreds: 40 ms ÷ the time it takes without them"),
		compare("requests leave in two writes, over an RTT of 10 ms", "split", far, "6: (2 × RTT + 40 ms) ÷ RTT"),
		compare("requests leave in one write", "single", "none", lone),
		compare("requests leave in one write, over an RTT of 10 ms", "single", far, lone),
	})
	v.Because = append(v.Because, "What a segment waits for is the acknowledgement of the one before, which the receiver delays by 40 ms where it has nothing to send (TCP_DELACK_MIN, include/net/tcp.h).")
	v.Because = append(v.Because, t.predicted(
		prediction{"one such delay", "p50", cell("split", "none", "off"), 40e6},
		prediction{"2 × RTT + one such delay", "p50", cell("split", far, "off"), 60e6},
	)...)
	return v
}
