package results

import (
	"slices"
	"testing"
	"time"

	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/netpath"
	"github.com/sockbench/sockbench/unit"
)

// A load of 100 replies in each interval of 100 ms meets a stall from 500 to 700 ms, in which it has none, and a blackout
// from 800 ms on, which it notices after 150 ms.
func faulty() Record {
	at := func(ms int) unit.Duration { return unit.Duration(ms) * unit.Duration(time.Millisecond) }
	r := Record{Metrics: &Metrics{}}
	r.Spec.Faults = netpath.Faults{{Kind: netpath.Stall, At: at(500), For: at(200)}, {Kind: netpath.Blackout, At: at(800)}}
	r.Metrics.Duration, r.Metrics.Interval = int64(at(1000)), int64(at(100))
	for _, n := range []int64{100, 100, 100, 100, 100, 0, 0, 100, 0, 0} {
		r.Metrics.Intervals = append(r.Metrics.Intervals, loadgen.Interval{Completed: n})
	}
	for _, ms := range []int{100, 600, 650, 950, 1100} {
		r.Metrics.Troubles = append(r.Metrics.Troubles, loadgen.Trouble{At: int64(at(ms)), Kind: "reset"})
	}
	return r
}

func TestAftermaths(t *testing.T) {
	r := faulty()
	got := Aftermaths(&r)
	want := []Aftermath{
		{Fault: "stall@500ms+200ms", Noticed: 2, FalseAlarms: 2, Expected: 300, Lost: 200, Trials: 1},
		{Fault: "blackout@800ms", Noticed: 2, Expected: 200, Lost: 200, Trials: 1},
	}
	first := []int64{100e6, 150e6}
	for i := range got {
		if got[i].First == nil || *got[i].First != first[i] {
			t.Errorf("%s was first noticed after %v", got[i].Fault, got[i].First)
		}
		got[i].First = nil
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Merged, counts are sums and the first notice is the median of the trials that had one.
func TestMergedAftermaths(t *testing.T) {
	var records []*Record
	for _, late := range []int64{0, 10e6, 50e6} {
		r := faulty()
		r.Metrics.Troubles[3].At += late
		r.Metrics.Faults = Aftermaths(&r)
		records = append(records, &r)
	}
	m := &Metrics{Faults: mergeAftermaths(records)}
	if a := m.Faults[1]; a.Noticed != 6 || a.Trials != 3 || a.Expected != 600 || *a.First != 160e6 {
		t.Errorf("%+v, first %v", a, *a.First)
	}
	for name, want := range map[string]float64{"time_to_detect": 160e6, "false_alarms": 2, "replies_lost": .8} {
		metric, _ := FindMetric(name)
		if got, ok := metric.Get(&Record{Metrics: m}); !ok || got != want {
			t.Errorf("%s is %v (%v), want %v", name, got, ok, want)
		}
	}
	if _, ok := All[len(All)-2].Get(&Record{Metrics: &Metrics{}}); ok {
		t.Error("a trial without faults has replies lost by them")
	}
}
