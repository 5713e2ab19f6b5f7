// Package lab runs one trial: fresh processes, pinned, in a fresh network namespace where the machine allows it, with
// the machine's own doings beside the measurement. A plan.Trial goes in, a results.Record comes out.
package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sockbench/sockbench/internal/machine"
	"github.com/sockbench/sockbench/internal/proc"
	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/targets"
)

// Overhead is about what a trial takes beside its warm-up and measure phase; benchmarks/README.md has the measurement.
const Overhead = 40 * time.Millisecond

// Lab runs trials, one at a time. The zero Lab is ready. Close it: it holds the keep-awake loops between trials.
type Lab struct {
	awake *awake
	// Started, if not nil, is told the processes of each trial as the lab sees them: for tests that kill them.
	Started func(pids map[string]int)
	// Sampled, if not nil, is told of each trial what became of the first requests of its measure phase, and of those its
	// server handled at all, of a server that is ours: for tests that know the answer.
	Sampled func([]loadgen.Sample, []targets.Sample)
}

// samplesMax bounds what Sampled is told of each side: about 15 MB of messages.
const samplesMax = 100_000

// samples is how many requests the parts are to remember.
func (l *Lab) samples() int {
	if l.Sampled == nil {
		return 0
	}
	return samplesMax
}

// Close ends the keep-awake loops. Twice is fine.
func (l *Lab) Close() error {
	if l.awake == nil {
		return nil
	}
	a := l.awake
	l.awake = nil
	return a.room.Close()
}

// awake is the keep-awake process.
type awake struct {
	room *proc.Room
	cpus []int
	ask  *json.Encoder
	hear *json.Decoder
}

// keepAwake starts loops on the given CPUs, unless they run already, and on no others.
func (l *Lab) keepAwake(ctx context.Context, cpus []int) error {
	if l.awake != nil && slices.Equal(l.awake.cpus, cpus) && l.awake.alive() {
		return nil
	}
	if err := l.Close(); err != nil {
		return err
	}
	if len(cpus) == 0 {
		return nil
	}
	room, err := proc.Open(ctx, proc.Config{NoNamespaces: true, Parts: []proc.Part{{Name: awakePart, CPUs: cpus}}})
	if err != nil {
		return fmt.Errorf("start the keep-awake loops: %w", err)
	}
	p := room.Part(0)
	a := &awake{room: room, cpus: cpus, ask: json.NewEncoder(p.Stdin), hear: json.NewDecoder(p.Stdout)}
	var ready bool
	if err := a.hear.Decode(&ready); err != nil {
		return errors.Join(fmt.Errorf("start the keep-awake loops: %s: %s", p.Exit(), p.Stderr()), room.Close())
	}
	l.awake = a
	return nil
}

func (a *awake) alive() bool {
	select {
	case <-a.room.Part(0).Done():
		return false
	default:
		return true
	}
}

// cpu is the CPU time the loops have used, in nanoseconds.
func (a *awake) cpu() int64 {
	if a == nil {
		return 0
	}
	u := proc.TreeUsage([]int{a.room.Part(0).PID()})
	return int64(u.User + u.System)
}

// pauses asks what the loops saw in s.
func (a *awake) pauses(s machine.Span) (p machine.Pauses, err error) {
	if a == nil {
		return p, nil
	}
	if err = a.ask.Encode(s); err == nil {
		err = a.hear.Decode(&p)
	}
	if err != nil {
		err = fmt.Errorf("ask the keep-awake loops: %w", err)
	}
	return p, err
}

// regime is how the machine is kept for one trial.
type regime struct {
	cpus      plan.CPUs
	keepAwake []int // CPUs with a loop
	name      string
}

// Fits says why s cannot be run on the CPUs that there are; nil: it can.
func Fits(s plan.Spec) error {
	_, err := choose(s)
	return err
}

// choose settles what a plan leaves to the machine: pinned apart where there are two CPUs, and keep-awake loops unless
// a CPU quota would make them eat what the trial needs.
func choose(s plan.Spec) (regime, error) {
	allowed, err := machine.Allowed()
	if err != nil {
		return regime{}, err
	}
	r := regime{cpus: s.CPUs}
	var how []string
	if r.cpus == nil {
		if s.Beside == plan.Apart && len(allowed) < 2 {
			return r, fmt.Errorf("cpus=apart: this process may use one CPU, %v: write cpus=same, or leave it out", allowed)
		}
		r.cpus = plan.CPUs{plan.Server: allowed[:1], plan.Client: allowed[:1]}
		if len(allowed) > 1 && s.Beside != plan.Same {
			r.cpus[plan.Client] = allowed[1:2]
		}
		if !s.Via.IsZero() { // beside the server: what it takes is taken from the server's CPU or from one of its own
			r.cpus[plan.Via] = allowed[:1]
			if len(allowed) > 2 && s.Beside != plan.Same {
				r.cpus[plan.Via] = allowed[2:3]
			}
		}
	}
	var used []int
	for role, cpus := range r.cpus {
		for _, c := range cpus {
			if !slices.Contains(allowed, c) {
				return r, fmt.Errorf("cpus: CPU %d for the %s is not among those this process may use, %v", c, role, allowed)
			}
			used = append(used, c)
		}
	}
	how = append(how, "not pinned", "timer slack 1 ns")
	if len(used) > 0 {
		how[0] = "pinned " + r.cpus.String()
	}
	switch quota := machine.Quota(); {
	case !s.Regime.KeepAwake:
		how = append(how, "CPUs may halt")
	case quota > 0:
		how = append(how, fmt.Sprintf("CPUs may halt (keep-awake is off under a CPU quota of %.1f)", quota))
	case len(allowed) == 1:
		how = append(how, "CPUs may halt (keep-awake is off with one CPU)")
	default:
		if len(used) == 0 {
			used = allowed
		}
		slices.Sort(used)
		r.keepAwake = slices.Compact(used)
		how = append(how, "keep-awake")
	}
	if s.Regime.RealTime {
		how = append(how, "real time")
	}
	r.name = strings.Join(how, ", ")
	return r, nil
}
