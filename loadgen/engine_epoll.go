package loadgen

import (
	"cmp"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/raw"
)

var epollKind = EngineKind{
	Name: "epoll",
	Doc:  "one thread waits for all its sockets by epoll; reads and writes do not block",
	open: openEpoll,
}

const (
	batch     = 512
	wakeIndex = -1 // the epoll data of the descriptor that ends a run early
)

type epoll struct {
	output
	ep, wake int
	events   []unix.EpollEvent
	in       []byte
	plain    bool // a request is one write, on a connection that carries no other
}

func openEpoll(e *engine) (mover, error) {
	m := &epoll{output: newOutput(e), ep: -1, wake: -1, events: make([]unix.EpollEvent, batch),
		in:    make([]byte, cmp.Or(int(e.load.spec.ReadSize), bufferLen)),
		plain: e.pipes == nil && e.manner == single && e.load.spec.WriteSize == 0}
	m.output.arm = m.arm
	var err error
	if m.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll_create: %w", err)
	}
	if m.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		m.close()
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	err = unix.EpollCtl(m.ep, unix.EPOLL_CTL_ADD, m.wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: wakeIndex})
	for i := 0; i < len(e.conns) && err == nil; i += e.depth {
		if fd := e.conns[i].fd; fd >= 0 {
			err = unix.EpollCtl(m.ep, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)})
		}
	}
	if err != nil {
		m.close()
		return nil, fmt.Errorf("epoll_ctl: %w", err)
	}
	return m, nil
}

func (m *epoll) run() error { return m.loop(m) }

func (m *epoll) close() {
	for _, fd := range []int{m.ep, m.wake} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

func (m *epoll) stop() { signal(m.wake) }

// signal makes an eventfd readable.
func signal(fd int) {
	one := [8]byte{1}
	if _, err := unix.Write(fd, one[:]); err != nil && err != unix.EAGAIN { // its counter is full: it is readable
		panic("write to an eventfd: " + err.Error())
	}
}

// poll is epoll_pwait2 with a timeout in nanoseconds. A poll without a timeout does not tell the Go scheduler: it
// returns at once, and its cost is what exact pacing is made of.
func (m *epoll) poll(timeout int64) (int, error) {
	n, err := epollWait(m.ep, m.events, timeout)
	if err != nil {
		return 0, fmt.Errorf("epoll_wait: %w", err)
	}
	return n, nil
}

func epollWait(ep int, events []unix.EpollEvent, timeout int64) (int, error) {
	ts := unix.NsecToTimespec(timeout)
	var n uintptr
	var errno unix.Errno
	if timeout == 0 {
		n, _, errno = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(ep), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	} else {
		n, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(ep), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	}
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	case unix.ENOSYS: // before Linux 5.11: milliseconds, rounded down, so that exact pacing spins the rest
		k, err := unix.EpollWait(ep, events, int(timeout/1_000_000))
		if err == unix.EINTR {
			return 0, nil
		}
		return k, err
	}
	return 0, errno
}

// handle works on event k.
func (m *epoll) handle(k int) (stopped bool) {
	ev := &m.events[k]
	if ev.Fd == wakeIndex {
		return true
	}
	i, what := ev.Fd, ev.Events
	if m.visits != nil && m.conns[i].fd >= 0 && m.visits[m.at(i)].up == 0 {
		m.decided(i)
		return false
	}
	if what&unix.EPOLLOUT != 0 && m.conns[i].armed {
		m.flush(i)
	}
	if what&^unix.EPOLLOUT == 0 || m.conns[i].fd < 0 {
		return false
	}
	n, errno := raw.Read(int(m.conns[i].fd), m.in)
	switch {
	case errno == unix.EAGAIN, errno == unix.EINTR:
	case errno == 0 && (n > 0 || m.flows != nil):
		m.take(i, m.in[:n])
	case m.visits != nil && m.peerClosed(i):
	case errno != 0:
		m.lose(i, kindOf(errno))
	default:
		m.lose(i, errEOF)
	}
	return false
}

// send writes what connection i has to send, unless it waits for writability already.
func (m *epoll) send(i int32) {
	c := &m.conns[i]
	if c.state == dead || c.armed || m.visits != nil && !m.standing(i) {
		return
	}
	if !m.plain {
		m.flush(i)
		return
	}
	// What follows is flush and write for nearly all there is to write, at two calls' depth: behind a system call every
	// return is mispredicted.
	if !m.lay(i, &m.frame) {
		return
	}
	if n, errno := raw.Write(int(c.fd), m.frame.Next(m.buf)); errno == 0 {
		m.sent += int64(n)
		m.frame.Wrote(n)
	}
	if m.frame.Left() > 0 {
		m.left = turn
		m.write(i, &m.frame)
	}
}

// arm watches for writability, or no longer.
func (m *epoll) arm(i int32, on bool) {
	c := &m.conns[i]
	c.armed = on
	events := uint32(unix.EPOLLIN)
	if on {
		events |= unix.EPOLLOUT
	}
	if err := unix.EpollCtl(m.ep, unix.EPOLL_CTL_MOD, int(c.fd), &unix.EpollEvent{Events: events, Fd: i}); err != nil {
		m.lose(i, errOther)
	}
}

// dial begins to connect; the answer comes as an event.
func (m *epoll) dial(i int32) {
	fd, up, err := m.load.dial.begin()
	if err != nil {
		m.lose(i, kindOf(err))
		return
	}
	m.dialed(i, fd)
	events := uint32(unix.EPOLLOUT)
	if up {
		events = unix.EPOLLIN
	}
	if err := unix.EpollCtl(m.ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: i}); err != nil {
		m.lose(i, errOther)
	} else if up {
		m.connected(i)
	}
}

// decided looks at a connect that the kernel has decided.
func (m *epoll) decided(i int32) {
	if err := outcomeOf(int(m.conns[i].fd)); err != nil {
		m.lose(i, kindOf(err))
		return
	}
	if m.arm(i, false); m.conns[i].fd >= 0 {
		m.connected(i)
	}
}

// shut closes, which also takes the descriptor out of the epoll.
func (m *epoll) shut(i int32) { m.load.closeConn(int(m.conns[i].fd)) }

func (m *epoll) abort(i int32) { m.vacate(i, m.now()) }
