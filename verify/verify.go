// Package verify proves the instrument: experiments whose answer is known from theory, from the kernel's documentation or
// from counting, each run as any trial is, by this program, and judged by what stands in its record. It says what was
// expected and what was measured; a line that disagrees means that numbers from this machine cannot be believed.
//
// A subject is one file and one line of All.
package verify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sockbench/sockbench/internal/near"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/unit"
)

// All lists the tests, in the order in which they are run.
var All = []Test{
	accounting,
	warmup,
	percentiles,
	briefConnections,
	timeouts,
	wrongReplies,
	receiveTimeout,
	backlog,
	nagle,
	bursts,
	littlesLaw,
	arrivalLaws,
	overload,
	cpuTime,
	resources,
	stalledServer,
	stalledClient,
	queueing,
	delay,
	rate,
	rates,
	losses,
	window,
	pathFaults,
	sendBuffer,
	windows,
	nagleFar,
	connectTimeouts,
	userTimeout,
	keepAlive,
	mathis,
	bufferbloat,
}

// Test is one experiment. Trials and Judge are all there is to it: the rest is for people.
type Test struct {
	Name      string
	Proves    string // one sentence
	Formula   string // what the expected values follow from
	Reference string // RFC, paper or documentation of the kernel
	Quick     bool   // it is part of the quick set
	Counts    bool   // its lines are counts and identities, which hold on a disturbed machine too
	Drawn     bool   // the theory is drawn beside what was measured
	Trials    []Trial
	// Judge says what the records show, which are those of Trials, in their order, each with metrics. It is pure.
	Judge func([]*results.Record) []Line
}

// Trial is one trial of a Test.
type Trial struct {
	Warmup, Duration time.Duration
	Seed             uint64   // of the plan; 0: 1. The same seed draws the same arrivals, service times and losses in every run
	Knobs            []string // "knob=level"
	Stop             Stop
}

// Stop is a process of the trial that stands still for a while: SIGSTOP, and SIGCONT. Zero: none does.
type Stop struct {
	Part       string        // "server" or "client"
	After, For time.Duration // After is counted from the start of the processes, some 10 ms before the warm-up begins
}

// Time is how long the test's trials take, undisturbed, when each has overhead beside its phases.
func (t *Test) Time(overhead time.Duration) (d time.Duration) {
	for _, trial := range t.Trials {
		d += trial.Warmup + trial.Duration + overhead
	}
	return d
}

// plan is the trial as a plan of one cell.
func (t *Trial) plan(name string) (*plan.Plan, error) {
	var factors []plan.Factor
	for _, k := range t.Knobs {
		knob, level, _ := strings.Cut(k, "=")
		factors = append(factors, plan.Factor{Knob: knob, Levels: []plan.Level{level}})
	}
	return plan.New(name, max(t.Seed, 1), 1, unit.Duration(t.Warmup), unit.Duration(t.Duration), factors)
}

// Find returns the tests of those names, in the order of All; none: all of them, or the quick set.
func Find(names []string, quick bool) (found []Test, err error) {
	for _, name := range names {
		if !slices.Contains(Names(), name) {
			return nil, fmt.Errorf("no test %q: sockbench verify --list shows them%s", name, near.Suggest(name, Names()))
		}
	}
	for _, t := range All {
		if slices.Contains(names, t.Name) || len(names) == 0 && (t.Quick || !quick) {
			found = append(found, t)
		}
	}
	return found, nil
}

// Names are those of All.
func Names() (names []string) {
	for _, t := range All {
		names = append(names, t.Name)
	}
	return names
}
