package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s is %.12g, want %.12g", what, got, want)
	}
}

// Tables of the signed-rank statistic, as in R's qsignrank and psignrank.
func TestSignedRankTables(t *testing.T) {
	const none = -1
	for _, c := range []struct {
		n    int
		a    []float64
		want []int
	}{
		{5, []float64{.05, .025, .01, .005}, []int{0, none, none, none}},
		{6, []float64{.05, .025, .01, .005}, []int{2, 0, none, none}},
		{7, []float64{.05, .025, .01, .005}, []int{3, 2, 0, none}},
		{8, []float64{.05, .025, .01, .005}, []int{5, 3, 1, 0}},
		{9, []float64{.002}, []int{0}},
		{10, []float64{.05, .025, .01, .005, .002, .0178, .0005, .00305}, []int{10, 8, 5, 3, 1, 6, none, 2}},
		{15, []float64{.05, .025, .01, .005, .002, .0178, .0005, .00305}, []int{30, 25, 19, 15, 11, 23, 6, 13}},
		{20, []float64{.05, .025, .01, .005, .002, .0178, .0005, .00305}, []int{60, 52, 43, 37, 30, 48, 21, 33}},
		{30, []float64{.05, .025, .01, .005, .002, .0178, .0005, .00305}, []int{151, 137, 120, 109, 95, 130, 78, 101}},
		{40, []float64{.05, .025, .01, .005, .002, .0178, .0005, .00305}, []int{286, 264, 238, 220, 199, 253, 172, 209}},
	} {
		s := NewSignedRank(c.n)
		for i, a := range c.a {
			if got := s.Rank(a); got != c.want[i] {
				t.Errorf("n=%d a=%v: rank %d, want %d", c.n, a, got, c.want[i])
			}
		}
		near(t, "the whole", s[len(s)-1], 1, 1e-12)
	}
	ten := NewSignedRank(10)
	near(t, "P(T+≤8; 10)", ten[8], .0244140625, 0)
	near(t, "P(T+≤2; 10)", ten[2], .0029296875, 0)
	for n, want := range map[int]float64{10: .001953125, 15: .0016784668, 20: .0018272400, 30: .0018722164, 40: .0019337554} {
		s := NewSignedRank(n)
		near(t, "the tail at a=.002", s[s.Rank(.002)], want, 5e-11)
	}
}

func differences(x, y []float64) (d []float64) {
	for i := range x {
		d = append(d, x[i]-y[i])
	}
	return d
}

// Hollander, Wolfe and Chicken 2014, table 3.1: nine patients' depression before and after a tranquilizer.
func TestDepression(t *testing.T) {
	d := differences([]float64{1.83, .50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30}, []float64{.878, .647, .598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29})
	s, w := NewSignedRank(9), Walsh(d)
	below, above := signs(d)
	if above != 40 || below != 5 {
		t.Errorf("V is %d (and %d), want 40 (and 5)", above, below)
	}
	near(t, "one-sided p", s[below], .01953125, 0)
	near(t, "two-sided p", s.P(d), .0390625, 0)
	near(t, "HL", Median(w), .460, 1e-9)
	for _, c := range []struct{ level, exact, low, high float64 }{{.96, .9609375, .010, .786}, {.90, .90234375, .175, .726}} {
		a := (1 - c.level) / 2
		near(t, "low", s.Lower(w, a), c.low, 1e-9)
		near(t, "high", s.Upper(w, a), c.high, 1e-9)
		i, ok := s.Interval(d, c.level)
		near(t, "exact level", i.Level, c.exact, 0)
		near(t, "ratio", i.Ratio, math.Exp(.460), 1e-9)
		if !ok || i.Low != math.Exp(s.Lower(w, a)) || i.High != math.Exp(s.Upper(w, a)) {
			t.Errorf("interval %+v", i)
		}
	}
	near(t, "L at .01", s.Lower(w, .01), -.0685, 1e-9)
	near(t, "U at .05", s.Upper(w, .05), .726, 1e-9)
}

