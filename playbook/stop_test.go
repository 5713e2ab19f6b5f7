package playbook

import (
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/internal/testenv"
)

// stops are n of each kind: graceful ones answer as many requests as good says, others as bad does.
func stops(n, good, bad int) (all [][]stopSample) {
	for _, k := range stopKinds {
		answered := bad
		if k.Graceful {
			answered = good
		}
		all = append(all, slices.Repeat([]stopSample{{Answered: answered, Took: time.Millisecond}}, n))
	}
	return all
}

func TestJudgeStop(t *testing.T) {
	missing := errors.New("it is not in PATH")
	forced := stops(6, 8, 0)
	forced[2][1].Forced = true
	for _, c := range []struct {
		name    string
		samples [][]stopSample
		missing error
		answer  Answer
		says    string
	}{
		{"as claimed", stops(6, 8, 0), nil, Holds, "Python, daemon threads, SIGTERM 48 of 48; Python, joined threads, SIGTERM 0 of 48"},
		{"too few", stops(5, 8, 0), nil, NotShown, "6 times at least"},
		{"nothing was run", stops(0, 0, 0), nil, NotShown, "6 times at least"},
		{"graceful ones lose", stops(6, 7, 0), nil, Refuted, "although the server waited for its handlers: Python, joined threads, SIGTERM (6 of 48); thread, in Go, drain (6 of 48)"},
		{"abrupt ones lose nothing", stops(6, 8, 8), nil, Refuted, "although nobody waited for the handlers: Python, stock, SIGTERM (0 of 48)"},
		{"abrupt ones lose some", stops(6, 8, 3), nil, Holds, "Python, stock, SIGTERM 30 of 48"},
		{"no Python", stops(6, 8, 0), missing, NotShown, "python3 is missing (it is not in PATH)"},
		{"killed in the end", forced, nil, Holds, "Python, joined threads, SIGTERM: 1 of 6 times it did not end by itself"},
	} {
		kinds, samples := stopKinds, c.samples
		if c.missing != nil {
			kinds, samples = kinds[4:], samples[4:]
		}
		v := judgeStop(kinds, samples, c.missing)
		if all := strings.Join(v.Because, "\n"); v.Answer != c.answer || !strings.Contains(all, c.says) {
			t.Errorf("%s: %s, want %s and %q: %s", c.name, v.Answer, c.answer, c.says, all)
		}
		if len(v.Table.Rows) != len(kinds) {
			t.Errorf("%s: %d rows", c.name, len(v.Table.Rows))
		}
	}
}

// A server of ours that is drained answers every request. A machine that is busy elsewhere may take longer to accept the
// clients than they wait before the stop, so that it is tried again.
func TestStopOnce(t *testing.T) {
	ours := stopKinds[4]
	for try := 1; ; try++ {
		s, err := stopOnce(t.Context(), ours)
		if err == nil && s.Answered == stopClients && !s.Forced {
			return
		}
		if t.Logf("%s: %+v, %v", ours.label(), s, err); err != nil || try == 10 {
			t.Fatal("it did not answer all in ten tries")
		}
	}
}

// Those in Python start, and end when they are told to, whatever becomes of their clients' requests.
func TestStopInPython(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		testenv.Skip(t, "python3", err.Error())
	}
	for _, k := range stopKinds[:4] {
		if s, err := stopOnce(t.Context(), k); err != nil {
			t.Errorf("%s: %+v, %v", k.label(), s, err)
		}
	}
}

// One stop of each shows nothing, which is said.
func TestMeasureStop(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds; run without -short")
	}
	v, err := measureStop(t.Context(), 1, term.NewProgress(t.Output(), true))
	if err != nil || v.Answer == Holds || len(v.Table.Rows) < 2 {
		t.Errorf("%v, %+v", err, v)
	}
}
