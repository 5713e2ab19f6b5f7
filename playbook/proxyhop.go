package playbook

import (
	_ "embed" // the plan
	"fmt"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

//go:embed proxy-hop.yaml
var proxyPlan string

var proxyHop = Playbook{
	Name:  "proxy-hop",
	Doc:   "What does a proxy in front of a server cost, on a loopback and over a network of 10 ms? About 55 s.",
	Plan:  proxyPlan,
	Judge: judgeProxy,
}

func judgeProxy(p *plan.Plan, records []results.Record) Verdict {
	t := counting(records)
	var conditions []condition
	for _, path := range levels(p, "path") {
		where, expected := "it is on a loopback", "2 or more: each message crosses two sockets more, and wakes one process more"
		if path != "none" {
			where, expected = "it is over a network of 10 ms", "1: the hop is small beside the network"
		}
		cell := func(connections, via string) plan.Cell {
			return plan.Cell{"path": path, "connections": connections, "via": via}
		}
		conditions = append(conditions,
			condition{If: where + ", one request at a time", Metric: "p50", AtLeast: 1.25, Expected: expected, Of: cell("1", "proxy"), Than: cell("1", "none")},
			condition{If: where + ", 64 connections", Metric: "p50", AtLeast: 1.25, Expected: expected, Of: cell("64", "proxy"), Than: cell("64", "none")})
	}
	v := t.conclude("a proxy in front of a server makes the median response at least a quarter longer", conditions)
	for _, c := range conditions {
		added := t.median(c.Of, half) - t.median(c.Than, half)
		with, without := t.median(c.Of, pace), t.median(c.Than, pace)
		cpu := t.median(c.Of, viaCPU)
		if added == added {
			v.Because = append(v.Because, fmt.Sprintf("If %s, the proxy adds %s to the median response, and takes %s of CPU for each request; %s requests per second became %s.",
				c.If, duration(added), duration(cpu), number(without), number(with)))
		}
	}
	v.Because = append(v.Because, "The proxy runs on the server's CPU where there are two, so that under load it also takes the server's time. It moves bytes by splice and understands none; one that parses requests costs more.")
	return v
}

// half is the response time that half of the requests did not exceed, in nanoseconds.
func half(r *results.Record) float64 { return metric("p50", r) }

func pace(r *results.Record) float64 { return metric("throughput", r) }

func viaCPU(r *results.Record) float64 { return metric("via_cpu_per_request", r) }
