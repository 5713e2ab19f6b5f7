package stats

import (
	"cmp"
	"math"
	"slices"
	"sync"
)

// Verdict is what the pairs of a check say about a gate; "": more pairs are to tell.
type Verdict string

const (
	Fine         Verdict = "fine"         // it is not as much worse as the threshold
	Improvement  Verdict = "improvement"  // it is better, by as much as the threshold
	Regression   Verdict = "regression"   // it is worse, by as much as the threshold
	Inconclusive Verdict = "inconclusive" // the last look could not tell
)

// Levels of one look. Of at most five looks they add up to 1 %, by Bonferroni, whatever the machine does meanwhile; and to
// 5 % as Pocock (1977) finds it.
const (
	WorseLevel = 0.002  // the probability that one look finds something worse where nothing is
	FineLevel  = 0.0178 // … that one look calls a loss of exactly the threshold fine
)

// looks are the numbers of pairs at which a check is judged.
var looks = []int{10, 15, 20, 30, 40}

// MostPairs is the last look.
const MostPairs = 40

// Looks are the numbers of pairs at which a check of so many gates is judged, where there are most pairs at most, up to
// MostPairs. The first is that of which all pairs of one sign are evidence enough for one of that many gates; the last one
// is most. None: they are too few for a verdict.
func Looks(gates, most int) (at []int) {
	first := max(looks[0], exactly(WorseLevel/float64(gates)))
	if most < first {
		return nil
	}
	for _, n := range looks {
		if n = max(n, first); n < most && !slices.Contains(at, n) {
			at = append(at, n)
		}
	}
	return append(at, most)
}

// Ruling is what is known of one gate. Differences are of logarithms, positive where the new side is worse.
type Ruling struct {
	Verdict Verdict
	Pairs   int     // at the look that it is of; 0: there was none yet
	Median  float64 // of the difference: Hodges and Lehmann's estimate
	Low     float64 // the difference is less with a probability of at most Worse
	High    float64 // … and more with one of at most FineLevel
	Worse   float64 // WorseLevel, shared with the other gates
	Sigma   float64 // by how much the pairs scatter
}

// Level is the probability with which the difference is between Low and High, at least.
func (r Ruling) Level() float64 { return 1 - r.Worse - FineLevel }

// Judge looks at the pairs of each gate, d, in the order in which they were made. worse is each gate's threshold, above 0.
// A gate is fine as soon as High is below its threshold; it is a regression as soon as Low is above 0 and Median at least
// the threshold. A verdict stands, whatever comes later. That any of the gates is called a regression where none is worse
// has a probability of 1 % at most: each look tests all of them by Holm's procedure, and what an earlier one found worse
// counts as found.
func Judge(d [][]float64, worse []float64, most int) []Ruling {
	out := make([]Ruling, len(d))
	all := Looks(len(d), most)
	for _, n := range all {
		levels := shared(d, out, n)
		for i := range d {
			if out[i].Verdict != "" || len(d[i]) < n {
				continue
			}
			out[i] = judge(d[i][:n], worse[i], levels[i])
			if out[i].Verdict == "" && n == all[len(all)-1] {
				out[i].Verdict = Inconclusive
			}
		}
	}
	return out
}

func judge(d []float64, worse, level float64) Ruling {
	s, w := ranks(len(d)), Walsh(d)
	r := Ruling{Pairs: len(d), Median: Median(w), Low: s.Lower(w, level), High: s.Upper(w, FineLevel), Worse: level, Sigma: Sigma(d)}
	switch {
	case r.High < 0 && r.Median <= -worse:
		r.Verdict = Improvement
	case r.High < worse:
		r.Verdict = Fine
	case r.Low > 0 && r.Median >= worse:
		r.Verdict = Regression
	}
	return r
}

// shared is the level at which each gate is tested at the look of n pairs (Holm 1979): the strongest at WorseLevel over
// the number of gates, the next, if that one is worse, over one less, and so on.
func shared(d [][]float64, before []Ruling, n int) []float64 {
	type gate struct {
		i int
		p float64
	}
	var open []gate
	left := len(d)
	for i := range d {
		switch {
		case before[i].Verdict == Regression:
			left--
		case before[i].Verdict == "" && len(d[i]) >= n:
			notWorse, _ := signs(d[i][:n])
			open = append(open, gate{i, ranks(n)[notWorse]})
		}
	}
	slices.SortStableFunc(open, func(a, b gate) int { return cmp.Compare(a.p, b.p) })
	levels := make([]float64, len(d))
	for _, g := range open {
		levels[g.i] = WorseLevel / float64(left)
		if g.p <= levels[g.i] {
			left--
		}
	}
	return levels
}

// ranks is the distribution for up to MostPairs pairs, which are asked for again and again.
func ranks(n int) SignedRank { return distributions()[n] }

var distributions = sync.OnceValue(func() (all [MostPairs + 1]SignedRank) {
	for n := range all {
		all[n] = NewSignedRank(n)
	}
	return all
})

// Visible is the least loss, as a share, that a check with a threshold of worse (as a share too) finds in 9 of 10 runs
// of most pairs that scatter by sigma: it has to be told from none, and its estimate to reach the threshold.
func Visible(gates, most int, sigma, worse float64) float64 {
	over := z(power) * math.Sqrt(math.Pi/3) * sigma / math.Sqrt(float64(most))
	return max(MDE(most, sigma, WorseLevel/float64(gates)), math.Exp(math.Log1p(worse)+over)-1)
}
