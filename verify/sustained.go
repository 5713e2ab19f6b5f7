package verify

import (
	"math/rand/v2"
	"time"
)

// Sustained is the highest rate of Poisson arrivals, in requests per second, at which a share q of the response times is
// within limit, of a server that serves one request after another and takes service for each: the steady state of M/D/1, by
// Lindley's recursion over n simulated requests (Lindley 1952). Erlang's formula (1909) gives the same, as the test shows.
func Sustained(service, limit time.Duration, q float64, n int, seed uint64) float64 {
	draw := rand.New(rand.NewPCG(seed, 1))
	unit := make([]float64, n) // arrivals at a rate of 1
	for k, t := 0, 0.0; k < n; k++ {
		t += draw.ExpFloat64()
		unit[k] = t
	}
	works, at := constant(float64(service), n), make([]float64, n)
	within := func(rate float64) bool {
		for k := range at {
			at[k] = unit[k] / rate * 1e9
		}
		kept := 0
		for _, t := range Lindley(at, works, 0) {
			if t <= float64(limit) {
				kept++
			}
		}
		return float64(kept) >= q*float64(n)
	}
	low, high := 0.0, 1/service.Seconds()
	for range 40 {
		if middle := (low + high) / 2; within(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}
