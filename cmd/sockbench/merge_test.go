package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sockbench/sockbench/results"
)

// Levels that read back equal are one, and are run once: the dry run and the run say so, and the manifest has what was
// run. "default" is never one with a level, nor are levels of different phases.
func TestEqualLevelsAreOne(t *testing.T) {
	for _, c := range []struct {
		set  []string
		want []string
	}{
		{[]string{"SO_RCVBUF=default,1GiB,64KiB,2147483647"}, []string{"default", "1GiB", "64KiB"}},
		{[]string{"client.SO_RCVBUF=1GiB,2147483647"}, []string{"1GiB"}},
		{[]string{"SO_RCVBUF=1GiB,2147483647@established"}, []string{"1GiB", "2147483647@established"}},
		{[]string{"SO_RCVBUF=100,200,2304"}, []string{"100", "2304"}},
		{[]string{"TCP_NODELAY=off,on"}, []string{"off", "on"}},
		{[]string{"TCP_CONGESTION=no-such-one,nor-this"}, []string{"no-such-one", "nor-this"}},                // refused, and so not known to be one
		{[]string{"SO_RCVBUF=1GiB,2147483647", "sysctl.net.ipv4.tcp_sack=0"}, []string{"1GiB", "2147483647"}}, // the kernel is set otherwise there
	} {
		knob, _, _ := strings.Cut(c.set[0], "=")
		args := []string{"run", "--dry-run", "-o", "json"}
		for _, set := range c.set {
			args = append(args, "--set", set)
		}
		code, _, stderr := here(t, args...)
		var got []string
		for _, cell := range dry(t, args[4:]...).Cells {
			got = append(got, cell[knob])
		}
		if code != exitFine || !slices.Equal(got, c.want) {
			t.Errorf("%s: exit %d, levels %q, want %q", c.set, code, got, c.want)
		}
		levels := strings.Count(c.set[0], ",") + 1
		if n := strings.Count(strings.Join(strings.Fields(stderr), " "), "one level, run once"); n != levels-len(c.want) {
			t.Errorf("%s: %d notes in %q", c.set, n, stderr)
		}
	}
	_, _, stderr := here(t, "run", "--dry-run", "--set", "SO_RCVBUF=1GiB,2147483647")
	if said := strings.Join(strings.Fields(stderr), " "); !strings.Contains(said, "as 1GiB does (capped by net.core.rmem_max=") || !strings.HasPrefix(said, "SO_RCVBUF=2147483647 reads back ") {
		t.Errorf("%q does not say why", stderr)
	}

	dir := filepath.Join(t.TempDir(), "run")
	code, _, stderr := here(t, quick(dir, "--set", "SO_RCVBUF=1GiB,2147483647,64KiB")...)
	r, err := results.Open(dir)
	if code != exitFine || err != nil || len(r.Records)%2 != 0 || len(r.Manifest.Plan.Cells()) != 2 || strings.Count(stderr, "reads back") != 1 {
		t.Fatalf("exit %d, %v, %d trials: %s", code, err, len(r.Records), stderr)
	}
	if code, _, stderr := here(t, "run", "--resume", dir); code != exitFine || strings.Contains(stderr, "reads back") {
		t.Errorf("resume: exit %d: %s", code, stderr)
	}
}

// A command and nothing else: what acts on it is chosen, and what cannot is named.
func TestCommandAlone(t *testing.T) {
	code, _, stderr := here(t, "run", "--dry-run", "--target", "exec: ./server --workers {workers} --port {port}")
	said := strings.Join(strings.Fields(stderr), " ")
	for _, want := range []string{"write=split", "connections=1,16", "client.TCP_NODELAY=off,on", "client.TCP_QUICKACK=default,on@each_read", "workers=1,",
		"not chosen: service_time, listener, gomaxprocs and the options of the server's sockets act inside the server only", "--set sysctl.net."} {
		if code != exitFine || !strings.Contains(said, want) {
			t.Errorf("exit %d, %q does not say %q", code, stderr, want)
		}
	}
	d := dry(t, "--target", "exec: ./server --port {port}", "--blocks", "2")
	if len(d.Cells) != 8 || d.Plan.Blocks != 2 || d.Plan.Name != "exec" {
		t.Errorf("%+v", d)
	}
	if d := dry(t, "--target", "exec: ./server --port {port}", "--connections", "3"); len(d.Cells) != 1 {
		t.Errorf("with another knob named it is a plan of just these: %+v", d)
	}
	for _, seconds := range []int64{30, 60} {
		if d := dry(t, "--target", "exec: ./server --port {port}", "--budget", map[int64]string{30: "30s", 60: "1m"}[seconds]); d.Longest > seconds*1e9 {
			t.Errorf("%d s: %+v", seconds, d)
		}
	}
}
