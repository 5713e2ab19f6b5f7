package browser

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/explain"
	"github.com/sockbench/sockbench/results/report"
	"github.com/sockbench/sockbench/results/stats"
	"github.com/sockbench/sockbench/sockopt"
	"github.com/sockbench/sockbench/unit"
)

// made is a run that nobody ran: trials of every cell in so many blocks, in which each level of each factor makes a
// difference, and the 7th cell has doubts, the 11th fails, the 13th times out.
func made(t testing.TB, blocks int, factors ...plan.Factor) report.Input {
	t.Helper()
	p, err := plan.New("made up", 1, blocks, unit.Duration(100*time.Millisecond), unit.Duration(time.Second), factors)
	if err != nil {
		t.Fatal(err)
	}
	m := results.Manifest{Schema: results.Schema, Plan: p, Digest: p.Digest(), Seed: p.Seed, Versions: map[string]string{"sockbench": "test"},
		Machine: json.RawMessage(`{"cpu": "none", "cpus": "2", "kernel": "6.18"}`), Started: time.Date(2026, 11, 27, 2, 0, 0, 0, time.UTC)}
	rng := rand.New(rand.NewPCG(1, 2))
	var records []results.Record
	for block := range blocks {
		for _, trial := range p.Block(block, 0) {
			r := results.Record{Schema: results.Schema, Trial: trial, Started: m.Started.Add(time.Duration(len(records)) * time.Second)}
			place := placeOf(p, trial.Cell)
			if place == 11 {
				r.Error, r.Stage = "connect 127.0.0.1:9000: connection refused", "connect"
			} else {
				measure(t, &r, rng, middle(p, trial.Cell), place)
			}
			records = append(records, r)
		}
	}
	return input(t, m, records)
}

func input(t testing.TB, m results.Manifest, records []results.Record) report.Input {
	t.Helper()
	cells := results.Summarize(m.Plan.Cells(), records)
	findings, levels := results.Effects(m.Plan, records)
	a := results.Answer{Verdict: "done", Findings: findings, Levels: levels, Cells: cells, Sessions: results.Sessions(records), Run: "runs/made-up"}
	if len(a.Findings) == 0 {
		a.Nothing = results.Precision(m.Plan, records)
	}
	return report.Input{Manifest: m, Records: records, Answer: a}
}

func placeOf(p *plan.Plan, c plan.Cell) int {
	for i, other := range p.Cells() {
		if other.String() == c.String() {
			return i
		}
	}
	return -1
}

// middle is the median response time of a cell in nanoseconds: a quarter more for each further level.
func middle(p *plan.Plan, c plan.Cell) float64 {
	ns := 1e5
	for _, f := range p.Factors {
		for i, l := range f.Levels {
			if l == c[f.Knob] {
				ns *= math.Pow(1.25, float64(i))
			}
		}
	}
	return ns
}

