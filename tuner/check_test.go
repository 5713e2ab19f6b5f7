package tuner

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/unit"
)

// twoSides has two variants in each of these numbers of connections.
func twoSides(t *testing.T, connections ...string) *plan.Plan {
	t.Helper()
	p, err := plan.New("check", 1, 40, 0, unit.Duration(time.Second), []plan.Factor{{Knob: "connections", Levels: connections}})
	if err != nil {
		t.Fatal(err)
	}
	p, err = p.With(plan.Changes{Gate: []plan.Gate{{Metric: "throughput", Worse: .05}},
		Variants: []plan.Variant{{Name: "old", Knobs: plan.Cell{"backlog": "16"}}, {Name: "new", Knobs: plan.Cell{"backlog": "1024"}}}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// scattered measures 1000, times ratio on the new side, each trial off by sd.
func scattered(ratio, sd float64) func(plan.Trial) float64 {
	rng := rand.New(rand.NewPCG(3, 4))
	return func(t plan.Trial) float64 {
		v := 1000 * math.Exp(sd*rng.NormFloat64())
		if t.Cell["variant"] == "new" {
			v *= ratio
		}
		return v
	}
}

func TestCheckEndsWithTheVerdict(t *testing.T) {
	for _, c := range []struct {
		ratio, sd float64
		pairs     []int // that it may take
		says      string
	}{
		{1, .01, []int{10}, "fine: "},
		{.8, .01, []int{10}, "regression: "},
		{1.2, .01, []int{10}, "improvement: "},
		{1, .05, []int{10, 15, 20, 30}, "fine: "},
		{1, .5, []int{40}, "inconclusive: "},
	} {
		p := twoSides(t, "16")
		m := machine{measures: scattered(c.ratio, c.sd)}
		var log []results.Record
		step, err := Drive(t.Context(), Check(p), m.run, keepIn(&log), nil)
		if err != nil || !slices.Contains(c.pairs, len(log)/2) || !strings.HasPrefix(step.Stop, c.says) {
			t.Errorf("%+v: %d trials, %+v, %v", c, len(log), step, err)
		}
		for i := 0; i+1 < len(log); i += 2 {
			if a, b := log[i], log[i+1]; a.Block != b.Block || a.Seed != b.Seed || a.Cell["variant"] == b.Cell["variant"] {
				t.Fatalf("trials %d and %d are no pair: %+v, %+v", i, i+1, a.Trial, b.Trial)
			}
		}
	}
}

// The order within pairs is as a fair coin has it.
func TestCheckTossesACoin(t *testing.T) {
	p := twoSides(t, "16")
	first := 0
	for n := range 40 {
		if p.Block(n, 0)[0].Cell["variant"] == "old" {
			first++
		}
	}
	if first < 8 || first > 32 {
		t.Errorf("the old side was first in %d of 40 pairs", first)
	}
}

// In several cells those that are compared are neighbours, and which comes first does not depend on the cell.
func TestCheckKeepsPairsTogether(t *testing.T) {
	p := twoSides(t, "1", "2", "3")
	orders := map[string]bool{}
	for n := range 40 {
		block := adjacent(p.Block(n, 0))
		order := ""
		for i := 0; i < len(block); i += 2 {
			a, b := block[i], block[i+1]
			if a.Cell["connections"] != b.Cell["connections"] || a.Cell["variant"] == b.Cell["variant"] || a.Order != i || b.Order != i+1 {
				t.Fatalf("block %d: %s is beside %s", n, a.Cell, b.Cell)
			}
			order += a.Cell["connections"] + a.Cell["variant"]
		}
		orders[order] = true
	}
	if len(orders) < 20 { // of 48 there are
		t.Errorf("%d orders in 40 blocks", len(orders))
	}
}

// A side that gives nothing ends the check at once.
func TestCheckEndsWithAFailure(t *testing.T) {
	p := twoSides(t, "16")
	m := machine{measures: func(trial plan.Trial) float64 {
		if trial.Cell["variant"] == "new" {
			return 0
		}
		return 1000
	}}
	var log []results.Record
	step, err := Drive(t.Context(), Check(p), m.run, keepIn(&log), nil)
	if err != nil || len(log) < 5 || len(log) > 6 || !strings.Contains(step.Stop, "no request") {
		t.Errorf("%d trials, %+v, %v", len(log), step, err)
	}
}

// A disturbed pair is run again, whole, whatever it measured, and the first attempt does not count.
func TestCheckRepeatsDisturbedPairs(t *testing.T) {
	p := twoSides(t, "16")
	even := scattered(1, .01)
	m := machine{disturbed: func(trial plan.Trial) bool { return trial.Block%3 == 1 && trial.Attempt == 0 && trial.Order == 0 },
		measures: func(trial plan.Trial) float64 {
			if trial.Block%3 == 1 && trial.Attempt == 0 && trial.Cell["variant"] == "new" {
				return 1 // which would be a regression, if it counted
			}
			return even(trial)
		}}
	var log []results.Record
	step, err := Drive(t.Context(), Check(p), m.run, keepIn(&log), nil)
	if err != nil || len(log) != 26 || !strings.HasPrefix(step.Stop, "fine: ") { // ten pairs, three of them twice
		t.Errorf("%d trials, %+v, %v\n%s", len(log), step, err, strings.Join(ids(log), "\n"))
	}
}

// A check that is gone on with runs what is missing, and nothing else.
func TestCheckResumes(t *testing.T) {
	p := twoSides(t, "16")
	m := machine{measures: scattered(1, .01)}
	var whole []results.Record
	if _, err := Drive(t.Context(), Check(p), m.run, keepIn(&whole), nil); err != nil {
		t.Fatal(err)
	}
	for _, cut := range []int{0, 1, 7, 19, 20} {
		again := machine{measures: scattered(1, .01)}
		var rest []results.Record
		if _, err := Drive(t.Context(), Check(p), again.run, keepIn(&rest), whole[:cut]); err != nil || len(rest) != 20-cut {
			t.Errorf("after %d of 20 trials %d were run (%v)", cut, len(rest), err)
		}
	}
}
