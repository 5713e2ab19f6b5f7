package loadgen

import (
	"github.com/sockbench/sockbench/internal/clock"
	"github.com/sockbench/sockbench/wire"
)

// state of a connection.
type state uint8

const (
	free    state = iota // may take a request
	busy                 // a request is out
	overdue              // its request timed out; the reply may still come and must not match a newer one
	closing              // its unit is complete, and the peer is to close
	dead
)

// conn is one connection of an engine. It carries one request at a time: where knob pipeline asks for more, that many
// conns in a row share the descriptor and the rest of the first of them. It fills one cache line: at thousands of
// connections their sum is what a request costs the client beside the kernel's part.
type conn struct {
	request
	freeAt    int64 // when it last became free
	completed int64 // in the measure phase
	cut       *cut  // nil until a message was cut short for the first time
	fd        int32 // -1: none
	state     state
	queued    bool // its request is not being written yet
	armed     bool // waits for writability: the rest of a request is in cut
}

// cut is what is kept of messages that the socket did not take, or give, in one piece.
type cut struct {
	in  wire.State
	out wire.Frame
}

// keep makes room for what is cut short, once in a connection's life.
func (c *conn) keep() *cut {
	if c.cut == nil {
		c.cut = new(cut)
	}
	return c.cut
}

// at is the place of conn k's connection among visits, flows and pipes.
func (e *engine) at(k int32) int32 { return k / int32(e.depth) }

// start gives a request to conn k.
func (e *engine) start(k int32, intended int64) {
	c := &e.conns[k]
	e.seq++
	c.request = request{id: e.seq, intended: intended, taken: max(intended, c.freeAt)}
	c.state, c.queued = busy, true
	e.inflight++
	e.deadline = min(e.deadline, intended+e.timeout)
	if e.pipes != nil {
		if !e.pipes[e.at(k)].push(k) {
			return // others wait to be written: the connection is in todo, or waits for writability
		}
		k -= k % int32(e.depth)
	}
	e.todo = append(e.todo, k)
}

// lay lays the oldest unwritten request of connection i out in f; false: there is none. Its write begins now.
func (e *engine) lay(i int32, f *wire.Frame) bool {
	k := i
	if e.pipes != nil {
		if k = e.pipes[e.at(i)].unwritten(); k == none {
			return false
		}
	} else if !e.conns[i].queued {
		return false
	}
	e.laid(k, clock.Now())
	e.put(f, k)
	return true
}

// laid notes that the write of conn k's request begins at now.
func (e *engine) laid(k int32, now int64) {
	c := &e.conns[k]
	if c.queued = false; c.wrote == 0 {
		c.wrote = now
	}
	if e.pipes != nil {
		e.pipes[e.at(k)].unsent--
	}
	if e.visits != nil {
		e.visits[e.at(k)].asked = now
	}
}

// put lays conn k's request out in f.
func (e *engine) put(f *wire.Frame, k int32) {
	f.Reset()
	e.load.codec.Put(f, wire.Message{ID: e.conns[k].id, Size: int64(e.load.spec.Request), Reply: int64(e.load.spec.Reply)})
}

// take takes apart what connection i received.
func (e *engine) take(i int32, b []byte) {
	c := &e.conns[i]
	e.received += int64(len(b))
	e.reads++
	if e.rearm {
		e.load.tally.AfterRead(int(c.fd))
	}
	if e.visits != nil && e.visits[e.at(i)].first == 0 {
		e.visits[e.at(i)].first = clock.Now()
	}
	if e.flows != nil {
		e.datagram(i, b)
		return
	}
	st := &e.state
	if c.cut != nil {
		st = &c.cut.in
	}
	for len(b) > 0 {
		used, done, err := e.load.codec.Scan(st, b)
		if err != nil {
			*st = wire.State{}
			e.lose(i, errProtocol)
			return
		}
		if b = b[used:]; done && !e.reply(i, st.Msg) {
			*st = wire.State{}
			return
		}
	}
	if st == &e.state && st.Partial() {
		c.keep().in, e.state = e.state, wire.State{}
	}
}

// asked returns the conn whose reply connection i is to get next, or none.
func (e *engine) asked(i int32) int32 {
	c := &e.conns[i]
	if e.pipes != nil {
		return e.pipes[e.at(i)].oldest(c.armed)
	}
	if c.state != busy && c.state != overdue || c.queued || c.armed {
		return none
	}
	return i
}

