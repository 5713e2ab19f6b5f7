package results

import (
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results/stats"
)

// effectsOn is EffectsOn by name.
func effectsOn(t *testing.T, name string, p *plan.Plan, rs []Record) *MetricEffects {
	t.Helper()
	m, ok := FindMetric(name)
	if !ok {
		t.Fatalf("no metric %s", name)
	}
	return EffectsOn(m, p, rs)
}

// of is the effect of a level.
func (m *MetricEffects) of(t *testing.T, knob, level string) FactorEffect {
	t.Helper()
	i := slices.IndexFunc(m.Effects, func(e FactorEffect) bool { return e.Knob == knob && e.Level == level })
	if i < 0 {
		t.Fatalf("no effect of %s=%s in\n%s", knob, level, strings.Join(m.Lines(), "\n"))
	}
	return m.Effects[i]
}

// Nagle's delay of the recorded run is there with split writes and nowhere else, and that is what is said.
func TestNagleIsAnInteraction(t *testing.T) {
	p, rs := recorded(t)
	all := effectsOn(t, "p50", p, rs)
	on := all.of(t, "TCP_NODELAY", "on")
	if len(on.Depends) == 0 || on.Depends[0] != "write" {
		t.Fatalf("it depends on %v:\n%s", on.Depends, on.Claim)
	}
	for _, part := range on.Parts {
		switch part.At["write"] {
		case "split":
			if part.Evidence != stats.Shown || part.Effect.Ratio > .01 {
				t.Errorf("at %v: %+v", part.At, part)
			}
		case "single":
			if part.Evidence == stats.Shown || part.Effect.Low > 1 || part.Effect.High < 1 {
				t.Errorf("at %v: %+v", part.At, part)
			}
		default:
			t.Errorf("an effect over both ways of writing: %+v", part)
		}
	}
}

// Each kind of evidence has its words, and none of them is that of another.
func TestEffectsInWords(t *testing.T) {
	p := threeByTwo(t, 10)
	rng := rand.New(rand.NewPCG(7, 7))
	planted := made(t, p, func(c plan.Cell) float64 {
		switch {
		case c["target"] == "blocking":
			return 2e6
		case c["target"] == "goroutine" && c["TCP_NODELAY"] == "on":
			return .25e6
		}
		return 1e6
	})
	noisy := made(t, p, func(plan.Cell) float64 { return 1e6 * math.Exp(rng.NormFloat64()) })
	holes := slices.Clone(planted)
	for i, r := range holes {
		if r.Cell["target"] == "blocking" && r.Cell["TCP_NODELAY"] == "on" || r.Block == 3 && r.Cell["target"] == "epoll" {
			holes[i] = failed(r.Trial, "it did not start")
		}
	}
	for _, x := range []struct {
		rs   []Record
		want []string // regular expressions, each of a line
	}{
		{planted, []string{
			`^Beside each factor's first level, with 99% intervals of the ratio; from 60 trials, which scatter by \d+% within their cells\.$`,
			`^target=blocking beside epoll: p50 × 2\.0 \((1\.9|2\.0)\d–2\.0\d\)\.$`,
			`^target=goroutine beside epoll, an interaction with TCP_NODELAY: p50 ÷ 4\.\d with TCP_NODELAY=on \(0\.2\d–0\.2\d\); no effect shown with TCP_NODELAY=off \(0\.9\d–1\.0\d\)\.$`,
			`^TCP_NODELAY=on beside off, an interaction with target: p50 ÷ 4\.\d with target=goroutine \(0\.2\d–0\.2\d\); no effect shown with target=(epoll|blocking) \(\S+\); no effect shown with target=(epoll|blocking) \(\S+\)\.$`,
		}},
		{noisy, []string{
			`^target=blocking beside epoll: too noisy to say: ±\d+%\.$`,
			`^TCP_NODELAY=on beside off: too noisy to say: ±\d+%\.$`,
			`^Too noisy to say whether they act together: target × TCP_NODELAY \(±\d+%\)\.$`,
		}},
		{holes, []string{
			`^target=blocking beside epoll: p50 × 2\.0 with TCP_NODELAY=off \(.*\)\. With TCP_NODELAY=on it is not known: no two cells there differ in target alone and can be compared\.$`,
			`^Unbalanced: 1 of 6 cells left out \(target=blocking TCP_NODELAY=on\): its trials failed, or are not sound\.$`,
			`^Unbalanced: cells have 9 to 10 trials that count\.$`,
		}},
		{planted[:6], []string{`^None: 6 trials of 6 cells do not say by how much trials scatter: it takes two blocks and more\.$`}},
	} {
		lines := effectsOn(t, "p50", p, x.rs).Lines()
		for _, want := range x.want {
			if !slices.ContainsFunc(lines, regexp.MustCompile(want).MatchString) {
				t.Errorf("no line is %s:\n%s", want, strings.Join(lines, "\n"))
			}
		}
	}
	if lines := effectsOn(t, "throughput", p, planted).Lines(); !strings.Contains(strings.Join(lines, " "), "the throughput of an open loop is what was offered") {
		t.Errorf("throughput of an open loop:\n%s", strings.Join(lines, "\n"))
	}
}

