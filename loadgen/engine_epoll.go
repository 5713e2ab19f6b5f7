package loadgen

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/clock"
	"github.com/sockbench/sockbench/wire"
)

const (
	bufferLen = 64 << 10
	batch     = 512
	spinTail  = 60_000 // ns before a due send in which exact pacing polls instead of sleeping
	never     = math.MaxInt64
	wakeIndex = -1 // the epoll data of the descriptor that ends a run early
)

// engine is one locked thread with its own epoll, connections, schedule and recorder. Nothing in it is shared, and
// nothing between the socket and the histogram allocates, locks or formats.
//
// Requests are sent in the order of their intended times, so those that wait for a free connection need no queue: the
// schedule itself is the queue, and head its first element.
type engine struct {
	load   *Load
	shard  int
	w      Window
	on     func(Event) Step
	conns  []conn
	rec    *recorder
	onEdge func(begins bool)

	ep, wake int
	events   []unix.EpollEvent
	in, outb []byte
	state    wire.State // of a reply that began and ended in one read
	frame    wire.Frame // of a request that went in one write

	ring     []int32 // free connections, longest free first
	first, n int
	live     int // connections not dead
	inflight int // requests out and not given up
	seq      uint64
	rearm    bool
	manner   manner
	exact    bool
	schedule Schedule // nil: closed loop
	sticky   *sticky  // nil: dispatch idle
	head     int64    // intended time of the next request; never: none is left
	think    int64    // of a closed loop
	timeout  int64
	deadline int64 // no request times out before this
	edge     int64 // when the next phase begins
	phase    int   // 0 before start, 1 warm-up, 2 measure, 3 drain, 4 over

	sent, received int64 // bytes, ever
	sentIn, recvIn int64 // bytes, in the measure phase
	backlog        int64
	spin, idle     int64
	cpu            int64
}

func (l *Load) newEngine(shard int, w Window) (*engine, error) {
	workload, err := findWorkload(l.spec.Workload)
	if err != nil {
		return nil, err
	}
	e := &engine{
		load: l, shard: shard, w: w, on: workload.On, rec: newRecorder(w, l.place.Samples/l.place.Threads),
		events: make([]unix.EpollEvent, batch), in: make([]byte, bufferLen), outb: make([]byte, bufferLen),
		seq: uint64(shard) << 48, rearm: l.tally.Rearms(), manner: manner(slices.Index(Writes, string(l.spec.Write))), exact: l.spec.Pace == "exact",
		schedule: l.schedule(shard, w), head: never, think: int64(l.spec.Think), timeout: int64(l.spec.RequestTimeout), deadline: never, edge: w.Start, wake: -1, ep: -1,
	}
	for i := shard; i < len(l.dial.fds); i += l.place.Threads {
		e.conns = append(e.conns, conn{fd: int32(l.dial.fds[i])})
	}
	e.live, e.ring = len(e.conns), make([]int32, len(e.conns))
	if l.spec.Dispatch == "sticky" {
		e.sticky = newSticky(len(e.conns))
	}
	if e.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll_create: %w", err)
	}
	if e.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		e.close()
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	err = unix.EpollCtl(e.ep, unix.EPOLL_CTL_ADD, e.wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: wakeIndex})
	for i := range e.conns {
		e.putFree(int32(i))
		if err == nil {
			err = unix.EpollCtl(e.ep, unix.EPOLL_CTL_ADD, int(e.conns[i].fd), &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)})
		}
	}
	if err != nil {
		e.close()
		return nil, fmt.Errorf("epoll_ctl: %w", err)
	}
	return e, nil
}

func (e *engine) close() {
	for _, fd := range []int{e.ep, e.wake} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// stop ends a run early, from any goroutine.
func (e *engine) stop() {
	one := [8]byte{1}
	if _, err := unix.Write(e.wake, one[:]); err != nil {
		panic("write to an eventfd: " + err.Error()) // its counter cannot be full: this is the only write
	}
}

// run works through the window. The thread ends with it: it leaves with a timer slack that is not the process's own.
func (e *engine) run() error {
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set the timer slack: %w", err)
	}
	now := clock.Now()
	for {
		if now >= e.edge {
			e.cross(now)
		}
		if now >= e.deadline {
			e.expire(now)
		}
		if e.head <= now {
			now = e.due(now)
		}
		if e.phase == 4 || e.phase == 3 && e.inflight == 0 && e.head == never && (e.sticky == nil || e.sticky.n == 0) {
			break
		}
		n, err := e.wait(now)
		if err != nil {
			return fmt.Errorf("epoll_wait: %w", err)
		}
		for _, ev := range e.events[:n] {
			if ev.Fd == wakeIndex {
				return nil
			}
			if ev.Events&unix.EPOLLOUT != 0 {
				e.flush(ev.Fd)
			}
			if ev.Events&^unix.EPOLLOUT != 0 {
				e.readable(ev.Fd)
			}
			if e.head != never { // a send that fell due must not wait for the rest of the batch
				if now = clock.Now(); e.head <= now {
					e.due(now)
				}
			}
		}
		now = clock.Now()
	}
	e.finish(now)
	return nil
}

