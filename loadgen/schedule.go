package loadgen

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/sockbench/sockbench/unit"
)

// Schedule says when requests are due: offsets from the start of the warm-up, never decreasing. It is pure: it knows
// neither the clock nor what came of earlier requests, which is what keeps a slow server from slowing its own load.
type Schedule interface {
	Next() (at time.Duration, ok bool)
}

// Demand is what a schedule is made for.
type Demand struct {
	Rate   unit.Rate       // on average; a law that sets the rate itself does not look at it
	Length time.Duration   // warm-up and measure phase
	Seed   uint64          // equal seeds draw equal times
	Shard  int             // from 0 to Of − 1: together the shards are what is asked
	Of     int             // at least 1
	Trace  []time.Duration // what ReadTrace read, for law trace
}

// Law is one arrival law.
type Law struct {
	Name, Doc string
	Example   string // of one that takes an argument; "": it takes none
	SetsRate  bool   // its argument is the rate
	read      func(arg string) (shape, error)
}

// shape is a law with its argument.
type shape struct {
	arg      string    // canonical
	mean     unit.Rate // of a law that sets the rate; 0: it depends on the length
	schedule func(Demand) Schedule
}

// Laws lists the arrival laws. The first is the default.
var Laws = []Law{
	{Name: "poisson", Doc: "independent arrivals: exponential gaps, as from many users who do not know of each other",
		read: plain(func(d Demand) Schedule { return newPoisson(d, span{d.Rate, d.Rate}) })},
	{Name: "constant", Doc: "equal gaps",
		read: plain(func(d Demand) Schedule { return newEven(d, 1) })},
	{Name: "burst", Example: "burst:16", read: readBurst,
		Doc: "so many requests due at one instant, and equal gaps between the bursts"},
	{Name: "ramp", Example: "ramp:1k-20k", SetsRate: true, read: readRamp,
		Doc: "independent arrivals; the rate rises or falls evenly over warm-up and measure phase"},
	{Name: "steps", Example: "steps:1k,5k,2k", SetsRate: true, read: readSteps,
		Doc: "independent arrivals at each rate for an equal part of warm-up and measure phase"},
	{Name: "trace", Example: "trace:FILE", SetsRate: true, read: readTraceName,
		Doc: "at offsets from the start of the warm-up, one a line: 0.0015 (seconds) or 1.5ms"},
}

// Arrivals is a law and its argument. Text: "poisson", "burst:16", "ramp:1k-20k", "steps:1k,5k,2k", "trace:FILE", which
// is read then and becomes "trace:/where/FILE#digest": that text names what was read, wherever the file has gone since.
type Arrivals struct{ Law, Arg string }

func (a *Arrivals) UnmarshalText(text []byte) error {
	law, arg, _ := strings.Cut(string(text), ":")
	v := Arrivals{strings.TrimSpace(law), strings.TrimSpace(arg)}
	_, s, err := v.find()
	if err != nil {
		return err
	}
	v.Arg = s.arg
	*a = v
	return nil
}

func (a Arrivals) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

func (a Arrivals) String() string {
	if a.Arg == "" {
		return a.Law
	}
	return a.Law + ":" + a.Arg
}

func (a Arrivals) find() (*Law, shape, error) {
	i := slices.IndexFunc(Laws, func(l Law) bool { return l.Name == a.Law })
	if i < 0 {
		var forms []string
		for _, l := range Laws {
			forms = append(forms, l.Form())
		}
		return nil, shape{}, fmt.Errorf("no arrivals %q: choose one of %s", a.Law, strings.Join(forms, "; "))
	}
	law := &Laws[i]
	if law.Example == "" && a.Arg != "" {
		return nil, shape{}, fmt.Errorf("arrivals %s take no argument %q", a.Law, a.Arg)
	}
	if law.Example != "" && a.Arg == "" {
		return nil, shape{}, fmt.Errorf("arrivals %s need an argument: write for example %s", a.Law, law.Example)
	}
	s, err := law.read(a.Arg)
	return law, s, err
}

// Form is how the law is written: its name, or an example with an argument.
func (l Law) Form() string {
	if l.Example != "" {
		return l.Example
	}
	return l.Name
}

// SetsRate says whether the arrivals are their own rate, and its mean; 0: that depends on the length.
func (a Arrivals) SetsRate() (mean unit.Rate, sets bool) {
	law, s, err := a.find()
	if err != nil {
		return 0, false
	}
	return s.mean, law.SetsRate
}

// OpenLoop says whether requests are due by a schedule.
func (s *Spec) OpenLoop() bool {
	_, sets := s.Arrivals.SetsRate()
	return sets || s.Rate > 0
}

