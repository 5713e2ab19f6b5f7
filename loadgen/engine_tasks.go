package loadgen

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/clock"
	"github.com/sockbench/sockbench/wire"
)

// tasks is the mover of engines with a goroutine or a thread per connection, which writes and reads in turn. One more
// thread, in run, waits for what is due by the clock. All of them hold mu while they use the engine, and nobody holds it
// in a call that may wait.
type tasks struct {
	*engine
	wrap func(fd int) (lane, error) // makes a connection's descriptor what tasks read and write

	mu      sync.Locker
	lanes   []lane
	crew    *crew
	until   int64 // when run wakes up by itself
	stopped bool  // the tasks are to leave
	ep      int   // watches wake alone
	wake    int   // an eventfd: run has to look earlier
	halt    bool  // run is to end early
}

// lane is the socket of one connection, in the words of the engine's kind. Only its task uses it.
type lane interface {
	read(b []byte) (int, error)                   // 0: the peer has closed
	write(b []byte) error                         // all of b
	writev(a, b []byte) error                     // both, in one call
	receive(b []byte, timeout int64) (int, error) // one datagram, or os.ErrDeadlineExceeded after so many nanoseconds
	close()
}

const taskBuffer = 16 << 10 // bytes, at most; what a task needs whose messages are large

func openTasks(e *engine, wrap func(fd int) (lane, error)) (mover, error) {
	t := &tasks{engine: e, crew: e.load.crew, lanes: make([]lane, e.live), wrap: wrap, ep: -1, wake: -1, until: never}
	e.threads, e.busy = e.load.cpus, processCPU
	if t.mu = new(sync.Mutex); e.load.engine.Threads {
		t.mu = new(lock)
	}
	var err error
	if t.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err == nil {
		if t.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err == nil {
			err = unix.EpollCtl(t.ep, unix.EPOLL_CTL_ADD, t.wake, &unix.EpollEvent{Events: unix.EPOLLIN})
		}
	}
	for i := range t.lanes {
		if fd := e.conns[i*e.depth].fd; fd >= 0 && err == nil {
			t.lanes[i], err = wrap(int(fd))
		}
	}
	if err != nil {
		t.close()
		return nil, fmt.Errorf("engine %s: %w", e.load.engine.Name, err)
	}
	return t, nil
}

// close closes the connections too: their descriptors are the lanes'.
func (t *tasks) close() {
	for i := range t.lanes {
		if t.lanes[i] != nil {
			t.engine.shut(int32(i * t.depth))
		}
	}
	for _, fd := range []int{t.ep, t.wake} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// shut is called by the connection's own task, or when there are none any more.
func (t *tasks) shut(i int32) {
	t.load.tally.Closing(int(t.conns[i].fd))
	l := &t.lanes[t.at(i)]
	(*l).close()
	*l = nil
}

// abort has connection i's task find its socket shut down, and leaves the rest to it.
func (t *tasks) abort(i int32) {
	if fd := t.conns[i].fd; fd >= 0 {
		unix.Shutdown(int(fd), unix.SHUT_RDWR) // fails where the peer has reset it, and then nobody waits
	}
}

// run keeps the time: it wakes for phases, timeouts and requests that are due, and starts and ends the tasks.
func (t *tasks) run() error {
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set the timer slack: %w", err)
	}
	t.crew.work = func(i int) { t.serve(int32(i * t.depth)) }
	events := make([]unix.EpollEvent, 1)
	t.mu.Lock()
	for {
		now := clock.Now()
		t.work(now)
		t.hand(none)
		if t.over() || t.halt {
			t.finish(now)
			break
		}
		t.until = t.next()
		left := t.until - clock.Now()
		t.mu.Unlock()
		n, err := epollWait(t.ep, events, max(left, 0))
		if n > 0 {
			var count [8]byte
			if _, err := unix.Read(t.wake, count[:]); err != nil && err != unix.EAGAIN {
				panic("read an eventfd: " + err.Error())
			}
		}
		t.mu.Lock()
		if err != nil {
			t.end()
			return fmt.Errorf("epoll_wait: %w", err)
		}
	}
	t.end()
	return nil
}

// end has all tasks leave, and waits for them. It unlocks.
func (t *tasks) end() {
	t.stopped = true
	for i := range t.lanes {
		if fd := t.conns[i*t.depth].fd; fd >= 0 {
			unix.Shutdown(int(fd), unix.SHUT_RDWR) // the last requests are given up: their tasks may still wait for replies
		}
	}
	t.mu.Unlock()
	t.crew.dismiss()
}

func (t *tasks) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.halt = true
	signal(t.wake)
}

// hand tells the tasks, but not the calling one, that they have something to write, and run if it has to look earlier.
func (t *tasks) hand(self int32) {
	for _, i := range t.todo {
		if i != self {
			t.crew.rouse(int(t.at(i)))
		}
	}
	t.todo = t.todo[:0]
}

// after is what follows a task's use of the engine.
func (t *tasks) after(self int32) {
	if t.head != never {
		if now := clock.Now(); t.head <= now {
			t.due(now)
		}
	}
	t.hand(self)
	if next := t.next(); t.over() || next < t.until {
		t.until = next
		signal(t.wake)
	}
}

