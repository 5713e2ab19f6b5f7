package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// of is f of 1 to n.
func of(n int, f func(i float64) float64) (d []float64) {
	for i := range n {
		d = append(d, f(float64(i+1)))
	}
	return d
}

func TestVerdictKnownAnswers(t *testing.T) {
	for _, c := range []struct {
		name              string
		d                 func(i float64) float64
		verdict           Verdict
		pairs             int
		low, high, middle float64
	}{
		{"all worse", func(float64) float64 { return .10 }, Regression, 10, .10, .10, .10},
		{"nothing", func(float64) float64 { return 0 }, Fine, 10, 0, 0, 0},
		{"all better", func(float64) float64 { return -.10 }, Improvement, 10, -.10, -.10, -.10},
		{".02 sin i", func(i float64) float64 { return .02 * math.Sin(i) }, Fine, 10, -.017157, .016463, .002822},
		{".04 + .15 sin i", func(i float64) float64 { return .04 + .15*math.Sin(i) }, Inconclusive, 40, -.006176, .086605, .044868},
		{".08 + .15 sin i", func(i float64) float64 { return .08 + .15*math.Sin(i) }, Regression, 30, .013313, .130135, .080193},
		{".06 + .05 sin i", func(i float64) float64 { return .06 + .05*math.Sin(i) }, Regression, 10, .017107, .101159, .067056},
	} {
		r := Judge([][]float64{of(40, c.d)}, []float64{math.Log(1.05)}, 40)[0]
		if r.Verdict != c.verdict || r.Pairs != c.pairs {
			t.Errorf("%s: %s at %d pairs, want %s at %d", c.name, r.Verdict, r.Pairs, c.verdict, c.pairs)
		}
		near(t, c.name+": low", r.Low, c.low, 1e-6)
		near(t, c.name+": high", r.High, c.high, 1e-6)
		near(t, c.name+": median", r.Median, c.middle, 1e-6)
	}
}

func TestTooFewPairsAreNoVerdict(t *testing.T) {
	for n := range 10 {
		if r := Judge([][]float64{of(n, func(float64) float64 { return 1 })}, []float64{.05}, 40)[0]; r != (Ruling{}) {
			t.Errorf("%d pairs: %+v", n, r)
		}
	}
	if at := Looks(1, 9); at != nil {
		t.Errorf("9 pairs are looked at %v", at)
	}
}

func TestLooks(t *testing.T) {
	for _, c := range []struct {
		gates, most int
		want        []int
	}{
		{1, 40, []int{10, 15, 20, 30, 40}}, {1, 10, []int{10}}, {1, 12, []int{10, 12}}, {1, 15, []int{10, 15}}, {4, 40, []int{11, 15, 20, 30, 40}},
		{12, 40, []int{13, 15, 20, 30, 40}}, {60, 40, []int{15, 20, 30, 40}}, {4, 10, nil},
	} {
		if got := Looks(c.gates, c.most); !slices.Equal(got, c.want) {
			t.Errorf("%d gates, up to %d pairs: %v, want %v", c.gates, c.most, got, c.want)
		}
	}
	// The levels of the looks add up to 1 %, which is what is promised, and exactness lets the first one reach it.
	if sum := WorseLevel * float64(len(looks)); sum > .01+1e-12 {
		t.Errorf("the looks add up to %v", sum)
	}
	for _, gates := range []int{1, 4, 12, 60} {
		if n := Looks(gates, 40)[0]; math.Ldexp(1, -n) > WorseLevel/float64(gates) {
			t.Errorf("%d gates: no outcome of the first look, at %d pairs, is enough", gates, n)
		}
	}
}

// A verdict at an early look stands: pairs that came after it change nothing.
func TestVerdictsStand(t *testing.T) {
	d := append(of(10, func(float64) float64 { return 0 }), of(30, func(float64) float64 { return .5 })...)
	if r := Judge([][]float64{d}, []float64{.05}, 40)[0]; r.Verdict != Fine || r.Pairs != 10 {
		t.Errorf("%+v", r)
	}
}

// Of several gates one that is worse is found, at a share of the level, the others are judged on, and what it leaves goes
// to them.
func TestGatesShareTheLevel(t *testing.T) {
	worse := of(40, func(i float64) float64 { return .10 + .01*math.Sin(i) })
	level := of(40, func(i float64) float64 { return .01 * math.Sin(i) })
	out := Judge([][]float64{level, worse, level, worse}, []float64{.05, .05, .05, .05}, 40)
	for i, want := range []Verdict{Fine, Regression, Fine, Regression} {
		if out[i].Verdict != want || out[i].Pairs != 11 {
			t.Errorf("gate %d: %+v", i, out[i])
		}
	}
	near(t, "the strongest gate's level", out[1].Worse, WorseLevel/4, 0)
	near(t, "the next one's", out[3].Worse, WorseLevel/3, 0)
	near(t, "what the others are left with", out[0].Worse, WorseLevel/2, 0)

	// A single sign among 11 pairs is too little for one of four gates, and enough for one of one.
	d := worse
	d[0] = -.001
	if r := Judge([][]float64{d}, []float64{.05}, 40)[0]; r.Verdict != Regression || r.Pairs != 10 {
		t.Errorf("alone: %+v", r)
	}
	if r := Judge([][]float64{d, level, level, level}, []float64{.05, .05, .05, .05}, 40)[0]; r.Verdict != Regression || r.Pairs != 15 {
		t.Errorf("one of four: %+v", r)
	}
}

// Where nothing is worse, that any of ten gates is called a regression, in any look, has a probability of 1 %.
func TestFalseRegressionsOfManyGates(t *testing.T) {
	const checks, gates = 500, 10
	rng := rand.New(rand.NewPCG(10, 1))
	tiny := slices.Repeat([]float64{1e-9}, gates) // so that nothing but the level holds it back
	found := 0
	for range checks {
		d := make([][]float64, gates)
		for g := range d {
			d[g] = of(40, func(float64) float64 { return rng.NormFloat64() })
		}
		if slices.ContainsFunc(Judge(d, tiny, 40), func(r Ruling) bool { return r.Verdict == Regression }) {
			found++
		}
	}
	if limit := checks * (.01 + 3*math.Sqrt(.01*.99/checks)); float64(found) > limit || found == 0 {
		t.Errorf("%d of %d checks found a regression, want 1 to %.0f", found, checks, limit)
	}
}

func TestVisible(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 1))
	const sigma, worse, checks = .07, .05, 2000
	loss := math.Log1p(Visible(1, 40, sigma, worse))
	found := 0
	for range checks {
		if Judge([][]float64{of(40, func(float64) float64 { return loss + sigma*rng.NormFloat64() })}, []float64{math.Log1p(worse)}, 40)[0].Verdict == Regression {
			found++
		}
	}
	if share := float64(found) / checks; share < .85 || share > .99 {
		t.Errorf("a loss of %.3g is found in %.0f%% of checks, want about 90%%", math.Expm1(loss), 100*share)
	}
}
