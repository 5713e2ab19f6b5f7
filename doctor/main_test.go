package doctor

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sockbench/sockbench/internal/quiet"
	"github.com/sockbench/sockbench/lab"
	"github.com/sockbench/sockbench/results"
)

func TestMain(m *testing.M) {
	lab.Main(Parts)
	os.Exit(quiet.Run(m))
}

// says fails unless the line has the verdict and holds all of that.
func (l Line) says(t *testing.T, v results.Verdict, wanted ...string) {
	t.Helper()
	all := l.Looked + ": " + l.Measured + "; fix: " + l.Fix
	if l.Verdict != v || l.Disturbs == "" {
		t.Errorf("%s is %q, want %q; disturbs %q", all, l.Verdict, v, l.Disturbs)
	}
	for _, w := range wanted {
		if !strings.Contains(all, w) {
			t.Errorf("%q is not in: %s", w, all)
		}
	}
}

// about is the line that looked at that.
func about(t *testing.T, lines []Line, looked string) Line {
	t.Helper()
	i := slices.IndexFunc(lines, func(l Line) bool { return l.Looked == looked })
	if i < 0 {
		t.Fatalf("no line about %q in %+v", looked, lines)
	}
	return lines[i]
}
