package loadgen

import (
	"cmp"
	"math"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/clock"
	"github.com/sockbench/sockbench/wire"
)

const (
	bufferLen = 64 << 10
	never     = math.MaxInt64
	endless   = math.MaxInt64 / 4 // a timeout that never comes, and can still be added to a time
)

// EngineKind is one entry of Engines: one way in which a client may wait for its sockets and move bytes.
type EngineKind struct {
	Name, Doc string
	Tasks     bool         // a goroutine or thread per connection: nothing can spin for the next due send without taking their CPU
	Threads   bool         // of Tasks: a thread
	check     func() error // whether it works here; nil: everywhere
	open      func(e *engine) (mover, error)
}

// mover is what is left to the kinds of engine: how bytes move, and who waits how. The numbers are connections.
type mover interface {
	run() error    // works through the window
	shut(i int32)  // the descriptor is to be closed, by whoever works on the connection
	abort(i int32) // the same, asked for by another than that one
	stop()         // ends run early, from any goroutine
	close()        // after run
	dial(i int32)  // begins to connect: dialed and connected are to follow, or lose
}

// engine is what all engines have in common: who sends what and when, and what came of it. It is of one thread, or
// locked by its mover. Nothing between the socket and the histogram allocates, waits or formats.
//
// Requests are sent in the order of their intended times, so those that wait for a free connection need no queue: the
// schedule itself is the queue, and head its first element.
type engine struct {
	load   *Load
	shard  int
	w      Window
	mover  mover
	conns  []conn
	rec    *recorder
	onEdge func(begins bool)

	depth  int        // requests that a connection carries at one time
	pipes  []pipe     // by connection; nil: depth is 1
	visits []visit    // by connection; nil: all connections are there from the start, and stay
	flows  []flow     // by connection; nil: they are streams
	brief  bool       // every unit has a connection of its own
	lasts  int        // replies behind which a connection is closed; 0: it stays
	most   int        // bytes of one write
	todo   []int32    // connections that have something to write
	ready  []int32    // todo of the pass before
	ring   []int32    // free conns, longest free first
	first  int        // of ring
	n      int        // in ring
	sticky *sticky    // nil: dispatch idle
	state  wire.State // of a reply that began and ended in one read
	frame  wire.Frame // of a request that went in one write

	live     int // connections not dead
	inflight int // requests out and not given up
	seq      uint64
	rearm    bool
	manner   manner
	schedule Schedule // nil: closed loop
	head     int64    // intended time of the next request; never: none is left
	think    int64    // of a closed loop
	timeout  int64
	deadline int64 // no request times out before this
	edge     int64 // when the next phase begins
	phase    int   // 0 before start, 1 warm-up, 2 measure, 3 drain, 4 over

	sent, received int64 // bytes, ever
	sentIn, recvIn int64 // bytes, in the measure phase
	reads, readsIn int64 // that returned bytes: ever, and in the measure phase
	backlog        int64
	looked         int // at how many connections made on the way
	spin, idle     int64
	threads        int          // how many CPUs can work for it
	busy           func() int64 // the CPU time of those who do
	cpu            int64
}

func (l *Load) newEngine(shard int, w Window) (*engine, error) {
	e := &engine{
		load: l, shard: shard, w: w, rec: newRecorder(w, l.place.Samples/l.place.Threads), depth: max(1, int(l.spec.Pipeline)), brief: l.workload.Brief,
		lasts: int(l.spec.PerConnection), most: cmp.Or(int(l.spec.WriteSize), math.MaxInt),
		seq: uint64(shard) << 48, rearm: l.tally.Rearms(), manner: manner(slices.Index(Writes, string(l.spec.Write))),
		schedule: l.schedule(shard, w), head: never, think: int64(l.spec.Think), timeout: int64(l.spec.RequestTimeout), deadline: never, edge: w.Start,
		threads: 1, busy: threadCPU,
	}
	if e.timeout == 0 {
		e.timeout = endless
	}
	if e.brief {
		e.lasts = 1
	}
	for i := shard; i < len(l.dial.fds); i += l.place.Threads {
		e.conns = append(e.conns, conn{fd: int32(l.dial.fds[i])})
		for range e.depth - 1 {
			e.conns = append(e.conns, conn{fd: -1})
		}
		e.live++
	}
	e.ring = make([]int32, len(e.conns))
	e.todo, e.ready = make([]int32, 0, e.live), make([]int32, 0, e.live)
	for lane := range e.depth { // connections before lanes: two requests go to two connections
		for i := lane; i < len(e.conns); i += e.depth {
			e.putFree(int32(i))
		}
	}
	if e.depth > 1 {
		e.pipes = newPipes(e.live, e.depth)
	}
	if e.lasts > 0 || l.spec.IdleTimeout > 0 || l.spec.Reopen || l.framing.Anew {
		e.visits = make([]visit, e.live)
	}
	if l.dial.dgram {
		e.flows = make([]flow, e.live)
	}
	if l.spec.Dispatch == "sticky" {
		e.sticky = newSticky(len(e.conns))
	}
	if e.visits != nil && !e.brief {
		for i := range e.visits {
			e.visits[i] = visit{up: w.Start, used: w.Start}
		}
	}
	var err error
	e.mover, err = l.engine.open(e)
	return e, err
}

