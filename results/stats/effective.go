package stats

import (
	"math"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// Effective is how many independent requests would say as much about each percentile as a trial's requests do, which
// come in good and bad moments; 0: not known.
type Effective struct {
	P50  int64 `json:"p50,omitempty"`
	P90  int64 `json:"p90,omitempty"`
	P99  int64 `json:"p99,omitempty"`
	P999 int64 `json:"p999,omitempty"`
}

// fewestBlocks is how many blocks a design effect takes at least. Of four it is still off by a factor of 2 or so.
const fewestBlocks = 4

// NewEffective is of n requests whose times in each of a trial's blocks (intervals of 100 ms) are known, in histograms that
// are alike. Other requests than theirs, which timed out for instance, count as if they were as dependent.
func NewEffective(n int64, blocks []*hdr.Histogram) (e Effective) {
	var inBlock [][]int64 // by bucket
	var whole, counts []int64
	for _, h := range blocks {
		c := h.Export().Counts
		inBlock, whole, counts = append(inBlock, c), plus(whole, c), append(counts, h.TotalCount())
	}
	all := sum(counts)
	if len(blocks) < fewestBlocks || all == 0 {
		return e
	}
	for _, q := range []struct {
		p  float64
		to *int64
	}{{.5, &e.P50}, {.9, &e.P90}, {.99, &e.P99}, {.999, &e.P999}} {
		at, upTo := 0, whole[0]
		for upTo < rank(q.p, all) {
			at++
			upTo += whole[at]
		}
		above := make([]int64, len(blocks))
		for j, c := range inBlock {
			above[j] = sum(c[at+1:])
		}
		*q.to = max(1, int64(math.Round(float64(n)/max(1, DesignEffect(counts, above)))))
	}
	return e
}

// DesignEffect is by how much the variance of a share is larger than that of as many independent values: above of counts
// are so in each block. It is that of a ratio of the blocks' sums, over the binomial one (Kish 1965, ch. 8; Cochran 1977,
// ch. 6). The share itself stands for 1 − p, which it is but for the width of a bucket. 1, where all or none are above.
func DesignEffect(counts, above []int64) float64 {
	n, m := float64(sum(counts)), float64(sum(above))
	if m == 0 || m == n {
		return 1
	}
	k, share, squares := float64(len(counts)), m/n, 0.0
	for j := range counts {
		r := float64(above[j]) - share*float64(counts[j])
		squares += r * r
	}
	return k / (k - 1) * squares / (n * share * (1 - share))
}

// Together is of the requests of several trials; where one trial's is not known, theirs is not.
func Together(trials []Effective) (all Effective) {
	for _, at := range []func(*Effective) *int64{
		func(e *Effective) *int64 { return &e.P50 }, func(e *Effective) *int64 { return &e.P90 },
		func(e *Effective) *int64 { return &e.P99 }, func(e *Effective) *int64 { return &e.P999 },
	} {
		for i := range trials {
			v := *at(&trials[i])
			if *at(&all) += v; v == 0 {
				*at(&all) = 0
				break
			}
		}
	}
	return all
}

func sum(counts []int64) (n int64) {
	for _, v := range counts {
		n += v
	}
	return n
}
