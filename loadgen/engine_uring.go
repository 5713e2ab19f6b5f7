package loadgen

import (
	"cmp"
	"fmt"
	"math/bits"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/uring"
)

var uringKind = EngineKind{
	Name:  "iouring",
	Doc:   "one thread and io_uring: receives that repeat themselves, and one system call for a batch of requests",
	check: uring.Supported,
	open:  openURing,
}

const (
	requests    = 256      // prepared before they are submitted, at the latest
	completions = 4096     // of one wait
	received    = 4 << 20  // bytes of buffers for what is received, at most
	sending     = 1 << 20  // bytes of requests between two waits
	sendMost    = 16 << 10 // bytes of one send; what is longer is written as by engine epoll
)

// What a completion is of, in the highest byte of its data. Below stand the generation of the connection's descriptor,
// because a request on one that was closed may still complete, and the connection.
const (
	ofReceive uint64 = iota << 56
	ofSend
	ofConnect
	ofWritable
	ofWake
	ofCancel
	ofWhat uint64 = 0xff << 56
)

// iouring is the mover on a ring. A request is sent without waiting for room in the socket; only where there is none the
// kernel says so, and the rest goes as by engine epoll.
type iouring struct {
	output
	config uring.Config
	ring   *uring.Ring
	wake   int
	room   int  // bytes of one send, at most
	direct bool // requests are written, and not sent by the ring
	slots  bool // descriptors are registered, by connection
	lines  []line
	done   []uring.Completion
	mem    []byte // requests between two waits
	used   int
	batch  uint32 // counts polls: a connection sends once between two
}

// line is what the ring keeps of a connection.
type line struct {
	gen   uint32 // of its descriptor, 24 bits
	batch uint32 // the poll before which it sent last; 0: none
	out   bool   // a receive is out, or what waits for a connect
	waits bool   // what waits for writability is out
	n     int32  // requests in that
	size  int32  // bytes
}

func openURing(e *engine) (mover, error) {
	m := &iouring{output: newOutput(e), room: min(sendMost, e.most), slots: e.visits == nil, lines: make([]line, e.live),
		done: make([]uring.Completion, completions), batch: 1}
	m.output.arm = m.arm
	_, request, reply := e.load.framing.Lengths(e.load.spec.Params())
	m.direct = e.manner != single || request > int64(m.room)
	// The buffers are filled in turn: as few and as small as will do, or each reply is in memory that was not used lately.
	// Of a datagram the rest is lost that does not fit.
	least := 8
	if e.flows != nil {
		least = 11
	}
	each := cmp.Or(int(e.load.spec.ReadSize), int(1)<<max(least, min(16, bits.Len64(uint64(reply+64)*uint64(e.depth)))))
	m.config = uring.Config{Entries: requests, Completions: completions, BufferLen: each,
		Buffers: 1 << min(bits.Len(uint(received/each))-1, max(6, min(12, bits.Len(uint(e.live)))))}
	if m.slots {
		m.config.Files = e.live
	}
	var err error
	if m.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	return m, nil
}

func (m *iouring) close() { unix.Close(m.wake) }
func (m *iouring) stop()  { signal(m.wake) }

// run opens the ring: it is of the thread that does.
func (m *iouring) run() error {
	runtime.LockOSThread()
	var err error
	if m.ring, err = uring.Open(m.config); err != nil {
		return err
	}
	defer m.ring.Close()
	if m.mem, err = m.ring.Memory(sending); err != nil {
		return err
	}
	fds := make([]int32, len(m.lines))
	for i := range fds {
		fds[i] = m.conns[i*m.depth].fd
	}
	if m.slots {
		if err := m.ring.SetFiles(0, fds); err != nil {
			return err
		}
	}
	for i, fd := range fds {
		if fd >= 0 {
			m.receive(int32(i * m.depth))
		}
	}
	m.ring.Poll(uring.File(m.wake), unix.POLLIN, ofWake)
	return m.loop(m)
}

// file is connection i's descriptor as the ring knows it.
func (m *iouring) file(i int32) uring.File {
	if m.slots {
		return uring.Slot(int(m.at(i)))
	}
	return uring.File(m.conns[i].fd)
}

// data marks what is asked for connection i.
func (m *iouring) data(what uint64, i int32) uint64 {
	return what | uint64(m.lines[m.at(i)].gen)<<32 | uint64(i)
}

func (m *iouring) receive(i int32) {
	m.lines[m.at(i)].out = true
	m.ring.Recv(m.file(i), m.data(ofReceive, i))
}

// poll submits what was prepared, and waits. A send that found no room is seen to at once, before anything else is sent
// on its connection.
func (m *iouring) poll(timeout int64) (n int, err error) {
	least := 1
	if timeout == 0 {
		least = 0
	}
	if err := m.submit(least, timeout); err != nil {
		return 0, err
	}
	for n < len(m.done) && m.ring.Next(&m.done[n]) {
		if c := &m.done[n]; c.Data&ofWhat == ofSend {
			m.short(c)
		} else {
			n++
		}
	}
	if n < len(m.done) { // no send is left of which it is not known how far it came
		m.batch++
	}
	return n, nil
}

// submit hands what was prepared to the kernel, which has copied all requests when it returns.
func (m *iouring) submit(least int, timeout int64) error {
	m.used = 0
	return m.ring.Wait(least, timeout)
}

