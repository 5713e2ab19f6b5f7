package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Length of a trial of P1.
const (
	warmup   = 200 * time.Millisecond
	duration = time.Second
)

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

// clientCost is P1: our closed loop against the C client, both driving the C echo server.
func clientCost(ctx context.Context, b *bench) ([]row, error) {
	var rows []row
	for _, c := range []struct {
		connections int
		limit       float64
	}{{64, 1.03}, {1000, 1.06}} {
		ours, theirs := b.loadCommand("PORT", c.connections), b.clientCommand("PORT", c.connections)
		var logs, each, other []float64
		others := foreignCPU()
		for i := range b.pairs {
			us, them, err := b.pair(ctx, c.connections)
			if err != nil {
				return nil, err
			}
			logs, each, other = append(logs, math.Log(us/them)), append(each, us), append(other, them)
			b.say("%d connections, pair %d of %d: ours %.0f ns, C %.0f ns, ratio %.3f", c.connections, i+1, b.pairs, us, them, us/them)
		}
		foreign, err := others()
		if err != nil {
			return nil, err
		}
		rows = append(rows, row{
			foreign: foreign,
			what:    fmt.Sprintf("client CPU per request, epoll engine / C client, %d connections", c.connections),
			goal:    atMost(c.limit), got: pairedRatio(logs), format: ratio,
			note: fmt.Sprintf("medians %s and %s", nanoseconds(median(each).value), nanoseconds(median(other).value)),
			how:  []string{shown(ours), "and", shown(theirs), "against", shown([]string{b.echo, "60"})},
		})
	}
	return rows, nil
}

// pair runs both clients once, each against a fresh server, in the order that a coin says.
func (b *bench) pair(ctx context.Context, connections int) (ours, theirs float64, err error) {
	first, second := &ours, &theirs
	if b.rng.IntN(2) == 0 {
		first, second = second, first
	}
	for _, arm := range []*float64{first, second} {
		err := b.serving(ctx, func(port string) error {
			argv := b.clientCommand(port, connections)
			if arm == &ours {
				argv = b.loadCommand(port, connections)
			}
			out, err := child{argv: argv, cpu: clientCPU, realTime: b.realTime, limit: 15 * time.Second}.output(ctx)
			if err != nil {
				return err
			}
			var u usage
			if err := json.Unmarshal(out, &u); err != nil {
				return fmt.Errorf("%s: %w", argv[0], err)
			}
			*arm = u.perRequest()
			return nil
		})
		if err != nil {
			return 0, 0, err
		}
	}
	return ours, theirs, nil
}

func (b *bench) loadCommand(port string, connections int) []string {
	return []string{b.sockbench, "load", "127.0.0.1:" + port, "--framing", "fixed", "--request", "64", "--reply", "64",
		"--connections", strconv.Itoa(connections), "--cpus", "client=" + strconv.Itoa(clientCPU),
		"--warmup", warmup.String(), "--duration", duration.String(), "-o", "json"}
}

func (b *bench) clientCommand(port string, connections int) []string {
	return []string{b.client, port, strconv.Itoa(connections),
		strconv.FormatInt(warmup.Milliseconds(), 10), strconv.FormatInt(duration.Milliseconds(), 10)}
}

// shown is a command as one would type it, without the folder of the program.
func shown(argv []string) string {
	words := []string{argv[0][strings.LastIndexByte(argv[0], '/')+1:]}
	for _, a := range argv[1:] {
		if strings.ContainsAny(a, "; ") {
			a = "'" + a + "'"
		}
		words = append(words, a)
	}
	return "`" + strings.Join(words, " ") + "`"
}