// plain reads the argument of a law that takes none.
func plain(schedule func(Demand) Schedule) func(string) (shape, error) {
	return func(string) (shape, error) { return shape{schedule: schedule}, nil }
}

// Bounds of what arguments ask for.
const (
	maxBurst = 1_000_000 // requests
	maxSteps = 1000
)

func readBurst(arg string) (shape, error) {
	var size unit.Count
	if err := size.UnmarshalText([]byte(arg)); err != nil || size < 1 || size > maxBurst {
		return shape{}, fmt.Errorf("%q is no size of a burst: write for example burst:16, at most burst:%d", arg, maxBurst)
	}
	return shape{arg: size.String(), schedule: func(d Demand) Schedule { return newEven(d, int(size)) }}, nil
}

func readRamp(arg string) (shape, error) {
	first, last, _ := strings.Cut(arg, "-")
	rates, mean, err := readRates(first, last)
	if err != nil {
		return shape{}, fmt.Errorf("ramp:%s: %w; a ramp is two rates, as ramp:1k-20k", arg, err)
	}
	return shape{arg: rates[0].String() + "-" + rates[1].String(), mean: mean,
		schedule: func(d Demand) Schedule { return newPoisson(d, span{rates[0], rates[1]}) }}, nil
}

func readSteps(arg string) (shape, error) {
	parts := strings.Split(arg, ",")
	if len(parts) > maxSteps {
		return shape{}, fmt.Errorf("%d steps are too many: at most %d", len(parts), maxSteps)
	}
	rates, mean, err := readRates(parts...)
	if err != nil {
		return shape{}, fmt.Errorf("steps:%s: %w; steps are rates, as steps:1k,5k,2k", arg, err)
	}
	var texts []string
	var spans []span
	for _, r := range rates {
		texts, spans = append(texts, r.String()), append(spans, span{r, r})
	}
	return shape{arg: strings.Join(texts, ","), mean: mean,
		schedule: func(d Demand) Schedule { return newPoisson(d, spans...) }}, nil
}

// readRates reads rates that are not all 0, and their mean.
func readRates(texts ...string) (rates []unit.Rate, mean unit.Rate, err error) {
	for _, text := range texts {
		var r unit.Rate
		if err := r.UnmarshalText([]byte(text)); err != nil {
			return nil, 0, err
		}
		rates = append(rates, r)
		mean += r
	}
	if mean == 0 {
		return nil, 0, errors.New("a rate above 0 is needed")
	}
	return rates, mean / unit.Rate(len(rates)), nil
}

// even is bursts of so many requests with equal gaps between them.
type even struct {
	gap, end      float64 // nanoseconds; gap is of a single request
	size, n, step int
}

func newEven(d Demand, size int) Schedule {
	return &even{gap: 1e9 / float64(d.Rate), end: float64(d.Length), size: size, n: d.Shard, step: d.Of}
}

func (e *even) Next() (time.Duration, bool) {
	at := float64(e.n/e.size*e.size) * e.gap // a product, not a sum: no error adds up
	e.n += e.step
	return time.Duration(at), at < e.end
}

// span is a part of a schedule over which the rate goes evenly from one to another.
type span struct{ from, to unit.Rate }

// poisson is a Poisson process whose rate changes over spans of equal length: the points of a process of rate 1, at
// the times by which that many requests are expected (Çinlar 1975, 4.7). Several of 1/n the rate each, independent of
// each other, are together one of the whole rate.
type poisson struct {
	rng    *rand.Rand
	of     float64
	spans  []span  // those not over
	begin  float64 // of the first of them, nanoseconds
	length float64 // of each, nanoseconds
	due    float64 // requests expected from begin until the last one drawn
	at     time.Duration
}

func newPoisson(d Demand, spans ...span) Schedule {
	return &poisson{rng: rand.New(rand.NewPCG(d.Seed, uint64(d.Shard)+1)), of: float64(d.Of), spans: spans,
		length: float64(d.Length) / float64(len(spans))}
}

func (p *poisson) Next() (time.Duration, bool) {
	p.due += p.rng.ExpFloat64() * p.of
	for ; len(p.spans) > 0; p.spans = p.spans[1:] {
		from, to := float64(p.spans[0].from)/1e9, float64(p.spans[0].to)/1e9
		if expected := (from + to) / 2 * p.length; p.due >= expected {
			p.due -= expected
			p.begin += p.length
			continue
		}
		// The root of from·t + (to − from)/length·t²/2 = due, in the form that never subtracts near numbers.
		t := 0.0
		if p.due > 0 {
			t = 2 * p.due / (from + math.Sqrt(max(0, from*from+2*(to-from)/p.length*p.due)))
		}
		p.at = max(p.at, time.Duration(p.begin+min(t, p.length))) // rounding must not put one before the last
		return p.at, true
	}
	return 0, false
}
