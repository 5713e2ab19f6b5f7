package loadgen

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sockbench/sockbench/internal/quiet"
	"github.com/sockbench/sockbench/unit"
)

// traceFile writes a trace.
func traceFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "some.trace")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// traceSpec is a load whose arrivals are the trace, without warm-up.
func traceSpec(t testing.TB, path string, length time.Duration) Spec {
	t.Helper()
	s := spec()
	s.Warmup, s.Duration = 0, unit.Duration(length)
	if err := s.Arrivals.UnmarshalText([]byte("trace:" + path)); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTrace(t *testing.T) {
	path := traceFile(t, "# from a log\n\n0\n 0.0015 # a burst\r\n1.5ms\n1e-2\n2s")
	s := traceSpec(t, path, time.Second)
	got, err := ReadTrace(s)
	want := []time.Duration{0, 1500e3, 1500e3, 10e6, 2e9}
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("read %v, %v; want %v", got, err, want)
	}
	for shards := range 4 {
		var at []time.Duration
		for i := range shards + 1 {
			at = append(at, shard(t, s.Arrivals.String(), Demand{Length: time.Second, Shard: i, Of: shards + 1, Trace: got})...)
		}
		if slices.Sort(at); !slices.Equal(at, want[:4]) { // the last is after the end
			t.Errorf("%d shards are due at %v, want %v", shards+1, at, want[:4])
		}
	}
	if !filepath.IsAbs(s.Arrivals.Arg) || !strings.HasPrefix(s.Arrivals.Arg, path+"#") {
		t.Errorf("the load process is told %q", s.Arrivals)
	}
	if other, err := ReadTrace(spec()); other != nil || err != nil {
		t.Errorf("constant arrivals have the trace %v, %v", other, err)
	}
}

// The name that a plan is told may be relative; what it holds is found from everywhere.
func TestTraceIsFoundFromElsewhere(t *testing.T) {
	path := traceFile(t, "0\n")
	t.Chdir(filepath.Dir(path))
	s := traceSpec(t, filepath.Base(path), time.Second)
	t.Chdir("/")
	if got, err := ReadTrace(s); err != nil || len(got) != 1 {
		t.Errorf("read %v, %v", got, err)
	}
}

func TestTraceHasChanged(t *testing.T) {
	path := traceFile(t, "0\n")
	s := traceSpec(t, path, time.Second)
	again := traceSpec(t, path, time.Second)
	if s.Arrivals != again.Arrivals {
		t.Errorf("one file, two levels: %s, %s", s.Arrivals, again.Arrivals)
	}
	if err := os.WriteFile(path, []byte("0\n1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadTrace(s); err == nil || !strings.Contains(err.Error(), "when the plan was made") {
		t.Errorf("error %v", err)
	}
	if other := traceSpec(t, path, time.Second); other.Arrivals == s.Arrivals {
		t.Error("another content is the same level")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadTrace(s); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
}

// Offsets that are times of day, or all in the warm-up, would measure nothing.
func TestTraceOutsideTheMeasurePhase(t *testing.T) {
	s := traceSpec(t, traceFile(t, "0.1\n1763900000.5\n"), time.Second)
	s.Warmup = 200e6
	if _, err := ReadTrace(s); err == nil || !strings.Contains(err.Error(), "from 200ms to 1.2s") || !strings.Contains(err.Error(), "from 100ms to 489972h13m20.5s") {
		t.Errorf("error %v", err)
	}
}

func TestWrongTraces(t *testing.T) {
	for text, says := range map[string]string{
		"":                       ":1: no offset",
		"# nothing\n\n":          ":2: no offset",
		"0\n\nsoon\n":            `:3: "soon" is no offset`,
		"-1":                     ":1: ",
		"-1ms":                   ":1: ",
		"NaN":                    ":1: ",
		"Inf":                    ":1: ",
		"1e300":                  ":1: ",
		"0.1 0.2":                ":1: ",
		"2ms\n# down\n0.0015\n":  ":3: 1.5ms is before the offset above it, 2ms",
		"\xff\xfe":               ":1: ",
		strings.Repeat("a", 100): `:1: "` + strings.Repeat("a", 40) + `" is no offset`,
		strings.Repeat("0\n", maxOffsets) + "#\n1\n": ":1000002: there are more than 1000000 offsets",
		strings.Repeat("#", maxTraceBytes) + "\n":    "is larger than 32MiB",
	} {
		path := traceFile(t, text)
		var a Arrivals
		err := a.UnmarshalText([]byte("trace:" + path))
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), says) {
			t.Errorf("%.40q: error %v; want one that says %q", text, err, says)
		}
	}
}

// The largest trace there may be fits.
func TestLargestTrace(t *testing.T) {
	var b strings.Builder
	for i := range maxOffsets {
		fmt.Fprintf(&b, "%d.%09d\n", i/1000, i%1000)
	}
	if got, err := ReadTrace(traceSpec(t, traceFile(t, b.String()), time.Second)); err != nil || len(got) != maxOffsets || got[1] != 1 {
		t.Errorf("%d offsets, %v", len(got), err)
	}
}

// A trace goes through the engines as it stands: every request, at its time.
func TestTraceIsOffered(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		s := traceSpec(t, traceFile(t, "0\n0\n0\n10ms\n0.05\n60ms\n"), 100*time.Millisecond)
		offsets, err := ReadTrace(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, threads := range []int{1, 2} {
			r, l := drive(t, s, Place{To: serve(t, &faulty{}), Threads: threads, Samples: 100, Trace: offsets}, time.Second)
			samples, _ := l.Samples()
			if r.Offered != 6 || r.Completed != 6 || len(samples) != 6 {
				t.Fatalf("%d threads: %d offered, %d completed, %d samples; want 6", threads, r.Offered, r.Completed, len(samples))
			}
			var at []time.Duration
			for _, q := range samples {
				at = append(at, time.Duration(q.Intended))
			}
			slices.Sort(at)
			for i := range at {
				if at[i]-at[0] != offsets[i] {
					t.Errorf("%d threads: request %d was due at %v, want %v", threads, i, at[i]-at[0], offsets[i])
				}
			}
		}
	})
}

func FuzzTrace(f *testing.F) {
	for _, text := range []string{"0\n1.5ms # x\n2", "1e-3\r\n", "9223372036.854775807", "0x1p-2", "2562047h"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		offsets, line, err := parseTrace(data)
		if (err == nil) != (len(offsets) > 0) || err != nil && line < 1 {
			t.Errorf("%q: %v, line %d, %v", data, offsets, line, err)
		}
		if !slices.IsSorted(offsets) || len(offsets) > 0 && offsets[0] < 0 {
			t.Errorf("%q: %v", data, offsets)
		}
	})
}
