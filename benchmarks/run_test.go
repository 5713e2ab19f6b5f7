package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRecords(t *testing.T) {
	at := func(block, attempt int, connections string, ms int) record {
		return record{Block: block, Attempt: attempt, Cell: map[string]string{"connections": connections},
			Started: time.UnixMilli(int64(ms))}
	}
	records := []record{at(1, 0, "8", 0), at(0, 0, "8000", 110), at(0, 1, "8000", 230), at(1, 0, "8000", 340), at(0, 0, "8", 500)}
	if got, want := extra(records, "", 100*time.Millisecond), []float64{10e6, 20e6, 10e6, 60e6}; !slices.Equal(got, want) {
		t.Errorf("all trials took %v more, want %v", got, want)
	}
	if got, want := extra(records, "8000", 100*time.Millisecond), []float64{20e6, 10e6, 60e6}; !slices.Equal(got, want) {
		t.Errorf("trials of 8,000 took %v more, want %v", got, want)
	}
	if c := counting(records[1:4]); len(c) != 2 || c[0].Attempt != 1 || c[0].Block != 0 || c[1].Block != 1 {
		t.Errorf("counting are %+v", c)
	}
}

func TestArguments(t *testing.T) {
	for args, want := range map[string]string{
		"-only P99":           `no goal "P99" is measured here`,
		"-pairs 0":            "usage:",
		"-only P1,P4 P5":      "usage:",
		"-only P1,nothing,P3": `no goal "nothing"`,
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), &out, &errs, strings.Fields(args)); code != 2 || !strings.Contains(errs.String(), want) {
			t.Errorf("%s: exit %d, %q; want 2 and %q", args, code, errs.String(), want)
		}
	}
	if chosen, err := choose("p3,SOCKPERF"); err != nil || len(chosen) != 2 || chosen[1].code != "sockperf" {
		t.Errorf("chosen %v, %v", chosen, err)
	}
}
