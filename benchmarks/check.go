package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/sockbench/sockbench/results/stats"
	"github.com/sockbench/sockbench/results/stats/statstest"
)

// The simulated checks.
const (
	simulated  = 10_000
	checkWorse = .05 // their threshold
	bySE       = 3   // standard errors that a share of so many may be off
)

// within is a limit on a share of simulated checks, with what chance may add to it.
func within(share float64) limit {
	return atMost(share + bySE*math.Sqrt(share*(1-share)/simulated))
}

// simulationClaims are of each recorded noise, and further ones of the first, which a threshold of 5 % is meant for.
func simulationClaims() (claims []claim) {
	for i, n := range statstest.All {
		found, fine, drift := limit{}, within(.05), limit{}
		if i == 0 {
			found, fine, drift = atLeast(.99), within(.01), atLeast(.08)
		}
		claims = append(claims,
			claim{n.Name + ", nothing differs: regressions", within(.01), share},
			claim{"… a loss of 10 %: regressions found", found, share},
			claim{"… of which called fine", fine, share},
			claim{"… nothing differs, 10 old trials and then 10 new ones: false alarms of Mann–Whitney at 1 %", drift, share})
	}
	return append(claims,
		claim{"throughput, a loss of 5 %: regressions found", atLeast(.68), share},
		claim{"throughput, 1/1.05 of the old one, which is the threshold: regressions found", limit{}, share},
		claim{"throughput, nothing differs: fine", limit{}, share},
		claim{"throughput, nothing differs: pairs until the verdict, in the mean", limit{}, plain},
		claim{"throughput, nothing differs, 20 old trials and then 20 new ones: false alarms of Mann–Whitney at 1 %", atLeast(.08), share})
}

// simulatedChecks runs checks over recorded noise. Without false alarms where drift has its way it would be blind to drift.
func simulatedChecks(_ context.Context, b *bench) (figures []figure, err error) {
	of := func(count int) figure {
		return shareOf(count, simulated, "`go run . -only check-simulated`: 10,000 checks over the trials of `results/stats/statstest/noise.csv`")
	}
	for _, n := range statstest.All {
		none, lost := n.Check(b.rng, simulated, 0, checkWorse), n.Check(b.rng, simulated, n.Worse(.10), checkWorse)
		figures = append(figures, of(none.Of[stats.Regression]), of(lost.Of[stats.Regression]), of(lost.Of[stats.Fine]), of(n.Blocks(b.rng, simulated, 10, .01)))
	}
	n := statstest.All[0]
	none, lost, threshold := n.Check(b.rng, simulated, 0, checkWorse), n.Check(b.rng, simulated, n.Worse(.05), checkWorse), n.Check(b.rng, simulated, math.Log1p(checkWorse), checkWorse)
	pairs := of(0)
	pairs.got.value = math.Round(10*none.Pairs) / 10
	pairs.got.low, pairs.got.high = pairs.got.value, pairs.got.value
	return append(figures, of(lost.Of[stats.Regression]), of(threshold.Of[stats.Regression]), of(none.Of[stats.Fine]), pairs, of(n.Blocks(b.rng, simulated, 20, .01))), nil
}

// shareOf is count of n, with the interval of Wilson (1927).
func shareOf(count, n int, how string) figure {
	const z = 1.96
	p, m := float64(count)/float64(n), float64(n)
	middle, half := (p+z*z/(2*m))/(1+z*z/m), z/(1+z*z/m)*math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	low, high := math.Max(0, math.Min(p, middle-half)), math.Min(1, math.Max(p, middle+half))
	return figure{got: estimate{n, p, low, high, p, p}, how: []string{how}, note: "share of the checks, with Wilson's interval"}
}

// The real checks: how many of which kind, and their trials.
const (
	sameSides = 40
	planted   = 10

	checkWarmup, checkDuration = 100 * time.Millisecond, 500 * time.Millisecond
)

func sameClaims() []claim {
	return []claim{
		{"the same command on both sides: checks that found a regression", atMost(1. / sameSides), share},
		{"… checks that found it fine, or improved", limit{}, share},
		{"… time to the verdict", limit{}, nanoseconds},
	}
}

func plantedClaims() []claim {
	return []claim{
		{"service time of 200 µs and 220 µs: regressions found", atLeast(1), share},
		{"… intervals that hold the true ratio", atLeast(.9), share},
		{"… time to the verdict", limit{}, nanoseconds},
		{"service time of 200 µs and 240 µs: regressions found", atLeast(1), share},
		{"… intervals that hold the true ratio", atLeast(.9), share},
		{"… time to the verdict", limit{}, nanoseconds},
	}
}

