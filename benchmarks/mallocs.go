package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/sockbench/sockbench/internal/proc"
	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/unit"
)

// countMode is the first argument of a child of P10: the other is an address.
const countMode = "count-mallocs"

// counted is what such a child prints.
type counted struct {
	Mallocs    uint64
	Throughput float64
}

// busyLoad is the load of P10 in requests per second: with less, too few would have allocated.
const busyLoad = 100_000

// mallocs is P10: how often a loaded client allocates. It takes the product's own load generator into a process of this
// program, where MemStats can be read.
func mallocs(ctx context.Context, b *bench) ([]figure, error) {
	var all, speed []float64
	others := foreignCPU()
	for range 12 {
		var one counted
		err := b.serving(ctx, peer(b.echo), func(s server) error {
			argv := []string{b.self, countMode, "tcp://127.0.0.1:" + s.port}
			out, err := child{argv: argv, cpu: clientCPU, realTime: b.realTime, limit: 15 * time.Second}.output(ctx)
			if err != nil {
				return err
			}
			return json.Unmarshal(out, &one)
		})
		if err != nil {
			return nil, err
		}
		all, speed = append(all, float64(one.Mallocs)), append(speed, one.Throughput)
	}
	foreign, err := others()
	if err != nil {
		return nil, err
	}
	f := figure{foreign: foreign, got: median(all),
		note: fmt.Sprintf("at %.0f requests/s", median(speed).value),
		how:  []string{"`loadgen.Load.Run` between two `runtime.ReadMemStats`, the readings of CPU time at the edges included"}}
	if s := median(speed).least; s < busyLoad {
		f.spoilt = fmt.Sprintf("one trial reached only %.0f requests/s", s)
	}
	return []figure{f}, nil
}

// countMallocs is the child.
func countMallocs(ctx context.Context, out io.Writer, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%s takes an address", countMode)
	}
	s := loadgen.Spec{Workload: "rr", Framing: "fixed", Connections: 64, Arrivals: loadgen.Arrivals{Law: "poisson"}, Dispatch: "idle", Request: 64, Reply: 64,
		Write: "single", Engine: "epoll", Pace: "exact", ConnectTimeout: unit.Duration(3 * time.Second), RequestTimeout: unit.Duration(5 * time.Second),
		Warmup: unit.Duration(200 * time.Millisecond), Duration: unit.Duration(time.Second)}
	l, err := loadgen.Connect(ctx, s, loadgen.Place{To: args[0], Seed: 1})
	if err != nil {
		return err
	}
	defer l.Close()
	var before, after runtime.MemStats
	var failed error
	r, err := l.Run(ctx, loadgen.WindowFrom(s, 2*time.Millisecond, time.Second), func(begins bool) {
		if begins {
			runtime.ReadMemStats(&before)
		}
		if _, err := proc.SelfUsage(); err != nil { // as a trial's client does
			failed = err
		}
		if !begins {
			runtime.ReadMemStats(&after)
		}
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return err
	}
	if r.Completed == 0 || r.Completed != r.Offered {
		return fmt.Errorf("%d of %d requests completed: %v", r.Completed, r.Offered, r.Errors)
	}
	return json.NewEncoder(out).Encode(counted{after.Mallocs - before.Mallocs, r.Throughput})
}
