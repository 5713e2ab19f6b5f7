package stats

import (
	"encoding/json"
	"fmt"
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

// What one process measured is all there in another.
func TestLatencyText(t *testing.T) {
	a, b := NewLatency(), NewLatency()
	for v := range int64(1000) {
		a.Record(1 + v*977)
	}
	a.Record(2 * Longest)
	a.RecordAge(5_000_000)
	text, err := a.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.UnmarshalText(text); err != nil {
		t.Fatal(err)
	}
	if want, got := fmt.Sprintf("%+v", describe(a.Summary())), fmt.Sprintf("%+v", describe(b.Summary())); got != want {
		t.Errorf("it was %s, and read back is %s", want, got)
	}
	c := NewLatency()
	if err := c.Merge(&b); err != nil || c.Count() != a.Count() {
		t.Errorf("merged %d of %d, %v", c.Count(), a.Count(), err)
	}
	for _, bad := range []string{"", "{}", `{"Histogram":"x"}`} {
		if err := b.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

// describe is q as text, with what its pointers point to.
func describe(q Quantity) string {
	text, err := json.Marshal(q)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
