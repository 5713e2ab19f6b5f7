package stats

import (
	"maps"
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
// FewestTrials trials that counted anything.
func Bootstrap(trials []*hdr.Histogram, ps []float64, level float64, seed uint64) []Limits {
	trials = slices.DeleteFunc(slices.Clone(trials), func(h *hdr.Histogram) bool { return h.TotalCount() == 0 })
	if len(trials) < FewestTrials {
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
	var out []Limits
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

func newClusters(trials []*hdr.Histogram) clusters {
	size := (len(trials) + mostClusters - 1) / mostClusters
	c := clusters{n: (len(trials) + size - 1) / size}
	all := map[int64]int64{}
	bars := make([][]hdr.Bar, c.n)
	for i, h := range trials {
		bs := occupied(h)
		bars[i/size] = append(bars[i/size], bs...)
		for _, b := range bs {
			all[b.To] += b.Count
		}
	}
	c.values, _ = cumulate(all)
	place := map[int64]int{}
	for i, v := range c.values {
		place[v] = i
	}
	c.counts = make([]int64, c.n*len(c.values))
	for i, bs := range bars {
		for _, b := range bs {
			c.counts[place[b.To]*c.n+i] += b.Count
		}
	}
	for i := c.n; i < len(c.counts); i++ {
		c.counts[i] += c.counts[i-c.n]
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

// occupied are the buckets that hold anything, ascending.
func occupied(h *hdr.Histogram) []hdr.Bar {
	return slices.DeleteFunc(h.Distribution(), func(b hdr.Bar) bool { return b.Count == 0 })
}

// cumulate are the buckets of counts, ascending, and how many values lie in each or below it.
func cumulate(counts map[int64]int64) (buckets, upTo []int64) {
	buckets = slices.Sorted(maps.Keys(counts))
	n := int64(0)
	for _, b := range buckets {
		n += counts[b]
		upTo = append(upTo, n)
	}
	return buckets, upTo
}

// rank is the place, from 1, of the percentile p among n ordered values: HdrHistogram's.
func rank(p float64, n int64) int64 { return max(1, min(n, int64(p*float64(n)+.5))) }

// place is the bucket of the percentile p in cumulated counts.
func place(upTo []int64, p float64) int {
	at, _ := slices.BinarySearch(upTo, rank(p, upTo[len(upTo)-1]))
	return at
}