// wait sleeps until something happens on a connection, or until the next moment at which there is something to do.
func (e *engine) wait(now int64) (int, error) {
	until := min(e.edge, e.deadline)
	if e.head != never {
		if e.n > 0 || e.sticky != nil {
			until = min(until, e.head)
		} else {
			until = min(until, e.head+e.timeout) // all connections are taken: it can only time out
		}
	}
	left := until - now
	if e.exact && until == e.head {
		left -= spinTail
	}
	if left > 0 {
		return e.poll(left)
	}
	if until != e.head {
		return e.poll(0)
	}
	for {
		n, err := e.poll(0)
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

// poll is epoll_pwait2 with a timeout in nanoseconds. A poll without a timeout does not tell the Go scheduler: it
// returns at once, and its cost is what exact pacing is made of.
func (e *engine) poll(timeout int64) (int, error) {
	ts := unix.NsecToTimespec(timeout)
	var n uintptr
	var errno unix.Errno
	if timeout == 0 {
		n, _, errno = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(e.ep), uintptr(unsafe.Pointer(&e.events[0])), batch, uintptr(unsafe.Pointer(&ts)), 0, 0)
	} else {
		n, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(e.ep), uintptr(unsafe.Pointer(&e.events[0])), batch, uintptr(unsafe.Pointer(&ts)), 0, 0)
	}
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	case unix.ENOSYS: // before Linux 5.11: milliseconds, rounded down, so that exact pacing spins the rest
		k, err := unix.EpollWait(e.ep, e.events, int(timeout/1_000_000))
		if err == unix.EINTR {
			return 0, nil
		}
		return k, err
	}
	return 0, errno
}

// cross enters the next phase.
func (e *engine) cross(now int64) {
	e.phase++
	switch e.phase {
	case 1:
		e.edge = e.w.Measure
		if e.schedule != nil {
			e.advance()
			break
		}
		if e.think > 0 {
			e.stagger()
			break
		}
		for e.n > 0 {
			e.start(e.takeFree(), e.w.Start, clock.Now())
		}
	case 2:
		e.edge = e.w.End
		e.sentIn, e.recvIn, e.cpu = -e.sent, -e.received, threadCPU()
		if e.onEdge != nil {
			e.onEdge(true)
		}
	case 3:
		e.edge = e.w.Drained
		e.sentIn, e.recvIn = e.sentIn+e.sent, e.recvIn+e.received
		e.idle = max(0, e.w.End-e.w.Measure-(threadCPU()-e.cpu))
		e.backlog += int64(e.inflight)
		if e.sticky != nil {
			e.backlog += int64(e.sticky.n)
		}
		if e.onEdge != nil {
			e.onEdge(false)
		}
	case 4:
		e.edge = never
	}
	if now >= e.edge { // a machine that slept through a whole phase
		e.cross(now)
	}
}

// stagger spreads the first requests of a closed loop with think time evenly over that time: connections that begin
// together would stay together.
func (e *engine) stagger() {
	all := int64(len(e.load.dial.fds))
	for k := range e.n {
		i := e.ring[(e.first+k)%len(e.ring)]
		at := int64(e.shard) + int64(i)*int64(e.load.place.Threads)
		e.conns[i].freeAt = e.w.Start - e.think + e.think/all*at
	}
	e.ponder()
}

// threadCPU is the calling thread's CPU time in nanoseconds.
func threadCPU() int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		return 0
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// advance draws the next intended time.
func (e *engine) advance() {
	at, ok := e.schedule.Next()
	if e.head = e.w.Start + int64(at); !ok {
		e.head = never
	}
}

// due sends what is due, as far as connections are free, and returns the time.
func (e *engine) due(now int64) int64 {
	for e.head <= now {
		if e.schedule == nil {
			at := e.head
			i := e.takeFree()
			e.ponder()
			e.start(i, at, now)
			if e.phase == 3 {
				e.backlog++
			}
			now = clock.Now()
			continue
		}
		waiting := request{intended: e.head}
		switch {
		case e.live == 0:
			e.rec.errors[errNoConnection]++
			e.rec.giveUp(&waiting, now, failed)
		case now-e.head >= e.timeout:
			e.rec.giveUp(&waiting, e.head+e.timeout, timedOut)
		case e.sticky != nil:
			e.assign(now)
			now = clock.Now()
		case e.n == 0:
			return now
		default:
			e.start(e.takeFree(), e.head, now)
			now = clock.Now()
		}
		if e.phase == 3 {
			e.backlog++
		}
		e.advance()
	}
	return now
}

// expire gives up on requests whose time is over, and finds the next such time.
func (e *engine) expire(now int64) {
	e.deadline = now + e.timeout
	for i := range e.conns {
		c := &e.conns[i]
		if c.state != busy {
			continue
		}
		if at := c.intended + e.timeout; at > now {
			e.deadline = min(e.deadline, at)
			continue
		}
		e.rec.giveUp(&c.request, c.intended+e.timeout, timedOut)
		c.state = overdue
		e.inflight--
	}
	if e.sticky != nil {
		e.expireWaiting(now)
	}
}

// finish gives up on all that is left when the drain is over.
func (e *engine) finish(now int64) {
	e.rec.settle()
	for i := range e.conns {
		if c := &e.conns[i]; c.state == busy {
			e.rec.giveUp(&c.request, now, unfinished)
		}
	}
	for i := 0; e.sticky != nil && i < len(e.conns); i++ {
		e.abandon(int32(i), now, unfinished)
	}
	for ; e.schedule != nil && e.head != never; e.advance() {
		e.rec.giveUp(&request{intended: e.head}, now, unfinished)
		e.backlog++
	}
}
