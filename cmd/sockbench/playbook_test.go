package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/playbook"
	"github.com/sockbench/sockbench/results"
)

// Every playbook is listed, and shows its plan, which is one that run takes, or says that it has none.
func TestPlaybooks(t *testing.T) {
	code, list, stderr := here(t, "playbook")
	if code != exitFine {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	var all []struct{ Name, Doc string }
	if _, stdout, _ := here(t, "playbook", "-o", "json"); json.Unmarshal([]byte(stdout), &all) != nil || len(all) != len(playbook.All) {
		t.Errorf("%s", stdout)
	}
	for _, b := range playbook.All {
		if strings.Count(list, b.Name+" ") != 1 || !strings.Contains(list, b.Doc) {
			t.Errorf("%s is not in %s", b.Name, list)
		}
		code, stdout, stderr := here(t, "playbook", b.Name, "--plan")
		if b.Plan == "" {
			if code != exitUsage || !strings.Contains(stderr, "no matrix of trials") {
				t.Errorf("%s: exit %d, %s", b.Name, code, stderr)
			}
			continue
		}
		p, err := plan.Parse(b.Name, []byte(stdout))
		if code != exitFine || err != nil || p.Name != b.Name {
			t.Fatalf("%s: exit %d, %v, %s", b.Name, code, err, stdout)
		}
		if d := longest(p, p.Blocks); d > 2*time.Minute {
			t.Errorf("%s takes up to %s", b.Name, d)
		}
	}
}

// A short run leaves a run folder like any other, and ends with the verdict; so does a second look at the folder.
func TestPlaybookOfAPlan(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := here(t, "playbook", "sticky-packets", "--blocks", "1", "--duration", "100ms", "--quiet", "--out", dir)
	if code != exitFine {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	for _, s := range []string{"req/s", "Findings", "Verdict: holds", "A test that waits for each reply finds nothing", "thread, the same server but for the framing, gave no wrong reply"} {
		if !strings.Contains(stdout, s) {
			t.Errorf("it does not say %q: %s", s, stdout)
		}
	}
	r, err := results.Open(dir)
	if err != nil || len(r.Records) < 16 {
		t.Fatalf("%v, %d records", err, len(r.Records))
	}
	code, stdout, stderr = here(t, "playbook", "sticky-packets", "--resume", dir, "--quiet", "-o", "json")
	var v struct {
		Verdict string
		Because []string
		Figures []struct {
			Variant       string
			Thread, Naive struct{ Offered, Completed, Mistakes int64 }
		}
		Result struct {
			Verdict string
			Cells   []any
			Run     string
		}
	}
	if err := json.Unmarshal([]byte(stdout), &v); code != exitFine || err != nil || !strings.HasPrefix(v.Verdict, "holds") || len(v.Figures) != 8 ||
		len(v.Because) < 4 || v.Result.Verdict != "done" || len(v.Result.Cells) != 16 || v.Result.Run != dir {
		t.Fatalf("exit %d, %v, %s: %s", code, err, stdout, stderr)
	}
	for _, c := range v.Figures {
		if c.Thread.Offered == 0 || c.Thread.Mistakes > 0 || c.Thread.Completed != c.Thread.Offered {
			t.Errorf("%+v", c)
		}
		if together := c.Variant == "together" || c.Variant == "split"; together != (c.Naive.Mistakes > 0) && c.Variant != "scheduled" {
			t.Errorf("%+v", c)
		}
	}
	other := filepath.Join(t.TempDir(), "run")
	if code, _, stderr := here(t, quick(other)...); code != exitFine {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if code, _, stderr := here(t, "playbook", "sticky-packets", "--resume", other); code != exitUsage || !strings.Contains(stderr, "not of playbook sticky-packets") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestPlaybookThatMeasures(t *testing.T) {
	if testing.Short() {
		t.Skip("with the race detector, every process takes a second to end: run without -short")
	}
	code, stdout, stderr := here(t, "playbook", "start-cost", "--blocks", "1", "-o", "md")
	if code != exitFine || !strings.Contains(stdout, "**Verdict: not shown**") || !strings.Contains(stdout, "1 block did not show that thread costs more than goroutine") {
		t.Errorf("one block shows nothing: exit %d, %s: %s", code, stdout, stderr)
	}
	for _, s := range []string{"[4/4]", "goroutine", "thread", "fork", "re-exec"} {
		if !strings.Contains(stderr, s) {
			t.Errorf("its progress does not say %q: %s", s, stderr)
		}
	}
}
