package loadgen

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sockbench/sockbench/unit"
)

// shard draws one shard of the arrivals that text names.
func shard(t testing.TB, text string, d Demand) (at []time.Duration) {
	t.Helper()
	var a Arrivals
	if err := a.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	_, law, err := a.find()
	if err != nil {
		t.Fatal(err)
	}
	s := law.schedule(d)
	for {
		next, ok := s.Next()
		if !ok {
			return at
		}
		if next < 0 || next >= d.Length || len(at) > 0 && next < at[len(at)-1] {
			t.Fatalf("%s: request %d is due at %v, after one at %v, in a schedule of %v", text, len(at), next, at[max(0, len(at)-1):], d.Length)
		}
		at = append(at, next)
	}
}

// draw draws the whole, from so many shards.
func draw(t testing.TB, text string, rate unit.Rate, length time.Duration, seed uint64, shards int) (at []time.Duration) {
	t.Helper()
	for i := range shards {
		at = append(at, shard(t, text, Demand{Rate: rate, Length: length, Seed: seed, Shard: i, Of: shards})...)
	}
	slices.Sort(at)
	return at
}

// What is due at fixed times is due at those times exactly, whole and in shards: no error adds up, though the gap is no
// whole number of nanoseconds.
func TestEven(t *testing.T) {
	for _, c := range []struct {
		text  string
		size  int
		rate  unit.Rate
		count int
	}{{"constant", 1, 3000, 3000}, {"constant", 1, 1.5, 2}, {"burst:1", 1, 3000, 3000}, {"burst:16", 16, 3200, 3200}, {"burst:7", 7, 3000, 3003}, {"burst:100000", 100000, 10, 100000}} {
		at := draw(t, c.text, c.rate, time.Second, 1, 1)
		if len(at) != c.count {
			t.Errorf("%s: %d requests in 1 s at %s/s, want %d", c.text, len(at), c.rate, c.count)
		}
		for i, a := range at {
			if want := float64(i/c.size*c.size) * 1e9 / float64(c.rate); math.Abs(float64(a)-want) > 1 {
				t.Fatalf("%s: request %d at %v, want %v", c.text, i, a, time.Duration(want))
			}
		}
		if !slices.Equal(draw(t, c.text, c.rate, time.Second, 1, 3), at) {
			t.Errorf("%s: three shards do not superpose to the whole schedule", c.text)
		}
	}
	long := draw(t, "burst:16", 1600, 1000*time.Second, 1, 1)
	if last := long[len(long)-1]; last != 1000*time.Second-10*time.Millisecond || len(long) != 1_600_000 {
		t.Errorf("after 1000 s: %d requests, the last at %v", len(long), last)
	}
}

// law is what is known of arrivals: how many are expected until x, a part of the whole length from 0 to 1.
type law struct {
	text     string
	rate     unit.Rate
	expected func(x float64) float64
}

// Over 20 s.
var laws = []law{
	{"poisson", 1000, func(x float64) float64 { return 20_000 * x }},
	{"ramp:500-1500", 0, func(x float64) float64 { return 10_000*x + 10_000*x*x }},
	{"ramp:2k-0", 0, func(x float64) float64 { return 40_000*x - 20_000*x*x }},
	{"ramp:0-2k", 0, func(x float64) float64 { return 20_000 * x * x }},
	{"ramp:1k-1k", 0, func(x float64) float64 { return 20_000 * x }},
	{"steps:1k,0,2k,500", 0, func(x float64) float64 {
		return 5000*min(x/.25, 1) + 10_000*min(max(x-.5, 0)/.25, 1) + 2500*max(x-.75, 0)/.25
	}},
}

// kolmogorov is the scaled distance between arrivals and a law, given how many there are: it exceeds 1.63 by chance
// once in a hundred times (Kolmogorov 1933).
func kolmogorov(at []time.Duration, length time.Duration, l law) float64 {
	n, far := float64(len(at)), 0.0
	for i, a := range at {
		f := l.expected(float64(a)/float64(length)) / l.expected(1)
		far = max(far, math.Abs(f-float64(i)/n), math.Abs(f-float64(i+1)/n))
	}
	return far * math.Sqrt(n)
}

// Arrivals at random follow their law and no other, whole and in shards, and in time that runs by expected requests,
// gaps are exponential with mean 1.
func TestRandomArrivals(t *testing.T) {
	const length, critical = 20 * time.Second, 1.63
	for _, l := range laws {
		for _, shards := range []int{1, 4} {
			at := draw(t, l.text, l.rate, length, 7, shards)
			n := float64(len(at))
			if want := l.expected(1); math.Abs(n-want) > 4*math.Sqrt(want) {
				t.Errorf("%s in %d shards: %v requests, want %v ± %.0f", l.text, shards, n, want, 4*math.Sqrt(want))
			}
			for _, other := range laws {
				far, same := kolmogorov(at, length, other), other.expected(.37)/other.expected(1) == l.expected(.37)/l.expected(1)
				if same && far > critical || !same && far < 5*critical {
					t.Errorf("%s in %d shards is %.2f from %s", l.text, shards, far, other.text)
				}
			}
			var sum, squares, beyond float64
			last := 0.0
			for _, a := range at {
				now := l.expected(float64(a) / float64(length))
				gap := now - last
				last = now
				sum, squares = sum+gap, squares+gap*gap
				if gap > 3 {
					beyond++
				}
			}
			if mean := sum / n; math.Abs(mean-1) > 4/math.Sqrt(n) {
				t.Errorf("%s in %d shards: gaps of %.3f on average, want 1", l.text, shards, mean)
			}
			if v := squares/n - 1; math.Abs(v-1) > 4*math.Sqrt(20/n) { // the variance of a squared gap is 20
				t.Errorf("%s in %d shards: the gaps' variance is %.3f, want 1", l.text, shards, v)
			}
			if p, want := beyond/n, math.Exp(-3); math.Abs(p-want) > 4*math.Sqrt(want/n) {
				t.Errorf("%s in %d shards: %.4f of the gaps are over 3, want %.4f", l.text, shards, p, want)
			}
		}
		if !slices.Equal(draw(t, l.text, l.rate, length, 7, 2), draw(t, l.text, l.rate, length, 7, 2)) {
			t.Errorf("%s: the same seed gives other times", l.text)
		}
		if slices.Equal(draw(t, l.text, l.rate, length, 7, 1)[:10], draw(t, l.text, l.rate, length, 8, 1)[:10]) {
			t.Errorf("%s: another seed gives the same times", l.text)
		}
		if a, b := shard(t, l.text, Demand{Rate: l.rate, Length: length, Seed: 7, Of: 2}), shard(t, l.text, Demand{Rate: l.rate, Length: length, Seed: 7, Shard: 1, Of: 2}); slices.Equal(a[:10], b[:10]) {
			t.Errorf("%s: two shards are the same", l.text)
		}
	}
}

