package loadgen

import (
	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/clock"
	"github.com/sockbench/sockbench/wire"
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
	case e.sticky != nil:
		if at, ok := e.sticky.pop(i); ok {
			e.start(i, at, clock.Now())
		}
	case e.schedule != nil:
		e.putFree(i)
	case e.think > 0:
		e.putFree(i)
		e.ponder()
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
		n, err := e.put(c.fd, f)
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
	if e.manner == corked {
		if err := cork(c.fd, 0); err != nil {
			e.lose(i, Failed, kindOf(err))
			return
		}
	}
	if c.armed {
		e.arm(i, false)
	}
}

// manner is how a request of two pieces, head and body, is written.
type manner uint8

const (
	single   manner = iota // one buffer, one write
	split                  // two writes
	vectored               // two buffers, one writev
	corked                 // TCP_CORK, two writes, and the cork out again
)

// put makes one write of what is left of f.
func (e *engine) put(fd int32, f *wire.Frame) (int, error) {
	b := f.Next(e.outb)
	if e.manner == single {
		return write(fd, b)
	}
	gone := f.Len() - f.Left()
	if e.manner == corked && gone == 0 {
		if err := cork(fd, 1); err != nil {
			return -1, err
		}
	}
	first := f.Cut() - gone
	switch {
	case first <= 0 || first >= int64(len(b)):
		return write(fd, b)
	case e.manner == vectored:
		return writev(fd, b[:first], b[first:])
	}
	return write(fd, b[:first])
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
	if e.sticky != nil {
		e.abandon(i, clock.Now(), failed)
	} else if c.state == free && (e.schedule != nil || e.think > 0 || e.phase == 0) {
		e.forget(i)
		if e.schedule == nil && e.phase > 0 {
			e.ponder()
		}
	}
	c.state = dead
	e.live--
	e.load.dial.fds[e.shard+int(i)*e.load.place.Threads] = -1
	e.load.closeConn(int(c.fd)) // which also takes it out of the epoll
}

// ponder says when the next request of a closed loop with think time is meant to leave: connections become free in the
// order in which they will be needed again.
func (e *engine) ponder() {
	e.head = never
	if e.n > 0 {
		if at := e.conns[e.ring[e.first]].freeAt + e.think; at < e.w.End {
			e.head = at
		}
	}
}

// forget takes a connection that died while it was free out of the ring.
func (e *engine) forget(i int32) {
	for range e.n {
		if k := e.takeFree(); k != i {
			e.putFree(k)
		}
	}
}