// Darwin's cross- and self-fertilised maize, in eighths of an inch (Fisher 1935).
func TestDarwin(t *testing.T) {
	d := []float64{6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75}
	s, w := NewSignedRank(15), Walsh(d)
	below, _ := signs(d)
	if below != 24 {
		t.Errorf("statistic %d, want 24", below)
	}
	near(t, "two-sided p", s.P(d), .041259765625, 0)
	near(t, "one-sided p", s[below], .0206298828125, 0)
	near(t, "HL", Median(w), 25, 0)
	a := .025
	near(t, "low", s.Lower(w, a), 4, 0)
	near(t, "high", s.Upper(w, a), 41.5, 0)
	near(t, "level", 1-2*s[s.Rank(a)], .9521, 5e-5)
}

func TestSignsAreThoseOfWalshAverages(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 40 {
		var d []float64
		for range n {
			d = append(d, float64(r.IntN(9)-4)) // with ties and zeros
		}
		below, above := 0, 0
		for _, w := range Walsh(d) {
			if w <= 0 {
				below++
			}
			if w >= 0 {
				above++
			}
		}
		if b, a := signs(d); b != below || a != above {
			t.Errorf("%v: %d and %d, want %d and %d", d, b, a, below, above)
		}
	}
}

func TestWalshAt(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	for n := 1; n < 40; n++ {
		var d []float64
		for range n {
			d = append(d, r.NormFloat64()*math.Exp(20*r.NormFloat64()))
		}
		d[n/2] = math.Trunc(d[n/2])
		slices.Sort(d)
		for k, want := range Walsh(d) {
			if got := walshAt(d, k); got != want {
				t.Fatalf("average %d of %v is %v, want %v", k, d, got, want)
			}
		}
	}
}

// P and Interval are two views of one test.
func TestIntervalExcludesOneWherePSaysSo(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	s := NewSignedRank(12)
	seen := map[bool]int{}
	for range 2000 {
		d := make([]float64, 12)
		for i := range d {
			d[i] = r.NormFloat64() + .8
		}
		i, ok := s.Interval(d, .99)
		excludes := i.Low > 1 || i.High < 1
		if seen[excludes]++; !ok || excludes != (s.P(d) <= .01) {
			t.Fatalf("interval %+v, p %v", i, s.P(d))
		}
	}
	if seen[true] < 200 || seen[false] < 200 {
		t.Errorf("%v: the test does not see both sides", seen)
	}
}

func TestTooFewPairs(t *testing.T) {
	s := NewSignedRank(7)
	if i, ok := s.Interval([]float64{1, 2, 3, 4, 5, 6, 7}, .99); ok || i != (Interval{}) {
		t.Errorf("7 pairs have no 99%% interval, yet it is %+v", i)
	}
	if w := Walsh([]float64{1}); !math.IsInf(s.Lower(w, .001), -1) || !math.IsInf(s.Upper(w, .001), 1) {
		t.Error("bounds without a rank are finite")
	}
	if MinP(1) != 1 || MinP(8) != 1./128 || NewSignedRank(0).P(nil) != 1 || !math.IsNaN(Median(nil)) {
		t.Error("hardly any pairs")
	}
}

func TestHolm(t *testing.T) {
	got := Holm([]float64{.01, .04, .03, .005})
	for i, want := range []float64{.03, .06, .06, .02} {
		near(t, "adjusted", got[i], want, 1e-15)
	}
	if Holm([]float64{.6, .9})[0] != 1 {
		t.Error("more than 1")
	}
}

func TestBenjaminiHochberg(t *testing.T) {
	got := BenjaminiHochberg([]float64{.01, .04, .03, .005})
	for i, want := range []float64{.02, .04, .04, .02} {
		near(t, "adjusted", got[i], want, 1e-15)
	}
	if BenjaminiHochberg([]float64{1, .9})[0] != 1 || len(BenjaminiHochberg(nil)) != 0 {
		t.Error("more than 1, or of nothing")
	}
}

func TestCapable(t *testing.T) {
	for _, c := range []struct {
		pairs []int
		n     int
	}{
		{nil, 0}, {[]int{6, 6}, 0}, {[]int{8}, 1}, {[]int{8, 8}, 0}, {slices.Repeat([]int{9}, 2), 2}, {append(slices.Repeat([]int{9}, 100), 18, 18), 2},
	} {
		var least []float64
		for _, n := range c.pairs {
			least = append(least, MinP(n))
		}
		n, p := Capable(least, .01)
		if n != c.n || n > 0 && p*float64(n) > .01 {
			t.Errorf("%v: %d tests at %v, want %d", c.pairs, n, p, c.n)
		}
	}
}