// A step of rate 0 holds nothing, and rates far apart do not disturb each other.
func TestStepsKeepApart(t *testing.T) {
	at := draw(t, "steps:0.001,100k,0,300", 0, 4*time.Second, 3, 2)
	var in [4]float64
	for _, a := range at {
		in[a/time.Second]++
	}
	if in[0] > 1 || math.Abs(in[1]-100_000) > 4*math.Sqrt(100_000) || in[2] != 0 || math.Abs(in[3]-300) > 4*math.Sqrt(300) {
		t.Errorf("the steps hold %v requests", in)
	}
}

func TestArrivalsText(t *testing.T) {
	for in, want := range map[string]string{
		"poisson": "poisson", " constant ": "constant", "poisson:": "poisson", "burst:1k": "burst:1000", "burst: 16": "burst:16",
		"ramp:1000-20k": "ramp:1k-20k", "ramp: 0 - 5/s": "ramp:0-5", "steps:1000, 2000/s,0": "steps:1k,2k,0", "steps:7": "steps:7",
		"trace:/no/such/file#0123456789abcdef": "trace:/no/such/file#0123456789abcdef",
	} {
		var a, again Arrivals
		if err := a.UnmarshalText([]byte(in)); err != nil || a.String() != want {
			t.Errorf("%q reads as %q, %v; want %q", in, a, err, want)
		}
		data, err := json.Marshal(a)
		if err == nil {
			err = json.Unmarshal(data, &again)
		}
		if err != nil || again != a {
			t.Errorf("%q reads back from %s as %q, %v", in, data, again, err)
		}
	}
	for in, says := range map[string]string{
		"": "choose one of poisson", "possion": "burst:16", "poisson:3": "no argument", "burst": "burst:16", "burst:0": "burst:16", "burst:1.5": "burst:16",
		"burst:2M": "at most burst:1000000", "ramp:5k": "two rates", "ramp:a-b": `"a" is not a rate`, "ramp:1k-2k-3k": "two rates", "ramp:0-0": "above 0",
		"ramp:-1-5": "two rates", "steps:": "steps:1k,5k,2k", "steps:1k,,2k": `"" is not a rate`, "steps:0,0": "above 0", "steps:2000M": "too large",
		"steps:" + strings.Repeat("1,", 1000) + "1": "1001 steps", "trace:": "trace:FILE", "trace:/no/such/file": "no such file",
		"trace:here#0123456789abcdef": "no such file", "trace:/": "no regular file",
	} {
		var a Arrivals
		if err := a.UnmarshalText([]byte(in)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.40q reads as %q, error %v; want one that says %q", in, a, err, says)
		}
	}
}

func TestMeanRate(t *testing.T) {
	for text, want := range map[string]struct {
		mean unit.Rate
		sets bool
	}{"poisson": {}, "burst:5": {}, "ramp:1k-20k": {10_500, true}, "steps:1k,0,5k": {2000, true}, "trace:/x#0123456789abcdef": {0, true}} {
		var s Spec
		if err := s.Arrivals.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if mean, sets := s.Arrivals.SetsRate(); mean != want.mean || sets != want.sets || s.OpenLoop() != want.sets {
			t.Errorf("%s sets the rate: %v, %v; open loop: %v", text, mean, sets, s.OpenLoop())
		}
	}
	s := spec()
	s.Arrivals = Arrivals{"ramp", "1k-3k"}
	for rate, fine := range map[unit.Rate]bool{0: true, 2000: true, 2001: false} {
		if s.Rate = rate; (s.Check() == nil) != fine {
			t.Errorf("rate %s beside %s: %v", rate, s.Arrivals, s.Check())
		}
	}
}

// FuzzArrivals: what is read is written so that it reads the same, and its schedule is one.
func FuzzArrivals(f *testing.F) {
	for _, l := range Laws {
		f.Add(l.Form())
	}
	f.Add("ramp:0-1e-9")
	f.Add("steps:0,1M,0.001")
	f.Fuzz(func(t *testing.T, text string) {
		var a, again Arrivals
		if strings.HasPrefix(strings.TrimSpace(text), "trace") || a.UnmarshalText([]byte(text)) != nil { // FuzzTrace's, and reads files
			return
		}
		if err := again.UnmarshalText([]byte(a.String())); err != nil || again != a {
			t.Fatalf("%q writes %q, which reads as %q, %v", text, a, again, err)
		}
		const length = 10 * time.Microsecond
		if at := draw(t, text, 1e6, length, 1, 2); !slices.IsSorted(at) {
			t.Errorf("%q: %v", text, at)
		}
	})
}
