package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Length of a trial of a comparison.
const (
	warmup   = 200 * time.Millisecond
	duration = time.Second
)

// enoughPairs is how many a comparison must have to count.
const enoughPairs = 20

// arm is one side of a comparison: its name, its command as typed, and a trial, which tells what a request cost the
// client, or in P6 the server, in nanoseconds of CPU time.
type arm struct {
	name, typed string
	trial       func(context.Context) (float64, error)
}

// compare runs both arms in pairs, each pair in the order that a coin says.
func (b *bench) compare(ctx context.Context, what string, pairs int, arms [2]arm) (figure, error) {
	var logs []float64
	var costs [2][]float64
	others := foreignCPU()
	for i := range pairs {
		var cost [2]float64
		first := b.rng.IntN(2)
		for _, k := range [2]int{first, 1 - first} {
			var err error
			if cost[k], err = arms[k].trial(ctx); err != nil {
				return figure{}, fmt.Errorf("%s, %s: %w", what, arms[k].name, err)
			}
			costs[k] = append(costs[k], cost[k])
		}
		logs = append(logs, math.Log(cost[0]/cost[1]))
		b.say("%s, pair %d of %d: %s %.0f ns, %s %.0f ns, ratio %.3f", what, i+1, pairs, arms[0].name, cost[0], arms[1].name, cost[1], cost[0]/cost[1])
	}
	foreign, err := others()
	if err != nil {
		return figure{}, err
	}
	f := figure{got: pairedRatio(logs), foreign: foreign, how: []string{arms[0].typed, "and", arms[1].typed},
		note: fmt.Sprintf("medians %s and %s", nanoseconds(median(costs[0]).value), nanoseconds(median(costs[1]).value))}
	if pairs < enoughPairs {
		f.spoilt = fmt.Sprintf("%d pairs, where %d count", pairs, enoughPairs)
	}
	return f, nil
}

// usage is what both clients print of their measure phase.
type usage struct {
	Completed  float64 `json:"completed"`
	Duration   float64 `json:"duration_ns"`
	Throughput float64 `json:"throughput"` // completed inside the phase, per second; only ours
	Client     *cpu    `json:"client"`     // only ours
	cpu
}

type cpu struct {
	User   float64 `json:"cpu_user_ns"`
	System float64 `json:"cpu_system_ns"`
}

// perRequest is the client's CPU time for each request in nanoseconds.
func (u usage) perRequest() float64 {
	if u.Client != nil {
		return (u.Client.User + u.Client.System) / (u.Throughput * u.Duration / 1e9)
	}
	return (u.User + u.System) / u.Completed
}

// command is one that depends on the port of the server.
type command func(port string) []string

// telling is an arm whose client prints its usage.
func (b *bench) telling(name string, argv command) arm {
	return arm{name, shown(argv("PORT")), func(ctx context.Context) (cost float64, err error) {
		err = b.serving(ctx, peer(b.echo), func(s server) error {
			out, err := b.client(argv(s.port)).output(ctx)
			if err != nil {
				return err
			}
			var u usage
			err = json.Unmarshal(out, &u)
			cost = u.perRequest()
			return err
		})
		return cost, err
	}}
}

// client is how a client of a comparison is started.
func (b *bench) client(argv []string) child {
	return child{argv: argv, cpu: clientCPU, realTime: b.realTime, limit: 15 * time.Second}
}

// sizes are the numbers of connections of the closed loops.
var sizes = []int{64, 1000}

// epollCost is P1.
func epollCost(ctx context.Context, b *bench) ([]figure, error) { return b.againstC(ctx, "epoll") }

// iouringCost is P2.
func iouringCost(ctx context.Context, b *bench) ([]figure, error) {
	if b.ringless(ctx) {
		return []figure{noRing, noRing}, nil
	}
	return b.againstC(ctx, "iouring")
}

// noRing is what is not measured where the kernel is ringless.
var noRing = figure{spoilt: "the kernel refuses io_uring"}

// ringless says whether the kernel refuses io_uring. Nobody listens there, but before that is found out it is asked for one.
func (b *bench) ringless(ctx context.Context) bool {
	_, err := child{argv: []string{b.sockbench, "load", "127.0.0.1:1", "--engine", "iouring"}, cpu: anyCPU, limit: 15 * time.Second}.output(ctx)
	return err != nil && strings.Contains(err.Error(), "io_uring")
}

// againstC compares the closed loop of an engine with that of the C client.
func (b *bench) againstC(ctx context.Context, engine string) (figures []figure, err error) {
	for _, n := range sizes {
		ours := func(port string) []string {
			return b.loadCommand(port, n, duration, "--engine", engine)
		}
		theirs := func(port string) []string {
			return []string{b.cClient, port, strconv.Itoa(n), strconv.FormatInt(warmup.Milliseconds(), 10), strconv.FormatInt(duration.Milliseconds(), 10)}
		}
		f, err := b.compare(ctx, fmt.Sprintf("%d connections", n), b.pairs, [2]arm{b.telling("ours", ours), b.telling("C", theirs)})
		if err != nil {
			return nil, err
		}
		f.how = append(f.how, "against", shown(peer(b.echo)))
		figures = append(figures, f)
	}
	return figures, nil
}

func (b *bench) loadCommand(port string, connections int, measured time.Duration, knobs ...string) []string {
	argv := b.load(port, connections, measured, knobs...)
	return slices.Insert(argv, 3, "--framing", "fixed", "--request", "64", "--reply", "64")
}

// load is our client with whatever framing the knobs name.
func (b *bench) load(port string, connections int, measured time.Duration, knobs ...string) []string {
	argv := []string{b.sockbench, "load", "127.0.0.1:" + port,
		"--connections", strconv.Itoa(connections), "--cpus", "client=" + strconv.Itoa(clientCPU)}
	return append(append(argv, knobs...), "--warmup", warmup.String(), "--duration", measured.String(), "-o", "json")
}

// shown is a command as one would type it, without the folder of the program.
func shown(argv []string) string {
	words := []string{argv[0][strings.LastIndexByte(argv[0], '/')+1:]}
	for _, a := range argv[1:] {
		if a == "" || strings.ContainsAny(a, "; ") {
			a = "'" + a + "'"
		}
		words = append(words, a)
	}
	return "`" + strings.Join(words, " ") + "`"
}
