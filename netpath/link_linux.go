package netpath

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/clock"
	"github.com/sockbench/sockbench/results/stats"
)

// batch is how many frames one system call takes in or puts out.
const batch = 64

// frameMax is more than any frame, with the kernel's notes before it.
const (
	frameMax = vnetHead + ethernetHead + maxMTU
	vnetHead = 10 // struct virtio_net_hdr: whether its checksum is still to be computed
)

// link takes frames from two wires and puts them on the other one when they are due. One thread does all of it, with the
// garbage collector off; nothing is allocated once it runs.
type link struct {
	dirs    [2]*direction // up, down
	bell    int           // an eventfd: there is a new order
	stopped atomic.Bool
	phase   atomic.Pointer[phase] // to be taken over
	ended   chan struct{}
	failed  error

	window   *phase
	edges    [2]time.Duration // CPU of the thread at the measure phase's edges
	measured bool
	late     stats.Latency
	slow     bool
	resets   *forgetter
}

// phase is when the measure phase is.
type phase struct {
	from, to int64
	faults   Faults
}

// direction is one way through the link.
type direction struct {
	*shaper
	in, out           *wire
	line              *line // in their order
	express           *line // those that skip the delay
	overflow, refused int64
}

// wire is a packet socket on one of the middle's interfaces, and where frames from it are put.
type wire struct {
	fd       int
	heads    [batch]mmsghdr
	pieces   [batch]unix.Iovec
	controls [batch][64]byte
	frames   [batch][frameMax]byte

	outHeads  [batch]mmsghdr
	outPieces [batch]unix.Iovec
}

// mmsghdr is what recvmmsg and sendmmsg take a list of.
type mmsghdr struct {
	unix.Msghdr
	bytes uint32
}

// openWire opens a packet socket on an interface of this network namespace. It sees IPv4 alone: no stray frame takes a
// draw that was another's.
func openWire(index int) (*wire, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	w := &wire{fd: fd}
	for _, o := range []struct {
		what          string
		level, option int
		value         int
	}{
		{"PACKET_VNET_HDR", unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1},
		{"PACKET_IGNORE_OUTGOING", unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1},
		{"PACKET_QDISC_BYPASS", unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1},
		{"SO_TIMESTAMPNS", unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1},
		{"SO_RCVBUF", unix.SOL_SOCKET, unix.SO_RCVBUF, 64 << 20}, // as much as net.core.rmem_max lets it have; what does not fit is counted
		{"SO_SNDBUF", unix.SOL_SOCKET, unix.SO_SNDBUF, 64 << 20},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.option, o.value); err != nil {
			unix.Close(fd)
			return nil, fmt.Errorf("set %s of a packet socket: %w", o.what, err)
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_IP), Ifindex: index}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("bind a packet socket: %w", err)
	}
	for i := range w.heads {
		w.pieces[i].Base = &w.frames[i][0]
		w.pieces[i].SetLen(frameMax)
		w.heads[i].Iov = &w.pieces[i]
		w.heads[i].SetIovlen(1)
		w.heads[i].Control = &w.controls[i][0]
		w.outHeads[i].Iov = &w.outPieces[i]
		w.outHeads[i].SetIovlen(1)
	}
	return w, nil
}

func networkOrder(v uint16) uint16 { return v<<8 | v>>8 }

// newLink makes a link between the interfaces of the middle that lead to the client and to the server.
func newLink(s Spec, seed uint64, client, server int) (l *link, err error) {
	l = &link{bell: -1, ended: make(chan struct{}), late: stats.NewLatency(), resets: newForgetter()}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	var wires [2]*wire
	for i, index := range []int{client, server} {
		if wires[i], err = openWire(index); err != nil {
			return nil, err
		}
	}
	for i, d := range []Dir{s.Up, s.Down} {
		l.dirs[i] = &direction{shaper: newShaper(s, d, seed, uint64(i)), in: wires[i], out: wires[1-i]}
		if l.dirs[i].line, err = newLine(); err == nil {
			l.dirs[i].express, err = newLine()
		}
		if err != nil {
			return nil, err
		}
	}
	if l.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	return l, nil
}

