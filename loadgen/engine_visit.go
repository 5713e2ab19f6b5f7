package loadgen

import (
	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/clock"
	"github.com/sockbench/sockbench/wire"
)

// visit is the times of a connection that is opened and closed on the way: because its workload is brief, because it has
// carried as many requests as it is to, or because it was idle for too long.
type visit struct {
	began int64 // its connect
	up    int64 // it was established; 0: not yet
	asked int64 // the write of its last request began
	first int64 // something came back
	used  int64 // its last reply was complete, or its close began
	n     int   // replies
}

// looks is how many of the connections made on the way have their options read back and their TCP_INFO kept: that takes
// longer than a connection does.
const looks = 100

// standing says whether connection i can be written to. Where it has to be opened first, it begins to be.
func (e *engine) standing(i int32) bool {
	c, v := &e.conns[i], &e.visits[e.at(i)]
	if c.fd >= 0 {
		if v.up == 0 {
			return false
		}
		if idle := int64(e.load.spec.IdleTimeout); idle == 0 || e.carries(i) || clock.Now()-v.used < idle {
			return true
		}
		e.shut(i)
	}
	k := i
	if e.pipes != nil {
		k = e.pipes[e.at(i)].unwritten()
	}
	if k == none || !e.conns[k].queued {
		return false // what was to be sent has been given up
	}
	*v = visit{began: clock.Now()}
	e.conns[k].wrote = v.began
	e.deadline = min(e.deadline, v.began+int64(e.load.spec.ConnectTimeout))
	e.mover.dial(i)
	return false
}

// carries says whether a reply is to come on connection i.
func (e *engine) carries(i int32) bool {
	if e.pipes != nil {
		p := &e.pipes[e.at(i)]
		return p.n > p.unsent
	}
	c := &e.conns[i]
	return !c.queued && (c.state == busy || c.state == overdue)
}

// dialed gives connection i a descriptor that is being connected.
func (e *engine) dialed(i int32, fd int) {
	e.conns[i].fd, *e.slot(i) = int32(fd), fd
}

// connected says that connection i is established.
func (e *engine) connected(i int32) {
	c, v := &e.conns[i], &e.visits[e.at(i)]
	v.up = clock.Now()
	v.used = v.up
	if e.phase == 2 {
		e.rec.connect.Record(v.up - v.began)
	}
	if e.looked++; e.looked <= looks {
		e.load.tally.Opened(int(c.fd))
	} else {
		e.load.tally.Again(int(c.fd))
	}
	e.todo = append(e.todo, i)
}

// spent counts a reply on connection i, and says whether it was the last that the connection is to carry.
func (e *engine) spent(i int32) bool {
	if e.lasts == 0 {
		return false
	}
	v := &e.visits[e.at(i)]
	v.n++
	return v.n >= e.lasts
}

// answered notes that a reply on conn k's connection is complete, and says whether the connection is over with it: then
// it is shut down, and free again when the peer has closed too.
func (e *engine) answered(k int32, now int64) bool {
	v := &e.visits[e.at(k)]
	v.used = now
	if e.brief && e.phase == 2 {
		e.rec.firstByte.Record(v.first - v.asked)
	}
	if !e.spent(k) {
		return false
	}
	c := &e.conns[k]
	c.state = closing
	e.deadline = min(e.deadline, now+e.timeout)
	if err := unix.Shutdown(int(c.fd), unix.SHUT_WR); err != nil { // the peer has reset it
		e.mover.abort(k)
	}
	return true
}

// peerClosed says that the peer has closed connection i, and whether that was what it waited for.
func (e *engine) peerClosed(i int32) bool {
	if e.conns[i].state != closing {
		return false
	}
	now := clock.Now()
	if e.phase == 2 {
		e.rec.closing.Record(now - e.visits[e.at(i)].used)
	}
	e.vacate(i, now)
	return true
}

// ended closes connection i, behind whose last reply the peer closes it too; what is still to be written opens it anew.
// What was asked behind that reply has failed.
func (e *engine) ended(i int32, now int64) {
	if e.pipes != nil {
		e.cutOff(&e.pipes[e.at(i)], now)
	}
	c := &e.conns[i]
	waits := c.armed
	e.shut(i)
	if c.armed = false; c.cut != nil {
		c.cut.in = wire.State{}
	}
	if waits && e.pipes != nil && e.pipes[e.at(i)].unsent > 0 {
		e.todo = append(e.todo, i) // it is not there while it waits for writability
	}
}

// cutOff gives up on what was written and will not be answered.
func (e *engine) cutOff(p *pipe, now int64) {
	lost := p.n - p.unsent
	if lost > 0 {
		e.rec.errors[errEOF]++
	}
	for range lost {
		k := p.conns[p.first]
		if p.pop(); e.conns[k].state == busy {
			e.rec.giveUp(&e.conns[k].request, now, failed)
			e.inflight--
		}
		e.release(k, now)
	}
}

// vacate closes connection i, whose unit is over.
func (e *engine) vacate(i int32, now int64) {
	e.shut(i)
	if c := &e.conns[i]; c.cut != nil {
		c.cut.in = wire.State{}
	}
	e.release(i, now)
}

// expireVisit gives up on the opening or closing of connection i if its time is over, and says whether it did.
func (e *engine) expireVisit(i int32, now int64) bool {
	if i%int32(e.depth) != 0 {
		return false
	}
	c, v := &e.conns[i], &e.visits[e.at(i)]
	at, kind := int64(never), errCloseTimeout
	switch {
	case c.state == closing:
		at = v.used + e.timeout
	case c.fd >= 0 && v.up == 0:
		at, kind = v.began+int64(e.load.spec.ConnectTimeout), errConnectTimeout
	}
	if at > now {
		e.deadline = min(e.deadline, at)
		return false
	}
	if kind == errConnectTimeout {
		e.lose(i, kind)
	} else {
		e.rec.errors[kind]++
		e.mover.abort(i)
	}
	return true
}
