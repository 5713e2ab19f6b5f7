// Package resultstest makes run folders with known answers: of any size, in seconds, without running a trial. Only tests
// and benchmarks use it.
package resultstest

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/stats"
	"github.com/sockbench/sockbench/sockopt"
	"github.com/sockbench/sockbench/unit"
)

// measured are the metrics of a trial that was run: target epoll, 16 connections, 1 s on a virtual machine with 2 CPUs.
// What disturbed it, and what the checks said of that, is taken out.
//
//go:embed metrics.json
var measured []byte

// Machine is the fingerprint in the manifests.
const Machine = `{"arch":"amd64","cpu":"made up","cpus":"2","kernel":"6.0"}`

// NodelayTimes is what TCP_NODELAY=on does in the folders that Generate makes: latency and CPU per request by this much,
// throughput by its inverse. It is the same in every cell.
const NodelayTimes = 0.8

// Scatter of made trials, as standard deviations of logarithms: of a block, which its cells share, and of a trial.
const (
	blockScatter = 0.05
	trialScatter = 0.05
)

// Plan has so many cells: two levels of TCP_NODELAY where the number is even, then four ways of writing and five targets
// where it can be divided by these, and as many connections as the rest takes.
func Plan(cells, blocks int, seed uint64) (*plan.Plan, error) {
	knobs := []plan.Factor{{Knob: "target", Levels: []plan.Level{"epoll"}}, {Knob: "write", Levels: []plan.Level{"single"}},
		{Knob: "TCP_NODELAY", Levels: []plan.Level{"off"}}, {Knob: "connections"}}
	rest := cells
	for _, f := range []struct {
		at     int
		levels []plan.Level
	}{{2, []plan.Level{"off", "on"}}, {1, []plan.Level{"single", "split", "writev", "cork"}}, {0, []plan.Level{"epoll", "goroutine", "thread", "iouring", "reactors"}}} {
		if n := len(f.levels); rest%n == 0 {
			knobs[f.at].Levels = f.levels
			rest /= n
		}
	}
	for n := range rest {
		knobs[3].Levels = append(knobs[3].Levels, strconv.Itoa(8*(n+1)))
	}
	return plan.New("made-up", seed, blocks, unit.Duration(200*time.Millisecond), unit.Duration(time.Second), knobs)
}

// Generate makes a run folder of so many cells and blocks, all of it known from the seed. Each line is as long as one of a
// real trial of 1 s, some 15 KB, of which the histograms are a third.
func Generate(dir string, cells, blocks int, seed uint64) error {
	p, err := Plan(cells, blocks, seed)
	if err != nil {
		return err
	}
	m := NewMaker(seed)
	return Write(dir, p, func(t plan.Trial) results.Record {
		times := 1.0
		if t.Cell["TCP_NODELAY"] == "on" {
			times = NodelayTimes
		}
		for _, f := range p.Factors {
			if f.Knob == "connections" {
				n, _ := strconv.Atoi(t.Cell[f.Knob]) // a number: Plan wrote it
				times *= math.Sqrt(float64(n) / 16)
			}
		}
		return m.Trial(t, times)
	})
}

// Write makes a run folder of p whose trials are as trial makes them.
func Write(dir string, p *plan.Plan, trial func(plan.Trial) results.Record) error {
	log, err := results.Create(dir, results.Manifest{Plan: p, Versions: map[string]string{"sockbench": "test", "go": "test"},
		Machine: json.RawMessage(Machine), Started: epoch})
	if err != nil {
		return err
	}
	if err := log.Close(); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, "trials.jsonl"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(f, 1<<20)
	lines := json.NewEncoder(out)
	for b := range p.Blocks {
		for _, t := range p.Block(b, 0) {
			if err := lines.Encode(trial(t)); err != nil {
				return errors.Join(err, f.Close())
			}
		}
	}
	return errors.Join(out.Flush(), f.Close())
}