func TestRanks(t *testing.T) {
	for _, c := range []struct {
		n             int64
		p             float64
		low, high     int64
		cover, digits float64
	}{
		{100, .5, 40, 61, .9648, 5e-5}, {1000, .99, 983, 997, .97609, 5e-6}, {10_000, .99, 9880, 9920, .95575, 5e-6}, {10_000, .999, 9983, 9997, .97546, 5e-6},
		{20_000, .999, 19971, 19989, .95690, 5e-6}, {200_000, .999, 199772, 199828, .95248, 5e-6},
	} {
		low, high, cover, ok := Ranks(c.n, c.p, .95)
		if !ok || low != c.low || high != c.high {
			t.Errorf("n=%d p=%v: (%d,%d) %v, want (%d,%d)", c.n, c.p, low, high, ok, c.low, c.high)
		}
		near(t, "cover", cover, c.cover, c.digits)
	}
	for n, want := range map[int64]bool{3687: false, 3688: true} {
		if _, _, _, ok := Ranks(n, .999, .95); ok != want || Supported(.999, n) != want {
			t.Errorf("%d values: the upper rank is there: %v, want %v", n, ok, want)
		}
	}
	if _, _, _, ok := Ranks(2994, .999, .90); ok { // one-sided 95 %
		t.Error("2994 values")
	}
	if _, _, _, ok := Ranks(2995, .999, .90); !ok {
		t.Error("2995 values")
	}
	if _, _, _, ok := Ranks(0, 1.5, .95); ok {
		t.Error("no values and no percentile")
	}
}

func TestPlanning(t *testing.T) {
	for a, want := range map[float64]float64{.002: 4.26, .01: 3.69} {
		near(t, "c", reach(a), want, .005)
		near(t, "MDE", MDE(20, .07, a), math.Expm1(want*.07/math.Sqrt(20)), 1e-4)
	}
	for _, c := range []struct {
		sigma, share float64
		want         int
	}{{.07, .05, 29}, {.07, .10, 8}, {.12, .05, 83}, {.12, .10, 22}, {.12, .20, 7}, {.24, .05, 330}, {.24, .10, 87}, {.24, .20, 24},
		{1.2, .05, 8245}, {1.2, .10, 2161}, {1.2, .20, 591}} { // .12, 20 %: 6, but for exactness
		got := Pairs(c.sigma, c.share, .01)
		if math.Abs(float64(got-c.want)) > 2e-4*float64(c.want) {
			t.Errorf("sigma %v, %v: %d pairs, want %d", c.sigma, c.share, got, c.want)
		}
		if MDE(got, c.sigma, .01) > c.share {
			t.Errorf("%d pairs find only %v", got, MDE(got, c.sigma, .01))
		}
	}
	if !math.IsInf(MDE(6, .01, .01), 1) || math.IsInf(MDE(7, .01, .01), 1) {
		t.Error("7 pairs are the least for a 1 % test")
	}
	near(t, "sigma", Sigma([]float64{1, 2, 3, 4, 100}), 1.4826, 1e-12)
}

// The planned power is the power there is: MDE and PairsWithin against a simulation of normal log ratios.
func TestPlanningHolds(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const n, sigma, runs = 24, .1, 2000
	s, shift := NewSignedRank(n), math.Log1p(MDE(n, sigma, .01))
	within := math.Log1p(.06)
	pairs := PairsWithin(sigma, .06, .99)
	many := NewSignedRank(pairs)
	found, half := 0, 0.0
	draw := func(n int) []float64 {
		d := make([]float64, n)
		for i := range d {
			d[i] = shift + sigma*r.NormFloat64()
		}
		return d
	}
	for range runs {
		if s.Lower(Walsh(draw(n)), .01) > 0 {
			found++
		}
		i, _ := many.Interval(draw(pairs), .99)
		half += math.Log(i.High/i.Low) / 2 / runs
	}
	near(t, "power", float64(found)/runs, .9, .06) // the normal approximation is a little hopeful for few pairs
	near(t, "half width", half, within, .1*within)
}