// Where no two cells differ in one factor alone, it is said that they are a fraction, and of a half what is aliased.
func TestFractionsAreNamed(t *testing.T) {
	halved, err := plan.New("x", 1, 8, 0, 1e9, []plan.Factor{{Knob: "write", Levels: []string{"single", "split"}},
		{Knob: "TCP_NODELAY", Levels: []string{"off", "on"}}, {Knob: "connections", Levels: []string{"8", "16"}}})
	if err != nil {
		t.Fatal(err)
	}
	latin, err := plan.New("x", 1, 8, 0, 1e9, []plan.Factor{{Knob: "target", Levels: []string{"epoll", "blocking", "pool"}}, {Knob: "connections", Levels: []string{"8", "16", "24"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		plan    *plan.Plan
		cells   []string // labels, of those that were run
		nothing string
	}{
		{halved, []string{"write=single TCP_NODELAY=off connections=8", "write=split TCP_NODELAY=on connections=8", "write=split TCP_NODELAY=off connections=16", "write=single TCP_NODELAY=on connections=16"},
			"no two cells with a result differ in one factor alone: they are a fraction, 4 of 8 combinations (a half fraction), in which every effect is aliased: " +
				"write with TCP_NODELAY × connections, TCP_NODELAY with write × connections, connections with write × TCP_NODELAY; run the other half too"},
		{halved, []string{"write=single TCP_NODELAY=off connections=8", "write=split TCP_NODELAY=off connections=8", "write=split TCP_NODELAY=on connections=16"}, ""},
		{halved, []string{"write=single TCP_NODELAY=off connections=8"}, ""},
		{latin, []string{"target=epoll connections=8", "target=blocking connections=16"}, ""},
		{latin, []string{"target=epoll connections=8", "target=blocking connections=16", "target=pool connections=24"},
			"no two cells with a result differ in one factor alone: they are a fraction, 3 of 9 combinations, in which every effect is aliased with those of other factors; run pairs of cells that differ in one factor, or all combinations"},
	} {
		rs := slices.DeleteFunc(made(t, x.plan, blockingAt(2)), func(r Record) bool { return !slices.Contains(x.cells, x.plan.Label(r.Cell)) })
		if all := effectsOn(t, "p50", x.plan, rs); all.Nothing != x.nothing || (all.Nothing == "") == (len(all.Effects) == 0) {
			t.Errorf("of %d cells %q, %d effects, want %q", len(x.cells), all.Nothing, len(all.Effects), x.nothing)
		}
	}
}

// Where a percentile is not supported, nothing is said of it, and least of all that it has no effect.
func TestEffectsWithoutSupport(t *testing.T) {
	p, rs := recorded(t)
	all := effectsOn(t, "p99", p, rs)
	on := all.of(t, "TCP_NODELAY", "on")
	for _, part := range on.Parts {
		if part.At["write"] != "single" {
			t.Errorf("an effect on a p99 that nobody knows: %+v", part)
		}
	}
	if !strings.Contains(on.Claim, "With write=split it is not known") || !strings.Contains(strings.Join(all.Unbalanced, "\n"), "it holds too little for p99") {
		t.Errorf("it is not said:\n%s", strings.Join(all.Lines(), "\n"))
	}
}

// Of recorded trials that are dealt to the cells anew, hardly any run claims an effect, though some take 400 times longer.
func TestEffectsOfNothing(t *testing.T) {
	p, rs := recorded(t)
	const times = 60
	claiming := 0
	for seed := range uint64(times) {
		dealt := permuted(rs, seed)
		for _, name := range []string{"p50", "server_cpu_per_request"} {
			all := effectsOn(t, name, p, dealt)
			claims := func(e FactorEffect) bool { return len(e.Depends) > 0 || e.Parts[0].Evidence == stats.Shown }
			if slices.ContainsFunc(all.Effects, claims) {
				claiming++
			}
		}
	}
	if most := 2 * times * (.01 + 3*math.Sqrt(.01*.99/(2*times))); float64(claiming) > most {
		t.Errorf("%d of %d claim an effect, want %.1f at most", claiming, 2*times, most)
	}
}
