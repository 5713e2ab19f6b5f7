package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

func TestDesignEffectKnownAnswers(t *testing.T) {
	for _, c := range []struct {
		counts, above []int64
		want          float64
	}{
		{[]int64{10, 10, 10, 10}, []int64{4, 0, 0, 0}, 40. / 9},    // Σr² = 9+1+1+1; 4/3 · 12/40² over .1 · .9/40
		{[]int64{10, 10, 10, 10}, []int64{1, 1, 1, 1}, 0},          // more even than chance
		{[]int64{40, 20, 20, 20}, []int64{10, 5, 5, 5}, 0},         // unequal blocks, equal shares
		{[]int64{30, 10}, []int64{30, 0}, 2 * 2 * 7.5 * 7.5 / 7.5}, // all in one block: r = ±7.5 around a share of 3/4
		{[]int64{10, 0, 10, 10}, []int64{0, 0, 0, 0}, 1},           // none
		{[]int64{10, 10, 10, 10}, []int64{10, 10, 10, 10}, 1},      // all
	} {
		near(t, "design effect", DesignEffect(c.counts, c.above), c.want, 1e-12)
	}
}

// Requests that are alike within a block by ρ are worth n / (1 + (c − 1)ρ) (Kish 1965): for shares that vary between
// blocks by a variance of ρ·p·(1−p), and for independent ones, ρ = 0.
func TestDesignEffectOfKnownDependence(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 0))
	const blocks, size, p, runs = 200, 500, .5, 60
	for _, rho := range []float64{0, .01, .2} {
		mean := 0.0
		for range runs {
			counts, above := make([]int64, blocks), make([]int64, blocks)
			for j := range counts {
				share := p
				if spread := math.Sqrt(rho * p * (1 - p)); r.IntN(2) == 0 {
					share += spread
				} else {
					share -= spread
				}
				counts[j] = size
				for range size {
					if r.Float64() < share {
						above[j]++
					}
				}
			}
			mean += DesignEffect(counts, above) / runs
		}
		want := 1 + (size-1)*rho
		near(t, "design effect", mean, want, .1*want)
	}
}

// trialOf has blocks of so many exponential times each; in slow ones they are three times as long.
func trialOf(r *rand.Rand, blocks, each int, slow func(int) bool) (hists []*hdr.Histogram) {
	for j := range blocks {
		h := hdr.New(1000, Longest, 2)
		for range each {
			v := 100_000 * r.ExpFloat64()
			if slow(j) {
				v *= 3
			}
			if err := h.RecordValue(int64(v)); err != nil {
				panic(err)
			}
		}
		hists = append(hists, h)
	}
	return hists
}

func TestEffective(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 0))
	const blocks, each = 40, 2000
	even := NewEffective(blocks*each, trialOf(r, blocks, each, func(int) bool { return false }))
	for _, n := range []int64{even.P50, even.P90, even.P99, even.P999} {
		if n < blocks*each/2 || n > blocks*each {
			t.Errorf("%d of %d independent requests: %+v", n, blocks*each, even)
		}
	}
	bursts := NewEffective(blocks*each, trialOf(r, blocks, each, func(j int) bool { return j%10 == 0 }))
	if !(bursts.P50 < blocks*each/20 && bursts.P99 < blocks*each/20 && bursts.P999 < blocks*each/5) {
		t.Errorf("of %d requests, all long ones in every tenth block, %+v count", blocks*each, bursts)
	}
	if e := NewEffective(300, trialOf(r, 3, 100, func(int) bool { return false })); e != (Effective{}) {
		t.Errorf("three blocks say %+v", e)
	}
	if e := NewEffective(0, trialOf(r, 10, 0, func(int) bool { return false })); e != (Effective{}) {
		t.Errorf("nothing says %+v", e)
	}
	same := hdr.New(1000, Longest, 2)
	if err := same.RecordValues(50_000, 100); err != nil {
		t.Fatal(err)
	}
	if e := NewEffective(400, []*hdr.Histogram{same, same, same, same}); e.P50 != 400 {
		t.Errorf("values that are all the same: %+v", e)
	}
	if got := Together([]Effective{{1, 2, 3, 0}, {10, 20, 30, 40}}); got != (Effective{11, 22, 33, 0}) || Together(nil) != (Effective{}) {
		t.Errorf("together %+v", got)
	}
}
