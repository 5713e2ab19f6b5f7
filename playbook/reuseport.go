package playbook

import (
	_ "embed" // the plan
	"fmt"
	"slices"
	"strconv"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

//go:embed reuseport-or-shared.yaml
var reuseportPlan string

var reuseportOrShared = Playbook{
	Name:  "reuseport-or-shared",
	Doc:   "Do processes with listening sockets of their own (SO_REUSEPORT) serve more than with a shared one? Takes 8 CPUs for an answer. About 20 s.",
	Plan:  reuseportPlan,
	Here:  reuseportHere,
	Judge: judgeReuseport,
}

// queueCPUs is how many CPUs a server must have for its processes to stand in each other's way at one accept queue.
const queueCPUs = 4

// reuseportHere gives half of the CPUs to each side where that is enough, and a process to each of the server's.
func reuseportHere(cpus []int) []plan.Factor {
	half := len(cpus) / 2
	if half < queueCPUs {
		return nil
	}
	seats := plan.CPUs{plan.Server: cpus[:half], plan.Client: cpus[half:]}
	return []plan.Factor{{Knob: "cpus", Levels: []plan.Level{seats.String()}}, {Knob: "workers", Levels: []plan.Level{strconv.Itoa(half)}}}
}

func judgeReuseport(p *plan.Plan, records []results.Record) Verdict {
	t := counting(records)
	var conditions []condition
	for _, c := range []struct{ workload, text, expected string }{
		{"crr", "every request has a connection of its own", "more than 1, since one queue is one lock; it grows with the CPUs"},
		{"rr", "connections stay", "about 1, since nobody waits at the queue; how evenly connections are divided may decide more"},
	} {
		conditions = append(conditions, condition{If: c.text, Metric: "throughput", AtLeast: 1.1, Expected: c.expected,
			Of:   plan.Cell{"workload": c.workload, "listener": "reuseport"},
			Than: plan.Cell{"workload": c.workload, "listener": "shared"}})
	}
	v := t.conclude("processes that each have a listening socket of their own (SO_REUSEPORT) serve at least a tenth more than from a shared one", conditions)
	if n := t.serverCPUs(); n > 0 && n < queueCPUs {
		v.Answer, v.If = NotShown, ""
		v.Because = slices.Concat([]string{fmt.Sprintf("Withheld: the server had %s, and processes stand in each other's way at a shared queue only where several run at the same time. "+
			"It takes %d CPUs for the server and as many for the client; what follows holds for this machine.", term.Count(n, "CPU"), queueCPUs)}, v.Because)
	}
	for _, listener := range []string{"shared", "reuseport"} {
		if worst := t.median(plan.Cell{"workload": "rr", "listener": listener}, share); worst == worst {
			v.Because = append(v.Because, fmt.Sprintf("Of connections that stay, the process with most had %.2g times its fair part with listener=%s (median of %s).", worst, listener,
				term.Count(len(t.with(plan.Cell{"workload": "rr", "listener": listener})), "trial")))
		}
	}
	return v
}

// share is how many times its fair part of the connections the process had that had most.
func share(r *results.Record) float64 {
	spread := r.Metrics.Handled.Spread
	if len(spread) == 0 {
		return 1
	}
	var sum int64
	for _, n := range spread {
		sum += n
	}
	return float64(slices.Max(spread)) * float64(len(spread)) / float64(max(sum, 1))
}
