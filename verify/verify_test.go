package verify

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sockbench/sockbench/internal/quiet"
	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/internal/testenv"
	"github.com/sockbench/sockbench/lab"
)

func TestMain(m *testing.M) {
	lab.Main()
	os.Exit(quiet.Run(m))
}

// Every test says what a reader needs, has a name of its own, and trials that plan takes.
func TestAll(t *testing.T) {
	seen := map[string]bool{}
	var quick, full time.Duration
	for i := range All {
		x := &All[i]
		if seen[x.Name] || x.Name == "" || x.Proves == "" || x.Formula == "" || x.Reference == "" || len(x.Trials) == 0 || x.Judge == nil {
			t.Errorf("%q is not complete, or there twice", x.Name)
		}
		seen[x.Name] = true
		for k := range x.Trials {
			if _, err := x.Trials[k].plan(x.Name); err != nil {
				t.Errorf("%s, trial %d: %v", x.Name, k+1, err)
			}
		}
		if full += x.Time(lab.Overhead); x.Quick {
			quick += x.Time(lab.Overhead)
		}
	}
	t.Logf("the quick set takes %v, all take %v, and what drains take", quick, full)
	if quick > 23*time.Second || full > 4*time.Minute {
		t.Errorf("the quick set takes %v, all take %v", quick, full)
	}
	if _, err := Find([]string{"nagel"}, false); err == nil || !strings.Contains(err.Error(), "did you mean nagle?") {
		t.Errorf("%v", err)
	}
}

// The quick set agrees. What a machine cannot run, or disturbs all the time, is skipped with the reason.
func TestQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute; run without -short")
	}
	var l lab.Lab
	defer l.Close()
	tests, err := Find(nil, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range tests {
		t.Run(x.Name, func(t *testing.T) {
			quiet.Steady(t, func(t testing.TB) {
				var said bytes.Buffer
				lines, err := Run(t.Context(), &l, []Test{x}, 20*time.Second, term.NewProgress(&said, true))
				if err != nil {
					t.Fatal(err)
				}
				unrun := ""
				for _, line := range lines {
					switch line.Verdict {
					case Fail:
						t.Errorf("%s: %s, expected %s (%s)", line.Name, line.show(line.Measured), line.show(line.Expected), line.Tolerance())
					case NotRun:
						unrun = line.Name + ": " + line.Why
					}
				}
				if unrun != "" && !t.Failed() {
					if strings.Contains(unrun, "disturbed") {
						t.Skip(unrun)
					}
					testenv.Skip(t, "userns", unrun)
				}
			})
		})
	}
}

func TestLines(t *testing.T) {
	for _, c := range []struct {
		l         Line
		verdict   Verdict
		tolerance string
	}{
		{same("n", 3, 3), Pass, "exactly"},
		{same("n", int64(3), 4), Fail, "exactly"},
		{about("n", "ns", 101e6, 100e6, .02), Pass, "98.0ms to 102ms"},
		{about("n", "ns", 103e6, 100e6, .02), Fail, "98.0ms to 102ms"},
		{within("n", "share", .5, .4, .3, .5), Pass, "30.0% to 50.0%"},
		{within("n", "1/s", 2999, 4000, 3000, 5000), Fail, "3.00k1/s to 5.00k1/s"},
		{atMost("n", "ns", 5, 4), Fail, "0 to 4ns"},
		{within("n", "ns", number(nil), 1, 0, 2), Fail, "0 to 2ns"},
	} {
		if c.l.Verdict != c.verdict || c.l.Tolerance() != c.tolerance {
			t.Errorf("%+v: %s, want %s %s", c.l, c.l.Tolerance(), c.verdict, c.tolerance)
		}
	}
	text, err := json.Marshal(within("n", "ns", number(nil), 1, 0, 2))
	if want := `"measured":null`; err != nil || !strings.Contains(string(text), want) {
		t.Errorf("%v, %s", err, text)
	}
}

func TestReport(t *testing.T) {
	tests := []Test{{Name: "one", Proves: "It <is>.", Formula: "a = b", Reference: "RFC 1", Drawn: true}, {Name: "two", Proves: "So is it."}}
	lines := []Line{about("fine", "", 1, 1, .1), about("half", "", 1, 2, .1), {Name: "never", Verdict: NotRun, Why: "no path"}}
	lines = append(tests[0].signed(lines[:2:2]), tests[1].signed(lines[2:])...)
	r := NewReport(tests, lines, 2)
	if r.Verdict != Fail || r.Passed != 1 || r.Failed != 1 || r.NotRun != 1 {
		t.Errorf("%+v", r)
	}
	if v := NewReport(tests, lines[2:], 0).Verdict; v != NotRun {
		t.Errorf("what could not be run is %s", v)
	}
	if v := NewReport(tests, lines[:1], 0).Verdict; v != Pass {
		t.Errorf("what agrees is %s", v)
	}
	for name, write := range map[string]func(*bytes.Buffer) error{
		"text": func(b *bytes.Buffer) error { return r.Show(b, term.Screen{}) },
		"md":   func(b *bytes.Buffer) error { return r.Markdown(b) },
		"html": func(b *bytes.Buffer) error { return r.HTML(b) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{"fine", "half", "never", "no path", "1 of 3 lines agree, 1 disagree, 1 could not be run"} {
			if !strings.Contains(b.String(), s) {
				t.Errorf("%s does not say %q: %s", name, s, b.String())
			}
		}
		if drawn := strings.Contains(b.String(), "██████████████┃") && strings.Contains(b.String(), "█·············┃"); drawn != (name != "text") {
			t.Errorf("%s: theory drawn %v: %s", name, drawn, b.String())
		}
	}
	if bad := strings.Join(r.Bad(1), "\n"); bad != "one: half: 1, expected 2 (1.8 to 2.2)\nand 1 more" {
		t.Errorf("%q", bad)
	}
}

// Known answers of what the tests expect by.
func TestTheory(t *testing.T) {
	at, service := []float64{0, 1, 2, 10}, []float64{3, 3, 3, 3}
	if got := Lindley(at, service, 0); got[0] != 3 || got[1] != 5 || got[2] != 7 || got[3] != 3 {
		t.Errorf("Lindley: %v", got)
	}
	if got := Lindley(at, service, 1); got[2] != 10 || got[3] != 6 {
		t.Errorf("Lindley with a way: %v", got)
	}
	if got := poisson(1, 1000, 100e9); math.Abs(float64(len(got))-100_000) > 1000 {
		t.Errorf("%d arrivals, expected about 100000", len(got))
	}
	if got := mean(exponential(1, 5, 100_000)); math.Abs(got-5) > .05 {
		t.Errorf("mean %v, expected about 5", got)
	}
	if got := percentile([]float64{3, 1, 2}, 99); got != 3 {
		t.Errorf("p99 of three is %v", got)
	}
}
