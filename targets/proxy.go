package targets

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/clock"
)

var proxyEntry = Entry{
	Name: "proxy",
	Doc: "One thread between clients and a target: for every connection it accepts it makes one to the target, and moves bytes between " +
		"the two in the kernel (splice), driven by a level-triggered epoll. It understands nothing of them.",
	Elsewhere: "TCP proxy, stream proxy, layer 4 load balancer: nginx's stream module, HAProxy in TCP mode with splice",
	Limit:     "It has one target, and does not try again where that refuses a connection: it closes the client's.",
	Start:     startProxy,
}

// proxy is the model. Everything but the flags is its one thread's.
type proxy struct {
	env      *Env
	up       address
	listener int
	poll     *epoll
	ends     []*end  // by descriptor
	open     int     // ends
	pipes    []*pipe // empty ones
	seen     Result
	paused   int64 // the listener is not watched until then; 0: it is
	draining bool

	drained atomic.Bool
	wake    bell
}

// pipe holds what was read and not yet written.
type pipe struct{ r, w, held int }

func (p *pipe) close() {
	closeFD(p.r)
	closeFD(p.w)
}

// end is one of a relay's two connections.
type end struct {
	fd      int
	other   *end
	in      *pipe  // what came from here and has not gone to the other; nil most of the time
	events  uint32 // it is watched for; 0: it is not watched
	joining bool   // it is being connected to the target
	eof     bool   // nothing more comes from here
	shut    bool   // FIN was sent here: nothing more comes from the other
	client  bool
}

// Bounds of the proxy.
const (
	spliceMax  = 64 << 10 // bytes of one splice: what a pipe holds
	splicesMax = 16       // of one end in one turn
	pipesMax   = 256      // empty ones that are kept
	moves      = unix.SPLICE_F_NONBLOCK | unix.SPLICE_F_MOVE
)

func startProxy(ctx context.Context, s Spec, p Place) (Server, error) {
	up, err := parseAddress(p.Upstream, overStreams...)
	if err != nil {
		return nil, fmt.Errorf("proxy: what it stands in front of: %w", err)
	}
	// Of the settings only the place is its own: it knows no requests.
	env, err := newEnv(Spec{Framing: "fixed", Request: 1, Reply: 1}, p, overStreams)
	if err != nil {
		return nil, err
	}
	env.sockets.ByModel("TCP_NODELAY", "on", "on both sides: what comes in small pieces goes on in them")
	fd, addr, err := env.Listen()
	if err != nil {
		return nil, err
	}
	m := &proxy{env: env, up: up, listener: fd}
	if err := m.setup(); err != nil {
		m.release()
		env.leave()
		return nil, fmt.Errorf("start proxy: %w", err)
	}
	return env.serve(ctx, addr, m), nil
}

func (m *proxy) setup() (err error) {
	p, err := newEpoll()
	if err != nil {
		return err
	}
	m.poll = p.(*epoll)
	if err = m.wake.make(); err != nil {
		return err
	}
	if err = unix.SetNonblock(m.listener, true); err != nil {
		return err
	}
	return errors.Join(m.poll.add(m.wake.fd, unix.EPOLLIN), m.poll.add(m.listener, unix.EPOLLIN))
}

func (m *proxy) drain() {
	m.drained.Store(true)
	m.halt()
}

func (m *proxy) halt() { m.wake.ring() }

func (m *proxy) run() {
	lockThread()
	defer m.release()
	for !m.env.halted.Load() {
		if m.drained.Load() && !m.draining {
			m.finish()
		}
		if m.draining && m.open == 0 {
			return
		}
		events, err := m.poll.wait(m.timeout())
		if err != nil && err != unix.EINTR {
			panic(fmt.Sprintf("targets: wait for sockets: %v", err)) // its arguments are ours alone
		}
		for i := range events {
			m.event(&events[i])
		}
	}
}

// release closes what is left.
func (m *proxy) release() {
	for _, e := range m.ends {
		if e != nil {
			m.end(e)
		}
	}
	for _, p := range m.pipes {
		p.close()
	}
	m.env.mu.Lock()
	m.env.total.add(m.seen)
	m.env.mu.Unlock()
	m.wake.close()
	if m.listener >= 0 {
		closeFD(m.listener)
	}
	if m.poll != nil {
		m.poll.close()
	}
}

// timeout is that of the next wait; the listener is watched again when its pause is over.
func (m *proxy) timeout() int {
	if m.paused == 0 {
		return -1
	}
	if left := m.paused - clock.Now(); left > 0 {
		return int(left/int64(time.Millisecond)) + 1
	}
	m.listen(unix.EPOLLIN)
	m.paused = 0
	return -1
}

func (m *proxy) listen(events uint32) {
	if err := m.poll.change(m.listener, events); err != nil {
		panic(fmt.Sprintf("targets: watch the listening socket: %v", err)) // a change needs no memory
	}
}

// finish begins the drain: no more accepts; of what clients send, what has arrived is passed on, and then FIN.
func (m *proxy) finish() {
	m.draining, m.paused = true, 0
	closeFD(m.listener)
	m.listener = -1
	for _, e := range m.ends {
		if e != nil && e.client {
			unix.Shutdown(e.fd, unix.SHUT_RD)
		}
	}
}

func (m *proxy) event(ev *unix.EpollEvent) {
	switch fd := int(ev.Fd); {
	case fd == m.wake.fd:
		m.wake.heard()
	case fd == m.listener:
		m.accept()
	case fd < len(m.ends) && m.ends[fd] != nil:
		m.ready(m.ends[fd], ev.Events)
	}
}

