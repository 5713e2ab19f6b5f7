package playbook

import (
	_ "embed" // the plan
	"fmt"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

//go:embed compression.yaml
var compressionPlan string

var compression = Playbook{
	Name:  "compression",
	Doc:   "Is it faster to compress replies, and up to which rate of the line? About 45 s; user namespaces.",
	Plan:  compressionPlan,
	Judge: judgeCompression,
}

func judgeCompression(_ *plan.Plan, records []results.Record) Verdict {
	t := counting(records)
	const far = "delay=2ms,rate=20mbit"
	cell := func(path, how string) plan.Cell { return plan.Cell{"path": path, "compress": how} }
	codecs := []string{"gzip:1", "gzip:6", "zstd:1"}
	var conditions []condition
	for _, path := range []string{far, "none"} {
		where, expected := "over 20 Mbit/s", "some 4, as the bytes: the line is what limits"
		if path == "none" {
			where, expected = "on a loopback", "less than 1: CPU time is what limits"
		}
		for _, how := range codecs {
			conditions = append(conditions, condition{If: how + " compresses them " + where, Metric: "throughput", AtLeast: 1.1, Expected: expected,
				Of: cell(path, how), Than: cell(path, "none")})
		}
	}
	v := t.conclude("replies of 64 KiB, of which three quarters repeat themselves, come at least 1.1 times as fast where they are compressed", conditions)
	for _, how := range codecs {
		saved := t.median(cell("none", "none"), bytesPerReply) - t.median(cell("none", how), bytesPerReply)
		took := t.median(cell("none", how), cpuPerReply) - t.median(cell("none", "none"), cpuPerReply)
		if saved > 0 && took > 0 { // NaN is neither
			v.Because = append(v.Because, fmt.Sprintf("Break-even of %s: it saves %sB of a reply and takes %s of CPU time of both sides more, so that it pays on lines slower than bytes saved ÷ CPU time = %sbit/s, for each CPU that has the time (medians of %s).",
				how, term.Number(saved), term.Duration(took), term.Number(8*saved/took*1e9), term.Count(len(t.with(cell("none", how))), "trial")))
		}
	}
	return v
}

// bytesPerReply is how many bytes went both ways for a reply.
func bytesPerReply(r *results.Record) float64 { return metric("goodput", r) / metric("throughput", r) }

// cpuPerReply is the CPU time in nanoseconds that both sides took for a reply.
func cpuPerReply(r *results.Record) float64 {
	return metric("server_cpu_per_request", r) + metric("client_cpu_per_request", r)
}
