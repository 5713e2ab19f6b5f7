package loadgen

import "github.com/sockbench/sockbench/wire"

// flow is what is remembered of a connection of datagrams, where replies may be lost, doubled and overtaken: the last
// requests that are over, by id.
type flow struct {
	recent  [64]past
	n       int    // ever put into recent
	highest uint64 // the latest request that was answered
}

type past struct {
	id       uint64
	answered bool
}

// gaveUp notes that the time of request id is over.
func (f *flow) gaveUp(id uint64) { f.keep(past{id, false}) }

func (f *flow) keep(p past) {
	f.recent[f.n%len(f.recent)] = p
	f.n++
}

// overtaken notes that id was answered, and says whether a later request had been already.
func (f *flow) overtaken(id uint64) bool {
	before := id < f.highest
	f.highest = max(f.highest, id)
	return before
}

// find is the past request of that id, or nil.
func (f *flow) find(id uint64) *past {
	for j := range min(f.n, len(f.recent)) {
		if f.recent[j].id == id {
			return &f.recent[j]
		}
	}
	return nil
}

// datagram takes one datagram, which is a whole reply or nothing. A bad one is counted and does no more harm.
func (e *engine) datagram(i int32, b []byte) {
	used, done, err := e.load.codec.Scan(&e.state, b)
	m := e.state.Msg
	if err != nil || !done || used < len(b) {
		e.state = wire.State{}
		e.rec.errors[errProtocol]++
		return
	}
	f := &e.flows[e.at(i)]
	k := e.find(i, m.ID)
	if k == none {
		switch p := f.find(m.ID); {
		case p == nil:
			e.rec.errors[errUnasked]++
			return
		case p.answered:
			e.rec.duplicated++
			return
		default:
			p.answered = true
			e.rec.lateRepl++
		}
		if f.overtaken(m.ID) {
			e.rec.reordered++
		}
		return
	}
	now := e.now()
	e.unqueue(k)
	f.keep(past{m.ID, true})
	if f.overtaken(m.ID) {
		e.rec.reordered++
	}
	if m.Size != int64(e.load.spec.Reply) {
		e.rec.errors[errSize]++
		e.rec.giveUp(&e.conns[k].request, now, failed)
		e.inflight--
		e.release(k, now)
		return
	}
	e.complete(k, now)
}

// find is the conn of connection i whose written request has that id, or none.
func (e *engine) find(i int32, id uint64) int32 {
	for k := i; k < i+int32(e.depth); k++ {
		if c := &e.conns[k]; c.state == busy && !c.queued && c.id == id {
			return k
		}
	}
	return none
}
