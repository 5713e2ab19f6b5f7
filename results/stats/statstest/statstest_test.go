package statstest

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sockbench/sockbench/results/stats"
)

// many is how many checks each claim is tested with here; benchmarks/README.md has the figures of 10,000.
func many() int {
	if testing.Short() {
		return 150
	}
	return 800
}

// atMost fails the test where a share is above limit by more than three standard errors of it.
func atMost(t *testing.T, what string, share, limit float64) {
	t.Helper()
	if se := math.Sqrt(limit * (1 - limit) / float64(many())); share > limit+3*se {
		t.Errorf("%s: %.4f, want at most %.3f + %.4f", what, share, limit, 3*se)
	}
}

// Where nothing differs, hardly any check of any metric finds a regression, and a loss of twice the threshold is hardly ever
// called fine, however far the pairs scatter; where they scatter little, a loss of the threshold is found in most, one of
// twice that in all, and that one is never fine.
func TestChecksOfRecordedNoise(t *testing.T) {
	rng, checks := rand.New(rand.NewPCG(20, 1)), many()
	for _, n := range All {
		none, _ := n.Check(rng, checks, 0, .05).Share(stats.Regression)
		atMost(t, n.Name+": false regressions", none, .01)
		fine, _ := n.Check(rng, checks, n.Worse(.10), .05).Share(stats.Fine)
		atMost(t, n.Name+": a loss of 10% called fine", fine, .05)
	}
	throughput := Find("throughput, closed loop")
	found, _ := throughput.Check(rng, checks, throughput.Worse(.05), .05).Share(stats.Regression)
	atMost(t, "throughput: a loss of 5% not found", 1-found, 1-.68)
	twice := throughput.Check(rng, checks, throughput.Worse(.10), .05)
	found, _ = twice.Share(stats.Regression)
	atMost(t, "throughput: a loss of 10% not found", 1-found, 1-.99)
	fine, _ := twice.Share(stats.Fine)
	atMost(t, "throughput: a loss of 10% called fine", fine, .01)
}

// The same noise makes all-old-then-all-new find what is not there: if it did not, it could not show that pairs help.
func TestBlocksAreFooledByDrift(t *testing.T) {
	rng, checks := rand.New(rand.NewPCG(20, 2)), many()
	for _, trials := range []int{10, 20} {
		if found := Find("throughput, closed loop").Blocks(rng, checks, trials, .01); float64(found) < .08*float64(checks) {
			t.Errorf("%d trials each: only %d of %d false alarms: the harness is blind to drift", trials, found, checks)
		}
	}
	// … and of values that do not drift it finds what it should.
	even := Noise{batches: make([][]float64, 1)}
	for range 14 * 200 {
		even.batches[0] = append(even.batches[0], rng.NormFloat64())
	}
	if found := even.Blocks(rng, 4000, 10, .01); found < 10 || found > 90 {
		t.Errorf("of values that do not drift %d of 4000 were false alarms, want about 40", found)
	}
}

// Drift that is none of the recorded one's: slow, strong, and with tails (AR .8 of scale .08, t with 3 degrees of freedom of
// scale .03).
func TestChecksUnderDrift(t *testing.T) {
	rng, checks := rand.New(rand.NewPCG(20, 3)), many()
	n := Noise{batches: make([][]float64, 40)}
	for b := range n.batches {
		drift := .08 * rng.NormFloat64()
		for range 80 {
			drift = .8*drift + .08*math.Sqrt(1-.64)*rng.NormFloat64()
			chi := 0.
			for range 3 {
				v := rng.NormFloat64()
				chi += v * v
			}
			n.batches[b] = append(n.batches[b], drift+.03*rng.NormFloat64()/math.Sqrt(chi/3))
		}
	}
	tally := n.Check(rng, checks, 0, .05)
	regression, _ := tally.Share(stats.Regression)
	atMost(t, "false regressions", regression, .01)
	if fine, _ := tally.Share(stats.Fine); fine < .88 {
		t.Errorf("where nothing differs %.3f are fine", fine)
	}
	if found := n.Blocks(rng, checks, 10, .01); float64(found) < .08*float64(checks) {
		t.Errorf("%d of %d false alarms of blocks: blind to drift", found, checks)
	}
}

// Where no factor does anything, hardly any effect is taken for one, and hardly any experiment claims one: of the recorded
// noise, of designs with holes, and of cells that do not scatter alike. benchmarks/README.md has the figures of more.
func TestNullEffectsOfRecordedNoise(t *testing.T) {
	rng := rand.New(rand.NewPCG(20, 4))
	for _, n := range All {
		for _, x := range []struct {
			name  string
			apart float64
			lost  int
		}{{"full", 0, 0}, {"with holes", 0, 20}, {"one level scatters more", .5, 0}} {
			tally, err := n.Experiments(rng, 150, []int{3, 2, 2, 2}, 4, x.apart, x.lost) // 14 effects each
			if err != nil {
				t.Fatal(err)
			}
			if share := float64(tally.Alone) / float64(tally.Effects); share > Most(stats.ClaimLevel, tally.Effects) {
				t.Errorf("%s, %s: %.4f of %d null effects at 1%%", n.Name, x.name, share, tally.Effects)
			}
			if share := float64(tally.Claiming) / float64(tally.Experiments); share > Most(stats.ClaimLevel, tally.Experiments) {
				t.Errorf("%s, %s: %.4f of %d experiments claim an effect", n.Name, x.name, share, tally.Experiments)
			}
		}
	}
}
