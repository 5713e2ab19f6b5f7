package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Whatever goes wrong in any of the trials is counted, and the trial that served fewest is the one that is told of.
func TestCrowd(t *testing.T) {
	of := func(attained, served, failed, server int) (r record) {
		err := json.Unmarshal(fmt.Appendf(nil, `{"metrics": {"duration_ns": 1, "failed": %d, "timed_out": 1, "errors": {"reset": 5},
			"connections": {"attained": %d, "served": %d, "min_completed": 4}, "server": {"pss_bytes": %d}}}`, failed, attained, served, server), &r)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	const before, after = 5_000_000, 5_000_000 + 100*(manyConns-fewConns)
	few := of(fewConns, fewConns, 0, before)
	c := crowd{few: []record{few, few}, many: []record{of(manyConns, manyConns, 0, after), of(manyConns-3, manyConns-9, 2, after)}}
	for i := range c.many {
		c.many[i].Cell = map[string]string{"connections": "8000"}
	}
	c.all = []record{c.many[0], few, c.many[1], few}
	got := c.ofModel()
	near(t, "wrong", got[0].got.value, 3+2+2*(1+5))
	near(t, "served", got[1].got.value, manyConns-9)
	near(t, "memory", got[2].got.value, 100)
	if n := len(c.ofClient()) + len(manyModels)*len(got); n != len(manyClaims()) {
		t.Errorf("%d figures for %d claims", n, len(manyClaims()))
	}
}

func TestServing(t *testing.T) {
	b := quietBench()
	sh := func(script string) []string { return []string{"sh", "-c", script} }
	for _, c := range []struct{ script, want string }{
		{"echo tcp://127.0.0.1:4321; exec sleep 20", ""},
		{"echo 4321; read end", ""}, // it ends by SIGTERM, or with its input
		{"echo no port for me >&2; exit 3", "no port for me"},
		{"echo 4321; exit 3", "exit status 3"},
	} {
		err := b.serving(t.Context(), sh(c.script), func(s server) error {
			if s.port != "4321" {
				t.Errorf("%s: port %q", c.script, s.port)
			}
			if strings.Contains(c.script, "exit") {
				return unix.Waitid(unix.P_PID, s.pid, nil, unix.WEXITED|unix.WNOWAIT, nil) // before it is told to end
			}
			return nil
		})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.script, err, c.want)
		}
	}
}
