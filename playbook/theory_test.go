package playbook

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

// atSpeed is a trial of a second with so many requests, one after another, of 100 bytes each way; 0: it failed.
func atSpeed(trial plan.Trial, speed float64) results.Record {
	r := results.Record{Schema: results.Schema, Trial: trial}
	if speed == 0 {
		r.Error, r.Stage = "no namespaces here\nmore of it", "start"
		return r
	}
	speed *= 1 + float64(trial.Order%5)/10000 // as trials scatter
	m := &results.Metrics{}
	m.Duration, m.Throughput = 1e9, speed
	m.Offered, m.Completed = int64(speed)+1, int64(speed)+1
	m.SentBytes, m.RecvBytes = int64(100*speed), int64(100*speed)
	p50 := int64(1e9 / speed)
	m.Response.Count, m.Response.Mean, m.Response.P50 = m.Offered, 1e9/speed, &p50
	m.Client.CPUUser, m.Server.CPUUser = 1e9/4, 1e9/4
	r.Metrics = m
	return r
}

// atSpeeds are the records of so many blocks.
func atSpeeds(t *testing.T, b Playbook, blocks int, speed func(plan.Cell) float64) (p *plan.Plan, records []results.Record) {
	t.Helper()
	p, err := plan.Parse(b.Name+".yaml", []byte(b.Plan))
	if err != nil {
		t.Fatal(err)
	}
	for block := range blocks {
		for _, trial := range p.Block(block, 0) {
			records = append(records, atSpeed(trial, speed(trial.Cell)))
		}
	}
	return p, records
}

// by gives each level of a knob a speed; others have 1,000.
func by(knob string, speeds map[plan.Level]float64) func(plan.Cell) float64 {
	return func(c plan.Cell) float64 {
		if v, ok := speeds[c[knob]]; ok {
			return v
		}
		return 1000
	}
}

// Each playbook with effects wherever it claims some, nowhere, where it expects them, and with trials that are missing.
func TestJudgeSpeeds(t *testing.T) {
	always := func(plan.Cell) float64 { return 1000 }
	for _, c := range []struct {
		book     Playbook
		all      func(plan.Cell) float64 // the claim holds under each condition
		usual    func(plan.Cell) float64
		onlyIf   string
		says     []string
		compared int // conditions
	}{
		{nagle, by(noDelay, map[string]float64{"off": 500}), func(c plan.Cell) float64 {
			if c["write"] == "split" && c[noDelay] == "off" {
				return 25
			}
			return 1000
		}, "requests leave in two writes, or requests leave in two writes, over an RTT of 10 ms",
			[]string{"p50 40.0ms against 1.00ms, 40 times", "one such delay gives a p50 of 40.0ms; measured was 1 times that"}, 4},
		{writePattern, by("variant", map[string]float64{"two": 500, "4KiB": 500}), by("variant", map[string]float64{"two": 500}),
			"head and body leave in one write instead of two, or they leave in one writev, or they leave in two writes behind TCP_CORK",
			[]string{"throughput 1.00k against 500, 2 times"}, 4},
		{smallBuffers, by("variant", map[string]float64{"auto": 30e3}), by("variant", map[string]float64{"receive-16KiB": 100}),
			"the receive buffer is 16 KiB", []string{"window ÷ RTT (RFC 7323, 1.1), with the buffer's 64 KiB as window"}, 5},
		{autotuning, by("variant", map[string]float64{"stream-auto": 500, "short-auto": 500}), by("variant", map[string]float64{"short-auto": 500}),
			"a download is short, over a connection of its own", nil, 2},
		{framing, by("framing", map[string]float64{"length": 2000}), func(c plan.Cell) float64 {
			if c["variant"] == "together" && c["framing"] == "http" {
				return 100
			}
			return 1000
		}, "the other is HTTP, and they go 64 at a time", nil, 5},
		{pipelining, by("pipeline", map[string]float64{"1": 50, "8": 400, "64": 3200}), func(c plan.Cell) float64 {
			if c["path"] == "none" {
				return 1000
			}
			return map[string]float64{"1": 50, "8": 400, "64": 3200}[c["pipeline"]]
		}, "there are 8 instead of 1, over an RTT of 20 ms, or there are 64 instead of 8, over an RTT of 20 ms",
			[]string{"gives a throughput of 3.20k; measured was 1 times that", "With TCP_NODELAY off half of 64 requests took 312us and longer, with it on 312us"}, 4},
		{keepAlive, by("variant", map[string]float64{"kept": 2000}), by("variant", map[string]float64{"each": 500}),
			"each request has its own, over an RTT of 20 ms, or each request has its own, on a loopback", nil, 4},
		{queueDepth, by("connections", map[string]float64{"1": 500, "16": 4000, "64": 16000}), by("connections", map[string]float64{"1": 250}),
			"4 clients instead of 1 ask four workers", nil, 3},
		{compression, by("compress", map[string]float64{"none": 100}), func(c plan.Cell) float64 {
			if c["path"] != "none" && c["compress"] != "none" {
				return 4000
			}
			return 1000
		}, "gzip:1 compresses them over 20 Mbit/s, or gzip:6 compresses them over 20 Mbit/s, or zstd:1 compresses them over 20 Mbit/s", nil, 6},
	} {
		for _, k := range []struct {
			name   string
			blocks int
			speed  func(plan.Cell) float64
			answer Answer
			onlyIf string
			says   []string
		}{
			{"all", 6, c.all, Holds, "", nil},
			{"usual", 6, c.usual, HoldsIf, c.onlyIf, c.says},
			{"none", 6, always, Refuted, "", nil},
			{"too few blocks", 5, c.all, NotShown, "", []string{"more --blocks may help"}},
			{"nothing was run", 0, c.all, NotShown, "", nil},
			{"no namespaces", 6, func(plan.Cell) float64 { return 0 }, NotShown, "", []string{"the first because: no namespaces here"}},
		} {
			p, records := atSpeeds(t, c.book, k.blocks, k.speed)
			v := c.book.Judge(p, records)
			all := strings.Join(v.Because, "\n")
			if v.Answer != k.answer || v.If != k.onlyIf || len(v.Table.Rows) != c.compared {
				t.Errorf("%s: %s: %s %q, %d rows, want %s %q, %d: %s", c.book.Name, k.name, v.Answer, v.If, len(v.Table.Rows), k.answer, k.onlyIf, c.compared, all)
			}
			for _, s := range k.says {
				if !strings.Contains(all, s) {
					t.Errorf("%s: %s: it does not say %q: %s", c.book.Name, k.name, s, all)
				}
			}
			if strings.Contains(all, "NaN") || strings.Contains(all, "Inf") {
				t.Errorf("%s: %s: %s", c.book.Name, k.name, all)
			}
		}
	}
}

