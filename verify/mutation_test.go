package verify

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sockbench/sockbench/internal/testenv"
)

// mutants are what mutation.On knows, the tests that must notice, and a line of them that must fail.
var mutants = []struct {
	name, line string
	tests      []string
}{
	{"actual-send", "accounting: thread: mean response, of its parts", []string{"accounting", "coordinated-omission"}},
	{"shifted-histogram", "percentiles: response: mean of the histogram", []string{"percentiles"}},
	{"dropped-timeouts", "request-timeout: response times", []string{"request-timeout"}},
	{"ignored-option", "nagle: TCP_NODELAY", []string{"nagle", "SO_RCVTIMEO"}},
	{"counted-drain", "overload: throughput is not the rate", []string{"overload"}},
	{"hidden-lateness", "lateness: lateness above 100ms", []string{"lateness"}},
	{"half-delay", "delay: RTT 20ms: p50", []string{"delay"}},
}

// Each mutation of the measuring layer is noticed: a build with it says so by its exit and names the line.
func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program for each mutation; run without -short")
	}
	dir := t.TempDir()
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			program := filepath.Join(dir, m.name)
			flag := "-X github.com/sockbench/sockbench/internal/mutation.name=" + m.name
			build := exec.Command("go", "build", "-tags", "mutation", "-ldflags", flag, "-o", program, "../cmd/sockbench")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("build: %v: %s", err, out)
			}
			defer os.Remove(program)
			began := time.Now()
			out, err := exec.Command(program, append([]string{"verify", "--quiet", "-o", "json"}, m.tests...)...).Output()
			var r struct{ Lines []Line }
			if broken := json.Unmarshal(out, &r); broken != nil {
				t.Fatalf("%v, %v: %s", err, broken, out)
			}
			var failed []string
			for _, l := range r.Lines {
				if l.Verdict == NotRun && strings.Contains(l.Why, "start: ") {
					testenv.Skip(t, "userns", l.Why)
				}
				if l.Verdict == Fail {
					failed = append(failed, l.Test+": "+l.Name)
				}
			}
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 1 || !slices.Contains(failed, m.line) {
				t.Errorf("after %v: %v, want exit 1 and that %q fails; failed: %s", time.Since(began), err, m.line, strings.Join(failed, "; "))
			}
			t.Logf("%d lines fail, in %v", len(failed), time.Since(began).Round(time.Millisecond))
		})
	}
}
