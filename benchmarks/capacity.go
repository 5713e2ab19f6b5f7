package main

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/sockbench/sockbench/verify"
)

// The server whose capacity is known, and how often it is looked for.
const (
	oneByOne = 2 * time.Millisecond // asleep for each request
	soon     = 20 * time.Millisecond
	searches = 5
)

func capacityClaims() []claim {
	return []claim{
		{"a server that sleeps 2 ms for one request after another, p99 within 20 ms: how far the rate found is from Lindley's", atMost(.10), share},
		{"… searches whose interval holds it", atLeast(.9), share},
		{"… rate found / Lindley's for what a closed loop takes for a request", limit{}, ratio},
		{"… trials", limit{}, plain},
		{"… measure phases together", limit{}, nanoseconds},
	}
}

// sustained is what is looked at of capacity -o json.
type sustained struct {
	Verdict  string
	Capacity []struct {
		Median, Low, High float64
		Closed            float64 `json:"closed_loop"`
		Trials            int
	}
}

// knownCapacity looks for a capacity whose answer is known.
func knownCapacity(ctx context.Context, b *bench) ([]figure, error) {
	answer := func(service time.Duration) float64 { return verify.Sustained(service, soon, .99, 4_000_000, 1) }
	truth := answer(oneByOne)
	argv := []string{b.sockbench, "capacity", "--target", "blocking", "--connections", "1", "--service-time", "sleep:" + oneByOne.String(), "--limit", "p99=" + soon.String()}
	typed := strings.ReplaceAll(shown(argv), b.sockbench, "sockbench")
	var off, beside, trials, took []float64
	var all []record
	covered := 0
	for i := range b.few(searches) {
		dir := filepath.Join(b.dir, fmt.Sprint("capacity-", i))
		var v sustained
		err := b.ask(ctx, argv, dir, &v)
		if err == nil && (len(v.Capacity) != 1 || v.Verdict != "done") {
			err = fmt.Errorf("it found nothing: %s", v.Verdict)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", typed, err)
		}
		records, err := readRecords(dir)
		if err != nil {
			return nil, err
		}
		c := v.Capacity[0]
		if c.Low <= truth && truth <= c.High {
			covered++
		}
		measured := 0.0
		for _, r := range records {
			measured += r.Metrics.Duration
		}
		b.say("  capacity %d: %.1f/s (%.1f – %.1f), by Lindley %.1f/s, %d trials, %s", i+1, c.Median, c.Low, c.High, truth, c.Trials, time.Duration(measured).Round(time.Second))
		off, beside = append(off, math.Abs(c.Median/truth-1)), append(beside, c.Median/answer(time.Duration(1e9/c.Closed)))
		trials, took, all = append(trials, float64(c.Trials)), append(took, measured), append(all, records...)
	}
	holds := shareOf(covered, len(off), typed)
	holds.note, holds.foreign = fmt.Sprintf("%d of %d; %s", covered, len(off), regimes(all)), foreign(all)
	of := func(x []float64) figure {
		return figure{got: median(x), how: []string{typed}, note: fmt.Sprintf("median; Lindley's rate is %.1f/s; %s", truth, regimes(all)), foreign: foreign(all)}
	}
	return []figure{of(off), holds, of(beside), of(trials), of(took)}, nil
}
