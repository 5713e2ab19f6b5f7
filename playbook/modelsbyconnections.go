package playbook

import (
	_ "embed" // the plan
	"fmt"
	"strconv"
	"strings"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

//go:embed models-by-connections.yaml
var modelsPlan string

var modelsByConnections = Playbook{
	Name:  "models-by-connections",
	Doc:   "From how many busy connections on does a thread for each cost more than an event loop? About 80 s.",
	Plan:  modelsPlan,
	Judge: judgeModels,
}

func judgeModels(p *plan.Plan, records []results.Record) Verdict {
	t := counting(records)
	models, counts := levels(p, "target"), levels(p, "connections")
	var conditions []condition
	for _, n := range counts {
		expected := "more the more connections are ready at one time, since one epoll_wait tells of all of them, and each thread must be woken"
		if n == "1" {
			expected = "1, since either is woken once for each request"
		}
		conditions = append(conditions, condition{If: connected(n), Metric: "server_cpu_per_request", AtLeast: 1.25, Expected: expected,
			Of: plan.Cell{"target": "thread", "connections": n}, Than: plan.Cell{"target": "epoll", "connections": n}})
	}
	v := t.conclude("a thread for each connection costs a server at least a quarter more CPU time for each request than an event loop (epoll)", conditions)
	most := counts[len(counts)-1]
	var paces, memory, served []string
	for _, m := range models {
		var pace []string
		for _, n := range counts {
			pace = append(pace, number(t.median(plan.Cell{"target": m, "connections": n}, func(r *results.Record) float64 { return r.Metrics.Throughput })))
		}
		paces = append(paces, m+" "+strings.Join(pace, ", "))
		all := plan.Cell{"target": m, "connections": most}
		one := t.median(plan.Cell{"target": m, "connections": counts[0]}, memoryOf)
		n, _ := strconv.ParseFloat(most, 64)
		memory = append(memory, fmt.Sprintf("%s %sB", m, number((t.median(all, memoryOf)-one)/max(n, 1))))
		served = append(served, m+" "+percent(t.median(all, func(r *results.Record) float64 {
			c := r.Metrics.Connections
			return float64(c.Served) / float64(max(c.Asked, 1))
		})))
	}
	v.Because = append(v.Because,
		fmt.Sprintf("Requests per second with %s connections, client and server with a CPU each: %s.", strings.Join(counts, ", "), strings.Join(paces, "; ")),
		fmt.Sprintf("User memory that each of %s connections adds (Pss; a thread's kernel stack of 16 KiB comes on top): %s.", most, strings.Join(memory, ", ")),
		fmt.Sprintf("Of these connections, in %s were served at all: %s. What was not served is in no percentile.", p.Duration, strings.Join(served, ", ")),
		"Figures of models are of what all have in common, an echo: where handlers take longer, models differ less.")
	return v
}

func memoryOf(r *results.Record) float64 { return float64(r.Metrics.Server.PSS) }

// connected is a number of connections as a condition.
func connected(n string) string {
	if n == "1" {
		return "1 connection is busy"
	}
	return n + " connections are busy"
}

// levels are those that a plan has of a knob.
func levels(p *plan.Plan, knob string) []plan.Level {
	for _, f := range p.Factors {
		if f.Knob == knob {
			return f.Levels
		}
	}
	return nil
}

// number is term.Number of what may not be known.
func number(v float64) string {
	if v != v {
		return "–"
	}
	return term.Number(v)
}

// percent is term.Percent of what may not be known.
func percent(v float64) string {
	if v != v {
		return "–"
	}
	return term.Percent(v)
}
