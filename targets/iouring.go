package targets

import (
	"cmp"
	"context"
	"fmt"
	"math/bits"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/clock"
	"github.com/sockbench/sockbench/internal/uring"
)

var iouringEntry = Entry{
	Name: "iouring",
	Doc: "One thread with an io_uring: accepts and receives that repeat themselves, into buffers the kernel picks, and one system " +
		"call that hands over a whole batch of replies and waits for more requests. A service time holds all connections up.",
	Elsewhere: "proactor, completion-based: Windows' IOCP; liburing's servers, tokio-uring, Netty's io_uring transport",
	Limit:     "It needs Linux 6.0, and a machine that does not forbid io_uring, as many containers do.",
	Knobs:     answers,
	Check:     uring.Supported,
	Honest: func(i Inspection, _ Spec, conns int) error {
		if i.Rings != 1 || i.Watched > 0 || i.NonBlocking != conns+1 || i.Blocking > 0 {
			return fmt.Errorf("want one io_uring, and %d non-blocking sockets in no epoll: %s", conns+1, i)
		}
		if n := i.Threads["unknown"]; n > 0 {
			return fmt.Errorf("%w what %d threads are in: %s", ErrUnknown, n, i.Doubt)
		}
		if i.Threads["io_uring_enter"] != 1 {
			return fmt.Errorf("%d threads are in io_uring_enter, want one: %s", i.Threads["io_uring_enter"], i)
		}
		return nil
	},
	Start: startIOURing,
}

const (
	ringRequests    = 256     // prepared before they are submitted, at the latest
	ringCompletions = 4096    // of one wait
	ringReceives    = 4 << 20 // bytes of buffers for what is received, at most
	ringSends       = 1 << 20 // bytes of replies between two submits
)

// What a completion is of, in the highest byte of its data. Below stand the connection's number, because a request on
// one that was closed may still complete, and its descriptor.
const (
	ofAccept uint64 = iota << 56
	ofReceive
	ofSend
	ofRoom
	ofWake
	ofCancel
	ofWhat uint64 = 0xff << 56
)

// ring is a server on an io_uring. A reply is sent without waiting for room in the socket, and has a completion only if
// there was not enough: until the rest has gone, nothing more is received from that connection.
type ring struct {
	env      *Env
	config   uring.Config
	opened   chan error // the ring is of the thread that runs
	ring     *uring.Ring
	listener int       // -1: closed
	conns    []*ringed // by descriptor
	open     int
	count    uint32 // of connections, ever: their numbers
	waits    int    // since one was timed
	done     []told
	todo     []*ringed // that may have something to send, once what was sent before is known to have gone
	ready    []*ringed // todo of the round before
	mem      []byte    // replies between two submits
	used     int
	batch    uint64 // counts submits: a connection sends once between two
	buf      []byte
	paused   int64 // until this instant nothing is accepted, for want of descriptors; 0: it is
	draining bool

	drained atomic.Bool // drain was called
	wake    bell
}

// told is a completion, and when the ring told of it, if that is timed.
type told struct {
	uring.Completion
	heard int64
}

// ringed is one connection.
type ringed struct {
	*Session
	number  uint32
	listens bool   // a receive is out, …
	hushed  bool   // … and was told to end
	queued  bool   // in todo
	atEnd   bool   // its peer has said its last word
	broken  bool   // nothing can be sent any more
	last    bool   // draining, and all that had reached the socket was read
	batch   uint64 // in which it sent last
	at, n   int    // where and how much
	in      []byte // received before what came earlier was answered
	rest    []byte // of what the socket did not take
}

func startIOURing(ctx context.Context, s Spec, p Place) (Server, error) {
	env, err := newEnv(s, p, overStreams)
	if err != nil {
		return nil, err
	}
	fd, addr, err := env.Listen()
	if err != nil {
		return nil, err
	}
	// The buffers are filled in turn: as few and as small as will do, or each request is in memory that was not used lately.
	each := cmp.Or(env.read, int(1)<<max(8, min(16, bits.Len64(uint64(s.Request+64)))))
	m := &ring{env: env, listener: fd, batch: 1, opened: make(chan error, 1), buf: env.buffer(readMax), config: uring.Config{
		Entries: ringRequests, Completions: ringCompletions, BufferLen: each,
		Buffers: 1 << min(bits.Len(uint(ringReceives/each))-1, max(6, min(12, bits.Len(uint(p.Expect))))),
	}}
	if err = unix.SetNonblock(fd, true); err == nil {
		err = m.wake.make()
	}
	if err != nil {
		env.abandon(fd)
		return nil, fmt.Errorf("start iouring: %w", err)
	}
	srv := env.serve(ctx, addr, m)
	if err := <-m.opened; err != nil {
		srv.Close()
		return nil, fmt.Errorf("start iouring: %w", err)
	}
	return srv, nil
}