// Each side of a condition is one cell of the plan, and what it compares differs in nothing that it does not name.
func TestConditionsName(t *testing.T) {
	for _, b := range []Playbook{nagle, writePattern, smallBuffers, autotuning, framing, pipelining, keepAlive, queueDepth, compression} {
		p, records := atSpeeds(t, b, 6, func(plan.Cell) float64 { return 1000 })
		for _, o := range b.Judge(p, records).Figures.([]outcome) {
			for _, side := range []plan.Cell{o.Of, o.Than} {
				n := 0
				for _, c := range p.Cells() {
					if c.Has(side) {
						n++
					}
				}
				if n != 1 {
					t.Errorf("%s: if %s: %s is %d cells", b.Name, o.If, side, n)
				}
			}
			if o.Of.String() == o.Than.String() || o.Pairs != 6 || o.Expected == "" {
				t.Errorf("%s: %+v", b.Name, o)
			}
			if _, ok := results.FindMetric(o.Metric); !ok {
				t.Errorf("%s: no metric %q", b.Name, o.Metric)
			}
		}
	}
}

func TestPredicted(t *testing.T) {
	one := prediction{"the law", "mean", plan.Cell{"connections": "16"}, 1e6}
	for _, c := range []struct {
		blocks int
		speed  float64
		want   []string
	}{
		{6, 500, []string{"Theory: the law gives a mean of 1.00ms; measured was 2 times that (95% interval 2–2, 6 trials)."}},
		{6, 1000, []string{"Theory: the law gives a mean of 1.00ms; measured was 1 times that (95% interval 1–1, 6 trials)."}},
		{1, 500, []string{"Theory: the law gives a mean of 1.00ms; measured was 2 times that (1 trial)."}},
		{6, 0, nil},
		{0, 500, nil},
	} {
		_, records := atSpeeds(t, queueDepth, c.blocks, func(plan.Cell) float64 { return c.speed })
		if got := counting(records).predicted(one); !slices.Equal(got, c.want) {
			t.Errorf("%d blocks at %v: %q", c.blocks, c.speed, got)
		}
	}
}

// The break-even rate of compression is bytes saved ÷ CPU time: 1,000 requests per second with 900 bytes less and 1 ms
// more are 7.2 Mbit/s.
func TestBreakEven(t *testing.T) {
	p, records := atSpeeds(t, compression, 6, func(plan.Cell) float64 { return 1000 })
	for i := range records {
		m := records[i].Metrics
		m.Throughput, m.SentBytes, m.RecvBytes = 1000, 0, 1000*1000
		m.Server.CPUUser, m.Client.CPUUser = 1e9, 1e9
		if how := records[i].Cell["compress"]; how != "none" {
			m.RecvBytes, m.Server.CPUUser = 100*1000, 2e9
		}
	}
	v := judgeCompression(p, records)
	for _, how := range []string{"gzip:1", "gzip:6", "zstd:1"} {
		want := fmt.Sprintf("Break-even of %s: it saves 900B of a reply and takes 1.00ms of CPU time of both sides more, so that it pays on lines slower than bytes saved ÷ CPU time = 7.20Mbit/s, for each CPU that has the time (medians of 6 trials).", how)
		if !slices.Contains(v.Because, want) {
			t.Errorf("it does not say %q: %q", want, v.Because)
		}
	}
}
