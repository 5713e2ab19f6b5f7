package doctor

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/clock"
	"github.com/sockbench/sockbench/internal/machine"
	"github.com/sockbench/sockbench/internal/raw"
	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/stats"
)

// sleeps is how often each timer is tried: p99 takes 368. Each sleeps 0.3 ms to 0.9 ms, at random, so that they do not
// meet the kernel's ticks in step.
const sleeps = 400

// A timer is a way to wait for an instant, and the slack it is tried with.
type timer struct {
	name  string
	slack uintptr // nanoseconds, of the thread; 0: the one it began with
	wait  func(at int64) error
}

// timersTried are what servers and load generators wait with.
var timersTried = []timer{
	{"clock_nanosleep with the default timer slack", 0, sleepUntil},
	{"clock_nanosleep with a timer slack of 1 ns, which sockbench sets", 1, sleepUntil},
	{"timerfd, which has no slack", 0, nil},
}

// lateness is that of one timer in one regime.
type lateness struct {
	halting, awake stats.Quantity // awake: with the keep-awake loops; no Count: they do not run here
}

// waits measures how late a thread wakes that sleeps until an instant, what it costs to wake one, and what keep-awake loops
// change. The loops are started once and left to the trials: on a busy machine they take long to start and to end.
func waits(ctx context.Context, e *exam) ([]Line, error) {
	late, cost := make([]lateness, len(timersTried)), make([]lateness, len(e.wakers()))
	measure := func(of func(*lateness) *stats.Quantity) (err error) {
		for i, t := range timersTried {
			if *of(&late[i]), err = t.lateness(e.cpu(1)); err != nil {
				return err
			}
		}
		for i, w := range e.wakers() {
			if *of(&cost[i]), err = ping(w.cpus); err != nil {
				return err
			}
		}
		return nil
	}
	if err := measure(func(l *lateness) *stats.Quantity { return &l.halting }); err != nil {
		return nil, err
	}
	err := e.keptAwake(ctx, func() error { return measure(func(l *lateness) *stats.Quantity { return &l.awake }) })
	var lines []Line
	for i, t := range timersTried {
		lines = append(lines, judgeTimer(t.name, late[i]))
	}
	for i, w := range e.wakers() {
		lines = append(lines, judgeWakeup(w.name, cost[i]))
	}
	return lines, err
}

// cpu is the one that a trial puts its server, 0, or its client, 1, on.
func (h *host) cpu(i int) int { return h.allowed[min(i, len(h.allowed)-1)] }

// keptAwake does f while the keep-awake loops run, where trials have them; else not at all.
func (e *exam) keptAwake(ctx context.Context, f func() error) (err error) {
	if len(e.allowed) < 2 || machine.Quota() > 0 {
		return nil
	}
	if err := e.lab.Settle(ctx, plan.Client, plan.Spec{Regime: plan.Regime{KeepAwake: true}}); err != nil {
		return err
	}
	end, err := begin()
	if err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	e.awake, err = end()
	return err
}

// Lateness from which a schedule that is kept by sleeping is coarse, and bad, at p99, in nanoseconds.
const (
	coarse = 200_000
	bad    = 1_000_000
)

func judgeTimer(name string, late lateness) Line {
	l := Line{Looked: name, Figures: map[string]float64{}, Measured: "late by " + quantity(late.halting) + " where CPUs may halt",
		Disturbs: "open loops: pace=cheap sends so late; pace=exact polls for the last 60 us before each send"}
	in := late.halting
	figures(l.Figures, "halting_", late.halting)
	if late.awake.Count > 0 {
		in = late.awake
		figures(l.Figures, "keep_awake_", late.awake)
		l.Measured += "; " + quantity(late.awake) + " with keep-awake loops"
	}
	l.Measured += fmt.Sprintf("; %d sleeps each", late.halting.Count)
	p99 := at(in.P99)
	if l.Verdict = graded(p99 > bad, p99 > coarse); l.Verdict != results.OK {
		l.Fix = "leave keep_awake on and pace at exact, the defaults; as root real_time=on keeps other programs out"
	}
	return l
}

// quantity is a latency in words.
func quantity(q stats.Quantity) string {
	return fmt.Sprintf("p50 %s, p99 %s, max %s", term.Duration(at(q.P50)), term.Duration(at(q.P99)), term.Duration(float64(q.Max)))
}

func figures(to map[string]float64, prefix string, q stats.Quantity) {
	to[prefix+"p50_ns"], to[prefix+"p99_ns"], to[prefix+"max_ns"], to[prefix+"count"] = at(q.P50), at(q.P99), float64(q.Max), float64(q.Count)
}

// at is a percentile, 0 where there are too few values for it.
func at(p *int64) float64 {
	if p == nil {
		return 0
	}
	return float64(*p)
}

// lateness sleeps on the CPU, and says how late the thread was.
func (t *timer) lateness(cpu int) (q stats.Quantity, err error) {
	err = onThread(cpu, func() error {
		if t.slack > 0 {
			if err := unix.Prctl(unix.PR_SET_TIMERSLACK, t.slack, 0, 0, 0); err != nil {
				return fmt.Errorf("set the timer slack: %w", err)
			}
		}
		wait := t.wait
		if wait == nil {
			fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC)
			if err != nil {
				return fmt.Errorf("timerfd_create: %w", err)
			}
			defer unix.Close(fd)
			wait = func(at int64) error { return timerfdUntil(fd, at) }
		}
		late, random := stats.NewLatency(), rand.New(rand.NewPCG(1, 1))
		for range sleeps {
			at := clock.Now() + 300_000 + random.Int64N(600_000)
			if err := wait(at); err != nil {
				return err
			}
			late.Record(max(1, clock.Now()-at))
		}
		q = late.Summary()
		return nil
	})
	return q, err
}

// onThread does f on a thread of its own on the CPU, which ends with it: so nothing that f sets is left behind.
func onThread(cpu int, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocks
		var set unix.CPUSet
		set.Set(cpu)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			done <- fmt.Errorf("move to CPU %d: %w", cpu, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// Raw calls: what the Go scheduler does around others is not the kernel's lateness.

func sleepUntil(at int64) error {
	ts := unix.NsecToTimespec(at)
	for {
		_, _, errno := syscall.RawSyscall6(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
		if errno != unix.EINTR {
			return failed("clock_nanosleep", errno)
		}
	}
}

func timerfdUntil(fd int, at int64) error {
	if err := unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME, &unix.ItimerSpec{Value: unix.NsecToTimespec(at)}, nil); err != nil {
		return fmt.Errorf("timerfd_settime: %w", err)
	}
	var b [8]byte
	for {
		_, errno := raw.Read(fd, b[:])
		if errno != unix.EINTR {
			return failed("read of a timerfd", errno)
		}
	}
}

func failed(call string, errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w", call, errno)
}

// clockCost is how many nanoseconds a reading of the clock takes: the median of a hundred times two hundred.
func clockCost() float64 {
	const times, each = 100, 200
	batches := stats.NewLatency()
	for range times {
		began := time.Now()
		for range each {
			clock.Now()
		}
		batches.Record(int64(time.Since(began)))
	}
	return at(batches.Summary().P50) / each
}
