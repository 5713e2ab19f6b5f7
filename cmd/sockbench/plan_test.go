package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sockbench/sockbench/results"
)

// planFile writes a plan.
func planFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "small.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// dry is what run -o json --dry-run says.
func dry(t *testing.T, args ...string) (d struct {
	Plan struct {
		Name   string
		Blocks int
		Warmup string
	}
	Cells             []map[string]string
	Order             [][]int
	Expected, Longest int64
}) {
	t.Helper()
	code, stdout, stderr := here(t, append([]string{"run", "--dry-run", "-o", "json"}, args...)...)
	if code != exitFine {
		t.Fatalf("%q: exit %d: %s", args, code, stderr)
	}
	if err := json.Unmarshal([]byte(strings.NewReplacer("_ns", "").Replace(stdout)), &d); err != nil {
		t.Fatalf("%q: %v: %s", args, err, stdout)
	}
	return d
}

// Flags go before the environment, that before the plan, and that before defaults.
func TestPrecedence(t *testing.T) {
	file := planFile(t, "blocks: 2\nfixed: {write: split, request: 100}\nfactors: {connections: [1, 2], target: [epoll, thread]}\n")
	t.Setenv("SOCKBENCH_CONNECTIONS", "3")
	t.Setenv("SOCKBENCH_REQUEST", "200")
	d := dry(t, file, "--connections", "4", "--warmup", "0s", "--exclude", "target=thread")
	want := map[string]string{"write": "split", "request": "200", "connections": "4", "target": "epoll"}
	if fmt.Sprint(d.Cells) != fmt.Sprint([]map[string]string{want}) || d.Plan.Blocks != 2 || d.Plan.Name != "small" || d.Plan.Warmup != "0" {
		t.Errorf("%+v", d)
	}
}

func TestBudgetIsKept(t *testing.T) {
	for _, seconds := range []int64{24, 36, 90, 600} {
		d := dry(t, "--budget", fmt.Sprint(seconds, "s"))
		again := dry(t, "--blocks", fmt.Sprint(d.Plan.Blocks+1))
		if d.Longest > seconds*1e9 || again.Longest <= seconds*1e9 || d.Expected >= d.Longest || len(d.Order) != d.Plan.Blocks {
			t.Errorf("%d s: %d blocks, %d to %d ns; one more: %d ns", seconds, d.Plan.Blocks, d.Expected, d.Longest, again.Longest)
		}
	}
}

// A person waits for it: under 90 s, or 120 s with repeats.
func TestBuiltinPlanIsShort(t *testing.T) {
	if d := dry(t); len(d.Cells) != 24 || d.Plan.Blocks != 6 || d.Expected >= 90e9 || d.Longest >= 120e9 {
		t.Errorf("%d cells, %d blocks, %d to %d ns", len(d.Cells), d.Plan.Blocks, d.Expected, d.Longest)
	}
}

func TestWrongPlan(t *testing.T) {
	file := planFile(t, "blocks: 2\nfactors:\n  conections: [1, 2]\n  target: epoll\n")
	code, stdout, stderr := here(t, "run", file)
	for _, s := range []string{file + ":3:3: ", "did you mean connections?", "\n      conections: [1, 2]\n      ^\n", file + ":4:11: ", "write [epoll]"} {
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, s) {
			t.Errorf("exit %d, %q is not in %s", code, s, stderr)
		}
	}
}

func TestPlanIsRunUntilItIsKnown(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	file := planFile(t, "duration: 50ms\nwarmup: 10ms\nfixed: {target: epoll, connections: 2}\nvariants:\n  whole: {write: single}\n  pieces: {write: split}\n")
	code, stdout, stderr := here(t, "run", file, "--until", "interval=50%", "--blocks", "60", "--out", dir, "-o", "json")
	r, err := results.Open(dir)
	if err != nil || code != exitFine {
		t.Fatalf("exit %d, %v: %s", code, err, stderr)
	}
	var a struct{ Findings []results.Finding }
	if err := json.Unmarshal([]byte(stdout), &a); err != nil || len(a.Findings) != 1 || a.Findings[0].Cells[0]["variant"] != "whole" || a.Findings[0].Verdict != results.Better {
		t.Errorf("%v: %s", err, stdout)
	}
	trials := len(r.Records)
	if trials < 16 || trials >= 120 || r.Manifest.Until != .5 || !strings.Contains(stderr, "known to within") {
		t.Errorf("%d trials, until %v: %s", trials, r.Manifest.Until, stderr)
	}
	if code, _, stderr := here(t, "run", "--resume", dir); code != exitFine || !strings.Contains(stderr, "known to within") {
		t.Errorf("resume: exit %d, %s", code, stderr)
	}
	if r, err := results.Open(dir); err != nil || len(r.Records) != trials {
		t.Errorf("resume: %v, %d trials of %d", err, len(r.Records), trials)
	}
}

// A server that serves one connection after the other lets seven of eight wait, and the run ends in time and says so.
func TestBlockingStarves(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := here(t, "run", "--target", "blocking", "--connections", "8", "--blocks", "1", "--duration", "100ms", "--warmup", "20ms", "--out", dir)
	fields := strings.Fields(stdout)
	if code != exitFine || !slices.Contains(fields, "1/8") || !strings.Contains(stdout, "7 of 8 connections were never served") {
		t.Errorf("exit %d, %s%s", code, stdout, stderr)
	}
}

func TestInspect(t *testing.T) {
	code, stdout, stderr := here(t, "targets", "--inspect", fmt.Sprint(os.Getpid()), "-o", "json")
	var i struct{ PID int }
	if err := json.Unmarshal([]byte(stdout), &i); code != exitFine || err != nil || i.PID != os.Getpid() {
		t.Errorf("exit %d, %v, %s%s", code, err, stdout, stderr)
	}
	if code, stdout, _ := here(t, "targets", "--inspect", fmt.Sprint(os.Getpid())); code != exitFine || !strings.Contains(stdout, " threads: ") {
		t.Errorf("exit %d, %s", code, stdout)
	}
	if code, _, stderr := here(t, "targets", "--inspect", "999999999"); code != exitEnvironment || !strings.Contains(stderr, "no such process") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}
