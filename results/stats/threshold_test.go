package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// search finds the threshold of an oracle as capacity does: doubling from the low end to the first failure, then asking
// until the 90 % interval is a fifth wide.
func search(passes func(rate float64) bool, r *rand.Rand) *Threshold {
	const low, high = 5e3, 4e5
	t := NewThreshold(low, high)
	for rate := low; rate <= high; rate *= 2 {
		pass := passes(rate)
		t.Learn(rate, pass)
		if !pass {
			break
		}
	}
	for t.Trials() < 60 && (t.Trials() < 8 || t.Quantile(.95)/t.Quantile(.05) > 1.2) {
		rate := t.Ask(r)
		t.Learn(rate, passes(rate))
	}
	return t
}

func TestThresholdOfAnOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 40 {
		truth := 8e3 * math.Pow(300./8, float64(i)/39)
		got := search(func(rate float64) bool { return rate <= truth }, r)
		if off := math.Log(got.Quantile(.5) / truth); math.Abs(off) > .017 || got.Trials() > 28 {
			t.Errorf("threshold %.0f: found %.0f after %d trials", truth, got.Quantile(.5), got.Trials())
		}
	}
}

// With a tenth of the trials failing by bursts and a soft threshold, the answer is within 10 %, and the lower end, which
// is what is reported as sustained, hardly ever above the truth.
func TestThresholdInNoise(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const times = 200
	near, above, trials := 0, 0, 0
	for range times {
		truth := 8e3 * math.Pow(300./8, r.Float64())
		got := search(func(rate float64) bool {
			return r.Float64() >= .1 && .08*r.NormFloat64() < math.Log(truth/rate)
		}, r)
		trials += got.Trials()
		if math.Abs(math.Log(got.Quantile(.5)/truth)) < math.Log(1.1) {
			near++
		}
		if got.Quantile(.05) > truth {
			above++
		}
	}
	if near < times*97/100 || above > times*5/100 {
		t.Errorf("%d of %d within 10 %%, %d with the lower end above the truth, %d trials in the mean", near, times, above, trials/times)
	}
}