func (m *ring) run() {
	lockThread()
	defer m.release()
	var err error
	if m.ring, err = uring.Open(m.config); err == nil {
		m.mem, err = m.ring.Memory(ringSends)
	}
	if m.opened <- err; err != nil {
		return
	}
	m.ring.Poll(uring.File(m.wake.fd), unix.POLLIN, ofWake)
	m.ring.Accept(uring.File(m.listener), ofAccept)
	for !m.env.halted.Load() {
		if m.drained.Load() && !m.draining {
			m.finish()
		}
		if m.draining && m.open == 0 {
			return
		}
		least := 1
		if len(m.todo)+len(m.done) > 0 {
			least = 0
		}
		m.submit(least, m.timeout())
		n := len(m.done) // which may grow meanwhile
		for i := 0; i < n && !m.env.halted.Load(); i++ {
			done := m.done[i]
			m.done[i].Data = ofCancel // nothing is left to do about it
			m.handle(&done)
		}
		m.done = m.done[:copy(m.done, m.done[n:])]
		m.ready, m.todo = m.todo, m.ready[:0]
		for _, c := range m.ready {
			if c.queued = false; m.conns[c.fd] == c && !m.env.halted.Load() {
				m.pump(c)
			}
		}
	}
}

// submit hands what was prepared to the kernel, which has copied all replies when it returns, and fetches completions.
// That a send found too little room is noted at once, while its bytes are still there.
func (m *ring) submit(least int, timeout int64) {
	if err := m.ring.Wait(least, timeout); err != nil {
		panic(fmt.Sprintf("targets: io_uring: %v", err)) // its requests are ours alone
	}
	c := told{heard: m.env.times.hear(&m.waits)}
	for m.ring.Next(&c.Completion) {
		if c.Data&ofWhat == ofSend {
			m.short(&c.Completion)
		} else {
			m.done = append(m.done, c)
		}
	}
	m.used = 0
	m.batch++
}

// timeout is submit's, in nanoseconds; it accepts again when the pause is over.
func (m *ring) timeout() int64 {
	if m.paused == 0 {
		return -1
	}
	if left := m.paused - clock.Now(); left > 0 {
		return left
	}
	m.paused = 0
	m.ring.Accept(uring.File(m.listener), ofAccept)
	return -1
}

// of is the connection that a completion is about; nil if it is closed.
func (m *ring) of(c *uring.Completion) *ringed {
	fd := int(uint32(c.Data))
	if fd >= len(m.conns) || m.conns[fd] == nil || m.conns[fd].number != uint32(c.Data>>32)&0xffffff {
		return nil
	}
	return m.conns[fd]
}

// data marks what is asked for c.
func (c *ringed) data(what uint64) uint64 {
	return what | uint64(c.number)<<32 | uint64(c.fd)
}

func (m *ring) handle(done *told) {
	switch done.Data & ofWhat {
	case ofWake:
		m.wake.heard()
		m.ring.Poll(uring.File(m.wake.fd), unix.POLLIN, ofWake)
	case ofAccept:
		m.accepted(&done.Completion)
	case ofReceive:
		m.received(done)
	case ofRoom:
		if c := m.of(&done.Completion); c != nil && c.rest != nil {
			m.flush(c)
		}
	}
}

func (m *ring) accepted(done *uring.Completion) {
	err := done.Err()
	switch {
	case err == nil && m.draining: // it came before the listening socket was closed
		closeFD(int(done.Res))
		return
	case err == nil:
		m.add(int(done.Res))
	case m.draining:
		return
	case !passing(err):
		m.paused = clock.Now() + int64(retry)
		return
	}
	if !done.More() {
		m.ring.Accept(uring.File(m.listener), ofAccept)
	}
}

func (m *ring) add(fd int) {
	m.count++
	c := &ringed{Session: m.env.accepted(fd), number: m.count & 0xffffff}
	for fd >= len(m.conns) {
		m.conns = append(m.conns, make([]*ringed, max(64, len(m.conns)))...)
	}
	m.conns[fd] = c
	m.open++
	m.listen(c)
}

// listen receives from c.
func (m *ring) listen(c *ringed) {
	c.listens, c.hushed = true, false
	m.ring.Recv(uring.File(c.fd), c.data(ofReceive))
}

// hush ends what listen began. What comes until it has ended is put aside.
func (m *ring) hush(c *ringed) {
	if c.listens && !c.hushed {
		c.hushed = true
		m.ring.Cancel(uring.File(c.fd), ofCancel)
	}
}

func (m *ring) received(done *told) {
	c := m.of(&done.Completion)
	if c == nil {
		m.ring.Recycle(&done.Completion)
		return
	}
	c.listens = done.More()
	switch err := done.Err(); {
	case err == unix.ENOBUFS || err == unix.ECANCELED || err == unix.EINTR:
	case err != nil:
		m.ring.Recycle(&done.Completion)
		m.end(c)
		return
	case done.Res == 0:
		c.atEnd = true
	default:
		b := m.ring.Buffer(&done.Completion)
		if c.rest != nil || c.queued || len(c.in) > 0 || len(c.Out()) > 0 {
			c.in = append(c.in, b...)
		} else {
			c.FeedHeard(b, done.heard)
		}
	}
	m.ring.Recycle(&done.Completion)
	m.pump(c)
}

