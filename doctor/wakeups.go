package doctor

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/clock"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/stats"
)

// pings is how many round trips two threads make; the first of them are not counted.
const (
	pings     = 1000
	pingsLost = 50
)

// waker is two threads that wake each other, and the CPUs they are on. Half of a round trip between them is what it costs
// to wake a thread: servers that hand requests to other threads, and clients on another CPU, pay it with every request.
type waker struct {
	name string
	cpus [2]int
}

func (h *host) wakers() []waker {
	both := []waker{{"waking a thread on the same CPU", [2]int{h.cpu(1), h.cpu(1)}}, {"waking a thread on another CPU", [2]int{h.cpu(0), h.cpu(1)}}}
	return both[:min(len(h.allowed), 2)]
}

// dear is what waking a thread costs where it costs more than the request that it wakes for, in nanoseconds at p50.
const dear = 50_000

func judgeWakeup(name string, cost lateness) Line {
	l := Line{Looked: name, Figures: map[string]float64{}, Measured: "it runs after " + quantity(cost.halting) + " where CPUs may halt",
		Disturbs: "the latency of every request at low load, by twice that; a closed loop of few connections measures this and not the server"}
	in := cost.halting
	figures(l.Figures, "halting_", cost.halting)
	if cost.awake.Count > 0 {
		in = cost.awake
		figures(l.Figures, "keep_awake_", cost.awake)
		l.Measured += "; " + quantity(cost.awake) + " with keep-awake loops"
	}
	l.Measured += fmt.Sprintf("; half of a round trip, %d of them each", cost.halting.Count)
	if l.Verdict = graded(false, at(in.P50) > dear); l.Verdict != results.OK {
		l.Fix = "leave keep_awake on, the default; as root: hold /dev/cpu_dma_latency open with 0 written to it"
	}
	return l
}

// ball is what one of two threads has.
type ball struct{ word atomic.Uint32 }

const (
	futexWait = 0 | 128 // FUTEX_WAIT_PRIVATE
	futexWake = 1 | 128 // FUTEX_WAKE_PRIVATE
)

// A thread that waits looks up after nap, at most patience times, and lets the Go scheduler have its way: that may have
// stopped the one that is waited for, and wait for this one.
var nap = unix.Timespec{Nsec: 20_000_000}

const patience = 1500

// await waits until it is whose turn.
func (b *ball) await(turn uint32) error {
	for naps := 0; b.word.Load() != turn; {
		_, _, errno := syscall.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&b.word)), futexWait, uintptr(1-turn), uintptr(unsafe.Pointer(&nap)), 0, 0)
		if errno == unix.ETIMEDOUT || errno == unix.EINTR {
			runtime.Gosched()
		}
		if errno != unix.ETIMEDOUT {
			continue
		}
		if naps++; naps > patience {
			return errors.New("a thread that was woken did not run for 30 s")
		}
	}
	return nil
}

func (b *ball) pass(turn uint32) {
	b.word.Store(turn)
	syscall.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&b.word)), futexWake, 1, 0, 0, 0)
}

// ping has two threads on those CPUs wake each other in turn.
func ping(cpus [2]int) (stats.Quantity, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))  // a raw call keeps its processor while it waits
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which stops all threads
	var b ball
	other := make(chan error, 1)
	go func() {
		other <- onThread(cpus[1], func() error {
			for range pings {
				if err := b.await(1); err != nil {
					return err
				}
				b.pass(0)
			}
			return nil
		})
	}()
	half := stats.NewLatency()
	err := onThread(cpus[0], func() error {
		for i := range pings {
			began := clock.Now()
			b.pass(1)
			if err := b.await(0); err != nil {
				return err
			}
			if i >= pingsLost {
				half.Record(max(1, (clock.Now()-began)/2))
			}
		}
		return nil
	})
	return half.Summary(), errors.Join(err, <-other)
}
