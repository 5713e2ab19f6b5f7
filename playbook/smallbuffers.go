package playbook

import (
	_ "embed" // the plan
	"fmt"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

//go:embed small-buffers-long-path.yaml
var smallBuffersPlan string

var smallBuffers = Playbook{
	Name:  "small-buffers-long-path",
	Doc:   "What does a small socket buffer cost on a path that holds 250 kB? About 75 s; user namespaces.",
	Plan:  smallBuffersPlan,
	Judge: judgeSmallBuffers,
}

func judgeSmallBuffers(_ *plan.Plan, records []results.Record) Verdict {
	t := counting(records)
	compare := func(where, variant, expected string) condition {
		return condition{If: where, Metric: "goodput", AtLeast: 1.25, Expected: expected, Of: plan.Cell{"variant": "auto"}, Than: plan.Cell{"variant": variant}}
	}
	const room = "1: as much fits as the path holds, twice"
	v := t.conclude("with a buffer of fixed size a download has at most 1/1.25 of the goodput that it has where the kernel sizes buffers", []condition{
		compare("the receive buffer is 16 KiB", "receive-16KiB", "14.6: the line's rate ÷ (window ÷ RTT)"),
		compare("the receive buffer is 64 KiB", "receive-64KiB", "3.6: the line's rate ÷ (window ÷ RTT)"),
		compare("the receive buffer is 512 KiB", "receive-512KiB", room),
		compare("the send buffer is 64 KiB", "send-64KiB", "1.8: the line's rate ÷ (2 × 64 KiB ÷ RTT), since the kernel doubles what is asked"),
		compare("the send buffer is 512 KiB", "send-512KiB", room),
	})
	const rtt = .040 // seconds
	const window = "window ÷ RTT (RFC 7323, 1.1), with the buffer's %s as window and 40 ms"
	v.Because = append(v.Because, t.predicted(
		prediction{"the line's rate × 1448 ÷ 1514, the share of a frame that is payload,", "goodput", plan.Cell{"variant": "auto"}, 50e6 / 8 * 1448 / 1514},
		prediction{fmt.Sprintf(window, "16 KiB"), "goodput", plan.Cell{"variant": "receive-16KiB"}, 16 << 10 / rtt},
		prediction{fmt.Sprintf(window, "64 KiB"), "goodput", plan.Cell{"variant": "receive-64KiB"}, 64 << 10 / rtt},
		prediction{fmt.Sprintf(window, "2 × 64 KiB"), "goodput", plan.Cell{"variant": "send-64KiB"}, 128 << 10 / rtt},
	)...)
	return v
}
