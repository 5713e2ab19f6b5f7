package stats

import (
	"math"
	"math/rand/v2"
)

// Threshold is what is known about the largest rate that still passes, after trials that passed or failed: the posterior
// distribution of its logarithm and of how sharply passing turns into failing, by the psi method (Kontsevich and Tyler
// 1999), with a lapse: bursts of the machine make a trial fail, or pass, whatever its rate. Not concurrent.
type Threshold struct {
	low, step float64 // of the grid, in ln rate
	post      [len(slopes)][gridPoints]float64
	trials    int
}

const (
	gridPoints = 400
	lapse      = .25 // of the trials tell nothing; a fifth of them pass
)

// slopes are standard deviations of ln rate over which passing turns into failing.
var slopes = [...]float64{.03, .06, .12, .25, .5}

// NewThreshold knows only that the threshold lies between two rates.
func NewThreshold(low, high float64) *Threshold {
	t := &Threshold{low: math.Log(low), step: math.Log(high/low) / (gridPoints - 1)}
	for i := range t.post {
		for j := range t.post[i] {
			t.post[i][j] = 1.0 / (gridPoints * float64(len(slopes)))
		}
	}
	return t
}

// Trials is how many were learned from.
func (t *Threshold) Trials() int { return t.trials }

// Learn takes in the outcome of a trial at rate.
func (t *Threshold) Learn(rate float64, passed bool) {
	x, sum := math.Log(rate), 0.0
	for i, s := range slopes {
		for j := range t.post[i] {
			p := .2*lapse + (1-1.2*lapse)*.5*math.Erfc((x-t.at(j))/(s*math.Sqrt2))
			if !passed {
				p = 1 - p
			}
			t.post[i][j] *= p
			sum += t.post[i][j]
		}
	}
	for i := range t.post {
		for j := range t.post[i] {
			t.post[i][j] /= sum
		}
	}
	t.trials++
}

func (t *Threshold) at(j int) float64 { return t.low + float64(j)*t.step }

// Quantile is the rate below which the threshold lies with probability p.
func (t *Threshold) Quantile(p float64) float64 {
	sum := 0.0
	for j := range gridPoints {
		here := 0.0
		for i := range t.post {
			here += t.post[i][j]
		}
		if sum+here >= p {
			return math.Exp(t.at(j) + t.step*((p-sum)/here-.5))
		}
		sum += here
	}
	return math.Exp(t.at(gridPoints - 1))
}

// Ask is the rate to try next: somewhere in the middle of where the threshold may lie, so that it does not depend on one
// outcome. The same random numbers give the same rate.
func (t *Threshold) Ask(r *rand.Rand) float64 { return t.Quantile(.3 + .4*r.Float64()) }