// serve is the life of connection i's task.
func (t *tasks) serve(i int32) {
	_, request, reply := t.load.framing.Lengths(t.load.spec.Params())
	usual := min(taskBuffer, max(1024, int(request), int(reply)))
	out, in := cmp.Or(int(t.load.spec.WriteSize), usual), cmp.Or(int(t.load.spec.ReadSize), usual)
	buf := make([]byte, max(out, in)) // one for both: they take turns
	var f wire.Frame
	t.mu.Lock()
	for !t.stopped {
		c := &t.conns[i]
		switch {
		case c.state == dead:
			t.mu.Unlock()
			return
		case t.waiting(i):
			if t.visits == nil || t.standing(i) { // one that had to be opened first is written to when it is looked at again
				t.write(i, &f, buf[:out:out])
			}
		case t.carries(i) || c.state == closing:
			t.read(i, buf[:in])
		default:
			t.mu.Unlock()
			t.crew.rest(int(t.at(i)))
			t.mu.Lock()
			continue
		}
		t.after(i)
	}
	t.mu.Unlock()
}

// waiting says whether a request of connection i is to be written.
func (t *tasks) waiting(i int32) bool {
	if t.pipes != nil {
		return t.pipes[t.at(i)].unsent > 0
	}
	return t.conns[i].queued
}

// write writes a request, or several that fit into buf.
func (t *tasks) write(i int32, f *wire.Frame, buf []byte) {
	l := t.lanes[t.at(i)]
	var b []byte
	if t.pipes != nil && t.flows == nil && t.manner == single {
		b, _ = t.gather(i, buf)
	}
	whole := len(b) > 0
	if !whole && !t.lay(i, f) {
		return
	}
	fd := t.conns[i].fd
	t.mu.Unlock()
	err := error(nil)
	if whole {
		err = l.write(b)
		atomic.AddInt64(&t.sent, int64(len(b)))
	} else {
		err = t.writeAll(l, fd, f, buf)
	}
	t.mu.Lock()
	if err != nil && !t.stopped {
		t.lose(i, kindOf(err))
	}
}

// writeAll writes all of f, and counts each piece as it goes: a block may take longer than the measure phase.
func (t *tasks) writeAll(l lane, fd int32, f *wire.Frame, buf []byte) error {
	if t.manner == corked {
		if err := cork(fd, 1); err != nil {
			return err
		}
	}
	for f.Left() > 0 {
		a, b := t.manner.pieces(f, buf, t.most)
		err := error(nil)
		if b == nil {
			err = l.write(a)
		} else {
			err = l.writev(a, b)
		}
		if err != nil {
			return err
		}
		f.Wrote(len(a) + len(b))
		atomic.AddInt64(&t.sent, int64(len(a)+len(b)))
	}
	if t.manner == corked {
		return cork(fd, 0)
	}
	return nil
}

// dial connects, for connection i's task. The engine sees the descriptor when it is established.
func (t *tasks) dial(i int32) {
	began := clock.Now()
	t.mu.Unlock()
	fd, up, err := t.load.dial.begin()
	for err == nil && !up {
		if up, err = ready(fd, unix.POLLOUT, slice); up {
			err = outcomeOf(fd)
		} else if err == nil && clock.Now()-began >= int64(t.load.spec.ConnectTimeout) {
			err = unix.ETIMEDOUT
		}
		if t.leaving() {
			break
		}
	}
	var l lane
	if err == nil {
		l, err = t.wrap(fd)
	}
	t.mu.Lock()
	if err != nil {
		if fd >= 0 {
			unix.Close(fd)
		}
		if !t.stopped {
			t.lose(i, kindOf(err))
		}
		return
	}
	t.lanes[t.at(i)] = l
	if t.dialed(i, fd); t.conns[i].state == overdue {
		t.vacate(i, t.now())
		return
	}
	t.connected(i)
}

// slice is how long a task waits at most before it looks whether all is over.
const slice = 50_000_000

// ready waits until fd is what events say, at most for the given nanoseconds.
func ready(fd int, events int16, timeout int64) (bool, error) {
	ts := unix.NsecToTimespec(timeout)
	n, err := unix.Ppoll([]unix.PollFd{{Fd: int32(fd), Events: events}}, &ts, nil)
	if err == unix.EINTR {
		err = nil
	}
	return n > 0, err
}

func (t *tasks) leaving() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stopped
}

// read waits for something to come.
func (t *tasks) read(i int32, buf []byte) {
	if t.flows != nil {
		t.datagramTo(i, buf)
		return
	}
	l := t.lanes[t.at(i)]
	t.mu.Unlock()
	n, err := l.read(buf)
	t.mu.Lock()
	switch {
	case t.stopped:
	case n > 0:
		t.take(i, buf[:n])
	case t.conns[i].state == overdue && t.brief:
		t.vacate(i, t.now())
	case t.conns[i].state == closing:
		t.peerClosed(i)
	case err == nil:
		t.lose(i, errEOF)
	default:
		t.lose(i, kindOf(err))
	}
}

// datagramTo waits for a datagram. It may never come: the task wakes when the time of a request of connection i is over,
// and sees to that itself, because another request is to be sent then.
func (t *tasks) datagramTo(i int32, buf []byte) {
	l, now, until := t.lanes[t.at(i)], clock.Now(), int64(never)
	for k := i; k < i+int32(t.depth); k++ {
		if c := &t.conns[k]; c.state == busy {
			until = min(until, c.intended+t.timeout)
		}
	}
	t.mu.Unlock()
	n, err := l.receive(buf, max(1, min(slice, until-now)))
	t.mu.Lock()
	t.engine.work(clock.Now())
	switch {
	case t.stopped, errors.Is(err, os.ErrDeadlineExceeded):
	case err != nil:
		t.lose(i, kindOf(err))
	default:
		t.take(i, buf[:n])
	}
}
