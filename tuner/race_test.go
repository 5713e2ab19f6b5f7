package tuner

import (
	"context"
	"strings"
	"testing"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

func TestRaceSaysWhyCellsAreOut(t *testing.T) {
	p := fourCells(t, 8)
	m := machine{measures: func(t plan.Trial) float64 { return 1000 + 200*float64(len(t.Cell["TCP_NODELAY"])) + float64(t.Block) }}
	failing := func(ctx context.Context, t plan.Trial) (results.Record, error) {
		r, err := m.run(ctx, t)
		if t.Cell["connections"] == "2" && t.Cell["TCP_NODELAY"] == "on" {
			r.Metrics, r.Error = nil, "it would not start"
		}
		return r, err
	}
	goal, _ := results.FindMetric("throughput")
	r := Race(p, goal, nil, 100)
	var log []results.Record
	if _, err := Drive(t.Context(), r, failing, keepIn(&log), nil); err != nil {
		t.Fatal(err)
	}
	s := r.Standing(log)
	var why []string
	for _, d := range s.Dropped {
		why = append(why, d.Why)
	}
	all := strings.Join(why, "; ")
	if len(s.Dropped) != 2 || !strings.Contains(all, "it would not start") || !strings.Contains(all, "behind the best, after 3 blocks") {
		t.Errorf("dropped %q", why)
	}
	if len(s.Survivors) != 2 || s.Survivors[0]["TCP_NODELAY"] != "off" || !strings.Contains(s.Stop, "none of the 2 cells left") {
		t.Errorf("survivors %v, stop %q", s.Survivors, s.Stop)
	}
	// A race that is cut off anywhere goes on to the same end.
	for cut := range log {
		var again []results.Record
		if _, err := Drive(t.Context(), r, failing, keepIn(&again), log[:cut]); err != nil || len(again) != len(log)-cut {
			t.Errorf("after %d of %d records, %d more", cut, len(log), len(again))
		}
	}
}
