package main

import (
	"context"
	"fmt"
	"math"
	"time"
)

// steadyTrials is how many trials P11 compares.
const steadyTrials = 20

// steadiness is P11: how much p99 of one and the same open loop differs from trial to trial.
func steadiness(ctx context.Context, b *bench) ([]figure, error) {
	ordinary, err := b.steady(ctx, "steady", true)
	if err != nil {
		return nil, err
	}
	if !b.root {
		return []figure{{spoilt: "real time takes root"}, ordinary}, nil
	}
	root, err := b.steady(ctx, "steady-real-time", false, "--real-time", "on")
	return []figure{root, ordinary}, err
}

// steady runs the trials of one row.
func (b *bench) steady(ctx context.Context, name string, ordinary bool, knobs ...string) (figure, error) {
	load := append([]string{"--rate", "10k", "--arrivals", "poisson", "--connections", "50", "--keep-awake", "on"}, knobs...)
	typed, records, err := b.runTrials(ctx, name, "epoll", ordinary, steadyTrials, 200*time.Millisecond, time.Second, load...)
	if err != nil {
		return figure{}, err
	}
	counted := counting(records)
	var ln, p99 []float64
	for _, r := range counted {
		v := r.Metrics.Response.P99
		if v == nil {
			return figure{}, fmt.Errorf("block %d completed too few requests for a percentile", r.Block)
		}
		ln, p99 = append(ln, math.Log(*v)), append(p99, *v)
	}
	middle := median(p99)
	return figure{got: spread(ln), how: []string{typed}, foreign: foreign(counted),
		note: fmt.Sprintf("%s; p99 %s in the median trial, %s to %s; %d trials were disturbed and repeated",
			regimes(counted), nanoseconds(middle.value), nanoseconds(middle.least), nanoseconds(middle.most), len(records)-len(counted))}, nil
}
