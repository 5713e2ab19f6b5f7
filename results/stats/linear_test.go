package stats

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// standard lists the runs of a 2^k design in standard order, the first factor changing fastest, with one response each.
func standard(k int, replicate float64, y ...float64) (runs []Run) {
	for i, v := range y {
		levels := make([]int, k)
		for f := range levels {
			levels[f] = i >> f & 1
		}
		runs = append(runs, Run{levels, replicate, v})
	}
	return runs
}

// textbook is an effect as books on 2^k designs define it: the mean of the runs with an even number of the factors low,
// above the mean of the rest. Of two factors that is half of how much one's effect depends on the other.
func textbook(m *Model, factors ...int) float64 {
	if len(factors) == 2 {
		return interaction(m, factors[0], factors[1]).Value / 2
	}
	x, y := make([]int, len(m.levels)), make([]int, len(m.levels))
	for f := range x {
		x[f], y[f] = Every, Every
	}
	x[factors[0]], y[factors[0]] = 1, 0
	return m.Difference(x, y).Value
}

// interaction is by how much the difference of levels 1 and 0 of factor f is larger at level 1 of factor g than at 0.
func interaction(m *Model, f, g int) Estimate {
	c := make([]float64, len(m.b))
	for i, levels := range [][2]int{{1, 1}, {0, 1}, {0, 0}, {1, 0}} {
		at := slices.Repeat([]int{Every}, len(m.levels))
		at[f], at[g] = levels[0], levels[1]
		for j, v := range m.point(at) {
			c[j] += []float64{1, -1}[i%2] * v
		}
	}
	return m.estimate(c)
}

