package resultstest

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sockbench/sockbench/results"
)

func TestGenerate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	if err := Generate(dir, 4, 8, 1); err != nil {
		t.Fatal(err)
	}
	run, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(run.Records) != 32 || len(run.Damaged) > 0 || run.Torn {
		t.Errorf("%d records, damaged %v, torn %v", len(run.Records), run.Damaged, run.Torn)
	}
	for _, r := range run.Records {
		for _, d := range r.Metrics.Validity {
			if d.Verdict == results.Warn || d.Verdict == results.Fail {
				t.Fatalf("trial %s: %s: %s", r.ID, d.Code, d.Evidence)
			}
		}
	}
	cells, err := results.Summarize(run.Manifest.Plan.Cells(), run.Records)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cells {
		if c.Merged == nil || c.Merged.Metrics.Response.P999 == nil {
			t.Errorf("%s: no merged p99.9", c.Cell)
		}
	}
	findings := results.Findings(run.Manifest.Plan, run.Records)
	i := slices.IndexFunc(findings, func(f results.Finding) bool { return f.Cells[0]["TCP_NODELAY"] == "on" })
	if i < 0 || math.Abs(math.Log(findings[i].Effect.Ratio/NodelayTimes)) > .1 {
		t.Errorf("TCP_NODELAY=on is made to take %v times as long, and what was found is %+v", NodelayTimes, findings)
	}
}

func TestASeedIsAFolder(t *testing.T) {
	read := func(seed uint64) []byte {
		dir := filepath.Join(t.TempDir(), "run")
		if err := Generate(dir, 2, 2, seed); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, "trials.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	if first := read(7); !bytes.Equal(first, read(7)) || bytes.Equal(first, read(8)) {
		t.Error("the same seed makes another folder, or another seed the same")
	}
}

func TestPlanHasSoManyCells(t *testing.T) {
	for _, n := range []int{1, 2, 7, 40, 1000} {
		p, err := Plan(n, 1, 1)
		if err != nil || len(p.Cells()) != n {
			t.Errorf("%d cells: %v, %v", n, p, err)
		}
	}
}
