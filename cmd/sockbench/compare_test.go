package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/resultstest"
)

// written is a run folder in which TCP_NODELAY has two levels and write four.
func written(t *testing.T, blocks int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	if err := resultstest.Generate(dir, 8, blocks, 1); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCompareInsideARun(t *testing.T) {
	dir := written(t, 10)
	code, stdout, stderr := here(t, "compare", dir, "--by", "TCP_NODELAY", "-o", "json")
	var got struct {
		Verdict  string
		Run      string
		Findings []results.Finding
		Cells    []struct {
			Label, Metric, Verdict string
			Cells                  []plan.Cell
			Values                 []float64
			Pairs                  int
		}
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != exitFine || got.Verdict != "better" || got.Run != dir || len(got.Cells) != (1+4)*4 {
		t.Fatalf("exit %d, %v: %+v, %s", code, err, got, stderr)
	}
	f := got.Findings[0]
	if f.Cells[0]["TCP_NODELAY"] != "on" || f.Cells[1]["TCP_NODELAY"] != "off" || f.Verdict != results.Better {
		t.Errorf("%+v", f)
	}
	for _, args := range [][]string{
		{"--cells", "TCP_NODELAY=on", "--cells", "TCP_NODELAY=off", "--metric", "p50"}, // the other way round
		{"--by", "TCP_NODELAY", "--metric", "p50,p99", "--sort", "ratio", "-o", "md"},
		{"--by", "TCP_NODELAY", "--filter", "write=cork", "-o", "csv"},
		{"--rows", "write", "--cols", "TCP_NODELAY", "--metric", "p50"},
		{}, // the only knob of two levels
	} {
		code, stdout, stderr := here(t, append([]string{"compare", dir}, args...)...)
		want := map[bool]string{true: "worse", false: "better"}[len(args) > 1 && args[1] == "TCP_NODELAY=on"]
		if len(args) > 3 && args[3] == "write=cork" {
			code, want = exitFine, "write=cork" // ten pairs, one cell: whatever it says
		}
		if code != exitFine || !strings.Contains(stdout, want) {
			t.Errorf("%v: exit %d, %s%s", args, code, stdout, stderr)
		}
	}
	file := filepath.Join(t.TempDir(), "c.csv")
	if code, _, stderr := here(t, "compare", dir, "--export", "csv="+file); code != exitFine || !strings.Contains(stderr, "csv written to") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if data, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(data), "cells,first_cell,second_cell,metric") {
		t.Errorf("%.80q, %v", data, err)
	}
}

func TestCompareSaysWhatIsWrong(t *testing.T) {
	dir := written(t, 3)
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--by", "TCP_NODELY"}, "did you mean"},
		{[]string{"--by", "write"}, "name two of them"},
		{[]string{"--cells", "write=split"}, "twice"},
		{[]string{"--cells", "write=split", "--cells", "TCP_NODELAY=on"}, "same knobs"},
		{[]string{"--cells", "write=split", "--cells", "write=split"}, "are the same"},
		{[]string{"--cells", "write=split", "--cells", "write=sideways"}, "sideways"},
		{[]string{"--metric", "p98"}, "there is no such metric"},
		{[]string{"--same", "much"}, "write it as 5%"},
		{[]string{"--rows", "write"}, "go together"},
		{[]string{"--export", "pdf=x"}, "FORMAT=PATH"},
	} {
		code, stdout, stderr := here(t, append([]string{"compare", dir}, c.args...)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, c.says) {
			t.Errorf("%v: exit %d, %q, %s", c.args, code, stdout, stderr)
		}
	}
	if code, stdout, stderr := here(t, "compare", dir, "--filter", "write=cork"); code != exitInconclusive || !strings.Contains(stdout, "needs") || !strings.Contains(stderr, "blocks") {
		t.Errorf("three pairs: exit %d, %s%s", code, stdout, stderr)
	}
}

// Sessions lie beside one another, of one plan; only those of its plan and machine count.
func TestCompareTwoRuns(t *testing.T) {
	home := t.TempDir()
	p, err := resultstest.Plan(2, 8, 1)
	if err != nil {
		t.Fatal(err)
	}
	session := func(name string, p *plan.Plan, seed uint64, times float64) string {
		m := resultstest.NewMaker(seed)
		dir := filepath.Join(home, name)
		if err := resultstest.Write(dir, p, func(x plan.Trial) results.Record { return m.Trial(x, times) }); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	other, err := resultstest.Plan(2, 8, 99)
	if err != nil {
		t.Fatal(err)
	}
	session("another plan", other, 1, 1)
	a := session("a", p, 1, 1)
	for i := range 3 {
		session(fmt.Sprint("session", i), p, uint64(10+i), 1)
	}
	b := session("b", p, 20, 2)
	code, stdout, stderr := here(t, "compare", a, b, "--metric", "p50")
	if code != exitInconclusive || !strings.Contains(stderr, "that takes 5 of them in one folder, and there are 4") || !strings.Contains(stdout, "no verdict") {
		t.Errorf("four sessions: exit %d, %s%s", code, stdout, stderr)
	}
	session("session3", p, 30, 1)
	if code, stdout, stderr = here(t, "compare", a, b, "--metric", "p50"); code != exitFine || !strings.Contains(stdout, "worse") || !strings.Contains(strings.Join(strings.Fields(stdout), " "), "Looked at 5 other run folders") {
		t.Errorf("five sessions: exit %d, %s%s", code, stdout, stderr)
	}
	manifest := filepath.Join(b, "manifest.json")
	data, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	rewrite(t, manifest, []byte(strings.Replace(string(data), `"kernel": "6.0"`, `"kernel": "6.1"`, 1)))
	if code, stdout, stderr = here(t, "compare", a, b, "--metric", "p50"); code != exitUsage || stdout != "" || !strings.Contains(stderr, "machine kernel: 6.0 and 6.1") {
		t.Errorf("another kernel: exit %d, %s%s", code, stdout, stderr)
	}
	if code, stdout, stderr = here(t, "compare", a, b, "--metric", "p50", "--anyway"); code != exitInconclusive || !strings.Contains(stdout, "6.1") || !strings.Contains(stderr, "different machines") {
		t.Errorf("another kernel, anyway: exit %d, %s%s", code, stdout, stderr)
	}
}
