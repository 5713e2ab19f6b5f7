package loadgen

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/sockbench/sockbench/unit"
)

// Schedule says when requests are due: offsets from the start of the warm-up, never decreasing. It is pure: it knows
// neither the clock nor what came of earlier requests, which is what keeps a slow server from slowing its own load.
type Schedule interface {
	Next() (at time.Duration, ok bool)
}

// Law is one arrival law. New makes the schedule of shard out of of: together the shards are the asked rate.
type Law struct {
	Name, Doc string
	New       func(rate unit.Rate, length time.Duration, seed uint64, shard, of int) Schedule
}

// Arrivals lists the arrival laws. The first is the default.
var Arrivals = []Law{
	{"poisson", "independent arrivals: exponential gaps, as from many users who do not know of each other", newPoisson},
	{"constant", "equal gaps", newConstant},
}

func findLaw(name unit.Word) (*Law, error) {
	names := make([]string, len(Arrivals))
	for i := range Arrivals {
		if names[i] = Arrivals[i].Name; names[i] == string(name) {
			return &Arrivals[i], nil
		}
	}
	return nil, fmt.Errorf("no arrivals %q: choose one of %s", name, strings.Join(names, ", "))
}

type poisson struct {
	rng          *rand.Rand
	gap, at, end float64 // nanoseconds, as floats: rounding every gap would shift the rate
}

func newPoisson(rate unit.Rate, length time.Duration, seed uint64, shard, of int) Schedule {
	return &poisson{rng: rand.New(rand.NewPCG(seed, uint64(shard)+1)), gap: 1e9 * float64(of) / float64(rate), end: float64(length)}
}

func (p *poisson) Next() (time.Duration, bool) {
	p.at += p.rng.ExpFloat64() * p.gap
	return time.Duration(p.at), p.at < p.end
}

type constant struct {
	gap, end float64
	n, step  int
}

func newConstant(rate unit.Rate, length time.Duration, _ uint64, shard, of int) Schedule {
	return &constant{gap: 1e9 / float64(rate), end: float64(length), n: shard, step: of}
}

func (c *constant) Next() (time.Duration, bool) {
	at := float64(c.n) * c.gap // a product, not a sum: no error adds up
	c.n += c.step
	return time.Duration(at), at < c.end
}
