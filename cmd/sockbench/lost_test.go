package main

import (
	"testing"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

// A target that never worked is started twice, and what is said of its other trials does not grow.
func TestLostTargetIsToldOnce(t *testing.T) {
	p, err := plan.New("x", 1, 5, 0, 1e9, []plan.Factor{{Knob: "target", Levels: []string{"exec: ./s {port}"}}})
	if err != nil {
		t.Fatal(err)
	}
	l, tried, last := lost{}, 0, ""
	for b := range p.Blocks {
		trial := p.Block(b, 0)[0]
		r, gone := l.record(trial)
		if !gone {
			tried++
			r = results.Record{Trial: trial, Stage: "serve", Error: "no such file"}
		}
		l.note(r)
		last = r.Error
	}
	if tried != tries || last != "not tried again after 2 failures; the last one: no such file" {
		t.Errorf("tried %d times; the last trial says %q", tried, last)
	}
}
