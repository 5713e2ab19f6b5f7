package doctor

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sockbench/sockbench/lab"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/unit"
)

// Pairs that scatter by 7 % find 5 % with 29 pairs (STATISTICS B): a little more than 1 min of 2.5 s each, and much less
// than 5.
func TestSmallest(t *testing.T) {
	var d []float64
	for i := range 13 {
		d = append(d, .07/1.4826*float64(i-6)/3) // their distances from 0 have the median .07/1.4826
	}
	l := smallest("throughput", .05, d, 2500*time.Millisecond, "13 pairs")
	l.says(t, results.OK, "5.42% in 1 min (24 pairs)", "2.39% in 5 min (120 pairs)", "1.37% in 15 min (360 pairs)", "scatter by 7.00%", "13 pairs")
	if low, high := l.Figures["sigma_low"], l.Figures["sigma_high"]; !(low < .07 && high > .07) || math.Abs(l.Figures["sigma"]-.07) > 1e-9 {
		t.Errorf("%v", l.Figures)
	}
	smallest("throughput", .02, d, 2500*time.Millisecond, "13 pairs").says(t, results.Note, "--blocks")
	smallest("throughput", .01, d, 2500*time.Millisecond, "13 pairs").says(t, results.Warn, "--blocks")
	smallest("throughput", .05, d, 30*time.Second, "13 pairs").says(t, results.Note, "none in 1 min", "(10 pairs)")
	smallest("throughput", .05, d[:5], time.Second, "5 pairs").says(t, results.Warn, "not known: 5 pairs say too little")
}

// The range holds the scatter as often as it says, whatever the distribution.
func TestScatterHolds(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, c := range []struct {
		name string
		draw func() float64
		true float64
	}{
		{"normal", r.NormFloat64, 1.4826 * .67449},
		{"uniform", func() float64 { return 2*r.Float64() - 1 }, 1.4826 * .5},
		{"laplace", func() float64 { return r.ExpFloat64() * float64(2*r.IntN(2)-1) }, 1.4826 * math.Ln2},
	} {
		const runs = 4000
		for _, n := range []int{6, 13, 30} {
			held := 0
			for range runs {
				d := make([]float64, n)
				for i := range d {
					d[i] = c.draw()
				}
				low, high, ok := scatter(d)
				if !ok {
					t.Fatalf("%d pairs have no range", n)
				}
				if low <= c.true && c.true <= high {
					held++
				}
			}
			if share := float64(held) / runs; share < rangeLevel-3*math.Sqrt(.05*.95/runs) {
				t.Errorf("%s, %d pairs: the range held the scatter in %.3f of the runs", c.name, n, share)
			}
		}
	}
	if _, _, ok := scatter(make([]float64, 5)); ok {
		t.Error("5 pairs have a range")
	}
}

// pairOf is two trials with that throughput and CPU time of others.
func pairOf(a, b, foreign float64) [2]*results.Record {
	one := func(throughput float64) *results.Record {
		m := &results.Metrics{Machine: results.Machine{ForeignCPU: int64(foreign * 1e9), Regime: "pinned"}}
		m.Throughput, m.Duration = throughput, 1e9
		return &results.Record{Metrics: m}
	}
	return [2]*results.Record{one(a), one(b)}
}

// Disturbed pairs are counted and left out, unless too few would be left.
func TestSeries(t *testing.T) {
	var s series
	for i := range 8 {
		s.pairs = append(s.pairs, pairOf(100, 100*math.Exp(.01*float64(i-3)), 0))
	}
	s.took, s.cell = 20*time.Second, plan.Cell{"target": "epoll"}
	lines := s.judge()
	about(t, lines, "equal trials").says(t, results.OK, "16 trials", "target=epoll; pinned", "0 pairs disturbed")
	calm := about(t, lines, "smallest effect on throughput")
	calm.says(t, calm.Verdict, "from 8 pairs of equal trials in 20 s", "(24 pairs)")
	about(t, lines, "smallest effect on p99").says(t, results.Warn, "not known")

	s.pairs = append(s.pairs, pairOf(100, 900, .5), pairOf(900, 100, .5))
	lines = s.judge()
	about(t, lines, "equal trials").says(t, results.Note, "20 trials", "2 pairs disturbed", "others used 10.0% of a CPU")
	with := about(t, lines, "smallest effect on throughput")
	with.says(t, with.Verdict, "from 8 pairs of equal trials in 20 s, 2 more were disturbed")
	if with.Figures["sigma"] != calm.Figures["sigma"] {
		t.Errorf("disturbed pairs count: %v and %v", with.Figures, calm.Figures)
	}

	s.pairs = s.pairs[4:]
	lines = s.judge()
	l := about(t, lines, "smallest effect on throughput")
	if l.Verdict == results.OK {
		t.Error("disturbed pairs are fine")
	}
	l.says(t, l.Verdict, "from 6 pairs of equal trials in 20 s, of which 4 were undisturbed")
	s.pairs[0][0].Metrics.Machine.Throttled = 5e6
	about(t, s.judge(), "equal trials").says(t, results.Fail, "a CPU quota stopped them for 5.00ms")
}

// Real trials, as short as can be: their pairs, times and cell are what a series is judged by.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("it sends load")
	}
	var l lab.Lab
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	told := 0
	s, err := run(t.Context(), &l, 600*time.Millisecond, unit.Duration(5*time.Millisecond), unit.Duration(60*time.Millisecond), func(string, string) { told++ })
	if err != nil {
		t.Fatal(err)
	}
	if len(s.pairs) == 0 || told != 2*len(s.pairs) || s.took <= 0 || s.cell.String() == "" {
		t.Errorf("%d pairs, told %d times, %v, %s", len(s.pairs), told, s.took, s.cell)
	}
	served := false
	for _, p := range s.pairs {
		if p[0].Seed != p[1].Seed {
			t.Errorf("%+v", p[0].Trial)
		}
		served = served || p[0].Metrics.Throughput > 0
	}
	if len(s.pairs) > 0 && !served {
		t.Error("no trial served anything")
	}
}
