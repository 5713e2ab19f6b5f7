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
	if len(s.Dropped) != 2 || !strings.Contains(all, "it would not start") || !strings.Contains(all, "times the best one's, after 3 blocks") {
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

// A cell that is shown to be worse, but by less than is worth while, is as good as the best one and stays. It wins where it
// changes less in the plan's first cell.
func TestRaceKeepsWhatIsAsGood(t *testing.T) {
	p := fourCells(t, 8)
	m := machine{measures: func(t plan.Trial) float64 {
		worth := map[string]float64{"on": 1, "off": .99}[t.Cell["TCP_NODELAY"]] * map[string]float64{"1": .95, "2": 1}[t.Cell["connections"]]
		return 100_000 * worth * (1 + .001*float64(t.Block))
	}}
	goal, _ := results.FindMetric("throughput")
	r := Race(p, goal, nil, 100)
	var log []results.Record
	if _, err := Drive(t.Context(), r, m.run, keepIn(&log), nil); err != nil {
		t.Fatal(err)
	}
	s := r.Standing(log)
	if len(s.Survivors) != 2 || s.Survivors[0]["TCP_NODELAY"] != "off" || s.Survivors[1]["TCP_NODELAY"] != "on" || s.Survivors[1]["connections"] != "2" ||
		!strings.Contains(s.Stop, "none of the 2 cells left can be 3% better") || !s.Keeps {
		t.Errorf("survivors %v, stop %q; want the two of two connections, which differ by 1 %%, and TCP_NODELAY=off first", s.Survivors, s.Stop)
	}
	for _, d := range s.Dropped {
		if d.Cell["connections"] != "1" || !strings.HasPrefix(d.Why, "its throughput is 0.9") {
			t.Errorf("dropped %+v", d)
		}
	}
}

// One trial without a result may be the machine's fault; a cell without any is out.
func TestRaceForgivesOneEmptyTrial(t *testing.T) {
	p := fourCells(t, 8)
	goal, _ := results.FindMetric("throughput")
	for name, c := range map[string]struct {
		empty func(plan.Trial) bool // of the best cell's trials
		best  bool
	}{
		"the first": {func(t plan.Trial) bool { return t.Block == 0 }, true},
		"all":       {func(plan.Trial) bool { return true }, false},
	} {
		best := plan.Cell{"connections": "2", "TCP_NODELAY": "on"}
		m := machine{measures: func(t plan.Trial) float64 {
			switch {
			case !t.Cell.Has(best):
				return 1000 + float64(t.Block)
			case c.empty(t):
				return 0
			}
			return 1500
		}}
		r := Race(p, goal, nil, 100)
		var log []results.Record
		if _, err := Drive(t.Context(), r, m.run, keepIn(&log), nil); err != nil {
			t.Fatal(err)
		}
		s := r.Standing(log)
		if won := s.Survivors[0].Has(best); won != c.best {
			t.Errorf("%s empty: survivors %v, dropped %v", name, s.Survivors, s.Dropped)
		}
		if !c.best && (len(s.Dropped) != 1 || !s.Dropped[0].Blind || s.Dropped[0].Block != 1) {
			t.Errorf("%s empty: dropped %+v", name, s.Dropped)
		}
	}
}