// checksOfTheSame runs checks in which nothing differs.
func checksOfTheSame(ctx context.Context, b *bench) (figures []figure, err error) {
	serve := b.sockbench + " serve --target epoll --listen 127.0.0.1:{port}"
	same, err := b.checks(ctx, "same", b.few(sameSides), "--old", serve, "--new", serve)
	if err != nil {
		return nil, err
	}
	return []figure{same.share(func(c verdict) bool { return c.Verdict == "regression" }),
		same.share(func(c verdict) bool { return c.Verdict == "fine" || c.Verdict == "improvement" }), same.time()}, nil
}

// plantedChecks runs checks whose answer is arithmetic.
func plantedChecks(ctx context.Context, b *bench) (figures []figure, err error) {
	for _, service := range []int{220, 240} {
		// What a request costs beside the service is in both, and is taken from the old side's own CPU time.
		p, err := b.checks(ctx, fmt.Sprint(service), b.few(planted), "--target", "epoll", "--connections", "16",
			"--old", "service_time=200us", "--new", fmt.Sprintf("service_time=%dus", service))
		if err != nil {
			return nil, err
		}
		figures = append(figures, p.share(func(c verdict) bool { return c.Verdict == "regression" }),
			p.share(func(c verdict) bool { return c.holds(200, float64(service)) }), p.time())
	}
	return figures, nil
}

// verdict is what is looked at of check -o json.
type verdict struct {
	Verdict  string
	Findings []struct {
		Effect struct{ Ratio, Low, High float64 }
		Pairs  int
	}
	Cells []struct {
		Cell    map[string]string
		Metrics map[string]float64
	}
	took time.Duration
}

// holds says whether the interval holds the ratio of two service times in µs, of a server that does nothing else but what
// a request costs it beside that.
func (v verdict) holds(old, new float64) bool {
	beside := v.Cells[0].Metrics["server_cpu_per_request"]/1e3 - old
	truth, e := (old+beside)/(new+beside), v.Findings[0].Effect
	return e.Low <= truth && truth <= e.High
}

// series is a number of checks with the same sides.
type series struct {
	typed string
	all   []verdict
	of    []record
}

// few is n, or as much fewer as -checks is than sameSides.
func (b *bench) few(n int) int { return max(1, n*b.sameChecks/sameSides) }

func (b *bench) checks(ctx context.Context, name string, count int, sides ...string) (s series, err error) {
	argv := append([]string{b.sockbench, "check"}, sides...)
	argv = append(argv, "--duration", checkDuration.String(), "--warmup", checkWarmup.String())
	s.typed = strings.ReplaceAll(shown(argv), b.sockbench, "sockbench")
	for i := range count {
		dir := filepath.Join(b.dir, fmt.Sprintf("check-%s-%d", name, i))
		v, began := verdict{}, time.Now()
		err := b.ask(ctx, argv, dir, &v)
		v.took = time.Since(began)
		if err == nil && (len(v.Findings) != 1 || len(v.Cells) != 2) {
			err = errors.New("it has no finding")
		}
		if err != nil {
			return s, fmt.Errorf("%s: %w", s.typed, err)
		}
		records, err := readRecords(dir)
		if err != nil {
			return s, err
		}
		s.all, s.of = append(s.all, v), append(s.of, records...)
		e := v.Findings[0].Effect
		b.say("  %s %d: %s, ratio %.3f (%.3f – %.3f), %d pairs, %s", name, i+1, v.Verdict, e.Ratio, e.Low, e.High, v.Findings[0].Pairs, v.took.Round(time.Second/10))
	}
	return s, nil
}

func (s series) share(of func(verdict) bool) figure {
	n := 0
	for _, v := range s.all {
		if of(v) {
			n++
		}
	}
	f := shareOf(n, len(s.all), s.typed)
	f.note, f.foreign = fmt.Sprintf("%d of %d; %s", n, len(s.all), regimes(s.of)), foreign(s.of)
	return f
}

func (s series) time() figure {
	var took []float64
	for _, v := range s.all {
		took = append(took, float64(v.took))
	}
	return figure{got: median(took), how: []string{s.typed}, note: "median; " + regimes(s.of), foreign: foreign(s.of)}
}
