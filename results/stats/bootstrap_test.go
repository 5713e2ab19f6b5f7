package stats

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// small is a histogram that is merged fast.
func small() *hdr.Histogram { return hdr.New(1000, 100_000_000, 2) }

// levels are trials of n exponential times each, whose scales differ from trial to trial by sd (of the logarithm).
func levels(r *rand.Rand, trials, n int, sd float64) (hists []*hdr.Histogram) {
	for range trials {
		h := small()
		scale := 100_000 * math.Exp(sd*r.NormFloat64())
		for range n {
			if err := h.RecordValue(int64(scale * r.ExpFloat64())); err != nil {
				panic(err)
			}
		}
		hists = append(hists, h)
	}
	return hists
}

func merged(t *testing.T, hists []*hdr.Histogram) *hdr.Histogram {
	t.Helper()
	all := small()
	for _, h := range hists {
		if dropped := all.Merge(h); dropped > 0 {
			t.Fatal("dropped", dropped)
		}
	}
	return all
}

// The limits are what drawing and merging the histograms themselves would give.
func TestBootstrapIsThatOfMergedHistograms(t *testing.T) {
	if testing.Short() {
		t.Skip("some seconds of arithmetic")
	}
	r := rand.New(rand.NewPCG(21, 0))
	hists := levels(r, 12, 200, .3)
	ps := []float64{.5, .99}
	got := Bootstrap(hists, ps, .95, 7)
	random := rand.New(rand.NewPCG(7, 0))
	values := make([][]float64, len(ps))
	for range resamples {
		var drawn []*hdr.Histogram
		for range hists {
			drawn = append(drawn, hists[random.IntN(len(hists))])
		}
		all := merged(t, drawn)
		for i, p := range ps {
			values[i] = append(values[i], float64(all.ValueAtQuantile(p*100)))
		}
	}
	for i, v := range values {
		slices.Sort(v)
		if want := (Limits{v[49], v[1950], .95}); got[i] != want { // 2.5 % of 2,001 on each side
			t.Errorf("p%v: %+v, want %+v", ps[i]*100, got[i], want)
		}
	}
	if again := Bootstrap(hists, ps, .95, 7); !reflect.DeepEqual(again, got) {
		t.Errorf("the same again is %+v, not %+v", again, got)
	}
	if other := Bootstrap(hists, ps, .95, 8); reflect.DeepEqual(other, got) {
		t.Error("another seed changes nothing")
	}
}

func TestBootstrapTakesTenTrials(t *testing.T) {
	r := rand.New(rand.NewPCG(22, 0))
	hists := levels(r, 9, 50, .1)
	empty := small()
	if got := Bootstrap(append(hists, empty), []float64{.5}, .95, 1); got != nil {
		t.Errorf("nine trials and an empty one have limits %+v", got)
	}
	if got := Bootstrap(append(hists, levels(r, 1, 50, .1)...), []float64{.5}, .95, 1); len(got) != 1 {
		t.Errorf("ten trials: %+v", got)
	}
	if got := Bootstrap(append(slices.Clone(hists), hdr.New(1, Longest, Digits)), []float64{.5}, .95, 1); got != nil {
		t.Errorf("nine trials and an empty one that is not like them have limits %+v", got)
	}
	other := hdr.New(1, Longest, Digits)
	if err := other.RecordValue(5); err != nil {
		t.Fatal(err)
	}
	if got := Bootstrap(append(slices.Clone(hists), other), []float64{.5}, .95, 1); got != nil {
		t.Errorf("histograms that are not alike have limits %+v", got)
	}
	same := slices.Repeat(hists[:1], 10)
	v := float64(hists[0].ValueAtQuantile(50))
	if got := Bootstrap(same, []float64{.5}, .95, 1); got[0] != (Limits{v, v, .95}) {
		t.Errorf("trials that do not differ: %+v, want %v", got, v)
	}
}

// Neighbours of many trials are drawn together, and none is lost.
func TestBootstrapOfManyTrials(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 0))
	hists := levels(r, 2*mostClusters+1, 20, .2)
	c := newClusters(hists)
	times := slices.Repeat([]int64{1}, c.n)
	if all := c.upTo(len(c.values)-1, times); c.n != 171 || all != int64(20*len(hists)) {
		t.Errorf("%d clusters with %d values", c.n, all)
	}
	whole, got := float64(merged(t, hists).ValueAtQuantile(50)), Bootstrap(hists, []float64{.5}, .95, 1)[0]
	if got.Low > whole || got.High < whole || got.High/got.Low > 1.2 {
		t.Errorf("p50 %v, limits %+v", whole, got)
	}
}

// How often the limits hold the percentile of all trials there could be, where requests alone would say they are far
// narrower.
func TestBootstrapCovers(t *testing.T) {
	if testing.Short() {
		t.Skip("some seconds of arithmetic")
	}
	r := rand.New(rand.NewPCG(24, 0))
	many := merged(t, levels(r, 4000, 300, .2))
	ps := []float64{.5, .99}
	const runs = 100
	for _, n := range []int{10, 30} {
		held, naive := make([]float64, len(ps)), 0.0
		for run := range runs {
			hists := levels(r, n, 300, .2)
			for i, l := range Bootstrap(hists, ps, .95, uint64(run)) {
				if truth := float64(many.ValueAtQuantile(ps[i] * 100)); l.Low <= truth && truth <= l.High {
					held[i] += 1. / runs
				}
			}
			all := merged(t, hists)
			low, high, _, _ := Ranks(all.TotalCount(), .5, .95)
			at := func(rank int64) int64 { return all.ValueAtQuantile(100 * float64(rank) / float64(all.TotalCount())) }
			if truth := many.ValueAtQuantile(50); at(low) <= truth && truth <= at(high) {
				naive += 1. / runs
			}
		}
		t.Logf("%d trials: limits hold %v of the time, those of requests %.2f", n, held, naive)
		for i := range ps {
			if held[i] < .82 || held[i] > .995 {
				t.Errorf("%d trials: p%v is inside in %.2f of the runs", n, ps[i]*100, held[i])
			}
		}
		if naive > .7 {
			t.Errorf("%d trials: limits of independent requests hold %.2f of the time: the test is blind", n, naive)
		}
	}
}
