package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// courses are logarithms of a metric in trials of 10 intervals whose noise is that of a closed loop on a busy virtual
// machine: trials differ by 8.7 %, and neighbouring intervals are alike (0.68), with a scatter by which a step of 30 % in
// the middle of a trial can just be found.
func courses(r *rand.Rand, trials int) (logs [][]float64) {
	const between, within, alike = .087, .06, .68
	for range trials {
		level, noise := between*r.NormFloat64(), within*r.NormFloat64()
		var x []float64
		for range FewestIntervals {
			x = append(x, level+noise)
			noise = alike*noise + math.Sqrt(1-alike*alike)*within*r.NormFloat64()
		}
		logs = append(logs, x)
	}
	return logs
}

// cold takes depth·exp(−t/τ) of the metric in every trial, as of each interval's beginning; τ is in intervals.
func cold(logs [][]float64, depth, tau float64) {
	for _, x := range logs {
		for k := range x {
			x[k] += math.Log1p(-depth * math.Exp(-float64(k)/tau))
		}
	}
}

func TestWarmUp(t *testing.T) {
	const runs = 500
	for _, c := range []struct {
		name       string
		depth, tau float64
		low, high  int // between which 8 of 10 sessions lie
	}{{"steady", 0, 1, 0, 0}, {"-30 % exp(-t/100ms)", .3, 1, 2, 3}, {"-30 % exp(-t/200ms)", .3, 2, 3, 5}} {
		r := rand.New(rand.NewPCG(31, 0))
		var found []int
		for range runs {
			logs := courses(r, FewestCourses)
			cold(logs, c.depth, c.tau)
			n, curve := WarmUp(logs, 1)
			if found = append(found, n); len(curve) != Opening {
				t.Fatalf("a curve of %d", len(curve))
			}
		}
		slices.Sort(found)
		t.Logf("%s: %d, %d, %d intervals (10 %%, median, 90 %% of the sessions)", c.name, found[runs/10], found[runs/2], found[runs*9/10])
		if none, _ := slices.BinarySearch(found, 1); c.depth == 0 && none < runs*94/100 {
			t.Errorf("steady trials: no warm-up in %d of %d sessions", none, runs)
		} else if c.depth > 0 && none > 0 {
			t.Errorf("%s: not seen in %d of %d sessions", c.name, none, runs)
		}
		if found[runs/10] < c.low || found[runs*9/10] > c.high {
			t.Errorf("%s: %d to %d intervals in 8 of 10 sessions, want %d to %d", c.name, found[runs/10], found[runs*9/10], c.low, c.high)
		}
	}
}

// Known without chance: the curve is that of the trials, and the more groups are looked at, the surer it has to be.
func TestWarmUpCurve(t *testing.T) {
	var logs [][]float64
	for r := range 21 {
		x := slices.Repeat([]float64{5}, 12)
		x[0], x[1] = 5+math.Log(.5), 5+math.Log(.9)+.01*float64(r-10)
		logs = append(logs, x)
	}
	n, curve := WarmUp(logs, 1)
	near(t, "the first interval", curve[0], math.Log(.5), 1e-12)
	near(t, "the second interval", curve[1], math.Log(.9), 1e-12)
	if n != 2 || curve[2] != 0 {
		t.Errorf("%d intervals, %v", n, curve)
	}
	for _, x := range logs { // now at 2.6 standard errors and 1 %, but for a little
		x[1] += -math.Log(.9) + 2.61*math.Sqrt(math.Pi/2)*1.4826*.05/math.Sqrt(21) + slight
	}
	if n, _ := WarmUp(logs, 1); n != 2 {
		t.Errorf("2.61 standard errors: %d intervals", n)
	}
	if n, _ := WarmUp(logs, 10); n != 1 {
		t.Errorf("2.61 standard errors in one of 10 groups: %d intervals", n)
	}
}

func TestUnsteady(t *testing.T) {
	r := rand.New(rand.NewPCG(32, 0))
	const runs = 2000
	for _, c := range []struct{ step, least, most float64 }{{0, 0, .03}, {.3, .9, 1}} {
		found, others := 0., 0.
		for range runs {
			logs := courses(r, FewestCourses)
			for k := range logs[0] {
				if k >= len(logs[0])/2 {
					logs[0][k] += math.Log1p(-c.step)
				}
			}
			for _, i := range Unsteady(logs) {
				if i == 0 {
					found += 1. / runs
				} else {
					others += 1. / runs / (FewestCourses - 1)
				}
			}
		}
		t.Logf("a step of %v is found in %.3f, others are flagged in %.4f", c.step, found, others)
		if found < c.least || found > c.most || others > .03 {
			t.Errorf("a step of %v is found in %.3f, others are flagged in %.4f", c.step, found, others)
		}
	}
	flat := slices.Repeat([][]float64{slices.Repeat([]float64{1}, 10)}, 20)
	if got := Unsteady(flat); len(got) != 0 {
		t.Errorf("trials that are all the same: %v", got)
	}
}

func TestUnlikely(t *testing.T) {
	// P(X ≥ k) of a binomial with n=40, p=.03: .1178 for 3, .0314 for 4, .0067 for 5
	for k, want := range map[int]bool{0: false, 1: false, 4: false, 5: true, 40: true} {
		if got := Unlikely(k, 40, .03); got != want {
			t.Errorf("%d of 40: %v", k, got)
		}
	}
}
