package main

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/unit"
)

// made is a recording of 24 cells whose ln throughput is known, but for noise, a mean of each block and a drift within.
func made(t *testing.T, blocks int, noise float64) (*recording, map[string]float64) {
	t.Helper()
	p, err := plan.New("made", 7, blocks, 0, unit.Duration(time.Second), []plan.Factor{
		{Knob: "target", Levels: []string{"epoll", "goroutine", "thread"}}, {Knob: "connections", Levels: []string{"8", "16", "32", "64"}},
		{Knob: "write", Levels: []string{"single", "split"}}})
	if err != nil {
		t.Fatal(err)
	}
	truth := map[string]float64{}
	for i, c := range p.Cells() {
		truth[c.String()] = 10 - .05*float64(i%8) - .11*float64(i/8)
	}
	rng := rand.New(rand.NewPCG(27, 11))
	var records []results.Record
	for n := range blocks {
		for _, tr := range p.Block(n, 0) {
			v := truth[tr.Cell.String()] + .2*float64(n%3) + .001*float64(tr.Order) + noise*rng.NormFloat64()
			records = append(records, results.Record{Schema: 1, Trial: tr, Metrics: &results.Metrics{Result: loadgen.Result{Duration: 1e9, Throughput: math.Exp(v)}}})
		}
	}
	r, err := newRecording(p, records)
	if err != nil {
		t.Fatal(err)
	}
	return r, truth
}

func TestReplaysFindTheBest(t *testing.T) {
	r, truth := made(t, 16, .01)
	best := r.plan.Cells()[0].String()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		e, err := r.replay(t.Context(), rng)
		if err != nil {
			t.Fatal(err)
		}
		if found := r.plan.Cells()[e.found].String(); found != best || e.more {
			t.Errorf("found %s, %.3f behind %s (wanted more blocks: %v)", found, truth[best]-truth[found], best, e.more)
		}
		if cells := len(r.of); e.seen < 3 || e.seen > 16 || e.trials < cells+2*e.seen-2 || e.trials > cells*e.seen {
			t.Errorf("%d trials in %d blocks", e.trials, e.seen)
		}
	}
	unsure, err := r.unsure()
	if want := .01 * math.Sqrt(2./16); err != nil || unsure < want/2 || unsure > 3*want { // the drift is in it
		t.Errorf("the difference of two cells is known to within %.4f, want about %.4f: %v", unsure, want, err)
	}
}

// Where the recording is too short to tell, the replay says so, and names the best so far.
func TestReplayUsesBlocksUp(t *testing.T) {
	r, _ := made(t, 2, .01)
	e, err := r.replay(t.Context(), rand.New(rand.NewPCG(1, 2)))
	if err != nil || !e.more || e.seen != 2 {
		t.Errorf("it saw %d blocks of 2 and wanted more: %v; %v", e.seen, e.more, err)
	}
	if p := r.plan.Cells()[e.found]; p["target"] == "thread" {
		t.Errorf("found %s", p)
	}
}

func TestRecordingIsWhole(t *testing.T) {
	r, _ := made(t, 2, .01)
	if _, err := newRecording(r.plan, nil); err == nil {
		t.Error("a recording without trials is one")
	}
}

// The truth is of the blocks asked for.
func TestRecordingTruth(t *testing.T) {
	r, _ := made(t, 2, 0)
	r.of[5][1].throughput *= 10
	for _, c := range []struct {
		blocks []int
		want   bool
	}{{[]int{0}, false}, {[]int{1}, true}, {[]int{0, 1}, true}} {
		if got := r.good(5, c.blocks); got != c.want {
			t.Errorf("blocks %v: cell 5 is among the best: %v, want %v", c.blocks, got, c.want)
		}
	}
}
