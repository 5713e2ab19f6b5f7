package results

import (
	"math"
	"testing"

	"github.com/sockbench/sockbench/plan"
)

// A level that is half as fast in every pair is so beside the first level, and what makes no difference is unclear.
func TestLevelsBesideTheFirst(t *testing.T) {
	p := threeByTwo(t, 10)
	rs := made(t, p, func(c plan.Cell) float64 {
		if c["target"] == p.Factors[0].Levels[2] {
			return 2e6
		}
		return 1e6
	})
	found := map[string]LevelEffect{}
	findings, levels := Effects(p, rs)
	if want := claims(Findings(p, rs)); claims(findings) != want {
		t.Errorf("findings beside levels are\n%s\nand alone\n%s", claims(findings), want)
	}
	for _, l := range levels {
		if l.Metric.Name == "p50" {
			found[l.Knob+"="+l.To] = l
			if l.From != p.Factors[0].Levels[0] && l.From != p.Factors[1].Levels[0] {
				t.Errorf("%s=%s is compared with %s", l.Knob, l.To, l.From)
			}
		}
	}
	if len(found) != 3 {
		t.Fatalf("%d levels beside two first ones", len(found))
	}
	slow := found[p.Factors[0].Knob+"="+p.Factors[0].Levels[2]]
	if math.Abs(slow.Effect.Ratio-2) > 0.1 || slow.Effect.Low > 2.1 || slow.Effect.High < 1.9 || slow.Conclusion() != Worse {
		t.Errorf("the slow level's effect is %+v: %s", slow.Effect, slow.Conclusion())
	}
	if same := found[p.Factors[0].Knob+"="+p.Factors[0].Levels[1]]; same.Conclusion() != Unclear {
		t.Errorf("the level that makes no difference is %s: %+v", same.Conclusion(), same.Effect)
	}
}

// A curve goes through the merged percentiles, and ends where the count supports no more.
func TestCurve(t *testing.T) {
	p := newPlan(t, 2)
	var rs []*Record
	for n := range 2 {
		r := fine(p.Block(n, 0)[0], 0)
		r.Cell = p.Cells()[0]
		rs = append(rs, &r)
	}
	rs = append(rs, &Record{Error: "it failed"}) // which counts nothing
	values, q := Curve(rs, []float64{0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999})
	if q.Count != 40_000 || len(values) != 6 { // p99.99 takes 36,887
		t.Fatalf("%d requests support %d values", q.Count, len(values))
	}
	if values[0] != q.Min {
		t.Errorf("the curve begins at %d, the least is %d", values[0], q.Min)
	}
	for i, want := range []*int64{q.P50, q.P90, q.P99, q.P999, q.P9999} {
		if want == nil || values[i+1] != *want {
			t.Errorf("value %d is %d, the merged percentile %v", i+1, values[i+1], want)
		}
	}
	delete(rs[1].Histograms, "response")
	if values, _ := Curve(rs, []float64{0.5}); values != nil {
		t.Errorf("without one histogram the curve is %v", values)
	}
}
