package stats

import (
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// shuffled are runs of all combinations of levels, in so many random blocks, of what y says of each.
func shuffled(rng *rand.Rand, levels []int, blocks int, y func(levels []int, order float64) float64) (runs []Run) {
	n := 1
	for _, l := range levels {
		n *= l
	}
	for range blocks {
		for _, c := range rng.Perm(n) {
			var at []int
			for _, l := range levels {
				at = append(at, c%l)
				c /= l
			}
			order := float64(len(runs))
			runs = append(runs, Run{at, order, y(at, order)})
		}
	}
	return runs
}

// find is the effect of a level.
func find(f *Factorial, factor, level int) *Effect {
	return f.Effects[slices.IndexFunc(f.Effects, func(e *Effect) bool { return e.Factor == factor && e.Level == level })]
}

// Two combinations that scatter in their own ways are compared as Welch (1947) does it.
func TestContrastIsWelchs(t *testing.T) {
	x, y := []float64{10.1, 9.8, 10.4, 10.0, 9.9}, []float64{11, 14, 8, 16, 9, 12, 7}
	var runs []Run
	square := func(values []float64, level int) (mean, variance float64) {
		for _, v := range values {
			mean += v / float64(len(values))
		}
		for _, v := range values {
			variance += (v - mean) * (v - mean) / float64(len(values)-1) / float64(len(values))
			runs = append(runs, Run{[]int{level}, 0, v}) // all at once: no drift
		}
		return mean, variance
	}
	a, va := square(x, 0)
	b, vb := square(y, 1)
	e := fitMeans(t, runs).contrast([]float64{1, -1})
	df := (va + vb) * (va + vb) / (va*va/4 + vb*vb/6)
	if math.Abs(e.Value-(a-b)) > 1e-9 || math.Abs(e.SE-math.Sqrt(va+vb)) > 1e-9 || e.DF != int(df) || e.DF != 6 {
		t.Errorf("%+v, want %v ± %v with %.2f degrees of freedom", e, a-b, math.Sqrt(va+vb), df)
	}
	// What was run once takes the scatter of the rest: here 4 degrees of freedom, of x.
	once := fitMeans(t, runs[:6]).contrast([]float64{1, -1})
	if want := math.Sqrt(5 * va * (1./5 + 1)); math.Abs(once.SE-want) > 1e-9 || once.DF != 4 {
		t.Errorf("beside a single run: %+v, want a standard error of %v", once, want)
	}
}

// Effects are exact where nothing scatters, whatever the machine's drift from knot to knot.
func TestFactorialIsExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	knots := []float64{0, .3, -.2, .5, .1, -.4, .2, 0, .1, .3, -.1, 0, .2}
	levels := []int{3, 2, 2}
	runs := shuffled(rng, levels, 5, func(l []int, order float64) float64 {
		k, rest := math.Modf(order / everyRuns)
		drift := knots[int(k)]*(1-rest) + knots[int(k)+1]*rest
		return drift + .1*float64(l[0]) - .3*float64(l[1]) + .6*float64(l[1]*l[2])
	})
	f, err := NewFactorial(levels, runs, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		factor, level int
		want          float64
	}{{0, 1, .1}, {0, 2, .2}, {1, 1, 0}, {2, 1, .3}} {
		if e := find(f, x.factor, x.level); math.Abs(e.Value-x.want) > 1e-9 || f.Sigma > 1e-9 {
			t.Errorf("factor %d level %d: %v, want %v", x.factor, x.level, e.Value, x.want)
		}
	}
	for _, i := range f.Interactions {
		want := 0.0
		if i.Factors == [2]int{1, 2} {
			want = .6
		}
		if math.Abs(i.Value-want) > 1e-9 {
			t.Errorf("factors %v, levels %v: %v, want %v", i.Factors, i.Levels, i.Value, want)
		}
	}
	if len(f.Interactions) != 5 {
		t.Errorf("%d interactions, want 5", len(f.Interactions))
	}
}

// Where two factors act together, each is told within the other's levels alone; a third one that acts by itself is not cut.
func TestInteractionsAreNotAveraged(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	levels := []int{2, 2, 3}
	runs := shuffled(rng, levels, 6, func(l []int, _ float64) float64 {
		return -2*float64(l[0]*l[1]) + .3*float64(l[2]/2) + .05*rng.NormFloat64()
	})
	f, err := NewFactorial(levels, runs, nil)
	if err != nil {
		t.Fatal(err)
	}
	for factor := range 2 {
		e := find(f, factor, 1)
		leaves := e.Leaves()
		if len(leaves) != 2 || e.By != 1-factor {
			t.Fatalf("factor %d is told in %d parts, by factor %d", factor, len(leaves), e.By)
		}
		for _, l := range leaves {
			want, evidence := 0.0, NotShown
			if l.At[1-factor] == 1 {
				want, evidence = -2, Shown
			}
			if l.Evidence != evidence || math.Abs(l.Value-want) > l.Within(.9999) || l.At[2] != Every || l.Pairs != 3 || l.Of != 3 {
				t.Errorf("factor %d at %v: %s %.3f, %d of %d pairs; want %s %.3f", factor, l.At, l.Evidence, l.Value, l.Pairs, l.Of, evidence, want)
			}
		}
	}
	if e := find(f, 2, 2); len(e.Parts) > 0 || e.Evidence != Shown || math.Abs(e.Value-.3) > e.Within(.9999) {
		t.Errorf("the factor that acts by itself: %+v", e)
	}
	if e := find(f, 2, 1); e.Evidence != NotShown {
		t.Errorf("the level that does nothing: %+v", e)
	}
}

