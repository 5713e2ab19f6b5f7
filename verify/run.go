package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sockbench/sockbench/internal/clock"
	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/lab"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

// attempts is how often a trial is run at most while the machine disturbs it.
const attempts = 4

// Run runs tests one after another and returns their lines. Trials that the machine disturbed are run again, as long as
// patience lasts; whether it did is told by the record's checks, which never look at what was measured. An error means
// that ctx ended or that nothing can be run at all.
func Run(ctx context.Context, l *lab.Lab, tests []Test, patience time.Duration, progress *term.Progress) (lines []Line, err error) {
	r := runner{lab: l, patience: patience, progress: progress}
	trials, length := 0, time.Duration(0)
	for _, t := range tests {
		trials, length = trials+len(t.Trials), length+t.Time(lab.Overhead)
	}
	progress.Start(trials, 0, length/time.Duration(max(trials, 1)))
	defer progress.Close()
	for _, t := range tests {
		more, err := r.test(ctx, &t)
		if err != nil {
			return lines, err
		}
		lines = append(lines, more...)
	}
	return lines, nil
}

type runner struct {
	lab      *lab.Lab
	patience time.Duration // for further attempts, in all
	progress *term.Progress
}

// test runs one test.
func (r *runner) test(ctx context.Context, t *Test) ([]Line, error) {
	var records []*results.Record
	disturbance := ""
	for i := range t.Trials {
		rec, why, err := r.trial(ctx, t, i)
		if err != nil {
			return nil, fmt.Errorf("test %s, trial %d: %w", t.Name, i+1, err)
		}
		if rec.Metrics == nil {
			reason, _, _ := strings.Cut(rec.Error, "\n")
			l := Line{Name: rec.Cell.String(), Verdict: NotRun, Why: rec.Stage + ": " + reason}
			return t.signed([]Line{l}), nil
		}
		if why != "" {
			disturbance = fmt.Sprintf("%s: %s", rec.Cell, why)
		}
		records = append(records, rec)
	}
	lines := t.Judge(records)
	for i := range lines {
		if l := &lines[i]; disturbance != "" && l.Verdict == Fail && !l.tooShort() {
			l.Verdict, l.Why = NotRun, "the machine was disturbed: "+disturbance
		}
	}
	return t.signed(lines), nil
}

// signed puts on the lines what they take from their test.
func (t *Test) signed(lines []Line) []Line {
	for i := range lines {
		l := &lines[i]
		l.Test = t.Name
		if l.Formula == "" {
			l.Formula = t.Formula
		}
		if l.Reference == "" {
			l.Reference = t.Reference
		}
	}
	return lines
}

// trial runs the i-th trial of t, again while it is disturbed; disturbed says how the last attempt still was.
func (r *runner) trial(ctx context.Context, t *Test, i int) (rec *results.Record, disturbed string, err error) {
	trial := &t.Trials[i]
	p, err := trial.plan("verify-" + t.Name)
	if err != nil {
		return nil, "", err
	}
	for n := range attempts {
		began := time.Now()
		got, err := r.once(ctx, p.Block(0, n)[0], trial.Stop)
		if err != nil {
			return nil, "", err
		}
		rec, disturbed = &got, ""
		if hit, why := results.Disturbed(rec); hit && !t.Counts {
			disturbed = why
		}
		pause := time.Duration(n+1) * 500 * time.Millisecond
		again := time.Since(began) + pause
		if disturbed == "" || n+1 == attempts || r.patience < again {
			break
		}
		r.progress.Warn(fmt.Sprintf("%s: %s: run again, because the machine was disturbed: %s", t.Name, rec.Cell, disturbed))
		r.patience -= again
		time.Sleep(pause)
	}
	r.progress.Trial(t.Name, rec.Cell.String())
	return rec, disturbed, nil
}

// once runs one trial, and stops and continues a process of it where it is asked to.
func (r *runner) once(ctx context.Context, t plan.Trial, stop Stop) (results.Record, error) {
	running, over := context.WithCancel(ctx)
	defer over()
	var stopping sync.WaitGroup
	var failed error
	r.lab.Started = nil
	if stop.For > 0 {
		r.lab.Started = func(pids map[string]int) {
			at := clock.Now() + int64(stop.After)
			stopping.Go(func() { failed = stop.do(running, pids[stop.Part], at) })
		}
	}
	rec, err := r.lab.Run(ctx, t)
	over()
	stopping.Wait()
	return rec, errors.Join(err, failed)
}

// do stops the process at an instant, for the time given, unless the trial is over.
func (s Stop) do(running context.Context, pid int, at int64) error {
	select {
	case <-running.Done():
		return nil
	case <-time.After(time.Duration(at - clock.Now())):
	}
	began := clock.Now()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return fmt.Errorf("stop the %s: %w", s.Part, err)
	}
	clock.Sleep(began + int64(s.For))
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		return fmt.Errorf("continue the %s: %w", s.Part, err)
	}
	return nil
}
