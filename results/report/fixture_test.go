package report

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"testing"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/stats"
	"github.com/sockbench/sockbench/sockopt"
	"github.com/sockbench/sockbench/unit"
)

// newPlan has two cells.
func newPlan(t *testing.T, blocks int) *plan.Plan {
	t.Helper()
	p, err := plan.New("test", 1, blocks, 0, unit.Duration(time.Second), []plan.Factor{
		{Knob: "target", Levels: []string{"epoll"}}, {Knob: "TCP_NODELAY", Levels: []string{"off", "on"}}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// fine is a record that no check doubts.
func fine(trial plan.Trial) results.Record {
	var us []int64
	for i := range 20_000 {
		us = append(us, 100+int64(i)%50)
	}
	r := results.Record{Schema: results.Schema, Trial: trial, Started: time.Unix(1_700_000_000, 0).UTC(), Histograms: map[string]string{}}
	m := &results.Metrics{Result: loadgen.Result{
		Offered: 20_000, Completed: 20_000, Scheduled: 20_000, Sent: 20_000,
		Connections: loadgen.Connections{Asked: 16, Attained: 16, Served: 16, MinCompleted: 100},
		Duration:    1e9, Throughput: 20_000, SentBytes: 20_000 * 64, RecvBytes: 20_000 * 64, Engine: loadgen.EngineUse{Threads: 1, Idle: 5e8, Spin: 2e8},
	}}
	r.Metrics = m
	m.Response, r.Histograms["response"] = quantity(us, 1000)
	m.Service, r.Histograms["service"] = quantity(us, 1000)
	m.Lateness, r.Histograms["lateness"] = quantity(us, 10)
	m.Client = results.Side{CPUUser: 2e8, CPUSystem: 1e8, CPUs: []int{1}}
	m.Server = results.Side{CPUUser: 1e8, CPUSystem: 3e8, CPUs: []int{0},
		Sockets: sockopt.Sockets{Applied: []sockopt.Applied{{Option: "TCP_NODELAY", Asked: "on", Got: "on", GotEnd: "on", Class: sockopt.Equal, Sockets: 16}}}}
	m.Machine = results.Machine{CPUs: 2, Regime: "pinned apart", Namespace: results.Fresh, Clocksource: "tsc"}
	return r
}

// quantity counts values of so many nanoseconds each step.
func quantity(values []int64, step int64) (loadgen.Quantity, string) {
	h := hdr.New(1, 60_000_000_000, 3)
	q := loadgen.Quantity{Count: int64(len(values)), Min: 1 << 62}
	sum := int64(0)
	for _, v := range values {
		v *= step
		if err := h.RecordValue(v); err != nil {
			panic(err)
		}
		q.Min, q.Max, sum = min(q.Min, v), max(q.Max, v), sum+v
	}
	q.Mean = float64(sum) / float64(max(q.Count, 1))
	for _, at := range []struct {
		p  float64
		to **int64
	}{{.5, &q.P50}, {.9, &q.P90}, {.99, &q.P99}, {.999, &q.P999}, {.9999, &q.P9999}} {
		if stats.Supported(at.p, q.Count) {
			v := h.ValueAtQuantile(at.p * 100)
			*at.to = &v
		}
	}
	text, err := h.Encode(hdr.V2CompressedEncodingCookieBase)
	if err != nil {
		panic(err)
	}
	return q, string(text)
}

func ptr(v int64) *int64 { return &v }

// failed is a trial that came to nothing.
func failed(trial plan.Trial, why string) results.Record {
	return results.Record{Schema: results.Schema, Trial: trial, Started: time.Unix(1_700_000_000, 0).UTC(), Error: why, Stage: "serve"}
}

// recorded is a real run of the default plan, without histograms.
func recorded(t *testing.T) (*plan.Plan, []results.Record) {
	t.Helper()
	f, err := os.Open("../testdata/default.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	var head struct{ Plan *plan.Plan }
	d := json.NewDecoder(z)
	if err := d.Decode(&head); err != nil {
		t.Fatal(err)
	}
	var rs []results.Record
	for {
		var r results.Record
		if err := d.Decode(&r); err == io.EOF {
			return head.Plan, rs
		} else if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, r)
	}
}
