// Package statstest runs simulated checks over recorded noise, where the truth is known: what was added to it.
package statstest

import (
	_ "embed" // the noise
	"encoding/csv"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/sockbench/sockbench/results/stats"
)

// noise.csv: trials of a plain echo in which nothing was varied, 1 s each, in batches of 14 that follow one another; A in
// a closed loop, B open at 20,000 requests a second; on a busy virtual machine with 2 CPUs.
//
//go:embed noise.csv
var recorded string

// Noise is a metric's values in trials in which nothing was varied, as logarithms, by batch and in order: neighbours are
// alike.
type Noise struct {
	Name    string
	Higher  bool // is better
	batches [][]float64
}

// All lists what was recorded.
var All = []Noise{
	read("throughput, closed loop", 'A', 1), read("p50, closed loop", 'A', 2), read("p99, closed loop", 'A', 3),
	read("p50, open loop", 'B', 2), read("p99, open loop", 'B', 3),
}

func read(name string, loop byte, column int) Noise {
	n := Noise{Name: name, Higher: column == 1}
	rows, err := csv.NewReader(strings.NewReader(recorded)).ReadAll()
	if err != nil {
		panic("statstest: " + err.Error()) // of a file that is part of the package
	}
	last := ""
	for _, row := range rows[1:] {
		if row[0][0] != loop {
			continue
		}
		v, err := strconv.ParseFloat(row[column], 64)
		if err != nil {
			panic("statstest: " + err.Error())
		}
		if row[0] != last {
			n.batches, last = append(n.batches, nil), row[0]
		}
		of := &n.batches[len(n.batches)-1]
		*of = append(*of, math.Log(v))
	}
	return n
}

// stream is count trials, one after the other: batches drawn at random, each in its order. Pairs of neighbours, from the
// first on, are of one batch.
func (n Noise) stream(rng *rand.Rand, count int) (trials []float64) {
	for len(trials) < count+len(n.batches[0]) {
		trials = append(trials, n.batches[rng.IntN(len(n.batches))]...)
	}
	from := 2 * rng.IntN(len(n.batches[0])/2)
	return trials[from : from+count]
}

// Deviations are how far the values are from the median of all, by batch and in order.
func (n Noise) Deviations() (batches [][]float64) {
	middle := stats.Median(slices.Sorted(slices.Values(slices.Concat(n.batches...))))
	for _, b := range n.batches {
		var off []float64
		for _, v := range b {
			off = append(off, v-middle)
		}
		batches = append(batches, off)
	}
	return batches
}

// Tally is how often checks ended in which way, and after how many pairs in the mean.
type Tally struct {
	Checks int
	Of     map[stats.Verdict]int
	Pairs  float64
}

// Share is of the checks that ended so, and its standard error.
func (t Tally) Share(v stats.Verdict) (share, se float64) {
	share = float64(t.Of[v]) / float64(t.Checks)
	return share, math.Sqrt(share * (1 - share) / float64(t.Checks))
}

// Worse is a loss, as a share, as a difference of logarithms: so much less of what is better when it is higher, so much more
// of what is not.
func (n Noise) Worse(loss float64) float64 {
	if n.Higher {
		return -math.Log1p(-loss)
	}
	return math.Log1p(loss)
}

// Check makes so many checks with a threshold of worse, as a share, of a new side whose trials are worse by shift, as a
// difference of logarithms: pairs of neighbours, of which a coin says which is the new one.
func (n Noise) Check(rng *rand.Rand, checks int, shift, worse float64) Tally {
	t := Tally{Checks: checks, Of: map[stats.Verdict]int{}}
	for range checks {
		trials := n.stream(rng, 2*stats.MostPairs)
		var d []float64
		for i := 0; i < len(trials); i += 2 {
			difference := trials[i+1] - trials[i]
			if rng.IntN(2) == 0 {
				difference = -difference
			}
			d = append(d, difference+shift)
		}
		r := stats.Judge([][]float64{d}, []float64{math.Log1p(worse)}, stats.MostPairs)[0]
		t.Of[r.Verdict]++
		t.Pairs += float64(r.Pairs) / float64(checks)
	}
	return t
}

// Blocks makes so many comparisons of all old trials, each of trials many, with all new ones behind them, where nothing
// differs, by the test of Mann and Whitney at level in one direction, and says in how many it finds the new side worse.
func (n Noise) Blocks(rng *rand.Rand, checks, trials int, level float64) (found int) {
	for range checks {
		s := n.stream(rng, 2*trials)
		if higher(s[trials:], s[:trials]) <= level {
			found++
		}
	}
	return found
}

// higher is the p-value of x being no higher than y (Mann and Whitney 1947), in the normal approximation with its
// correction for continuity.
func higher(x, y []float64) float64 {
	u := 0.
	for _, a := range x {
		for _, b := range y {
			switch {
			case a > b:
				u++
			case a == b:
				u += .5
			}
		}
	}
	m, n := float64(len(x)), float64(len(y))
	z := (u - m*n/2 - .5) / math.Sqrt(m*n*(m+n+1)/12)
	return .5 * math.Erfc(z/math.Sqrt2)
}

// Find returns the noise of that name.
func Find(name string) Noise {
	return All[slices.IndexFunc(All, func(n Noise) bool { return n.Name == name })]
}
