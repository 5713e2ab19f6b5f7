package stats

import (
	"math/rand/v2"
	"slices"
	"sort"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// Limits are those between which a value lies with a probability of about Level.
type Limits struct {
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Level float64 `json:"level"`
}

const (
	// FewestTrials is how many a bootstrap takes: of fewer it says little about how trials differ.
	FewestTrials = 10
	resamples    = 2000
	mostClusters = 256 // bounds memory and time
)

// Bootstrap says how far the percentiles ps of all trials' merged histograms may be off, as trials differ: those of 2,000
// draws of as many of the trials, with repetition (Davison and Hinkley 1997, 3.8: whole clusters are drawn, never
// requests). Of 10 trials whose times scatter by 20 %, limits of 95 % hold the true percentile about 9 times in 10.
// Beyond 256 trials neighbours are drawn together. The same trials and seed give the same limits. nil: fewer than
// FewestTrials trials that counted anything, or histograms that are not alike in range and precision.
func Bootstrap(trials []*hdr.Histogram, ps []float64, level float64, seed uint64) []Limits {
	trials = slices.DeleteFunc(slices.Clone(trials), func(h *hdr.Histogram) bool { return h.TotalCount() == 0 })
	if len(trials) < FewestTrials || !alike(trials) {
		return nil
	}
	c := newClusters(trials)
	random := rand.New(rand.NewPCG(seed, 0))
	times := make([]int64, c.n)
	drawn := make([][]int64, len(ps)) // values, by percentile
	for range resamples {
		clear(times)
		for range times {
			times[random.IntN(c.n)]++
		}
		all := c.upTo(len(c.values)-1, times)
		for i, p := range ps {
			r := rank(p, all)
			at := sort.Search(len(c.values), func(b int) bool { return c.upTo(b, times) >= r })
			drawn[i] = append(drawn[i], c.values[at])
		}
	}
	out := []Limits{}
	outside := int((1-level)/2*(resamples+1)) - 1
	for _, values := range drawn {
		slices.Sort(values)
		out = append(out, Limits{float64(values[outside]), float64(values[resamples-1-outside]), level})
	}
	return out
}

// clusters are the cumulated counts of trials, or of some neighbours each, in the buckets in which any has something.
type clusters struct {
	n      int
	values []int64 // the buckets' upper edges, ascending
	counts []int64 // at bucket · n + cluster: how many of its values lie in that bucket or below it
}

// newClusters is of trials that are alike.
func newClusters(trials []*hdr.Histogram) clusters {
	size := (len(trials) + mostClusters - 1) / mostClusters
	c := clusters{n: (len(trials) + size - 1) / size}
	var whole []int64
	own := make([][]int64, c.n)
	for i, h := range trials {
		counts := h.Export().Counts
		whole, own[i/size] = plus(whole, counts), plus(own[i/size], counts)
	}
	all := trials[0].Export()
	all.Counts = whole
	for at, bucket := range hdr.Import(all).Distribution() {
		if bucket.Count == 0 {
			continue
		}
		c.values = append(c.values, bucket.To)
		for i := range own {
			below := int64(0)
			if len(c.counts) >= c.n {
				below = c.counts[len(c.counts)-c.n]
			}
			c.counts = append(c.counts, below+own[i][at])
		}
	}
	return c
}

// upTo is how many values lie in bucket b or below it, where each cluster was drawn so many times.
func (c clusters) upTo(b int, times []int64) (n int64) {
	for i, v := range c.counts[b*c.n : (b+1)*c.n] {
		n += v * times[i]
	}
	return n
}

// alike says whether the histograms have the same buckets.
func alike(hists []*hdr.Histogram) bool {
	return !slices.ContainsFunc(hists, func(h *hdr.Histogram) bool {
		return h.LowestTrackableValue() != hists[0].LowestTrackableValue() || h.HighestTrackableValue() != hists[0].HighestTrackableValue() ||
			h.SignificantFigures() != hists[0].SignificantFigures()
	})
}

// plus adds counts to sum, which is nil at first.
func plus(sum, counts []int64) []int64 {
	if sum == nil {
		return slices.Clone(counts)
	}
	for i, n := range counts {
		sum[i] += n
	}
	return sum
}

// rank is the place, from 1, of the percentile p among n ordered values: HdrHistogram's.
func rank(p float64, n int64) int64 { return max(1, min(n, int64(p*float64(n)+.5))) }
