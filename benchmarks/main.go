// Command benchmarks measures the goals of sockbench that concern its own speed, each against the yardstick it names,
// and says which are met. Run it in its folder, on a quiet machine: go run . -update
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// bench is what the goals share.
type bench struct {
	tools
	pairs      int
	sameChecks int  // with the same command on both sides, of goal check
	realTime   bool // clients, and servers, under SCHED_RR
	root       bool
	rng        *rand.Rand
	say        func(format string, args ...any)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Stdout, os.Stderr, os.Args[1:]))
}

func run(ctx context.Context, stdout, stderr io.Writer, args []string) int {
	if len(args) > 0 && args[0] == countMode { // a child of P10
		return report(stderr, countMallocs(ctx, stdout, args[1:]))
	}
	b := bench{root: os.Getuid() == 0}
	f := flag.NewFlagSet("benchmarks", flag.ContinueOnError)
	f.SetOutput(stderr)
	only := f.String("only", "", "measure these goals, for example P1,P4; default all")
	f.IntVar(&b.pairs, "pairs", 30, fmt.Sprintf("pairs of trials for each comparison; %d and more count", enoughPairs))
	f.IntVar(&b.sameChecks, "checks", sameSides, "checks of goal check; of goal check-planted a quarter as many of each loss, of goal capacity an eighth as many searches, of goal winner half as many, of goal race-real two fifths as many blocks")
	f.BoolVar(&b.realTime, "real-time", false, "run P1, P2, P3, P6 and P10 under SCHED_RR, for a machine that is not quiet; takes root")
	update := f.Bool("update", false, "put what was measured into README.md; what it says of other goals stays")
	seed := f.Uint64("seed", uint64(time.Now().Unix()), "of the order in pairs")
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil || f.NArg() > 0 || b.pairs < 1 || b.sameChecks < 1 || b.sameChecks > sameSides:
		fmt.Fprintln(stderr, "usage: go run . [-only P1,P4] [-pairs N] [-checks N] [-real-time] [-seed N] [-update]")
		return 2
	}
	b.rng = rand.New(rand.NewPCG(*seed, 0))
	b.say = func(format string, args ...any) { fmt.Fprintf(stderr, format+"\n", args...) }
	chosen, err := choose(*only)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 2
	}
	if c := commit(ctx); *update && (c == unknown || strings.HasSuffix(c, "-dirty")) {
		fmt.Fprintln(stderr, "-update names the commit it measured: commit first")
		return 2
	}
	return report(stderr, b.all(ctx, stdout, chosen, *seed, *update))
}

func report(stderr io.Writer, err error) int {
	if err != nil {
		fmt.Fprintln(stderr, "benchmarks:", err)
		return 1
	}
	return 0
}

func choose(only string) ([]goal, error) {
	if only == "" {
		return goals, nil
	}
	var chosen []goal
	for code := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(goals, func(g goal) bool { return strings.EqualFold(g.code, code) })
		if i < 0 {
			return nil, fmt.Errorf("no goal %q is measured here", code)
		}
		chosen = append(chosen, goals[i])
	}
	return chosen, nil
}

// all measures the chosen goals and prints the table.
func (b *bench) all(ctx context.Context, stdout io.Writer, chosen []goal, seed uint64, update bool) (err error) {
	dir, err := os.MkdirTemp("", "sockbench-benchmarks-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if b.tools, err = build(ctx, dir); err != nil {
		return err
	}
	a, in := account{}, newOccasion(commit(ctx), conditions(seed, b.realTime))
	for _, g := range chosen {
		b.say("%s …", g.code)
		figures, err := g.measure(ctx, b)
		if err != nil {
			return fmt.Errorf("%s: %w", g.code, err)
		}
		var rows []row
		for i, c := range g.claims {
			rows = append(rows, row{g.code, c, figures[i]})
			b.say("%s", rows[i])
		}
		a.add(rows, in)
	}
	if update {
		err = rewrite("README.md", a)
	}
	_, printed := io.WriteString(stdout, a.String())
	return errors.Join(err, printed)
}
