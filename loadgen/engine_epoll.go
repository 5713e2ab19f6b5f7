package loadgen

import (
	"fmt"
	"math"
	"runtime"
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

// state of a connection.
type state uint8

const (
	free    state = iota // may take a request
	busy                 // a request is out
	overdue              // its request timed out; the reply may still come and must not match a newer one
	dead
)

// conn is one connection of an engine. It carries one request at a time. It fills one cache line: at thousands of
// connections their sum is what a request costs the client beside the kernel's part.
type conn struct {
	request
	freeAt    int64 // when it last became free
	completed int64 // in the measure phase
	cut       *cut  // nil until a message was cut short for the first time
	fd        int32
	state     state
	armed     bool // waits for writability: the rest of the request is in cut
}

// cut is what is kept of messages that the socket did not take, or give, in one piece.
type cut struct {
	in  wire.State
	out wire.Frame
}

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
	split    bool
	exact    bool
	schedule Schedule // nil: closed loop
	head     int64    // intended time of the next request; never: none is left
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
		seq: uint64(shard) << 48, rearm: l.tally.Rearms(), split: l.spec.Write == "split", exact: l.spec.Pace == "exact",
		schedule: l.schedule(shard, w), head: never, timeout: int64(l.spec.RequestTimeout), deadline: never, edge: w.Start, wake: -1, ep: -1,
	}
	for i := shard; i < len(l.dial.fds); i += l.place.Threads {
		e.conns = append(e.conns, conn{fd: int32(l.dial.fds[i])})
	}
	e.live, e.ring = len(e.conns), make([]int32, len(e.conns))
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
		if e.phase == 4 || e.phase == 3 && e.inflight == 0 && e.head == never {
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
			if e.schedule != nil { // a send that fell due must not wait for the rest of the batch
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
		if e.n > 0 {
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
		waiting := request{intended: e.head}
		switch {
		case e.live == 0:
			e.rec.errors[errNoConnection]++
			e.rec.giveUp(&waiting, now, failed)
		case now-e.head >= e.timeout:
			e.rec.giveUp(&waiting, e.head+e.timeout, timedOut)
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

// start gives a request to connection i. now is when its write begins.
func (e *engine) start(i int32, intended, now int64) {
	c := &e.conns[i]
	e.seq++
	c.request = request{id: e.seq, intended: intended, taken: max(intended, c.freeAt), wrote: now}
	c.state = busy
	e.inflight++
	e.deadline = min(e.deadline, intended+e.timeout)
	e.step(i, e.on(Due), now)
}

// step does what the workload asks for.
func (e *engine) step(i int32, s Step, now int64) {
	c := &e.conns[i]
	switch s {
	case Send:
		e.frame.Reset()
		e.load.codec.Put(&e.frame, wire.Message{ID: c.id, Size: int64(e.load.spec.Request), Reply: int64(e.load.spec.Reply)})
		e.flush(i)
	case Complete:
		if e.rec.complete(&c.request, now); e.rec.counts(&c.request) {
			c.completed++
		}
		e.inflight--
		e.release(i, now)
	case Fail:
		if c.state == busy {
			e.rec.giveUp(&c.request, now, failed)
			e.inflight--
		}
	}
}

// release makes connection i free at now, and in a closed loop gives it the next request.
func (e *engine) release(i int32, now int64) {
	c := &e.conns[i]
	c.state, c.freeAt = free, now
	switch {
	case e.schedule != nil:
		e.putFree(i)
	case now < e.w.End:
		e.start(i, now, clock.Now())
	}
}

func (e *engine) putFree(i int32) {
	at := e.first + e.n
	if at >= len(e.ring) {
		at -= len(e.ring)
	}
	e.ring[at] = i
	e.n++
}

// takeFree returns the connection that has been free longest. There must be one.
func (e *engine) takeFree() int32 {
	i := e.ring[e.first]
	if e.first++; e.first == len(e.ring) {
		e.first = 0
	}
	e.n--
	return i
}

// flush writes as much of the request as the socket takes.
func (e *engine) flush(i int32) {
	c := &e.conns[i]
	if c.state == dead {
		return
	}
	f := &e.frame
	if c.armed {
		f = &c.cut.out
	}
	for f.Left() > 0 {
		b := f.Next(e.outb)
		if e.split {
			if first := f.Cut() - (f.Len() - f.Left()); first > 0 && first < int64(len(b)) {
				b = b[:first]
			}
		}
		n, err := write(c.fd, b)
		if err == unix.EINTR {
			continue
		}
		if err == unix.EAGAIN {
			if !c.armed {
				c.keep().out, e.frame = e.frame, c.cut.out // swapped: neither loses its buffer
				e.arm(i, true)
			}
			return
		}
		if err != nil {
			e.lose(i, Failed, kindOf(err))
			return
		}
		e.sent += int64(n)
		f.Wrote(n)
	}
	if c.armed {
		e.arm(i, false)
	}
}

// keep makes room for what is cut short, once in a connection's life.
func (c *conn) keep() *cut {
	if c.cut == nil {
		c.cut = new(cut)
	}
	return c.cut
}

// arm watches for writability, or no longer.
func (e *engine) arm(i int32, on bool) {
	c := &e.conns[i]
	c.armed = on
	events := uint32(unix.EPOLLIN)
	if on {
		events |= unix.EPOLLOUT
	}
	if err := unix.EpollCtl(e.ep, unix.EPOLL_CTL_MOD, int(c.fd), &unix.EpollEvent{Events: events, Fd: i}); err != nil {
		e.lose(i, Failed, errOther)
	}
}

// readable reads once and takes the replies apart.
func (e *engine) readable(i int32) {
	c := &e.conns[i]
	if c.state == dead {
		return
	}
	n, err := read(c.fd, e.in)
	switch {
	case err == unix.EAGAIN, err == unix.EINTR:
		return
	case err != nil:
		e.lose(i, Failed, kindOf(err))
		return
	case n == 0:
		e.lose(i, EOF, errEOF)
		return
	}
	e.received += int64(n)
	if e.rearm {
		e.load.tally.AfterRead(int(c.fd))
	}
	st := &e.state
	if c.cut != nil {
		st = &c.cut.in
	}
	for b := e.in[:n]; len(b) > 0; {
		used, done, err := e.load.codec.Scan(st, b)
		if err != nil {
			*st = wire.State{}
			e.lose(i, Failed, errProtocol)
			return
		}
		if b = b[used:]; done && !e.reply(i, st.Msg) {
			return
		}
	}
	if st == &e.state && st.Partial() {
		c.keep().in, e.state = e.state, wire.State{}
	}
}

// reply takes one whole reply, and says whether the connection is still good.
func (e *engine) reply(i int32, m wire.Message) bool {
	c := &e.conns[i]
	now := clock.Now()
	if now >= e.edge {
		e.cross(now)
	}
	switch {
	case c.state == free, e.load.matched && m.ID != c.id, c.armed:
		e.lose(i, Failed, errUnasked)
	case m.Size != int64(e.load.spec.Reply):
		e.lose(i, Failed, errSize)
	case c.state == overdue:
		e.rec.lateRepl++
		e.release(i, now)
	default:
		e.step(i, e.on(Reply), now)
	}
	return c.state != dead
}

// lose ends connection i because of ev.
func (e *engine) lose(i int32, ev Event, kind errorKind) {
	c := &e.conns[i]
	if c.state == dead {
		return
	}
	e.rec.errors[kind]++
	e.step(i, e.on(ev), clock.Now())
	if c.state == free && (e.schedule != nil || e.phase == 0) {
		e.forget(i)
	}
	c.state = dead
	e.live--
	e.load.dial.fds[e.shard+int(i)*e.load.place.Threads] = -1
	e.load.closeConn(int(c.fd)) // which also takes it out of the epoll
}

// forget takes a connection that died while it was free out of the ring.
func (e *engine) forget(i int32) {
	for range e.n {
		if k := e.takeFree(); k != i {
			e.putFree(k)
		}
	}
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
}

// finish gives up on all that is left when the drain is over.
func (e *engine) finish(now int64) {
	e.rec.settle()
	for i := range e.conns {
		if c := &e.conns[i]; c.state == busy {
			e.rec.giveUp(&c.request, now, unfinished)
		}
	}
	for ; e.head != never; e.advance() {
		e.rec.giveUp(&request{intended: e.head}, now, unfinished)
		e.backlog++
	}
}
