package loadgen

// sticky is the dispatch in which every request has its own connection, the next one in turn, and waits for it even
// when others are free: as clients do that keep one connection each. The requests that wait are kept here; an entry is
// allocated only where more wait at one time than ever before.
type sticky struct {
	queues  []queue // by connection
	entries []waiting
	unused  int32 // the first of the entries that hold nothing; none
	turn    int   // of the connection that gets the next request
	n       int   // that wait
}

// queue holds places in entries.
type queue struct{ first, last int32 }

type waiting struct {
	intended int64
	next     int32
}

const none = -1

func newSticky(conns int) *sticky {
	s := &sticky{queues: make([]queue, conns), entries: make([]waiting, 0, 4096), unused: none}
	for i := range s.queues {
		s.queues[i] = queue{none, none}
	}
	return s
}

func (s *sticky) push(i int32, intended int64) {
	at := s.unused
	if at == none {
		at = int32(len(s.entries))
		s.entries = append(s.entries, waiting{})
	} else {
		s.unused = s.entries[at].next
	}
	s.entries[at] = waiting{intended, none}
	if q := &s.queues[i]; q.first == none {
		*q = queue{at, at}
	} else {
		s.entries[q.last].next = at
		q.last = at
	}
	s.n++
}

// pop takes the request that has waited longest for connection i.
func (s *sticky) pop(i int32) (intended int64, ok bool) {
	q := &s.queues[i]
	at := q.first
	if at == none {
		return 0, false
	}
	e := &s.entries[at]
	intended, q.first = e.intended, e.next
	e.next, s.unused = s.unused, at
	s.n--
	return intended, true
}

// front is when the request that has waited longest for connection i was meant to leave; never: none waits.
func (s *sticky) front(i int32) int64 {
	if at := s.queues[i].first; at != none {
		return s.entries[at].intended
	}
	return never
}

// assign gives the request that was meant to leave at e.head to the connection whose turn it is. One must be alive.
func (e *engine) assign() {
	k := e.turn()
	for e.conns[k].state == dead {
		k = e.turn()
	}
	if e.conns[k].state == free {
		e.start(k, e.head)
		return
	}
	e.sticky.push(k, e.head)
	e.deadline = min(e.deadline, e.head+e.timeout)
}

// turn is the conn of the next connection in turn: a connection's several conns are not next to each other in it.
func (e *engine) turn() int32 {
	s, connections := e.sticky, len(e.conns)/e.depth
	k := s.turn%connections*e.depth + s.turn/connections
	s.turn = (s.turn + 1) % len(e.conns)
	return int32(k)
}

// abandon gives up on all that waits for connection i.
func (e *engine) abandon(i int32, now int64, o outcome) {
	for at, ok := e.sticky.pop(i); ok; at, ok = e.sticky.pop(i) {
		e.rec.giveUp(&request{intended: at}, now, o)
	}
}

// expireWaiting gives up on what has waited for its connection for too long.
func (e *engine) expireWaiting(now int64) {
	for i := range e.conns {
		at := e.sticky.front(int32(i))
		for ; at != never && at+e.timeout <= now; at = e.sticky.front(int32(i)) {
			e.sticky.pop(int32(i))
			e.rec.giveUp(&request{intended: at}, at+e.timeout, timedOut)
		}
		if at != never {
			e.deadline = min(e.deadline, at+e.timeout)
		}
	}
}
