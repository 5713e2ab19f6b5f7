package playbook

import (
	_ "embed" // the plan and its server
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

var (
	//go:embed threads-or-processes.yaml
	threadsFile string
	//go:embed handlers.py
	handlersServer string

	// The script stands in the plan, so that the plan is all that it takes to run it, here and elsewhere.
	threadsPlan = strings.Replace(threadsFile, "SCRIPT", oneLine(handlersServer), 1)
)

// oneLine is a script of plain ASCII as one line of Python, which a level of a knob has to be.
func oneLine(script string) string { return "exec(" + strconv.Quote(script) + ")" }

var threadsOrProcesses = Playbook{
	Name:  "threads-or-processes",
	Doc:   "Do two processes of Python serve more than one with threads, where handlers compute, and where they wait? About 40 s; python3, 2 CPUs.",
	Plan:  threadsPlan,
	Here:  firstTwo,
	Judge: judgeThreads,
}

// firstTwo are the CPUs of both sides: the server needs two, and the client does little.
func firstTwo(cpus []int) []plan.Factor {
	if len(cpus) < 2 {
		return nil
	}
	return []plan.Factor{{Knob: "cpus", Levels: []plan.Level{plan.CPUs{plan.Server: cpus[:2], plan.Client: cpus[:2]}.String()}}}
}

func judgeThreads(p *plan.Plan, records []results.Record) Verdict {
	t := counting(records)
	var conditions []condition
	for _, service := range levels(p, "service_time") {
		c := condition{If: "handlers compute", Metric: "throughput", AtLeast: 1.5,
			Expected: "2, one for each CPU: the interpreter's lock (GIL) lets the threads of one process compute in turns",
			Of:       plan.Cell{"service_time": service, "variant": "processes"},
			Than:     plan.Cell{"service_time": service, "variant": "threads"}}
		if service == "sleep:5ms" {
			c.If, c.Expected = "handlers wait", "1: the lock is let go of before a wait"
		}
		conditions = append(conditions, c)
	}
	v := t.conclude("two processes of Python serve at least one and a half times what one process with threads does", conditions)
	if n := t.serverCPUs(); n == 1 {
		v.Answer, v.If = NotShown, ""
		v.Because = slices.Concat([]string{"Withheld: the server had 1 CPU, on which processes take turns too."}, v.Because)
	}
	for _, c := range conditions {
		golang := plan.Cell{"service_time": c.Of["service_time"], "variant": "go"}
		if n := len(t.with(golang)); n > 0 {
			v.Because = append(v.Because, fmt.Sprintf("If %s, a process of Go with threads served %s requests per second, processes of Python %s, threads of Python %s (medians of %s).", c.If,
				number(t.median(golang, pace)), number(t.median(c.Of, pace)), number(t.median(c.Than, pace)), term.Count(n, "trial")))
		}
	}
	v.Because = append(v.Because, "So it is not threads that cannot compute together, but this interpreter's: processes get round its lock, and share no memory. A Python that is built without the lock (3.13 and later) may do without them.")
	return v
}
