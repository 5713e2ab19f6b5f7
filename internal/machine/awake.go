package machine

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/clock"
)

// hiccup is the shortest pause worth counting. Interrupts take less.
const hiccup = 500_000

// Span asks the keep-awake process for what it saw between two moments of CLOCK_MONOTONIC.
type Span struct{ From, To int64 }

// Pauses is the answer: pauses of a CPU while its loop had it, which nothing on this machine explains: the hypervisor
// ran something else. Pauses that fell on other processes' turns are not seen.
type Pauses struct {
	Count    int64
	Sum, Max int64 // nanoseconds
}

// Awake is the keep-awake process: on each CPU it may use, one loop of the SCHED_IDLE class, which runs only when
// nothing else wants the CPU and so keeps it from halting, which in a virtual machine costs tens of microseconds to
// end. Reading the clock all the time makes it a meter of pauses too. It answers Spans on in with Pauses on out, JSON
// lines, after saying "true" once all loops run, and ends with in.
func Awake(in io.Reader, out io.Writer) error {
	cpus, err := Allowed()
	if err != nil {
		return err
	}
	runtime.GOMAXPROCS(len(cpus) + 1)
	loops := make([]loop, len(cpus))
	ready := make(chan error, len(cpus))
	for i, cpu := range cpus {
		go loops[i].run(cpu, ready)
	}
	for range cpus {
		if err := <-ready; err != nil {
			return err
		}
	}
	answers := json.NewEncoder(out)
	if err := answers.Encode(true); err != nil {
		return err
	}
	for spans := json.NewDecoder(in); ; {
		var s Span
		if err := spans.Decode(&s); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("keep-awake: %w", err)
		}
		var p Pauses
		for i := range loops {
			loops[i].report(s, &p)
		}
		if err := answers.Encode(p); err != nil {
			return err
		}
	}
}

// turn is how long, in nanoseconds, a loop runs before it yields. The scheduler (EEVDF) has a thread that used more than its
// share before it slept wait when it wakes, also behind a loop of weight next to nothing, and looks again only at its next
// tick; a loop that has yielded is behind everyone.
//
// Note: a server pinned to the CPU of a loop, computing 2 ms for each of 250 requests per second, Linux 6.18 at 250 Hz:
// without yielding a request takes 4.5 ms from write to read at p99 (23 µs at p50, two runs); with it 0.1 ms.
const turn = 20_000

// loop keeps one CPU awake.
type loop struct {
	mu     sync.Mutex
	pauses []pause // the latest few hundred, by time
}

type pause struct{ from, to int64 }

func (l *loop) run(cpu int, ready chan<- error) {
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(cpu)
	err := unix.SchedSetaffinity(0, &set)
	if err == nil {
		err = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0)
	}
	if ready <- err; err != nil {
		return
	}
	turns := switches()
	yielded := int64(0)
	for last := clock.Now(); ; {
		now := clock.Now()
		if now-last > hiccup {
			if n := switches(); n != turns {
				turns = n // somebody else ran: no pause of the machine's
			} else {
				l.add(pause{last, now})
			}
			now = clock.Now()
		}
		if now-yielded > turn {
			unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
			yielded = now
		}
		last = now
	}
}

// switches counts how often the calling thread left its CPU.
func switches() int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		return -1
	}
	return u.Nvcsw + u.Nivcsw
}

func (l *loop) add(p pause) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pauses) >= 512 {
		l.pauses = slices.Delete(l.pauses, 0, 256)
	}
	l.pauses = append(l.pauses, p)
}

// report adds what of l's pauses lies in s.
func (l *loop) report(s Span, to *Pauses) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.pauses {
		if d := min(p.to, s.To) - max(p.from, s.From); d > 0 {
			to.Count++
			to.Sum += d
			to.Max = max(to.Max, d)
		}
	}
}