// reply takes one whole reply to connection i, and says whether the connection is still good.
func (e *engine) reply(i int32, m wire.Message) bool {
	now := e.now()
	k := e.asked(i)
	switch {
	case k == none, e.load.matched && m.ID != e.conns[k].id:
		e.lose(i, errUnasked)
		return false
	case m.Size != int64(e.load.spec.Reply) && !e.load.framing.Theirs:
		e.lose(i, errSize)
		return false
	}
	if e.pipes != nil {
		e.pipes[e.at(i)].pop()
	}
	if e.conns[k].state == overdue {
		e.rec.lateRepl++
		if e.spent(i) {
			e.vacate(i, now)
			return false
		}
		e.release(k, now)
	} else if m.Error {
		e.refused(k, now)
	} else {
		e.complete(k, now)
	}
	if m.Last && e.conns[k].state != closing {
		e.ended(i, now)
		return false
	}
	return true
}

// complete counts conn k's request, whose reply is whole and valid.
func (e *engine) complete(k int32, now int64) {
	c := &e.conns[k]
	if e.rec.complete(&c.request, now); e.rec.counts(&c.request) {
		c.completed++
	}
	e.conclude(k, now)
}

// refused counts conn k's request, to which the server has said that it did not do it. The connection is as good as ever.
func (e *engine) refused(k int32, now int64) {
	e.rec.errors[errReply]++
	e.rec.giveUp(&e.conns[k].request, now, failed)
	e.conclude(k, now)
}

// conclude follows the reply to conn k's request.
func (e *engine) conclude(k int32, now int64) {
	e.inflight--
	if e.visits != nil && e.answered(k, now) {
		return // it is free when it is closed
	}
	e.release(k, now)
}

// release makes conn k free at now, and in a closed loop gives it the next request.
func (e *engine) release(k int32, now int64) {
	c := &e.conns[k]
	c.state, c.freeAt = free, now
	switch {
	case e.sticky != nil:
		if at, ok := e.sticky.pop(k); ok {
			e.start(k, at)
		}
	case e.schedule != nil:
		e.putFree(k)
	case e.think > 0:
		e.putFree(k)
		e.ponder()
	case now < e.w.End:
		e.start(k, now)
	}
}

// unqueue takes conn k's request out of those that its connection carries.
func (e *engine) unqueue(k int32) {
	c := &e.conns[k]
	if e.pipes != nil {
		e.pipes[e.at(k)].remove(k, c.queued)
	}
	c.queued = false
}

func (e *engine) putFree(k int32) {
	at := e.first + e.n
	if at >= len(e.ring) {
		at -= len(e.ring)
	}
	e.ring[at] = k
	e.n++
}

// takeFree returns the conn that has been free longest. There must be one.
func (e *engine) takeFree() int32 {
	k := e.ring[e.first]
	if e.first++; e.first == len(e.ring) {
		e.first = 0
	}
	e.n--
	return k
}

// lose ends connection i because of what happened to it. All that it carried has failed.
func (e *engine) lose(i int32, kind errorKind) {
	now := clock.Now()
	c := &e.conns[i]
	if kind == errConnectTimeout && (e.visits == nil || e.visits[e.at(i)].up != 0) { // ETIMEDOUT of a connection that was up
		kind = errGivenUp
	}
	e.rec.errors[kind]++
	e.rec.trouble(now, kind)
	stays := e.visits != nil || e.flows != nil
	if e.flows == nil {
		e.shut(i)
	}
	if c.armed = false; c.cut != nil {
		c.cut.in = wire.State{}
	}
	if e.pipes != nil {
		e.pipes[e.at(i)].clear()
	}
	for k := i; k < i+int32(e.depth); k++ {
		c := &e.conns[k]
		was := c.state
		if was == busy {
			e.rec.giveUp(&c.request, now, failed)
			e.inflight--
		}
		switch c.queued = false; {
		case !stays:
			if c.state = dead; e.sticky != nil {
				e.abandon(k, now, failed)
			}
		case was != free:
			e.release(k, now)
		}
	}
	if !stays {
		e.live--
		e.forget()
	}
}

// shut closes connection i's descriptor.
func (e *engine) shut(i int32) {
	c := &e.conns[i]
	if c.fd < 0 {
		return
	}
	e.mover.shut(i)
	*e.slot(i) = -1
	c.fd, c.armed = -1, false
}

// slot is where the load knows connection i's descriptor, to close it at the end.
func (e *engine) slot(i int32) *int {
	return &e.load.dial.fds[e.shard+int(e.at(i))*e.load.place.Threads]
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

// forget takes conns that died while they were free out of the ring.
func (e *engine) forget() {
	for range e.n {
		if k := e.takeFree(); e.conns[k].state != dead {
			e.putFree(k)
		}
	}
	if e.schedule == nil && e.phase > 0 {
		e.ponder()
	}
}

// done is how many requests connection i completed in the measure phase.
func (e *engine) done(i int) (n int64) {
	for k := i; k < i+e.depth; k++ {
		n += e.conns[k].completed
	}
	return n
}
