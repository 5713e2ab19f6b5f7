package main

import (
	"context"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The searches whose winner is measured again: how many with a winner, and in how many pairs.
const (
	winners     = 20
	winnerPairs = 30

	winnerWarmup, winnerDuration = 50 * time.Millisecond, 200 * time.Millisecond
)

// winnerFactors are those of the 8 cells: the first one is worth a fifth, and the others little beside it, so that the
// winner is the luckiest of four.
var winnerFactors = []string{"service_time=240us,200us", "TCP_QUICKACK=off,on", "write=single,writev"}

func winnerClaims() []claim {
	return []claim{
		{"winners measured again in fresh processes: gains within the interval that `sockbench tune` states", atLeast(.9), share},
		{"… the ratio measured again / the one stated", limit{}, ratio},
		{"… time to the winner", limit{}, nanoseconds},
	}
}

// winner is what is looked at of tune -o json.
type winner struct {
	Verdict  string
	Headline string
	Findings []struct {
		Effect struct{ Ratio, Low, High float64 }
		Cells  []map[string]string
		Pairs  int
	}
}

// realWinners searches, and measures what was found again.
func realWinners(ctx context.Context, b *bench) ([]figure, error) {
	argv := []string{b.sockbench, "tune", "--target", "epoll", "--connections", "16"}
	for _, f := range winnerFactors {
		argv = append(argv, "--set", f)
	}
	argv = append(argv, "--warmup", winnerWarmup.String(), "--duration", winnerDuration.String())
	typed := strings.ReplaceAll(shown(argv), b.sockbench, "sockbench")
	var off, took []float64
	var of []record
	var again string
	held, want, without := 0, b.few(winners), map[string]int{}
	for i := 0; len(off) < want && i < 2*want; i++ {
		name := fmt.Sprint("winner-", i)
		var w winner
		began := time.Now()
		if err := b.ask(ctx, argv, filepath.Join(b.dir, name+"-tune"), &w); err != nil {
			return nil, fmt.Errorf("%s: %w", typed, err)
		}
		spent := time.Since(began)
		if w.Verdict != "winner" {
			without[w.Verdict]++
			b.say("  %d: %s: %s", i+1, w.Verdict, w.Headline)
			continue
		}
		f := w.Findings[0]
		var records []record
		var measured estimate
		var err error
		if again, measured, records, err = b.again(ctx, name, f.Cells); err != nil {
			return nil, err
		}
		within := f.Effect.Low <= measured.value && measured.value <= f.Effect.High
		if within {
			held++
		}
		off, took, of = append(off, measured.value/f.Effect.Ratio), append(took, float64(spent)), append(of, records...)
		b.say("  %d: stated %.3f (%.3f – %.3f), %d pairs, %s; again %.3f (%.3f – %.3f), within: %v", i+1, f.Effect.Ratio, f.Effect.Low, f.Effect.High, f.Pairs,
			spent.Round(time.Second/10), measured.value, measured.low, measured.high, within)
	}
	note := fmt.Sprintf("%d of %d", held, len(off))
	for _, verdict := range slices.Sorted(maps.Keys(without)) {
		note += fmt.Sprintf("; %d more searches ended with %q", without[verdict], verdict)
	}
	if len(off) == 0 {
		spoilt := figure{spoilt: "no search ended with a winner"}
		return []figure{spoilt, spoilt, spoilt}, nil
	}
	typed += " and " + again
	figures := []figure{shareOf(held, len(off), typed), {got: median(off), how: []string{typed}}, {got: median(took), how: []string{typed}}}
	for i := range figures {
		figures[i].note, figures[i].foreign = note+"; "+regimes(of), foreign(of)
	}
	return figures, nil
}

// again measures both cells in pairs of fresh trials, and returns the command, without what differs from search to search,
// and the ratio of the first one's throughput to the second one's.
func (b *bench) again(ctx context.Context, name string, cells []map[string]string) (typed string, e estimate, records []record, err error) {
	names, sides := []string{"winner", "first"}, []string{}
	for i, cell := range cells {
		var knobs []string
		for _, f := range winnerFactors {
			knob, _, _ := strings.Cut(f, "=")
			knobs = append(knobs, knob+"="+cell[knob])
		}
		sides = append(sides, "--variant", names[i]+": "+strings.Join(knobs, ","))
	}
	seed := strconv.FormatUint(b.rng.Uint64()>>11, 10)
	typed, records, err = b.runTrials(ctx, name, "epoll", false, winnerPairs, winnerWarmup, winnerDuration,
		append(sides, "--connections", "16", "--seed", seed)...)
	if err != nil {
		return "", e, nil, err
	}
	for i, side := range []string{sides[1], sides[3]} {
		typed = strings.ReplaceAll(typed, side, names[i]+": …")
	}
	of := map[string][]record{}
	for _, r := range records {
		of[r.Cell["variant"]] = append(of[r.Cell["variant"]], r)
	}
	first := counting(of["first"])
	var d []float64
	for i, r := range counting(of["winner"]) {
		d = append(d, math.Log(r.Metrics.Throughput/first[i].Metrics.Throughput))
	}
	return strings.Replace(typed, " --seed "+seed, "", 1), pairedRatio(d), records, nil
}