// pump takes c as far as it can go: what is there to send is sent, once a batch; what was put aside is answered; and then
// more is received, or the connection ends.
func (m *ring) pump(c *ringed) {
	for c.rest == nil {
		out := c.Out()
		switch {
		case c.broken:
			m.end(c)
			return
		case len(out) > 0:
			if c.batch == m.batch { // that may find no room: this has to wait for it
				m.later(c)
				if len(c.in) > readMax {
					m.hush(c)
				}
				return
			}
			m.send(c, out)
		case c.Err() != nil || c.last:
			if c.batch == m.batch {
				m.submit(0, 0)
			} else {
				discard(c.fd, m.buf)
				m.end(c)
				return
			}
		case len(c.in) > 0:
			n := min(len(c.in), len(m.buf))
			c.Feed(c.in[:n])
			if c.in = c.in[n:]; len(c.in) == 0 {
				c.in = nil
			}
		case c.atEnd:
			m.end(c)
			return
		case c.listens:
			return
		case !m.draining:
			m.listen(c)
			return
		case !m.last(c):
			m.end(c)
			return
		}
	}
	m.hush(c)
}

// last reads what has reached the socket of a connection that is to end, and says whether there was anything.
func (m *ring) last(c *ringed) bool {
	n, err := unix.Read(c.fd, m.buf)
	for err == unix.EINTR {
		n, err = unix.Read(c.fd, m.buf)
	}
	if n <= 0 {
		return false
	}
	c.last = n < len(m.buf)
	c.Feed(m.buf[:n])
	return true
}

// send prepares to send out, which is c's. Where requests take time to serve, it is gone before the next is served.
func (m *ring) send(c *ringed, out []byte) {
	if m.used+len(out) > len(m.mem) {
		m.submit(0, 0)
	}
	c.batch, c.at, c.n = m.batch, m.used, copy(m.mem[m.used:], out)
	b := m.mem[c.at : c.at+c.n]
	m.used += c.n
	m.ring.TrySend(uring.File(c.fd), b, c.data(ofSend))
	if m.env.service.Mean > 0 {
		m.submit(0, 0)
	}
	c.Wrote(len(b))
}

// short keeps what the socket had no room for.
func (m *ring) short(done *uring.Completion) {
	c := m.of(done)
	if c == nil {
		return
	}
	if err := done.Err(); err != nil && err != unix.EAGAIN && err != unix.EINTR {
		c.broken = true
		m.later(c)
		return
	}
	took := int(max(done.Res, 0))
	c.rest = append([]byte{}, m.mem[c.at+took:c.at+c.n]...)
	c.sent -= int64(len(c.rest))
	m.hush(c)
	m.ring.Poll(uring.File(c.fd), unix.POLLOUT, c.data(ofRoom))
}

// flush writes the rest, as far as there is room.
func (m *ring) flush(c *ringed) {
	for len(c.rest) > 0 {
		n, err := unix.Write(c.fd, c.rest)
		switch {
		case err == unix.EAGAIN:
			m.ring.Poll(uring.File(c.fd), unix.POLLOUT, c.data(ofRoom))
			return
		case err == nil:
			c.rest = c.rest[n:]
			c.sent += int64(n)
		case err != unix.EINTR:
			m.end(c)
			return
		}
	}
	c.rest = nil
	m.pump(c)
}

// later pumps c once more in the next round.
func (m *ring) later(c *ringed) {
	if !c.queued {
		c.queued = true
		m.todo = append(m.todo, c)
	}
}

// end closes c, once nothing that was prepared names it: a request that is out would keep the socket open.
func (m *ring) end(c *ringed) {
	c.Closing()
	m.conns[c.fd] = nil
	m.open--
	if c.listens || c.rest != nil {
		m.ring.Cancel(uring.File(c.fd), ofCancel)
	}
	if c.listens || c.rest != nil || c.batch == m.batch {
		m.submit(0, 0)
	}
	closeFD(c.fd)
}

// finish begins the drain: no more accepts; every connection answers what it has and ends.
func (m *ring) finish() {
	m.draining, m.paused = true, 0
	m.deafen()
	for _, c := range m.conns {
		if c != nil && c.rest == nil && !m.env.halted.Load() {
			m.hush(c)
		}
	}
}

// deafen closes the listening socket.
func (m *ring) deafen() {
	if m.listener < 0 {
		return
	}
	if m.mem != nil {
		m.ring.Cancel(uring.File(m.listener), ofCancel)
		m.submit(0, 0)
	}
	closeFD(m.listener)
	m.listener = -1
}

// release closes all there is.
func (m *ring) release() {
	m.draining = true
	for _, c := range m.conns {
		if c != nil {
			m.end(c)
		}
	}
	m.deafen()
	for i := range m.done { // what was accepted and not handled
		if d := &m.done[i]; d.Data&ofWhat == ofAccept && d.Res >= 0 {
			closeFD(int(d.Res))
		}
	}
	if m.ring != nil {
		m.ring.Close()
	}
	m.wake.close()
}

func (m *ring) drain() {
	m.drained.Store(true)
	m.halt()
}

// halt wakes the thread, which looks at the flags.
func (m *ring) halt() { m.wake.ring() }
