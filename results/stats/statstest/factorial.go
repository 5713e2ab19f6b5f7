package statstest

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/sockbench/sockbench/results/stats"
)

// EffectsTally is what experiments found in which no factor has an effect.
type EffectsTally struct {
	Experiments, Claiming int // and how many of them claim any effect or interaction
	Effects, Alone        int // and how many of these have a p-value of at most stats.ClaimLevel, uncorrected
}

// Experiments makes so many experiments of all combinations of levels, in shuffled blocks, over trials in which nothing was
// varied. apart is how much further, in logarithms, each trial with the last level of the first factor scatters; of each
// lost trials are missing.
func (n Noise) Experiments(rng *rand.Rand, count int, levels []int, blocks int, apart float64, lost int) (t EffectsTally, err error) {
	combinations := [][]int{nil}
	for _, of := range levels {
		var next [][]int
		for _, c := range combinations {
			for level := range of {
				next = append(next, append(slices.Clone(c), level))
			}
		}
		combinations = next
	}
	for range count {
		trials := n.stream(rng, blocks*len(combinations))
		var runs []stats.Run
		for range blocks {
			for _, i := range rng.Perm(len(combinations)) {
				y := trials[len(runs)]
				if combinations[i][0] == levels[0]-1 {
					y += apart * rng.NormFloat64()
				}
				runs = append(runs, stats.Run{Levels: combinations[i], Order: float64(len(runs)), Y: y})
			}
		}
		for range lost {
			i := rng.IntN(len(runs))
			runs = slices.Delete(runs, i, i+1)
		}
		f, err := stats.NewFactorial(levels, runs, nil)
		if err != nil {
			return t, err
		}
		t.add(f)
	}
	return t, nil
}

func (t *EffectsTally) add(f *stats.Factorial) {
	claiming := false
	look := func(e stats.Estimate, evidence stats.Evidence) {
		t.Effects++
		if e.P() <= stats.ClaimLevel {
			t.Alone++
		}
		claiming = claiming || evidence == stats.Shown
	}
	for _, e := range f.Effects {
		if len(e.Parts) > 0 {
			claiming = true
		}
		look(e.Estimate, e.Evidence)
	}
	for _, i := range f.Interactions {
		look(i.Estimate, i.Evidence)
	}
	if t.Experiments++; claiming {
		t.Claiming++
	}
}

// Most is the largest share of n that may be mistaken by chance where share of all are: three standard errors more.
func Most(share float64, n int) float64 {
	return share + 3*math.Sqrt(share*(1-share)/float64(n))
}
