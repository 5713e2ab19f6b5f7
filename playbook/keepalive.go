package playbook

import (
	_ "embed" // the plan
	"fmt"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

//go:embed keep-alive-or-churn.yaml
var keepAlivePlan string

var keepAlive = Playbook{
	Name:  "keep-alive-or-churn",
	Doc:   "What does a new connection for each request cost? About 35 s; user namespaces.",
	Plan:  keepAlivePlan,
	Judge: judgeKeepAlive,
}

func judgeKeepAlive(_ *plan.Plan, records []results.Record) Verdict {
	t := counting(records)
	const far = "delay=10ms"
	cell := func(path, variant string) plan.Cell { return plan.Cell{"path": path, "variant": variant} }
	compare := func(where, path, variant, expected string) condition {
		return condition{If: where, Metric: "mean", AtLeast: 1.5, Expected: expected, Of: cell(path, variant), Than: cell(path, "kept")}
	}
	v := t.conclude("where connections are closed and made anew, replies take at least 1.5 times as long in the mean", []condition{
		compare("each request has its own, over an RTT of 20 ms", far, "each", "2: the handshake takes an RTT, the request another (RFC 9293, 3.5)"),
		compare("each request has its own, on a loopback", "none", "each", "more than 2: making and closing a connection is more work than a request"),
		compare("ten requests share one, over an RTT of 20 ms", far, "ten", "1.1: (10 + 1) RTTs for 10 requests"),
		compare("ten requests share one, on a loopback", "none", "ten", "a tenth of what each its own costs more"),
	})
	v.Because = append(v.Because, t.predicted(
		prediction{"2 × RTT, of 20 ms,", "mean", cell(far, "each"), 40e6},
		prediction{"1.1 × RTT, of 20 ms,", "mean", cell(far, "ten"), 22e6},
	)...)
	made := func(variant string) string {
		return fmt.Sprintf("%s %d for %d", variant, t.sum(cell(far, variant), func(m *results.Metrics) int64 { return m.Connect.Count }),
			t.sum(cell(far, variant), func(m *results.Metrics) int64 { return m.Completed }))
	}
	v.Because = append(v.Because, "Connections made for replies, over an RTT of 20 ms: "+made("kept")+", "+made("ten")+", "+made("each")+". "+
		"The side that closes first keeps each one's port for 60 s more (TIME_WAIT), so that one address has ports for some 470 new connections per second to one server: 28,232 ÷ 60 s, unless tcp_tw_reuse lets ports be taken sooner.")
	return v
}
