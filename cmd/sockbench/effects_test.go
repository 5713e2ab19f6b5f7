package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/stats"
)

// A planted interaction, of real trials: requests in two pieces wait for Nagle's algorithm, unless it is off; others never do.
func TestEffectsNameAPlantedInteraction(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs trials for some ten seconds")
	}
	var dir string
	for attempt := range 3 {
		dir = filepath.Join(t.TempDir(), "run")
		code, _, stderr := within(t, patience, "run", "--target", "epoll", "--connections", "8", "--write", "single,split", "--set", "TCP_NODELAY=off,on",
			"--blocks", "6", "--duration", "300ms", "--warmup", "50ms", "--quiet", "--out", dir)
		if code != exitFine {
			t.Fatalf("exit %d: %s", code, stderr)
		}
		wrong := namesInteraction(t, dir)
		if wrong == "" {
			break
		}
		if what := disturbed(t, dir); what == "" {
			t.Fatal(wrong)
		} else if attempt == 2 {
			t.Skipf("other work disturbed the machine three times, the last time by %s: %s", what, wrong)
		}
	}
	for _, format := range []string{"table", "md", "html"} {
		if _, stdout, _ := here(t, "report", dir, "--effects", "p50", "-o", format); !strings.Contains(stdout, "TCP_NODELAY=on beside off, an interaction with write: p50 ÷ ") {
			t.Errorf("%s does not tell of it:\n%s", format, stdout)
		}
	}
	if code, _, stderr := here(t, "report", dir, "--effects", "p5"); code != exitUsage || !strings.Contains(stderr, "p50") {
		t.Errorf("of a metric that there is not: exit %d, %s", code, stderr)
	}
}

// namesInteraction says what is wrong with the effects of such a run; "": nothing is.
func namesInteraction(t *testing.T, dir string) string {
	t.Helper()
	code, stdout, stderr := here(t, "report", dir, "--effects", "p50", "-o", "json")
	var said struct{ Effects results.MetricEffects }
	if err := json.Unmarshal([]byte(stdout), &said); code != exitFine || err != nil || len(said.Effects.Effects) != 2 {
		t.Fatalf("exit %d, %v: %s%s", code, err, stdout, stderr)
	}
	for _, e := range said.Effects.Effects {
		if len(e.Parts) != 2 || len(e.Depends) != 1 || e.Depends[0] == e.Knob || !strings.Contains(e.Claim, "an interaction with "+e.Depends[0]) {
			return "an effect as if there were no interaction: " + e.Claim
		}
	}
	if p := said.Effects.Effects[1].Parts[0]; p.At["write"] != "split" || p.Evidence != stats.Shown || p.Effect.Ratio > .1 {
		return fmt.Sprintf("TCP_NODELAY=on with write=split: %+v", p)
	}
	return ""
}
