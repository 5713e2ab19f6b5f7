package loadgen

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/clock"
)

// spinTail is how many nanoseconds before a due send exact pacing begins to poll instead of sleeping.
const spinTail = 60_000

// poller is what movers have in common that work many connections from one thread.
type poller interface {
	poll(timeout int64) (n int, err error) // waits for events, at most timeout nanoseconds
	handle(k int) (stopped bool)           // works on event k of them
	send(i int32)                          // writes what connection i has to send
}

// loop works through the window. The thread ends with it: it leaves with a timer slack that is not the process's own.
func (e *engine) loop(p poller) error {
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set the timer slack: %w", err)
	}
	exact := e.load.spec.Pace == "exact"
	now := clock.Now()
	for {
		e.work(now)
		if len(e.todo) > 0 { // sending takes time, in which more may have fallen due
			e.send(p)
			now = clock.Now()
			e.work(now)
		}
		if e.over() {
			break
		}
		n, err := e.wait(p, now, exact)
		if err != nil {
			return err
		}
		for k := range n {
			if p.handle(k) {
				return nil
			}
			if len(e.todo) > 0 {
				e.send(p)
			}
			if e.head == never {
				continue
			}
			if now := clock.Now(); e.head <= now { // a send that fell due must not wait for the rest of the batch
				e.due(now)
				e.send(p)
			}
		}
		now = clock.Now()
	}
	e.finish(now)
	return nil
}

// send has all written that is to be written now. What comes up meanwhile waits for the next time.
func (e *engine) send(p poller) {
	e.todo, e.ready = e.ready[:0], e.todo
	for _, i := range e.ready {
		p.send(i)
	}
}

// wait sleeps until something happens on a connection, or until the next moment at which there is something to do.
func (e *engine) wait(p poller, now int64, exact bool) (int, error) {
	if len(e.todo) > 0 {
		return p.poll(0)
	}
	until := e.next()
	left := until - now
	if exact && until == e.head {
		left -= spinTail
	}
	if left > 0 {
		return p.poll(left)
	}
	if until != e.head {
		return p.poll(0)
	}
	for {
		n, err := p.poll(0)
		then := now
		if now = clock.Now(); n == 0 && err == nil {
			if e.phase == 2 {
				e.spin += now - then
			}
			if now < until {
				continue
			}
		}
		return n, err
	}
}
