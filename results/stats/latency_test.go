package stats

import (
	"math"
	"testing"
)

func TestLatency(t *testing.T) {
	q := NewLatency()
	for v := int64(1); v <= 1000; v++ {
		q.Record(v * 1_000_000)
	}
	s := q.Summary()
	if s.Count != 1000 || s.Min != 1_000_000 || s.Max != 1_000_000_000 || s.Mean != 500_500_000 {
		t.Errorf("%+v", s)
	}
	if s.P99 == nil || math.Abs(float64(*s.P99)/990e6-1) > .001 || s.P999 != nil {
		t.Errorf("p99 %v, p999 %v: 1,000 values support the first and not the second", s.P99, s.P999)
	}
	q.RecordAge(70_000_000_000)
	if s = q.Summary(); s.Clipped != 1 || s.Max != 70_000_000_000 || s.Censored == nil || *s.Censored != 70_000_000_000 {
		t.Errorf("clipped %d, max %d, censored %v", s.Clipped, s.Max, s.Censored)
	}
}
