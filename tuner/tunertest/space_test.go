package tunertest

import (
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/sockbench/sockbench/internal/quiet"
)

func TestMain(m *testing.M) { os.Exit(quiet.Run(m)) } // these tests burn CPU

// most bounds one race: the mean is below 30 % of the trials of the whole matrix in 8 blocks.
const most = 190

func TestRaceWithoutNoise(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		s, err := NewSpace(rng, .01, nil)
		if err != nil {
			t.Fatal(err)
		}
		end, err := s.Race(t.Context(), most)
		if err != nil || !s.Good(end.Survivors[0]) || !slices.ContainsFunc(end.Survivors, s.Best) || !end.Keeps {
			t.Errorf("found %s (keeps the limit: %v) of %v, which is not as good as the best: %v", end.Survivors[0], end.Keeps, end.Survivors, err)
		}
	}
}

// On spaces that were not used to choose how a race goes on, with the noise of recorded trials. benchmarks runs 500.
func TestRaceFindsTheBest(t *testing.T) {
	races := 60
	if testing.Short() {
		races = 20
	}
	for _, residual := range []float64{.01, .04} {
		end, err := Races(t.Context(), rand.New(rand.NewPCG(26, 11)), races, residual, most)
		if err != nil {
			t.Fatal(err)
		}
		mean := 0.
		for _, n := range end.Trials {
			mean += n / float64(end.Races)
		}
		t.Logf("residual %.0f%%: a cell within 3%% of the best in %d of %d spaces, in %.0f trials in the mean", 100*residual, end.Good, end.Races, mean)
		if share := float64(end.Good) / float64(end.Races); share < .9 {
			t.Errorf("residual %.0f%%: found in %.3f", 100*residual, share)
		}
		// Single races scatter by .09 of the whole matrix: three standard errors of the mean are granted.
		if mean > (.3+3*.09/math.Sqrt(float64(races)))*Factorial {
			t.Errorf("residual %.0f%%: %.0f trials in the mean, of %d of the whole matrix", 100*residual, mean, Factorial)
		}
	}
}
