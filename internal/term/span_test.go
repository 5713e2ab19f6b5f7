package term

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestSpan(t *testing.T) {
	axis := Axis{Low: 1, High: 65536} // a column for each doubling
	for _, c := range []struct {
		span Span
		want string
	}{
		{Span{Low: 1, P50: 4, Steps: []float64{16, 256, 65536}}, "▒▒█▒▒░░░░·······"},
		{Span{Low: 4, P50: 4, Steps: []float64{4, 4, 4}}, "  █"},
		{Span{Low: 2, P50: 5, Steps: []float64{9}}, " ▒█▒"},
		{Span{Low: 2, P50: 5}, "  █"},
		{Span{Low: 2, P50: 5, Steps: []float64{9, 70, 70}, Open: true}, " ▒█▒░░░>"},
		{Span{Low: 2, P50: 65536, Steps: []float64{65536}, Open: true}, " ▒▒▒▒▒▒▒▒▒▒▒▒▒▒>"},
	} {
		if got := (Screen{}).Span(axis, c.span); got != c.want {
			t.Errorf("%+v is\n%q, want\n%q", c.span, got, c.want)
		}
	}
	if got := (Screen{ASCII: true}).Span(axis, Span{Low: 1, P50: 4, Steps: []float64{16, 256, 65536}}); got != "==#==----......." {
		t.Errorf("in ASCII: %q", got)
	}
}

func TestAxisHasRoomForAll(t *testing.T) {
	var a Axis
	a.Include(Span{Low: 10, P50: 20})
	a.Include(Span{Low: 5, P50: 7, Steps: []float64{9, 1000}})
	if a != (Axis{5, 1000}) {
		t.Errorf("%+v", a)
	}
	if got := (Screen{}).Span(Axis{7, 7}, Span{Low: 7, P50: 7, Steps: []float64{7}}); got != "█" {
		t.Errorf("where all are equal: %q", got)
	}
}

func TestRandomSpans(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		var v [5]float64
		for i := range v {
			v[i] = math.Trunc(math.Exp(rng.Float64() * 25))
		}
		slices.Sort(v[:])
		s := Span{Low: v[0], P50: v[1], Steps: v[2 : 2+rng.IntN(4)], Open: rng.IntN(2) == 0}
		a := Axis{rng.Float64() * 1e4, 1e4 + rng.Float64()*1e10}
		got := (Screen{}).Span(a, s)
		if n := Width(got); n < 1 || n > SpanWidth || strings.Count(got, "█") != 1 && !s.Open || s.Open != strings.Contains(got, Beyond) {
			t.Fatalf("%+v on %+v: %q", s, a, got)
		}
	}
}