// over says that nothing is left to wait for.
func (e *engine) over() bool {
	return e.phase == 4 || e.phase == 3 && e.inflight == 0 && e.head == never && (e.sticky == nil || e.sticky.n == 0)
}

// next is when there is something to do even if nothing happens on a connection.
func (e *engine) next() int64 {
	until := min(e.edge, e.deadline)
	if e.head == never {
		return until
	}
	if e.n > 0 || e.sticky != nil {
		return min(until, e.head)
	}
	return min(until, e.head+e.timeout) // all connections are taken: it can only time out
}

// work does what is to be done at now: phases, timeouts, requests that are due.
func (e *engine) work(now int64) {
	if now >= e.edge {
		e.cross(now)
	}
	if now >= e.deadline {
		e.expire(now)
	}
	if e.head <= now {
		e.due(now)
	}
}

// now is the time, in the phase that it belongs to.
func (e *engine) now() int64 {
	now := clock.Now()
	if now >= e.edge {
		e.cross(now)
	}
	return now
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
			e.start(e.takeFree(), e.w.Start)
		}
	case 2:
		e.edge = e.w.End
		e.sentIn, e.recvIn, e.readsIn, e.cpu = -e.gone(), -e.received, -e.reads, e.busy()
		if e.onEdge != nil {
			e.onEdge(true)
		}
	case 3:
		e.edge = e.w.Drained
		e.sentIn, e.recvIn, e.readsIn = e.sentIn+e.gone(), e.recvIn+e.received, e.readsIn+e.reads
		e.idle = max(0, (e.w.End-e.w.Measure)*int64(e.threads)-(e.busy()-e.cpu))
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

// gone is how many bytes were written. Of a workload that measures what arrives: those that the peer's kernel has
// acknowledged.
func (e *engine) gone() int64 {
	n := atomic.LoadInt64(&e.sent) // tasks count while others work here
	if e.load.workload.Arrived {
		for i := 0; i < len(e.conns); i += e.depth {
			if fd := e.conns[i].fd; fd >= 0 {
				if waiting, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); err == nil {
					n -= int64(waiting)
				}
			}
		}
	}
	return n
}

// stagger spreads the first requests of a closed loop with think time evenly over that time: connections that begin
// together would stay together.
func (e *engine) stagger() {
	all := int64(len(e.load.dial.fds) * e.depth)
	for k := range e.n {
		i := e.ring[(e.first+k)%len(e.ring)]
		at := int64(e.shard) + int64(i)*int64(e.load.place.Threads)
		e.conns[i].freeAt = e.w.Start - e.think + e.think/all*at
	}
	e.ponder()
}

// threadCPU is the calling thread's CPU time in nanoseconds.
func threadCPU() int64 { return cpuOf(unix.RUSAGE_THREAD) }

// processCPU is that of all threads.
func processCPU() int64 { return cpuOf(unix.RUSAGE_SELF) }

func cpuOf(who int) int64 {
	var u unix.Rusage
	if err := unix.Getrusage(who, &u); err != nil {
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

// due hands out what is due, as far as connections are free.
func (e *engine) due(now int64) {
	for e.head <= now {
		if e.schedule == nil {
			at := e.head
			i := e.takeFree()
			e.ponder()
			e.start(i, at)
			if e.phase == 3 {
				e.backlog++
			}
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
			e.assign()
		case e.n == 0:
			return
		default:
			e.start(e.takeFree(), e.head)
		}
		if e.phase == 3 {
			e.backlog++
		}
		e.advance()
	}
}

// expire gives up on requests whose time is over, and finds the next such time.
func (e *engine) expire(now int64) {
	e.deadline = now + e.timeout
	for i := range e.conns {
		c := &e.conns[i]
		if e.visits != nil && e.expireVisit(int32(i), now) || c.state != busy {
			continue
		}
		if at := c.intended + e.timeout; at > now {
			e.deadline = min(e.deadline, at)
			continue
		}
		e.rec.giveUp(&c.request, c.intended+e.timeout, timedOut)
		e.inflight--
		c.state = overdue
		switch {
		case e.brief: // no later request could mistake the reply for its own
			e.mover.abort(int32(i))
		case c.wrote == 0:
			e.unqueue(int32(i))
			e.release(int32(i), now)
		case e.flows != nil: // the reply is known by its id, and may never come
			e.flows[e.at(int32(i))].gaveUp(c.id)
			e.unqueue(int32(i))
			e.release(int32(i), now)
		}
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
