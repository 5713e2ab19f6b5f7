package tuner

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/unit"
)

func fourCells(t *testing.T, blocks int) *plan.Plan {
	t.Helper()
	p, err := plan.New("test", 1, blocks, 0, unit.Duration(time.Second), []plan.Factor{
		{Knob: "connections", Levels: []string{"1", "2"}}, {Knob: "TCP_NODELAY", Levels: []string{"off", "on"}}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// machine is a fake one: it is disturbed in the trials of these blocks and attempts, and measures what it is told to.
type machine struct {
	disturbed func(plan.Trial) bool
	measures  func(plan.Trial) float64
	p50       func(plan.Trial) float64 // in ns
	ran       []plan.Trial
}

func (m *machine) run(_ context.Context, t plan.Trial) (results.Record, error) {
	m.ran = append(m.ran, t)
	metrics := &results.Metrics{Result: loadgen.Result{Duration: 1e9, Throughput: 1000}}
	if m.measures != nil {
		metrics.Throughput = m.measures(t)
	}
	if m.p50 != nil {
		v := int64(m.p50(t))
		metrics.Response.P50 = &v
	}
	if m.disturbed != nil && m.disturbed(t) {
		metrics.Machine.Steal = 5e8
	}
	return results.Record{Schema: 1, Trial: t, Metrics: metrics}, nil
}

func keepIn(log *[]results.Record) func(results.Record) error {
	return func(r results.Record) error { *log = append(*log, r); return nil }
}

// ids says what was run, in order.
func ids(log []results.Record) (list []string) {
	for _, r := range log {
		list = append(list, fmt.Sprintf("%d/%d %s", r.Block, r.Attempt, r.Cell))
	}
	return list
}

func TestMatrixRunsEveryCellOncePerBlock(t *testing.T) {
	p := fourCells(t, 3)
	var m machine
	var log []results.Record
	step, err := Drive(t.Context(), Matrix(p), m.run, keepIn(&log), nil)
	if err != nil || step.Stop == "" {
		t.Fatalf("stopped with %+v, %v", step, err)
	}
	if len(log) != 12 {
		t.Fatalf("%d trials, want 12", len(log))
	}
	for block := range 3 {
		seen := map[string]bool{}
		for _, r := range log[block*4:][:4] {
			if seen[r.Cell.String()] = true; r.Block != block || r.Attempt != 0 {
				t.Errorf("trial %s is in block %d attempt %d, want block %d", r.Cell, r.Block, r.Attempt, block)
			}
		}
		if len(seen) != 4 {
			t.Errorf("block %d ran %d of 4 cells", block, len(seen))
		}
	}
}

func TestDisturbedBlockIsRepeatedWhole(t *testing.T) {
	p := fourCells(t, 4)
	for _, c := range []struct {
		bad  int // attempts of block 0 that are disturbed, by one trial each
		want []int
	}{{0, []int{4, 0, 0}}, {1, []int{4, 4, 0}}, {2, []int{4, 4, 4}}, {9, []int{4, 4, 4}}} {
		m := machine{disturbed: func(x plan.Trial) bool { return x.Block == 0 && x.Attempt < c.bad && x.Order == 2 }}
		var log []results.Record
		var told []string
		s := Telling(Matrix(p), func(step Step) {
			if step.Why != "" {
				told = append(told, step.Why)
			}
		})
		if _, err := Drive(t.Context(), s, m.run, keepIn(&log), nil); err != nil {
			t.Fatal(err)
		}
		counts, other := make([]int, 3), 0
		for _, r := range log {
			if r.Block == 0 {
				counts[r.Attempt]++
			} else if other++; r.Attempt != 0 {
				t.Errorf("block %d was not disturbed, but has attempt %d", r.Block, r.Attempt)
			}
		}
		if !reflect.DeepEqual(counts, c.want) || other != 12 {
			t.Errorf("%d disturbed attempts: trials per attempt %v, want %v; the others have %d", c.bad, counts, c.want, other)
		}
		if want := min(c.bad, 2); len(told) != want || want > 0 && !strings.Contains(told[0], "steal") {
			t.Errorf("%d disturbed attempts: told %q", c.bad, told)
		}
	}
}

// On a machine that is always disturbed, a run takes half as long again and not three times as long.
func TestRepeatsAreBounded(t *testing.T) {
	for blocks, want := range map[int]int{1: 2, 5: 8, 6: 9} {
		m := machine{disturbed: func(plan.Trial) bool { return true }}
		var log []results.Record
		if _, err := Drive(t.Context(), Matrix(fourCells(t, blocks)), m.run, keepIn(&log), nil); err != nil {
			t.Fatal(err)
		}
		if len(log) != 4*want || blocks+Repeats(blocks) != want {
			t.Errorf("%d blocks are %d trials, want %d", blocks, len(log), 4*want)
		}
	}
}

func TestUntilItIsKnown(t *testing.T) {
	p := fourCells(t, 200)
	for sd, want := range map[float64]struct {
		from, to int
		says     string
	}{0.001: {4, 7, "known to within 0."}, .1: {20, 60, "known to within 4."}, 1: {200, 200, "200 blocks, which are the most, known to within 2"}} {
		random := rand.New(rand.NewPCG(1, 2))
		run := func(effect float64) (int, string) {
			m := machine{p50: func(x plan.Trial) float64 {
				v := 1e6 * math.Exp(sd*random.NormFloat64())
				if x.Cell["connections"] == "2" {
					v *= effect
				}
				return v
			}}
			var log []results.Record
			step, err := Drive(t.Context(), Until(p, .05), m.run, keepIn(&log), nil)
			if err != nil {
				t.Fatal(err)
			}
			return len(log) / 4, step.Stop
		}
		n, says := run(1)
		if n < want.from || n > want.to || !strings.Contains(says, want.says) {
			t.Errorf("scatter %v: %d blocks, %s", sd, n, says)
		}
		random = rand.New(rand.NewPCG(1, 2))
		if m, _ := run(100); m != n {
			t.Errorf("scatter %v: where there is an effect it takes %d blocks, not %d", sd, m, n)
		}
	}
}

func TestGuardNeverLooksAtMetrics(t *testing.T) {
	p := fourCells(t, 3)
	disturbed := func(x plan.Trial) bool { return x.Block == 1 && x.Attempt == 0 && x.Order == 0 }
	var want []string
	for i, measures := range []func(plan.Trial) float64{
		func(plan.Trial) float64 { return 1000 },
		func(x plan.Trial) float64 { return float64(x.Order) * 1e6 },
		func(x plan.Trial) float64 { return float64(x.Attempt) },
	} {
		m := machine{disturbed: disturbed, measures: measures}
		var log []results.Record
		if _, err := Drive(t.Context(), Matrix(p), m.run, keepIn(&log), nil); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			want = ids(log)
		} else if got := ids(log); !reflect.DeepEqual(got, want) {
			t.Errorf("other results led to other trials:\n%q\nwant\n%q", got, want)
		}
	}
	if len(want) != 16 {
		t.Errorf("%d trials, want 12 and 4 repeated", len(want))
	}
}

var errKilled = errors.New("killed")

// TestResumeAfterEveryKill ends the run after every possible number of trials and goes on from the log: the trials and
// their order have to be those of a run that was not killed.
func TestResumeAfterEveryKill(t *testing.T) {
	p := fourCells(t, 3)
	disturbed := func(x plan.Trial) bool { return x.Block != 2 && x.Attempt == 0 && x.Order == 1 }
	whole := machine{disturbed: disturbed}
	var log []results.Record
	if _, err := Drive(t.Context(), Matrix(p), whole.run, keepIn(&log), nil); err != nil {
		t.Fatal(err)
	}
	want := ids(log)
	for kill := range len(want) {
		m := machine{disturbed: disturbed}
		var kept []results.Record
		dies := func(ctx context.Context, x plan.Trial) (results.Record, error) {
			if len(kept) == kill {
				return results.Record{}, errKilled
			}
			return m.run(ctx, x)
		}
		if _, err := Drive(t.Context(), Matrix(p), dies, keepIn(&kept), nil); !errors.Is(err, errKilled) {
			t.Fatalf("killed after %d trials: error %v", kill, err)
		}
		if len(kept) != kill {
			t.Fatalf("killed after %d trials, %d were kept", kill, len(kept))
		}
		rest := append([]results.Record(nil), kept...)
		if _, err := Drive(t.Context(), Matrix(p), m.run, keepIn(&rest), kept); err != nil {
			t.Fatal(err)
		}
		if got := ids(rest); !reflect.DeepEqual(got, want) {
			t.Fatalf("killed after %d trials:\n%q\nwant\n%q", kill, got, want)
		}
	}
}

func TestInterrupt(t *testing.T) {
	p := fourCells(t, 2)
	for _, how := range []string{"between trials", "error", "record with error", "finished all the same"} {
		ctx, cancel := context.WithCancel(t.Context())
		var m machine
		var log []results.Record
		run := func(ctx context.Context, x plan.Trial) (results.Record, error) {
			r, err := m.run(ctx, x)
			if len(m.ran) < 3 {
				return r, err
			}
			switch cancel(); how {
			case "error":
				return results.Record{}, ctx.Err()
			case "record with error":
				return results.Record{Trial: x, Error: "load process: killed"}, nil
			}
			return r, nil
		}
		_, err := Drive(ctx, Matrix(p), run, keepIn(&log), nil)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v", how, err)
		}
		want := 3
		if strings.Contains(how, "error") {
			want = 2
		}
		if len(log) != want || len(m.ran) != 3 {
			t.Errorf("%s: kept %d of %d trials, want %d of 3", how, len(log), len(m.ran), want)
		}
		cancel()
	}
}

func TestFailedTrialsAreKept(t *testing.T) {
	p := fourCells(t, 1)
	var log []results.Record
	fails := func(_ context.Context, x plan.Trial) (results.Record, error) {
		return results.Record{Trial: x, Error: "no such file"}, nil
	}
	if _, err := Drive(t.Context(), Matrix(p), fails, keepIn(&log), nil); err != nil || len(log) != 4 {
		t.Errorf("%d records, error %v; want 4 and none", len(log), err)
	}
}

func TestFullDiskEndsTheRun(t *testing.T) {
	p := fourCells(t, 1)
	var m machine
	full := errors.New("disk full")
	_, err := Drive(t.Context(), Matrix(p), m.run, func(results.Record) error { return full }, nil)
	if !errors.Is(err, full) || len(m.ran) != 1 {
		t.Errorf("error %v after %d trials", err, len(m.ran))
	}
}

type idle struct{}

func (idle) Next([]results.Record) Step { return Step{} }

func TestStrategyThatDoesNothing(t *testing.T) {
	if _, err := Drive(t.Context(), idle{}, nil, nil, nil); err == nil {
		t.Error("a strategy that neither runs nor stops went on for ever without an error")
	}
}