var epoch = time.Unix(1_700_000_000, 0).UTC()

// Maker makes trials. Not safe for concurrent use.
type Maker struct {
	rng    *rand.Rand
	like   results.Metrics
	blocks map[int]float64
	hist   *hdr.Histogram
}

// NewMaker returns one whose trials follow from the seed, in the order they are made.
func NewMaker(seed uint64) *Maker {
	m := &Maker{rng: rand.New(rand.NewPCG(seed, 9)), blocks: map[int]float64{}, hist: hdr.New(1, stats.Longest, stats.Digits)}
	if err := json.Unmarshal(measured, &m.like); err != nil {
		panic("resultstest: metrics.json: " + err.Error())
	}
	return m
}

// Trial is a record whose latencies and CPU times per request are so many times those of the trial that was measured,
// its throughput as many times less, and each scattered by the same amount.
func (m *Maker) Trial(t plan.Trial, times float64) results.Record {
	if _, ok := m.blocks[t.Block]; !ok {
		m.blocks[t.Block] = m.rng.NormFloat64() * blockScatter
	}
	times *= math.Exp(m.blocks[t.Block] + m.rng.NormFloat64()*trialScatter)
	v := m.like
	v.Throughput /= times
	n := int64(v.Throughput)
	v.Offered, v.Completed, v.Scheduled, v.Sent, v.Replies, v.Reads = n, n, n, n, n, n
	nodelay := sockopt.Level(t.Cell["TCP_NODELAY"])
	for _, s := range []*results.Side{&v.Client, &v.Server} {
		s.CPUUser, s.CPUSystem = s.CPUUser/2, s.CPUSystem/2 // far from the limit; per request it goes with times
		s.Applied = []sockopt.Applied{{Option: "TCP_NODELAY", Asked: nodelay, Got: string(nodelay), GotEnd: string(nodelay), Class: sockopt.Equal, Sockets: 16}}
	}
	v.Engine.Idle = 5e8
	text := m.latencies(&v.Response, n, times)
	v.Service = v.Response
	r := results.Record{Schema: results.Schema, Trial: t, Started: epoch.Add(time.Duration(t.Block*1000+t.Order) * 1300 * time.Millisecond),
		Metrics: &v, Histograms: map[string]string{"response": text, "service": text}}
	v.Validity = results.Judge(&r)
	return r
}

// latencies puts n values into q, log-normal with a longer tail from p98 on, and returns their histogram.
func (m *Maker) latencies(q *loadgen.Quantity, n int64, times float64) string {
	m.hist.Reset()
	const points = 800
	sum := 0.0
	*q = loadgen.Quantity{Count: n, Min: math.MaxInt64}
	for i := range points {
		u := (float64(i) + m.rng.Float64()) / points
		z := math.Sqrt2 * math.Erfinv(2*u-1)
		v := int64(240_000 * times * math.Exp(.35*z+max(0, z-2)))
		count := n*int64(i+1)/points - n*int64(i)/points
		if err := m.hist.RecordValues(v, count); err != nil {
			panic(fmt.Sprintf("resultstest: %d ns: %v", v, err))
		}
		if count > 0 {
			q.Min, q.Max = min(q.Min, v), max(q.Max, v)
		}
		sum += float64(v * count)
	}
	q.Mean = sum / float64(n)
	for _, at := range []struct {
		p  float64
		to **int64
	}{{.5, &q.P50}, {.9, &q.P90}, {.99, &q.P99}, {.999, &q.P999}, {.9999, &q.P9999}} {
		if *at.to = stats.Percentile(m.hist, at.p); *at.to != nil {
			**at.to = max(q.Min, min(q.Max, **at.to))
		}
	}
	text, err := m.hist.Encode(hdr.V2CompressedEncodingCookieBase)
	if err != nil {
		panic("resultstest: " + err.Error())
	}
	return string(text)
}