// measure fills in metrics of lognormal response times.
func measure(t testing.TB, r *results.Record, rng *rand.Rand, middle float64, place int) {
	middle *= math.Exp(0.05 * rng.NormFloat64())
	const n = 2000
	response := stats.NewLatency()
	timedOut := 0
	for range n {
		ns := middle * math.Exp(0.4*rng.NormFloat64())
		if place == 13 && rng.IntN(500) == 0 {
			response.RecordAge(int64(5e9))
			timedOut++
			continue
		}
		response.Record(int64(ns))
	}
	text, err := response.Encode()
	if err != nil {
		t.Fatal(err)
	}
	r.Histograms = map[string]string{"response": text, "service": text}
	m := &results.Metrics{Result: loadgen.Result{Offered: n, Scheduled: n, Sent: n, Completed: int64(n - timedOut), TimedOut: int64(timedOut), Duration: 1e9,
		Throughput: 16e9 / middle, Interval: 1e8, Response: response.Summary(), Service: response.Summary(),
		Connections: loadgen.Connections{Asked: 16, Attained: 16, Served: 16}}}
	for range 10 {
		p50, p99 := int64(middle*math.Exp(0.05*rng.NormFloat64())), int64(2.5*middle*math.Exp(0.2*rng.NormFloat64()))
		m.Intervals = append(m.Intervals, loadgen.Interval{Completed: int64(m.Throughput / 10), P50: &p50, P99: &p99})
	}
	m.Server.CPUUser, m.Server.CPUs = int64(middle/10*m.Throughput), []int{0}
	m.Client.CPUUser, m.Client.CPUs = int64(5e3*m.Throughput), []int{1}
	m.Server.Applied = []sockopt.Applied{{Option: "SO_RCVBUF", Asked: "64MiB", Got: "8MiB", GotEnd: "8MiB", Class: sockopt.Capped, Note: "capped by net.core.rmem_max=4194304", Sockets: 16}}
	m.Client.Applied = []sockopt.Applied{{Option: "TCP_NODELAY", Asked: "on", Got: "on", GotEnd: "on", Class: sockopt.Equal, Sockets: 16}}
	m.Machine = results.Machine{CPUs: 2, Regime: "pinned", Namespace: results.Fresh, Clocksource: "tsc"}
	if place == 7 {
		m.Machine.ForeignCPU, m.Machine.Steal = 3e8, 5e7
	}
	r.Metrics = m
	m.Validity = results.Judge(r)
}

// capacity is a search that nobody made: two cells whose response times grow as 1/(1 − load), within p90 ≤ 2ms.
func capacity(t testing.TB) report.Input {
	t.Helper()
	levels := []plan.Level{"none", "500", "1000", "2000", "2830", "3360", "4000"}
	in := made(t, 1, plan.Factor{Knob: "target", Levels: []string{"epoll", "goroutine"}}, plan.Factor{Knob: "rate", Levels: levels})
	p, err := plan.New("capacity", 1, 1, 0, unit.Duration(time.Second), []plan.Factor{in.Manifest.Plan.Factors[0]})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range in.Records {
		load := float64(in.Records[i].Spec.Load.Rate) / (4100 + 2000*float64(placeOf(p, plan.Cell{"target": in.Records[i].Cell["target"]})))
		measure(t, &in.Records[i], rng, 3e5/(1-load), -1)
	}
	in = input(t, in.Manifest, in.Records)
	if in.Manifest.Plan, err = in.Manifest.Plan.With(plan.Changes{Limits: []plan.Limit{{Metric: "p90", Limit: "2ms"}}}); err != nil {
		t.Fatal(err)
	}
	for i, cell := range p.Cells() {
		c := results.Capacity{Cell: cell, Low: 2500 + 900*float64(i), Median: 2800 + 1000*float64(i), High: 3000 + 1100*float64(i), Level: .9}
		for _, rate := range []float64{500, 1000, 2000, 2830, 3360, 4000} {
			at := results.AtRate{Rate: rate, Trials: 1, Kept: 1}
			if rate > c.High {
				at.Kept, at.Missed = 0, 1
			}
			c.Rates = append(c.Rates, at)
		}
		in.Answer.Capacity = append(in.Answer.Capacity, c)
	}
	return in
}

// advice is to set some options, code in all languages among it.
func advice(t testing.TB) *results.Advice {
	t.Helper()
	p, err := plan.New("confirm", 1, 1, 0, unit.Duration(time.Second), []plan.Factor{levels("connections", 1)})
	if err != nil {
		t.Fatal(err)
	}
	p, err = p.With(plan.Changes{Variants: []plan.Variant{
		{Name: "winner", Knobs: plan.Cell{"TCP_NODELAY": "on", "backlog": "1024", "SO_RCVBUF": "1MiB", "sysctl.net.ipv4.tcp_sack": "0"}}, {Name: "first", Knobs: plan.Cell{"TCP_NODELAY": "off"}}}})
	if err != nil {
		t.Fatal(err)
	}
	return explain.Advice(p)
}

// levels are n numbers as a knob's levels.
func levels(knob string, n int) plan.Factor {
	f := plan.Factor{Knob: knob}
	for i := range n {
		f.Levels = append(f.Levels, fmt.Sprint(16*(i+1)))
	}
	return f
}
