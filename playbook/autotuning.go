package playbook

import (
	_ "embed" // the plan

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

//go:embed autotuning.yaml
var autotuningPlan string

var autotuning = Playbook{
	Name:  "autotuning",
	Doc:   "Are large fixed socket buffers faster than those that the kernel lets grow? About 65 s; user namespaces.",
	Plan:  autotuningPlan,
	Judge: judgeAutotuning,
}

func judgeAutotuning(_ *plan.Plan, records []results.Record) Verdict {
	t := counting(records)
	compare := func(where, metric, of, than, expected string) condition {
		return condition{If: where, Metric: metric, AtLeast: 1.1, Expected: expected, Of: plan.Cell{"variant": of}, Than: plan.Cell{"variant": than}}
	}
	v := t.conclude("buffers of 1 MiB, four times what the path holds, are at least 1.1 times as fast as those that the kernel lets grow", []condition{
		compare("a stream lasts", "goodput", "stream-1MiB", "stream-auto", "1: both have room for more than the path holds"),
		compare("a download is short, over a connection of its own", "mean", "short-auto", "short-1MiB",
			"1: the sender's congestion window starts at 10 segments and doubles in each RTT (RFC 6928), and the receiver's window, which starts at 64 KiB, keeps ahead of it (tcp_rcv_space_adjust)"),
	})
	v.Because = append(v.Because, "A fixed buffer is a ceiling: one that is too small for the path costs its share of the rate (playbook small-buffers-long-path), "+
		"and it may not exceed net.core.rmem_max and wmem_max, where one that grows may reach tcp_rmem's and tcp_wmem's last number.")
	return v
}
