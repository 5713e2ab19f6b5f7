package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sockbench/sockbench/internal/proc"
)

// moment is what can be seen of a closed loop from outside.
type moment struct {
	used     time.Duration // CPU time of the process that is looked at
	requests int64         // by the bytes that the other one wrote
}

// look sees both within 200 µs, or tries again: what lies between two moments is to be the same time for both.
func look(worker, writer int) (moment, error) {
	for range 100 {
		at := time.Now()
		user, system := proc.CPUOf(worker)
		bytes, err := written(writer)
		if err != nil {
			return moment{}, err
		}
		if time.Since(at) < 200*time.Microsecond {
			return moment{user + system, bytes / frame}, nil
		}
	}
	return moment{}, errors.New("the machine is too busy to look at two processes at once")
}

// frame is the size of a request and of a reply.
const frame = 64

// written is how many bytes a process has written.
func written(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if n, ok := strings.CutPrefix(line, "wchar: "); ok {
			return strconv.ParseInt(strings.TrimSpace(n), 10, 64)
		}
	}
	return 0, errors.New("this kernel does not count what a process writes")
}

// begun is how many requests of each connection tell that a load is under way: fortio makes one before.
const begun = 5

// window waits until a closed loop is under way and warm, and returns what a request cost one side, the worker, while it
// lasts; the other, the writer, is the one whose writes are counted.
func window(ctx context.Context, connections int, lasts time.Duration, worker, writer int) (float64, error) {
	var first, last, after moment
	var err error
	for first.requests < int64(begun*connections) && err == nil {
		first, err = wait(ctx, 5*time.Millisecond, worker, writer)
	}
	if err == nil {
		first, err = wait(ctx, warmup, worker, writer)
	}
	if err == nil {
		last, err = wait(ctx, lasts, worker, writer)
	}
	// More must come than was under way: the load went on. A machine that is not quiet may stop it for a while.
	for tries := 0; after.requests <= last.requests+int64(connections) && err == nil; tries++ {
		if after, err = wait(ctx, 5*time.Millisecond, worker, writer); err == nil && tries == 100 {
			err = errors.New("the load ended before the time in which it was watched")
		}
	}
	return float64(last.used-first.used) / float64(last.requests-first.requests), err
}

// wait looks after a time.
func wait(ctx context.Context, d time.Duration, worker, writer int) (moment, error) {
	select {
	case <-ctx.Done():
		return moment{}, context.Cause(ctx)
	case <-time.After(d):
		return look(worker, writer)
	}
}

// watch runs a client with a fresh server and has see look at both from outside meanwhile; check reads what the client printed.
func (b *bench) watch(ctx context.Context, serve []string, load command, see func(ctx context.Context, client, server int) (float64, error), check func(out []byte) error) (cost float64, err error) {
	err = b.serving(ctx, serve, func(s server) error {
		ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
		defer cancel()
		out, _, err := b.client(load(s.port)).run(ctx, func(pid int) (err error) {
			cost, err = see(ctx, pid, s.pid)
			return err
		})
		if err != nil {
			return err
		}
		return check(out)
	})
	return cost, err
}

// watched is an arm whose client is looked at from outside, for one second of its load.
func (b *bench) watched(name string, connections int, argv command, check func(out []byte) error) arm {
	return arm{name, shown(argv("PORT")), func(ctx context.Context) (float64, error) {
		return b.watch(ctx, peer(b.echo), argv, func(ctx context.Context, client, server int) (float64, error) {
			return window(ctx, connections, duration, client, server)
		}, check)
	}}
}

// watchedLoad is how long the clients run of which one second is watched.
const watchedLoad = 2 * time.Second

// fortioCost is P3.
func fortioCost(ctx context.Context, b *bench) (figures []figure, err error) {
	for _, n := range sizes {
		ours := func(port string) []string { return b.loadCommand(port, n, watchedLoad) }
		theirs := func(port string) []string {
			return []string{b.fortio, "load", "-quiet", "-qps", "0", "-c", strconv.Itoa(n), "-payload-size", strconv.Itoa(frame),
				"-t", watchedLoad.String(), "-json", "-", "tcp://127.0.0.1:" + port}
		}
		f, err := b.compare(ctx, fmt.Sprintf("%d connections", n), b.pairs,
			[2]arm{b.watched("ours", n, ours, allAnswered), b.watched("fortio", n, theirs, allOK)})
		if err != nil {
			return nil, err
		}
		f.how = append(f.how, "against", shown(peer(b.echo)))
		figures = append(figures, f)
	}
	return figures, nil
}

// allAnswered checks what sockbench load printed.
func allAnswered(out []byte) error {
	var r struct{ Offered, Completed, Unfinished int64 }
	if err := json.Unmarshal(out, &r); err != nil {
		return err
	}
	if r.Completed == 0 || r.Completed+r.Unfinished != r.Offered {
		return fmt.Errorf("%d of %d requests failed", r.Offered-r.Completed-r.Unfinished, r.Offered)
	}
	return nil
}

// allOK checks what fortio printed.
func allOK(out []byte) error {
	var r struct {
		RetCodes          map[string]int64
		DurationHistogram struct{ Count int64 }
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return err
	}
	if n := r.DurationHistogram.Count; n == 0 || r.RetCodes["OK"] != n {
		return fmt.Errorf("fortio counts %d requests, and as their outcomes %v", n, r.RetCodes)
	}
	return nil
}