func fit(t *testing.T, levels []int, runs []Run, order int, every float64) *Model {
	t.Helper()
	m, err := Fit(levels, runs, order, every)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func twos(k int) []int {
	levels := make([]int, k)
	for i := range levels {
		levels[i] = 2
	}
	return levels
}

func TestTextbookDesigns(t *testing.T) {
	const tc, c = 0, 1
	pilot := fit(t, twos(3), standard(3, 0, 60, 72, 54, 68, 52, 83, 45, 80), 2, 0)                                        // Box, Hunter, Hunter: temperature, concentration, catalyst
	filtration := fit(t, twos(4), standard(4, 0, 45, 71, 48, 65, 68, 60, 80, 65, 43, 100, 45, 104, 75, 86, 70, 96), 2, 0) // Montgomery
	first, second := []float64{550, 669, 633, 642, 1037, 749, 1075, 729}, []float64{604, 650, 601, 635, 1052, 868, 1063, 860}
	replicated := append(standard(3, 0, first...), standard(3, 1, second...)...) // Montgomery: plasma etching, twice
	etch := fit(t, twos(3), replicated, 3, 0)
	for _, x := range []struct {
		name    string
		model   *Model
		factors []int
		want    float64
	}{
		{"pilot T", pilot, []int{tc}, 23}, {"pilot C", pilot, []int{c}, -5}, {"pilot K", pilot, []int{2}, 1.5},
		{"pilot TC", pilot, []int{tc, c}, 1.5}, {"pilot TK", pilot, []int{tc, 2}, 10}, {"pilot CK", pilot, []int{c, 2}, 0},
		{"filtration A", filtration, []int{0}, 21.625}, {"filtration B", filtration, []int{1}, 3.125}, {"filtration C", filtration, []int{2}, 9.875},
		{"filtration D", filtration, []int{3}, 14.625}, {"filtration AB", filtration, []int{0, 1}, .125}, {"filtration AC", filtration, []int{0, 2}, -18.125},
		{"filtration AD", filtration, []int{0, 3}, 16.625},
		{"etch A", etch, []int{0}, -101.625}, {"etch B", etch, []int{1}, 7.375}, {"etch C", etch, []int{2}, 306.125},
		{"etch AB", etch, []int{0, 1}, -24.875}, {"etch AC", etch, []int{0, 2}, -153.625}, {"etch BC", etch, []int{1, 2}, -2.125},
	} {
		if got := textbook(x.model, x.factors...); math.Abs(got-x.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", x.name, got, x.want)
		}
	}
	if v := etch.Sigma * etch.Sigma; math.Abs(v-2252.5625) > 1e-6 || etch.DF != 8 {
		t.Errorf("etch: error variance %v of %d degrees of freedom, want 2252.5625 of 8", v, etch.DF)
	}
	if se := etch.Difference([]int{1, Every, Every}, []int{0, Every, Every}).SE; math.Abs(se-23.7306) > 1e-4 {
		t.Errorf("etch: standard error %v, want 23.7306", se)
	}
	blocked := fit(t, twos(3), replicated, 3, 1)
	if v := blocked.Sigma * blocked.Sigma; math.Abs(v-2020.777) > 1e-3 || blocked.DF != 7 {
		t.Errorf("etch in blocks: error variance %v of %d, want 2020.777 of 7", v, blocked.DF)
	}
	if a := textbook(blocked, 0); math.Abs(a+101.625) > 1e-9 {
		t.Errorf("etch in blocks: A %v, want -101.625", a)
	}
}

// The half fraction I=ABCD of the filtration design: main effects stand alone, interactions in pairs, which is said.
func TestHalfFraction(t *testing.T) {
	var half []Run
	for _, r := range standard(4, 0, 45, 71, 48, 65, 68, 60, 80, 65, 43, 100, 45, 104, 75, 86, 70, 96) {
		if (r.Levels[0]+r.Levels[1]+r.Levels[2]+r.Levels[3])%2 == 0 {
			half = append(half, r)
		}
	}
	m := fit(t, twos(4), half, 1, 0)
	for f, want := range []float64{19, 1.5, 14, 16.5} {
		if got := textbook(m, f); math.Abs(got-want) > 1e-9 {
			t.Errorf("effect %d: %v, want %v", f, got, want)
		}
	}
	if _, err := Fit(twos(4), half, 2, 0); !errors.Is(err, ErrAliased) {
		t.Errorf("interactions of a half fraction: %v", err)
	}
	if _, err := Fit(twos(1), append(half[:0:0], Run{[]int{0}, 0, 1}, Run{[]int{0}, 1, 2}, Run{[]int{0}, 2, 2}), 1, 0); !errors.Is(err, ErrAliased) {
		t.Errorf("a level that was never run: %v", err)
	}
}

// Student's t at the figures of the sleep data: mean 1.58, se of ten differences.
func TestStudent(t *testing.T) {
	e := MeanOf([]float64{1.2, 2.4, 1.3, 1.3, 0, 1.0, 1.8, .8, 4.6, 1.4})
	if p := e.P(); math.Abs(p-.002832890197) > 1e-9 {
		t.Errorf("p %v", p)
	}
	if w := e.Within(.95); math.Abs(e.Value-w-.7001142367) > 1e-6 || math.Abs(e.Value+w-2.4598857633) > 1e-6 {
		t.Errorf("interval ± %v", w)
	}
	if e := (Estimate{Value: 1}); !math.IsInf(e.Within(.95), 1) || e.P() != 1 {
		t.Errorf("without degrees of freedom: ± %v, p %v", e.Within(.95), e.P())
	}
}

// Effects of known size, in a machine that drifts, are covered by their intervals as often as these say.
func TestEffectsAreCovered(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	levels := []int{3, 2, 2, 2}
	const blocks, times = 4, 200
	truth := func(l []int) float64 {
		return .10*float64(l[0]) - .05*float64(l[1]) + .08*float64(l[2]*l[3])
	}
	covered, found := 0, 0
	for range times {
		var runs []Run
		drift, at := 0.0, 0.0
		for range blocks {
			for _, cell := range rng.Perm(24) {
				l := []int{cell % 3, cell / 3 % 2, cell / 6 % 2, cell / 12}
				drift = .95*drift + .02*rng.NormFloat64()
				runs = append(runs, Run{l, at, truth(l) + drift + .03*rng.NormFloat64()})
				at++
			}
		}
		m := fit(t, levels, runs, 2, 6)
		for _, x := range []struct {
			e    Estimate
			want float64
		}{
			{m.Difference([]int{2, Every, Every, Every}, []int{0, Every, Every, Every}), .20},
			{m.Difference([]int{Every, 1, Every, Every}, []int{Every, 0, Every, Every}), -.05},
			{m.Difference([]int{Every, Every, 1, 1}, []int{Every, Every, 0, 1}), .08},
			{m.Difference([]int{Every, Every, 1, 0}, []int{Every, Every, 0, 0}), 0},
			{interaction(m, 2, 3), .08},
		} {
			if math.Abs(x.e.Value-x.want) <= x.e.Within(.95) {
				covered++
			}
		}
		if interaction(m, 2, 3).P() < .01 {
			found++
		}
	}
	if share := float64(covered) / (5 * times); share < .93 || share > .975 {
		t.Errorf("95%% intervals cover the truth in %.3f", share)
	}
	if found < times*9/10 {
		t.Errorf("the interaction was found in %d of %d", found, times)
	}
}