func (m *proxy) accept() {
	for range acceptsMax {
		fd, _, err := unix.Accept4(m.listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		if err == unix.EAGAIN {
			return
		}
		if err == nil {
			m.relay(fd)
		} else if !passing(err) { // the connection stays in the queue: to watch on would spin
			m.paused = clock.Now() + int64(retry)
			m.listen(0)
			return
		}
	}
}

// relay begins to connect an accepted connection to the target.
func (m *proxy) relay(fd int) {
	m.env.accepts.Add(1)
	m.seen.Accepts++
	family, to := m.up.sockaddr()
	up, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err == nil {
		if err = unix.Connect(up, to); err == unix.EINPROGRESS {
			err = nil
		}
	}
	if err != nil {
		if up >= 0 {
			closeFD(up)
		}
		closeFD(fd)
		m.seen.Refused++
		return
	}
	client, server := &end{fd: fd, client: true}, &end{fd: up, joining: true}
	client.other, server.other = server, client
	for _, e := range []*end{client, server} {
		if m.up.network == onTCP {
			unix.SetsockoptInt(e.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		}
		for e.fd >= len(m.ends) {
			m.ends = append(m.ends, make([]*end, max(64, len(m.ends)))...)
		}
		m.ends[e.fd] = e
		m.open++
	}
	m.watch(server)
}

// ready goes on where something can be done.
func (m *proxy) ready(e *end, events uint32) {
	if e.joining {
		if no, err := unix.GetsockoptInt(e.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || no != 0 {
			m.seen.Refused++
			m.part(e)
			return
		}
		if events&unix.EPOLLOUT == 0 {
			return
		}
		e.joining = false
	}
	if events&unix.EPOLLERR != 0 || !m.move(e, e.other) || !m.move(e.other, e) {
		m.part(e)
		return
	}
	if e.eof && e.shut && e.other.eof && e.other.shut {
		m.part(e)
		return
	}
	m.watch(e)
	if m.ends[e.other.fd] == e.other {
		m.watch(e.other)
	}
}

// move passes bytes from one end to the other, as many as go now, and FIN behind the last. It says whether both still
// stand.
func (m *proxy) move(from, to *end) bool {
	for range splicesMax {
		if from.in == nil && !from.eof {
			p := m.borrow()
			if p == nil {
				return false
			}
			n, err := unix.Splice(from.fd, nil, p.w, nil, spliceMax, moves)
			if n <= 0 {
				m.giveBack(p)
			}
			switch {
			case n > 0:
				p.held, from.in = int(n), p
				m.seen.Reads++
				m.seen.Received += n
			case err == unix.EAGAIN || err == unix.EINTR:
				return true // nothing has come: the pipe was empty
			case err != nil:
				return false
			default:
				from.eof = true
			}
		}
		if p := from.in; p != nil {
			n, err := unix.Splice(p.r, nil, to.fd, nil, p.held, moves)
			switch {
			case err == unix.EAGAIN || err == unix.EINTR:
				return true // there is no room: watch asks for some
			case err != nil:
				return false
			}
			m.seen.Writes++
			m.seen.Sent += n
			if p.held -= int(n); p.held > 0 {
				continue
			}
			from.in = nil
			m.giveBack(p)
		}
		if from.eof {
			if !to.shut {
				to.shut = true
				return unix.Shutdown(to.fd, unix.SHUT_WR) == nil
			}
			return true
		}
	}
	return true
}

// borrow is an empty pipe; nil where there is no descriptor for one.
func (m *proxy) borrow() *pipe {
	if n := len(m.pipes); n > 0 {
		p := m.pipes[n-1]
		m.pipes = m.pipes[:n-1]
		return p
	}
	var fds [2]int
	if unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		return nil
	}
	return &pipe{r: fds[0], w: fds[1]}
}

func (m *proxy) giveBack(p *pipe) {
	if len(m.pipes) == pipesMax {
		p.close()
		return
	}
	m.pipes = append(m.pipes, p)
}

// watch watches e for what can be done next: nothing is read from it while what it sent before waits for the other.
func (m *proxy) watch(e *end) {
	want := uint32(0)
	switch {
	case e.joining:
		want = unix.EPOLLOUT
	case !e.eof && e.in == nil && !e.other.joining:
		want = unix.EPOLLIN
	}
	if e.other.in != nil {
		want |= unix.EPOLLOUT
	}
	if want == e.events {
		return
	}
	op := unix.EPOLL_CTL_MOD
	switch {
	case e.events == 0:
		op = unix.EPOLL_CTL_ADD
	case want == 0: // else the kernel would tell of its end again and again
		op = unix.EPOLL_CTL_DEL
	}
	if m.poll.control(op, e.fd, want) != nil { // no memory, or fs.epoll.max_user_watches
		m.seen.Refused++
		m.part(e)
		return
	}
	e.events = want
}

// part closes both ends of a relay.
func (m *proxy) part(e *end) {
	m.end(e)
	m.end(e.other)
}

// end closes one end, once.
func (m *proxy) end(e *end) {
	if m.ends[e.fd] != e {
		return
	}
	m.ends[e.fd] = nil
	m.open--
	if e.in != nil {
		e.in.close() // what it holds is nobody's any more
		e.in = nil
	}
	closeFD(e.fd)
}