// start runs the link in a thread of its own, until close.
func (l *link) start() {
	debug.SetGCPercent(-1)
	runtime.GOMAXPROCS(2) // a raw system call keeps its P: the other one is everybody else's
	go func() {
		runtime.LockOSThread()
		defer close(l.ended)
		l.slow = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) != nil
		prefer()
		l.failed = l.run()
	}()
}

// prefer asks the scheduler for a short slice, which makes this thread preempt those with a longer one as soon as it
// wakes (EEVDF, from Linux 6.12 on). Older kernels ignore it, and none needs a privilege for it.
func prefer() {
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil || attr.Policy != unix.SCHED_NORMAL {
		return
	}
	attr.Runtime = uint64(100 * time.Microsecond)
	unix.SchedSetAttr(0, attr, 0) // what it would be without is what the lateness shows
}

// ring makes the link look for orders.
func (l *link) ring() error {
	_, err := unix.Write(l.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	if err != nil && err != unix.EAGAIN {
		return fmt.Errorf("wake the link: %w", err)
	}
	return nil
}

// measure says when the measure phase is, and what befalls the path in it.
func (l *link) measure(p phase) error {
	l.phase.Store(&p)
	return l.ring()
}

// stop ends the thread; what is under way is lost.
func (l *link) stop() error {
	l.stopped.Store(true)
	if err := l.ring(); err != nil {
		return err
	}
	<-l.ended
	return l.failed
}

func (l *link) close() {
	if l.bell >= 0 {
		unix.Close(l.bell)
	}
	for _, d := range l.dirs {
		if d != nil {
			unix.Close(d.in.fd)
		}
	}
}

func (l *link) run() error {
	fds := [3]unix.PollFd{{Fd: int32(l.bell), Events: unix.POLLIN},
		{Fd: int32(l.dirs[0].in.fd), Events: unix.POLLIN}, {Fd: int32(l.dirs[1].in.fd), Events: unix.POLLIN}}
	var last int64
	for !l.stopped.Load() {
		now := clock.Now()
		if p := l.phase.Swap(nil); p != nil {
			l.window = p
			for _, d := range l.dirs {
				d.befall(p.faults, p.from)
			}
		}
		wake := l.edge(now)
		l.resets.look(now)
		for _, d := range l.dirs {
			wake = min(wake, l.send(d, now))
		}
		timeout := unix.NsecToTimespec(max(wake-clock.Now(), 0))
		until := &timeout
		if wake == math.MaxInt64 {
			until = nil
		}
		// It may end early by a signal of the Go runtime's: whatever it says, the sockets are looked at.
		unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&fds[0])), uintptr(len(fds)), uintptr(unsafe.Pointer(until)), 0, 0, 0)
		if fds[0].Revents != 0 {
			var order [8]byte
			unix.RawSyscall(unix.SYS_READ, uintptr(l.bell), uintptr(unsafe.Pointer(&order)), 8)
		}
		wall, mono := time.Now().UnixNano(), clock.Now()
		for _, d := range l.dirs {
			if err := l.receive(d, mono-wall, last, mono); err != nil {
				return err
			}
		}
		last = now
	}
	return nil
}

// edge takes note of the measure phase's beginning and end, and says when the next of these, or of the faults, is.
func (l *link) edge(now int64) (next int64) {
	w := l.window
	if w == nil {
		return math.MaxInt64
	}
	inside := now >= w.from && now < w.to
	if inside != l.measured {
		if i := 1; inside || now >= w.to {
			if inside {
				i = 0
				l.resets.plan(w)
			}
			l.edges[i] = threadCPU()
		}
		l.measured = inside
		for _, d := range l.dirs {
			d.measured = inside
		}
	}
	switch {
	case now < w.from:
		return w.from
	case inside:
		return min(w.to, l.resets.next())
	}
	return math.MaxInt64
}

