package main

import (
	"context"
	"math"
	"slices"

	"github.com/sockbench/sockbench/tuner/tunertest"
)

// The races: how many, and how many trials one may take.
const (
	races    = 500
	raceMost = 190
)

// residuals are by how much the cells of a space differ beyond what a model of pairs of factors explains.
var residuals = []float64{.01, .04}

func raceClaims() (claims []claim) {
	for _, what := range []string{"1 % of a cell is beyond any pair of factors", "4 % of a cell is"} {
		claims = append(claims,
			claim{what + ": a cell within 3 % of the best was found", atLeast(.95), share},
			claim{"… trials, of those of all cells in 8 blocks, in the mean", atMost(.3), share})
	}
	return claims
}

// simulatedRaces runs races over recorded noise.
func simulatedRaces(ctx context.Context, b *bench) (figures []figure, err error) {
	const how = "`go run . -only race`: 500 races over the closed loops of `results/stats/statstest/noise.csv`, 190 trials each at most"
	for _, residual := range residuals {
		end, err := tunertest.Races(ctx, b.rng, races, residual, raceMost)
		if err != nil {
			return nil, err
		}
		found := shareOf(end.Good, end.Races, how)
		found.note = "share of the races, with Wilson's interval"
		figures = append(figures, found, meanOf(end.Trials, tunertest.Factorial, how))
	}
	return figures, nil
}

// meanOf is the mean of the values in units of one, with its interval of 95 %.
func meanOf(values []float64, one float64, how string) figure {
	n, mean, sum := float64(len(values)), 0., 0.
	for _, v := range values {
		mean += v / one / n
	}
	for _, v := range values {
		sum += (v/one - mean) * (v/one - mean)
	}
	half := 1.96 * math.Sqrt(sum/(n-1)/n)
	return figure{got: estimate{len(values), mean, mean - half, mean + half, slices.Min(values) / one, slices.Max(values) / one},
		how: []string{how}, note: "mean of the races, with its interval"}
}
