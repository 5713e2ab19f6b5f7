package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sockbench/sockbench/results/stats"
	"github.com/sockbench/sockbench/results/stats/statstest"
)

// The simulated experiments: how many of each noise, and their factors, which have 14 effects and interactions.
const (
	experiments      = 2_000
	experimentBlocks = 4
	experimentEffect = 14
	scattersMore     = .5 // in logarithms, of one level of a factor
)

var experimentLevels = []int{3, 2, 2, 2}

// effectClaims are of each recorded noise.
func effectClaims() (claims []claim) {
	alone, any := atMost(statstest.Most(stats.ClaimLevel, experiments*experimentEffect)), atMost(statstest.Most(stats.ClaimLevel, experiments))
	for _, n := range statstest.All {
		claims = append(claims,
			claim{n.Name + ", no factor does anything: effects with p ≤ 1 %", alone, share},
			claim{"… experiments that claim any effect", any, share},
			claim{"… one level of a factor scatters more: effects with p ≤ 1 %", alone, share},
			claim{"… experiments that claim any effect", any, share})
	}
	return claims
}

// simulatedEffects makes experiments over recorded noise.
func simulatedEffects(_ context.Context, b *bench) (figures []figure, err error) {
	for _, n := range statstest.All {
		for _, apart := range []float64{0, scattersMore} {
			t, err := n.Experiments(b.rng, experiments, experimentLevels, experimentBlocks, apart, 0)
			if err != nil {
				return nil, err
			}
			how := "`go run . -only effects`: 2,000 experiments of 24 cells in 4 blocks over the trials of `results/stats/statstest/noise.csv`"
			figures = append(figures, shareOf(t.Alone, t.Effects, how), shareOf(t.Claiming, t.Experiments, how))
			for i := range figures {
				figures[i].note = "with Wilson's interval"
			}
		}
	}
	return figures, nil
}

// The real experiments: so many runs, each with two effects that are arithmetic.
const (
	realExperiments = 20
	realBlocks      = 4

	effectWarmup, effectDuration = 50 * time.Millisecond, 200 * time.Millisecond
)

func realEffectClaims() []claim {
	return []claim{
		{"service time of 200 µs, 220 µs and 240 µs: 99 % intervals of throughput's effects that hold the true ratio", atLeast(.9), share},
		{"… effects that are shown", limit{}, share},
	}
}

// realEffects makes experiments with real servers that spin for so long that nothing else counts.
func realEffects(ctx context.Context, b *bench) ([]figure, error) {
	var of []record
	var typed string
	held, shown, all := 0, 0, 0
	for i := range realExperiments {
		name, seed := fmt.Sprintf("effects-%d", i), strconv.FormatUint(b.rng.Uint64()>>11, 10)
		var records []record
		var err error
		typed, records, err = b.runTrials(ctx, name, "epoll", false, realBlocks, effectWarmup, effectDuration,
			"--connections", "16", "--service-time", "200us,220us,240us", "--seed", seed)
		if err != nil {
			return nil, err
		}
		typed = strings.Replace(typed, " --seed "+seed, "", 1)
		of = append(of, records...)
		e, err := b.effects(ctx, filepath.Join(b.dir, name, "run"))
		if err != nil {
			return nil, err
		}
		for _, effect := range e.Effects.Effects {
			all++
			service, err := strconv.ParseFloat(strings.TrimSuffix(effect.Level, "us"), 64)
			if err != nil || len(effect.Parts) != 1 {
				return nil, fmt.Errorf("an effect of %q with %d parts", effect.Level, len(effect.Parts))
			}
			p := effect.Parts[0]
			beside := e.Cells[0].Metrics["server_cpu_per_request"]/1e3 - 200 // what a request costs beside the service is in all cells
			truth := (200 + beside) / (service + beside)
			if p.Effect.Low <= truth && truth <= p.Effect.High {
				held++
			}
			if p.Evidence == string(stats.Shown) {
				shown++
			}
			b.say("  %d: %s, ratio %.3f (%.3f – %.3f), %s, true %.3f", i+1, effect.Level, p.Effect.Ratio, p.Effect.Low, p.Effect.High, p.Evidence, truth)
		}
	}
	typed += " and `sockbench report DIR --effects throughput -o json`"
	figures := []figure{shareOf(held, all, typed), shareOf(shown, all, typed)}
	for i, n := range []int{held, shown} {
		figures[i].note, figures[i].foreign = fmt.Sprintf("%d of %d; %s", n, all, regimes(of)), foreign(of)
	}
	return figures, nil
}

// effectsReport is what is looked at of report --effects -o json.
type effectsReport struct {
	Effects struct {
		Effects []struct {
			Level string
			Parts []struct {
				Effect   struct{ Ratio, Low, High float64 }
				Evidence string
			}
		}
	}
	Cells []struct{ Metrics map[string]float64 }
}

func (b *bench) effects(ctx context.Context, dir string) (e effectsReport, err error) {
	out, err := child{argv: []string{b.sockbench, "report", dir, "--effects", "throughput", "-o", "json"}, cpu: anyCPU, limit: time.Minute}.output(ctx)
	if err != nil {
		return e, err
	}
	if err := json.Unmarshal(out, &e); err != nil {
		return e, err
	}
	if len(e.Effects.Effects) != 2 || len(e.Cells) != 3 {
		return e, errors.New("report: it has no two effects of three cells")
	}
	return e, nil
}