func threadCPU() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// receive takes in what has arrived at d's beginning. offset is CLOCK_MONOTONIC − CLOCK_REALTIME, in which the kernel
// stamps frames; stamps outside of since to now are not believed: somebody may set the clock.
func (l *link) receive(d *direction, offset, since, now int64) error {
	for {
		w := d.in
		for i := range w.heads {
			w.heads[i].SetControllen(len(w.controls[i]))
		}
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(w.fd), uintptr(unsafe.Pointer(&w.heads[0])), batch, unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
		case unix.EAGAIN, unix.EINTR:
			return nil
		default:
			return os.NewSyscallError("recvmmsg", errno)
		}
		for i := range int(n) {
			h := &w.heads[i]
			t := now
			if c := (*unix.Cmsghdr)(unsafe.Pointer(&w.controls[i][0])); int(h.Controllen) >= unix.CmsgSpace(16) && c.Type == unix.SO_TIMESTAMPNS {
				ts := (*unix.Timespec)(unsafe.Pointer(&w.controls[i][unix.CmsgLen(0)]))
				t = min(max(ts.Nano()+offset, since), now)
			}
			l.take(d, t, w.frames[i][:h.bytes])
		}
		if n < batch {
			return nil
		}
	}
}

// take decides what becomes of a frame that arrived at t.
func (l *link) take(d *direction, t int64, frame []byte) {
	if len(frame) < vnetHead+ethernetHead {
		return
	}
	if l.resets.active && l.forgotten(d, t, frame) {
		return
	}
	f := d.arrive(t, len(frame)-vnetHead)
	to := d.line
	if f.skips {
		to = d.express
	}
	for range f.copies {
		if !to.put(f.leaves, frame) {
			d.overflow++
		}
	}
}

// send puts out what is due in d, and says when the next frame is.
func (l *link) send(d *direction, now int64) (next int64) {
	next = math.MaxInt64
	for _, from := range []*line{d.express, d.line} {
		for l.sendBatch(d, from, now) {
			now = clock.Now()
		}
		if at, ok := from.first(); ok {
			next = min(next, at)
		}
	}
	return next
}

// sendBatch puts out up to a batch of frames that are due, and says whether it was a whole one.
func (l *link) sendBatch(d *direction, from *line, now int64) (more bool) {
	w, n, place := d.out, 0, from.head
	for n < batch {
		leaves, frame, next, ok := from.at(place)
		if !ok || leaves > now {
			break
		}
		w.outPieces[n].Base = &frame[0]
		w.outPieces[n].SetLen(len(frame))
		if l.measured {
			l.late.Record(now - leaves)
		}
		n, place = n+1, next
	}
	for sent := 0; sent < n; {
		k, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(w.fd), uintptr(unsafe.Pointer(&w.outHeads[sent])), uintptr(n-sent), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == unix.EINTR:
		case errno != 0: // the first of them is refused
			d.refused++
			sent++
		default:
			sent += int(k)
		}
	}
	from.head = place
	return n == batch
}

// evidence is what the link saw, once it has stopped.
func (l *link) evidence() (e Evidence) {
	for i, to := range []*DirStats{&e.Up, &e.Down} {
		d := l.dirs[i]
		*to = d.stats
		to.QueueDelay = d.waited.Summary()
		e.Missed += dropped(d.in.fd)
		e.Overflow += d.overflow
		e.Refused += d.refused
	}
	e.Lateness, e.Slow = l.late.Summary(), l.slow
	if w := l.window; w != nil && l.edges[1] > 0 {
		e.CPU = int64(l.edges[1] - l.edges[0])
		e.Busy = float64(e.CPU) / float64(max(w.to-w.from, 1))
	}
	return e
}

// dropped asks how many frames the kernel dropped before they could be taken from a packet socket.
func dropped(fd int) int64 {
	s, err := unix.GetsockoptTpacketStats(fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0
	}
	return int64(s.Drops)
}
