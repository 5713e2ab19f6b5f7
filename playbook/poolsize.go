package playbook

import (
	_ "embed" // the plan
	"fmt"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

//go:embed pool-size.yaml
var poolPlan string

var poolSize = Playbook{
	Name:  "pool-size",
	Doc:   "How many threads does a pool need, whose handlers wait or compute, for 64 clients? About 40 s.",
	Plan:  poolPlan,
	Judge: judgePool,
}

func judgePool(p *plan.Plan, records []results.Record) Verdict {
	t := counting(records)
	workers := levels(p, "workers")
	var conditions []condition
	for _, service := range levels(p, "service_time") {
		handlers, expected := "handlers wait", "4, since a pool's throughput is workers ÷ service time while no CPU is short of time"
		if service == "1ms" {
			handlers, expected = "handlers compute", "1 as soon as there are as many workers as CPUs (here "+term.Count(t.serverCPUs(), "CPU")+")"
		}
		for i := range workers[1:] {
			conditions = append(conditions, condition{If: fmt.Sprintf("%s, and workers are %s and not %s", handlers, workers[i+1], workers[i]),
				Metric: "throughput", AtLeast: 3, Expected: expected,
				Of: plan.Cell{"service_time": service, "workers": workers[i+1]}, Than: plan.Cell{"service_time": service, "workers": workers[i]}})
		}
	}
	v := t.conclude("four times the workers serve at least three times the requests", conditions)
	for _, service := range levels(p, "service_time") {
		says := "Mean response times with service_time=" + service + ": "
		for i, w := range workers {
			if i > 0 {
				says += ", "
			}
			says += fmt.Sprintf("%s of %s", duration(t.median(plan.Cell{"service_time": service, "workers": w},
				func(r *results.Record) float64 { return r.Metrics.Response.Mean })), workersText(w))
		}
		v.Because = append(v.Because, says+".")
	}
	if len(t.of) > 0 {
		v.Because = append(v.Because, fmt.Sprintf("Little's law (L = λW, 1961) is a check of these figures: requests per second × mean response time must be the number of clients, 64, and was %.3g, the median of %s.",
			t.median(nil, func(r *results.Record) float64 { return r.Metrics.Throughput * r.Metrics.Response.Mean / 1e9 }), term.Count(len(t.of), "trial")))
	}
	return v
}

func workersText(n string) string {
	if n == "1" {
		return "1 worker"
	}
	return n + " workers"
}

// serverCPUs is how many CPUs the server had in the trial in which it had fewest; 0: there is no trial.
func (t trials) serverCPUs() (n int) {
	for i, r := range t.of {
		cpus := len(r.Metrics.Server.CPUs)
		if cpus == 0 { // it was not pinned
			cpus = r.Metrics.Machine.CPUs
		}
		if i == 0 || cpus < n {
			n = cpus
		}
	}
	return n
}

// duration is term.Duration of what may not be known.
func duration(ns float64) string {
	if ns != ns {
		return "–"
	}
	return term.Duration(ns)
}
