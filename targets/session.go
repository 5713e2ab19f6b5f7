package targets

import (
	"errors"
	"sync"

	"github.com/sockbench/sockbench/wire"
)

// outMax is the most output a session holds: a frame of 64 KiB and its head.
const outMax = 64<<10 + 64

// buffers are lent to sessions while they have output or input waiting, so an idle session holds none.
var buffers = sync.Pool{New: func() any { return new([outMax]byte) }}

// Session is one connection's protocol: what is read goes in through Feed, what is to be written comes out of Out.
// Used by one goroutine or thread at a time. It does no input or output of its own but for socket options.
//
// A model does:
//
//	read → Feed → (Out → write → Wrote) until Out is empty → close if Err says so → read …
//
// Not reading while Out is not empty is the memory bound: a session never holds more than two buffers of 64 KiB,
// whatever the peer asks for and does not read. An idle one is about 300 bytes.
type Session struct {
	env   *Env
	fd    int
	state wire.State
	err   error

	out   *[outMax]byte // nil: no output
	ready []byte        // whole replies in out, then …
	frame wire.Frame    // … one that did not fit
	hold  *[outMax]byte // nil: no input put aside
	rest  []byte        // input in hold that is scanned once the output has gone
	at    int64         // when the last read had returned; 0: nobody wants to know
	heard int64         // when the server heard of what that read returned; 0: it is not timed
	waits int           // reads since one was timed

	requests, reads, writes, sent, received int64
}

// accepted sets and reads back the options of fd, a socket just accepted, and returns its session.
// The model owns fd, keeps it open until it has called Closing, and then closes it.
func (e *Env) accepted(fd int) *Session {
	e.sockets.Opened(fd)
	waits := int((e.accepts.Add(1) - 1) % timedEvery) // connections that carry one request each are timed too
	e.mu.Lock()
	e.total.Accepts++
	e.mu.Unlock()
	return &Session{env: e, fd: fd, waits: waits}
}

// Feed takes what one read returned, at most 64 KiB and only while Out is empty, and keeps no reference to it.
// It spends the requests' service time.
func (s *Session) Feed(b []byte) { s.FeedHeard(b, s.env.times.hear(&s.waits)) }

// FeedHeard is Feed for event loops, which hear of input when a wait returns, and read it when they come to it: heard is
// what timing.hear said then.
func (s *Session) FeedHeard(b []byte, heard int64) {
	s.heard = heard
	s.at = s.env.samples.now()
	s.reads++
	s.received += int64(len(b))
	if s.env.rearms {
		s.env.sockets.AfterRead(s.fd)
	}
	if b = s.scan(b); len(b) > 0 {
		s.hold = buffers.Get().(*[outMax]byte)
		s.rest = append(s.hold[:0], b...)
	}
}

// Out is what to write now: at most 64 KiB and a head, or the size of writes that was asked for. It is valid until the
// next call of Feed, Wrote or Closing.
func (s *Session) Out() (b []byte) {
	if len(s.ready) > 0 {
		b = s.ready
	} else if s.frame.Left() > 0 {
		n := min(outMax, s.env.most)
		b = s.frame.Next(s.out[:n:n])
	}
	return b[:min(len(b), s.env.most)]
}

// Wrote says that one write took n bytes of Out. When that was the last of it, requests put aside are answered, which
// may give new output.
func (s *Session) Wrote(n int) {
	s.writes++
	s.sent += int64(n)
	if len(s.ready) > 0 {
		s.ready = s.ready[n:]
	} else {
		s.frame.Wrote(n)
	}
	if len(s.ready) > 0 || s.frame.Left() > 0 {
		return
	}
	s.frame.Reset()
	s.ready = nil
	if s.rest = s.scan(s.rest); len(s.rest) == 0 && s.hold != nil {
		buffers.Put(s.hold)
		s.hold, s.rest = nil, nil
	}
	if s.out != nil && len(s.ready) == 0 && s.frame.Left() == 0 {
		buffers.Put(s.out)
		s.out = nil
	}
}

// errLast says that the peer has asked for the connection to be closed.
var errLast = errors.New("the peer asks for the connection to be closed")

// Err is why the connection is to be closed as soon as Out is empty: its peer broke the protocol, or wants it so. nil: it
// is not.
func (s *Session) Err() error { return s.err }

// Closing must be called once, before fd is closed: it takes the last look at the socket and counts the session in.
func (s *Session) Closing() {
	e := s.env
	e.sockets.Closing(s.fd)
	for _, b := range []*[outMax]byte{s.out, s.hold} {
		if b != nil {
			buffers.Put(b)
		}
	}
	s.out, s.hold, s.ready, s.rest = nil, nil, nil, nil
	e.mu.Lock()
	defer e.mu.Unlock()
	e.total.Requests += s.requests
	e.total.Reads += s.reads
	e.total.Writes += s.writes
	e.total.Sent += s.sent
	e.total.Received += s.received
	if s.err != nil && s.err != errLast {
		e.total.Protocol++
	}
}

// scan answers the requests in b until output has to go first, and returns what it did not come to.
func (s *Session) scan(b []byte) []byte {
	for len(b) > 0 && s.err == nil && s.room() {
		used, done, err := s.env.codec.Scan(&s.state, b)
		b = b[used:]
		if err != nil {
			s.err = err
		} else if done {
			s.answer()
		}
	}
	if s.err != nil {
		return nil // what follows garbage means nothing
	}
	return b
}

// room says whether one more request can be served before output is written. Replies are glued together as long as
// they cost no time to make: no reply waits for the service of the request behind it.
func (s *Session) room() bool {
	return s.frame.Left() == 0 && (len(s.ready) == 0 || s.env.service.Mean == 0)
}

// answer serves the request just scanned.
func (s *Session) answer() {
	s.requests++
	m := s.state.Msg
	s.env.handle(m.ID, s.at, s.heard)
	if m.Last {
		s.err = errLast
	}
	if m.Reply == wire.NoReply {
		return
	}
	s.env.codec.Put(&s.frame, wire.Message{ID: m.ID, Op: m.Op, Size: m.Reply, Reply: m.Reply, Last: m.Last})
	if s.out == nil {
		s.out = buffers.Get().(*[outMax]byte)
		s.ready = s.out[:0]
	}
	n := len(s.ready)
	if s.frame.Len() > int64(outMax-n) {
		return
	}
	s.ready = s.out[:n+len(s.frame.Next(s.out[n:]))]
	s.frame.Reset()
}
