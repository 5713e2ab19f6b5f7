package main

import (
	"strings"
	"testing"
)

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		limit  limit
		got    float64
		spoilt string
		want   string
	}{
		{atMost(1.03), 1.03, "", "met"},
		{atMost(1.03), 1.031, "", "**not met**"},
		{below(100), 100, "", "**not met**"},
		{below(100), 99, "", "met"},
		{atLeast(3), 3, "", "met"},
		{atLeast(3), 2, "", "**not met**"},
		{limit{}, 2, "", "reported"},
		{below(100), 1, "too slow", "not measured: too slow"},
	} {
		r := row{claim: claim{limit: c.limit}, figure: figure{got: estimate{value: c.got}, spoilt: c.spoilt}}
		if got := r.met(); got != c.want {
			t.Errorf("%+v: %q, want %q", c, got, c.want)
		}
	}
}

func TestCells(t *testing.T) {
	c := claim{"x", atMost(1500), nanoseconds}
	measured := row{"P0", c, figure{got: estimate{n: 20, value: 1000, low: 900, high: 2e9}, foreign: .07}}
	if got, want := strings.Join(measured.cells(), " | "), "≤ 1.5 µs | **1 µs** | 900 ns – 2 s | 20 | met | 7 %"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	missing := row{"P0", c, figure{spoilt: "no such thing"}}
	if got, want := strings.Join(missing.cells(), " | "), "≤ 1.5 µs | – | – | 0 | not measured: no such thing | –"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
