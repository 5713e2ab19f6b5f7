package results

import (
	"encoding/csv"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results/stats"
)

// noise are 154 trials of one cell each, in the order they were run, on a busy virtual machine with 2 CPUs: "A" of a
// closed loop, "B" of an open one of 20,000/s. Nothing was varied: any difference between them is the machine's.
func noise(t *testing.T) map[string][]Metrics {
	t.Helper()
	f, err := os.Open("testdata/noise.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	number := func(text string) float64 {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	all := map[string][]Metrics{}
	for _, row := range rows[1:] {
		ns := func(us string) *int64 { return ptr(int64(1000 * number(us))) }
		r := loadgen.Result{Duration: 1e9, Throughput: number(row[1]), Response: loadgen.Quantity{Count: 20_000, P50: ns(row[2]), P99: ns(row[3])}}
		all[row[0][:1]] = append(all[row[0][:1]], Metrics{Result: r})
	}
	return all
}

// resamples of recorded trials; what is called in them has a probability of a, and is called at most so often.
const resamples = 10_000

func seldom(a float64) float64 { return a + 3*math.Sqrt(a*(1-a)/resamples) }

// aa makes a run of p of neighbouring trials from a random one on: their cells are those of the plan's own random order,
// another one with each attempt, and differ in nothing but name, or by a factor in throughput and latency.
func aa(p *plan.Plan, attempt int, stream []Metrics, random *rand.Rand, slower float64) (rs []Record) {
	at := random.IntN(len(stream) - len(p.Cells())*p.Blocks + 1)
	for b := range p.Blocks {
		for _, x := range p.Block(b, attempt) {
			r := Record{Schema: Schema, Trial: x, Metrics: &stream[at]}
			at++
			if slower != 1 && x.Cell["TCP_NODELAY"] == "on" {
				m := *r.Metrics
				m.Throughput /= slower
				m.Response.P50 = ptr(int64(float64(*m.Response.P50) * slower))
				m.Response.P99 = ptr(int64(float64(*m.Response.P99) * slower))
				r.Metrics = &m
			}
			rs = append(rs, r)
		}
	}
	return rs
}

// Two cells that differ in nothing are called different, by any metric, in at most 1 % of the runs; a difference is found.
func TestNoDifferenceIsNotCalled(t *testing.T) {
	if testing.Short() {
		t.Skip("some seconds of arithmetic")
	}
	short, long := newPlan(t, 10), newPlan(t, 20)
	for name, stream := range noise(t) {
		random := rand.New(rand.NewPCG(41, 0))
		called, found := 0, 0
		for i := range resamples {
			p := []*plan.Plan{short, long}[i%2]
			if len(Findings(p, aa(p, i, stream, random, 1))) > 0 {
				called++
			}
			if i%100 < 2 && len(Findings(p, aa(p, i, stream, random, 1.25))) > 0 {
				found++
			}
		}
		t.Logf("%s: findings in %d of %d runs in which nothing differs, and in %d of %d with a difference of 25 %%", name, called, resamples, found, resamples/50)
		if share := float64(called) / resamples; share > seldom(mistaken) {
			t.Errorf("%s: findings in %.4f of the runs in which nothing differs, want at most %.4f", name, share, seldom(mistaken))
		}
		if found < resamples/50*9/10 {
			t.Errorf("%s: a difference of 25 %% is found in %d of %d runs: the test is blind", name, found, resamples/50)
		}
	}
}

// mannWhitney is the exact distribution of U for two samples of n: element k is P(U ≤ k). The test of it asks that every
// value is independent of the others, which trials that follow one another are not.
func mannWhitney(n int) []float64 {
	ways := make([][]float64, n+1) // by how many of the ranks so far are the first sample's, by their sum above the least
	for i := range ways {
		ways[i] = make([]float64, n*n+1)
	}
	ways[0][0] = 1
	for r := range 2 * n { // taking rank r as the i-th adds r − i
		for i := min(r+1, n); i > 0; i-- {
			for sum := n * n; sum >= r-i+1 && r-i+1 >= 0; sum-- {
				ways[i][sum] += ways[i-1][sum-(r-i+1)]
			}
		}
	}
	cdf, all := ways[n], 0.0
	for k := range cdf {
		all += cdf[k]
		cdf[k] = all
	}
	for k := range cdf {
		cdf[k] /= all
	}
	return cdf
}

// mannWhitneyP is the two-sided p-value of two samples of as many values.
func mannWhitneyP(cdf, x, y []float64) float64 {
	u := 0.0
	for _, a := range x {
		for _, b := range y {
			switch {
			case a < b:
				u++
			case a == b:
				u += .5
			}
		}
	}
	return min(1, 2*cdf[int(math.Ceil(min(u, float64(len(x)*len(y))-u)))])
}

func TestMannWhitney(t *testing.T) {
	if p := mannWhitneyP(mannWhitney(4), []float64{1, 2, 3, 4}, []float64{5, 6, 7, 8}); math.Abs(p-.0285714) > 5e-8 {
		t.Errorf("p is %v", p)
	}
	if p := mannWhitneyP(mannWhitney(3), []float64{1, 4, 5}, []float64{2, 3, 6}); p != 1 { // U = 4 of 9
		t.Errorf("p is %v", p)
	}
}

// The test itself has the level it says, whatever the metric and the drift; the layout and the test that many use, all
// trials of one and then all of the other, have not: were the trials independent, both would.
func TestPairsHoldTheirLevelAndLayoutsInTurnDoNot(t *testing.T) {
	all := noise(t)
	for _, c := range []struct{ stream, metric string }{{"A", "throughput"}, {"A", "p50"}, {"A", "p99"}, {"B", "p50"}, {"B", "p99"}} {
		var logs []float64
		m, _ := FindMetric(c.metric)
		for i := range all[c.stream] {
			v, _ := m.Get(&Record{Metrics: &all[c.stream][i]})
			logs = append(logs, math.Log(v))
		}
		for _, n := range []int{10, 20} {
			random := rand.New(rand.NewPCG(42, uint64(n)))
			ranks, turn := stats.NewSignedRank(n), mannWhitney(n)
			pairs, inTurn := 0.0, 0.0
			d := make([]float64, n)
			for range resamples {
				at := random.IntN(len(logs) - 2*n + 1)
				window := logs[at : at+2*n]
				for i := range d {
					d[i] = (window[2*i] - window[2*i+1]) * float64(2*random.IntN(2)-1)
				}
				if ranks.P(d) <= mistaken {
					pairs += 1. / resamples
				}
				if mannWhitneyP(turn, window[:n], window[n:]) <= mistaken {
					inTurn += 1. / resamples
				}
			}
			t.Logf("%s %s, %d of each: called in %.4f of random pairs, in %.3f in turn", c.stream, c.metric, n, pairs, inTurn)
			if pairs > seldom(mistaken) || pairs < mistaken/2 {
				t.Errorf("%s %s, %d pairs: a difference is called in %.4f, want %v to %.4f", c.stream, c.metric, n, pairs, mistaken/2, seldom(mistaken))
			}
			if c.stream == "A" && c.metric != "p99" && inTurn < .08 {
				t.Errorf("%s %s, %d and then %d: a difference is called in %.3f: the test is blind to drift", c.stream, c.metric, n, n, inTurn)
			}
		}
	}
}
