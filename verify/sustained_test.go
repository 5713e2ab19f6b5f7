package verify

import (
	"math"
	"testing"
	"time"
)

// The rate that simulation gives is the one at which Erlang's formula for M/D/1 (1909) has the quantile at the limit.
func TestSustainedIsErlangs(t *testing.T) {
	for _, c := range []struct {
		limit time.Duration
		q     float64
	}{{20 * time.Millisecond, .99}, {6 * time.Millisecond, .9}, {4 * time.Millisecond, .5}} {
		const service = 2 * time.Millisecond
		rate := Sustained(service, c.limit, c.q, 400_000, 1)
		if got := erlang(rate, service.Seconds(), (c.limit - service).Seconds()); math.Abs(got-c.q) > .1*(1-c.q) {
			t.Errorf("at %.1f/s a share %.4f of the response times is within %s, want %.4f", rate, got, c.limit, c.q)
		}
	}
}

// erlang is the share of requests that wait no longer than x, in seconds.
func erlang(rate, service, x float64) (share float64) {
	for k := 0.0; k*service <= x; k++ {
		y := rate * (k*service - x)
		share += math.Pow(y, k) / math.Gamma(k+1) * math.Exp(-y)
	}
	return (1 - rate*service) * share
}