// What acts in three ways together is told by the levels of both other factors, where it is so, and nowhere else.
func TestThreeFactorsTogether(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 3))
	levels := []int{2, 2, 2}
	runs := shuffled(rng, levels, 8, func(l []int, _ float64) float64 {
		return -float64(l[0]*l[1]) - 2*float64(l[0]*l[1]*l[2]) + .03*rng.NormFloat64()
	})
	f, err := NewFactorial(levels, runs, nil)
	if err != nil {
		t.Fatal(err)
	}
	var at [][]int
	for _, l := range find(f, 0, 1).Leaves() {
		at = append(at, l.At)
	}
	if want := [][]int{{Every, 0, Every}, {Every, 1, 0}, {Every, 1, 1}}; !reflect.DeepEqual(at, want) {
		t.Errorf("told at %v, want %v", at, want)
	}
}

// Combinations that were not run: what is left is estimated and says where, what was never changed alone is named.
func TestUnbalancedDesigns(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 4))
	y := func(l []int, _ float64) float64 { return .5*float64(l[0]) + .02*rng.NormFloat64() }
	without := func(runs []Run, out func(l []int) bool) []Run {
		return slices.DeleteFunc(runs, func(r Run) bool { return out(r.Levels) })
	}
	hole := without(shuffled(rng, []int{2, 3, 2}, 6, y), func(l []int) bool { return l[0] == 0 && l[1] == 2 || l[1] == 1 && l[2] == 1 })
	f, err := NewFactorial([]int{2, 3, 2}, hole, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := find(f, 0, 1) // with level 0 and 1 of factor 1, of which the second has one level of factor 2 alone
	if e.Pairs != 3 || e.Of != 6 || !reflect.DeepEqual(e.Lacks, [][2]int{{1, 2}}) || e.Evidence != Shown || math.Abs(e.Value-.5) > e.Within(.9999) {
		t.Errorf("the effect that was run in part: %+v", e)
	}
	if e := find(f, 1, 2); !reflect.DeepEqual(e.At, []int{1, Every, Every}) || e.Pairs != 2 || e.Of != 2 || !reflect.DeepEqual(e.Lacks, [][2]int{{0, 0}}) {
		t.Errorf("the level that was run with one other: %+v", e)
	}
	aliased := without(shuffled(rng, []int{2, 2, 2}, 6, y), func(l []int) bool { return l[0] != l[1] })
	f, err = NewFactorial([]int{2, 2, 2}, aliased, nil)
	if err != nil {
		t.Fatal(err)
	}
	for factor := range 2 {
		if e := find(f, factor, 1); e.Evidence != Aliased || !reflect.DeepEqual(e.Aliased, []int{1 - factor}) {
			t.Errorf("factor %d, which was never changed alone: %+v", factor, e)
		}
	}
	if e := find(f, 2, 1); e.Evidence != NotShown || e.Pairs != 2 {
		t.Errorf("the factor that was: %+v", e)
	}
	apart := func(factor int, x, y []int) bool { return factor != 2 }
	if f, err = NewFactorial([]int{2, 2, 2}, shuffled(rng, []int{2, 2, 2}, 4, y), apart); err != nil || find(f, 2, 1).Evidence != Aliased || find(f, 0, 1).Evidence != Shown {
		t.Errorf("what cannot be compared: %+v, %v", f, err)
	}
}

// So few runs, or such noisy ones, that nothing can be said are no evidence that there is nothing.
func TestTooNoisyIsNotNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 5))
	noise := func([]int, float64) float64 { return rng.NormFloat64() }
	f, err := NewFactorial([]int{2, 2}, shuffled(rng, []int{2, 2}, 6, noise), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range f.Effects {
		if e.Evidence != Unknown {
			t.Errorf("an effect in noise of 100%%: %s", e.Evidence)
		}
	}
	if f.Interactions[0].Evidence != Unknown {
		t.Errorf("an interaction in noise of 100%%: %s", f.Interactions[0].Evidence)
	}
	if _, err := NewFactorial([]int{2, 2}, shuffled(rng, []int{2, 2}, 1, noise), nil); !errors.Is(err, ErrAliased) {
		t.Errorf("of one block: %v", err)
	}
	if _, err := NewFactorial([]int{2, 2}, nil, nil); !errors.Is(err, ErrAliased) {
		t.Errorf("of nothing: %v", err)
	}
}

// 1,000 combinations, each run ten times, of factors of which two act together in one of them.
func BenchmarkFactorial(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 6))
	levels := []int{5, 4, 2, 25}
	runs := shuffled(rng, levels, 10, func(l []int, _ float64) float64 {
		y := .4*math.Log(1+float64(l[3])) + .07*rng.NormFloat64()
		if l[1] == 1 && l[2] == 0 {
			y += 5
		}
		return y
	})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := NewFactorial(levels, runs, nil); err != nil {
			b.Fatal(err)
		}
	}
}
