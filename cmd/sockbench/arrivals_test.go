package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sockbench/sockbench/results"
)

// Bare names are split at commas; levels with arguments are one each, from flags, --set and the environment.
func TestArrivalLevels(t *testing.T) {
	levels := func(args ...string) (all []string) {
		for _, c := range dry(t, args...).Cells {
			all = append(all, c["arrivals"])
		}
		return all
	}
	for _, c := range []struct{ args, want []string }{
		{[]string{"--rate", "1k", "--arrivals", "poisson,constant"}, []string{"poisson", "constant"}},
		{[]string{"--arrivals", "steps:1000,5k,2k"}, []string{"steps:1k,5k,2k"}},
		{[]string{"--arrivals", "steps:1k,3k", "--set", "arrivals=ramp:1k-3k", "--arrivals", "burst:16", "--rate", "2k"}, []string{"steps:1k,3k", "ramp:1k-3k", "burst:16"}},
	} {
		if got := levels(c.args...); !slices.Equal(got, c.want) {
			t.Errorf("%q are the levels %q, want %q", c.args, got, c.want)
		}
	}
	t.Setenv("SOCKBENCH_ARRIVALS", "steps:1k,2k")
	if got := levels("--connections", "2"); !slices.Equal(got, []string{"steps:1k,2k"}) {
		t.Errorf("the environment's levels are %q", got)
	}
}

// A trace named from where the caller is reaches the load process, and every request it holds is offered.
func TestTraceIsRun(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile("some.trace", []byte("0 # in the warm-up\n11ms\n0.012\n12ms\n30ms\n70ms # after the end\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := here(t, quick("run", "--target", "epoll", "--arrivals", "trace:some.trace")...); code != exitFine {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	r, err := results.Open("run")
	if err != nil || len(r.Records) == 0 {
		t.Fatalf("%v, %d records", err, len(r.Records))
	}
	rec := r.Records[0]
	if level := rec.Cell["arrivals"]; rec.Metrics == nil || rec.Metrics.Offered != 4 || rec.Metrics.Completed != 4 || !strings.HasPrefix(level, "trace:"+filepath.Join(dir, "some.trace")+"#") {
		t.Errorf("%s: %+v, error %q", level, rec.Metrics, rec.Error)
	}
	if err := os.WriteFile("some.trace", []byte("0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := here(t, quick("other", "--target", "epoll", "--set", "arrivals="+rec.Cell["arrivals"])...)
	if code != exitEnvironment || !strings.Contains(stderr, "when the plan was made") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	code, _, stderr = here(t, quick("more", "--arrivals", "trace:other.trace")...)
	if code != exitUsage || !strings.Contains(stderr, "other.trace") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestLoadRamps(t *testing.T) {
	serve := program(t, "serve", "--target", "epoll", "-o", "json")
	out, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	defer serve.Wait()
	defer serve.Process.Kill()
	var at struct{ Address string }
	if err := json.NewDecoder(out).Decode(&at); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := here(t, "load", at.Address, "--arrivals", "ramp:0-4k", "--warmup", "0", "--duration", "500ms", "-o", "json")
	var m struct{ Offered, Scheduled int64 }
	if err := json.Unmarshal([]byte(stdout), &m); err != nil || code != exitFine || m.Offered < 1000-130 || m.Offered > 1000+130 || m.Scheduled != m.Offered { // 4 sd
		t.Errorf("exit %d, %v, %+v: %s", code, err, m, stderr)
	}
}
