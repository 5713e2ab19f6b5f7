package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// The trials of P7: with many connections, each with its neighbour of few.
const (
	fewConns     = 8
	manyConns    = 8000
	manyBlocks   = 6
	manyWarmup   = 300 * time.Millisecond
	manyDuration = time.Second
)

// manyModels are the targets that have to hold so many connections.
var manyModels = []string{"epoll", "epoll-edge", "iouring", "goroutine", "thread", "reactors"}

// manyClaims are those of P7: of the client, and then of each model.
func manyClaims() []claim {
	claims := []claim{
		{"8,000 connections: requests completed in 1 s by the one that completed fewest", atLeast(3), plain},
		{"8,000 connections: a trial beyond warm-up and duration, set-up included", atMost(3e9), nanoseconds},
		{"8,000 connections: client user memory for each", atMost(1024), octets},
	}
	for _, m := range manyModels {
		claims = append(claims,
			claim{"8,000 connections, target " + m + ": connections not made, and errors, in all trials together", atMost(0), plain},
			claim{"connections that it served in 1 s, in the trial with fewest", atLeast(manyConns), plain},
			claim{"its user memory for each", limit{}, octets})
	}
	return claims
}

// manyConnections is P7: whether thousands of connections are set up soon, all served, and cheap in memory.
func manyConnections(ctx context.Context, b *bench) (figures []figure, err error) {
	for _, model := range manyModels {
		if model == "iouring" && b.ringless(ctx) {
			figures = append(figures, noRing, noRing, noRing)
			continue
		}
		t, err := b.crowd(ctx, model)
		if err != nil {
			return nil, fmt.Errorf("target %s: %w", model, err)
		}
		if model == "epoll" {
			figures = append(figures, t.ofClient()...)
		}
		figures = append(figures, t.ofModel()...)
	}
	return figures, nil
}

// crowd is the trials of one target, those that count by block.
type crowd struct {
	typed          string
	all, few, many []record
}

func (b *bench) crowd(ctx context.Context, target string) (c crowd, err error) {
	c.typed, c.all, err = b.runTrials(ctx, "many-"+target, target, false, manyBlocks, manyWarmup, manyDuration,
		"--connections", fmt.Sprintf("%d,%d", fewConns, manyConns))
	of := func(n int) []record {
		return counting(slices.DeleteFunc(slices.Clone(c.all), func(r record) bool { return r.Cell["connections"] != strconv.Itoa(n) }))
	}
	c.few, c.many = of(fewConns), of(manyConns)
	if err == nil && (len(c.few) != manyBlocks || len(c.many) != manyBlocks) {
		err = fmt.Errorf("%d and %d of %d trials", len(c.few), len(c.many), manyBlocks)
	}
	return c, err
}

// figure is one of what was estimated from the trials.
func (c crowd) figure(got estimate) figure {
	client := c.each(func(r record) float64 { return r.Metrics.Client.PSS })
	return figure{got: got, how: []string{c.typed}, foreign: foreign(c.all),
		note: fmt.Sprintf("%s; each of %d trials with %d connections had its neighbour with %d; in one of them a connection completed only %.0f; Pss of the client for each %s",
			regimes(c.all), manyBlocks, manyConns, fewConns, slices.Min(c.fewest()), octets(client.value))}
}

// counted is a figure that is a count, and no sample of anything.
func (c crowd) counted(n float64) figure {
	return c.figure(estimate{len(c.many), n, n, n, n, n})
}

// fewest is what the connection completed that completed fewest, by trial.
func (c crowd) fewest() (n []float64) {
	for _, r := range c.many {
		n = append(n, float64(r.Metrics.Connections.MinCompleted))
	}
	return n
}

// each is how much memory one connection more takes.
func (c crowd) each(memory func(record) float64) estimate {
	var each []float64
	for i, r := range c.many {
		each = append(each, (memory(r)-memory(c.few[i]))/(manyConns-fewConns))
	}
	return median(each)
}

func (c crowd) ofClient() []figure {
	return []figure{
		c.figure(median(c.fewest())),
		c.figure(median(extra(c.all, strconv.Itoa(manyConns), manyWarmup+manyDuration))),
		c.figure(c.each(func(r record) float64 { return r.Metrics.Client.MaxRSS })),
	}
}

func (c crowd) ofModel() []figure {
	wrong, served := 0, manyConns
	for _, r := range c.many {
		m := r.Metrics
		wrong += manyConns - m.Connections.Attained + m.Failed + m.TimedOut
		for _, times := range m.Errors {
			wrong += times
		}
		served = min(served, m.Connections.Served)
	}
	return []figure{
		c.counted(float64(wrong)),
		c.counted(float64(served)),
		c.figure(c.each(func(r record) float64 { return r.Metrics.Server.PSS })),
	}
}