// handle works on completion k.
func (m *iouring) handle(k int) (stopped bool) {
	c := &m.done[k]
	i := int32(uint32(c.Data))
	switch what := c.Data & ofWhat; {
	case what == ofWake:
		return true
	case what == ofCancel:
	case what == ofReceive:
		m.took(i, c)
	case m.past(i, c):
	case what == ofWritable:
		if m.lines[m.at(i)].waits = false; m.conns[i].armed {
			if m.flush(i); m.conns[i].armed {
				m.arm(i, true) // the wait was for once
			}
		}
	case what == ofConnect:
		m.lines[m.at(i)].out = false
		if err := outcomeOf(int(m.conns[i].fd)); err != nil {
			m.lose(i, kindOf(err))
			return false
		}
		m.receive(i)
		m.connected(i)
	}
	return false
}

// past says whether c is of a descriptor that connection i no longer has.
func (m *iouring) past(i int32, c *uring.Completion) bool {
	return m.conns[i].fd < 0 || uint32(c.Data>>32)&0xffffff != m.lines[m.at(i)].gen
}

// took works on what a receive brought.
func (m *iouring) took(i int32, c *uring.Completion) {
	if !m.past(i, c) {
		m.lines[m.at(i)].out = c.More()
	}
	switch err := c.Err(); {
	case m.past(i, c), err == unix.ENOBUFS, err == unix.EINTR:
	case err != nil:
		if m.visits == nil || !m.peerClosed(i) {
			m.lose(i, kindOf(err))
		}
	case c.Res == 0 && m.flows == nil:
		if m.visits == nil || !m.peerClosed(i) {
			m.lose(i, errEOF)
		}
	default:
		m.take(i, m.ring.Buffer(c))
	}
	m.ring.Recycle(c)
	if !c.More() && !m.past(i, c) {
		m.receive(i)
	}
}

// send prepares to send what connection i has to.
func (m *iouring) send(i int32) {
	c := &m.conns[i]
	if c.state == dead || c.armed || m.visits != nil && !m.standing(i) {
		return
	}
	l := &m.lines[m.at(i)]
	if l.batch == m.batch { // that may find no room: the next has to wait for it
		m.todo = append(m.todo, i)
		return
	}
	if m.direct {
		m.flush(i)
		return
	}
	if m.used+m.room > len(m.mem) {
		if err := m.submit(0, 0); err != nil {
			m.lose(i, errOther)
			return
		}
	}
	var b []byte
	switch room := m.mem[m.used : m.used+m.room]; {
	case m.pipes != nil && m.flows == nil:
		var n int
		b, n = m.gather(i, room)
		l.n = int32(n)
	case m.lay(i, &m.frame):
		b = m.frame.Next(room)
	}
	if len(b) == 0 {
		return
	}
	m.used += len(b)
	m.sent += int64(len(b))
	l.batch, l.size = m.batch, int32(len(b))
	m.ring.TrySend(m.file(i), b, m.data(ofSend, i))
	if m.pipes != nil && m.pipes[m.at(i)].unsent > 0 {
		m.todo = append(m.todo, i)
	}
}

// short keeps the rest of a send that the socket did not take whole.
func (m *iouring) short(s *uring.Completion) {
	i := int32(uint32(s.Data))
	if m.past(i, s) {
		return
	}
	took := max(s.Res, 0)
	if err := s.Err(); err != nil && err != unix.EAGAIN && err != unix.EINTR {
		m.lose(i, kindOf(err))
		return
	}
	c, l := &m.conns[i], &m.lines[m.at(i)]
	m.sent -= int64(l.size - took)
	rest := &c.keep().out
	if m.pipes != nil && m.flows == nil {
		m.scatter(i, int(l.n), int64(took), rest)
	} else {
		k := i
		if m.pipes != nil {
			k = m.pipes[m.at(i)].youngest()
		}
		m.put(rest, k)
		rest.Wrote(int(took))
	}
	m.arm(i, true)
}

// arm waits for writability, once. A wait that is no longer wanted ends by itself, and does nothing.
func (m *iouring) arm(i int32, on bool) {
	l := &m.lines[m.at(i)]
	if m.conns[i].armed = on; on && !l.waits {
		l.waits = true
		m.ring.Poll(m.file(i), unix.POLLOUT, m.data(ofWritable, i))
	}
}

// dial begins to connect; the answer comes as a completion.
func (m *iouring) dial(i int32) {
	fd, up, err := m.load.dial.begin()
	if err != nil {
		m.lose(i, kindOf(err))
		return
	}
	if m.dialed(i, fd); up {
		m.receive(i)
		m.connected(i)
		return
	}
	m.lines[m.at(i)].out = true
	m.ring.Poll(m.file(i), unix.POLLOUT, m.data(ofConnect, i))
}

// shut closes, once nothing names the descriptor any more: what is out would keep the socket open, and a send that was
// only prepared would go to another. An error of the ring is the next poll's to say.
func (m *iouring) shut(i int32) {
	l := &m.lines[m.at(i)]
	if l.out || l.waits {
		m.ring.Cancel(m.file(i), ofCancel)
	}
	if l.out || l.waits || l.batch == m.batch {
		m.submit(0, 0)
	}
	if m.slots {
		m.ring.SetFiles(int(m.at(i)), []int32{-1})
	}
	*l = line{gen: (l.gen + 1) & 0xffffff}
	m.load.closeConn(int(m.conns[i].fd))
}

func (m *iouring) abort(i int32) { m.vacate(i, m.now()) }
