package targets

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/wire"
)

var udpEntry = Entry{
	Name: "udp",
	Doc: "One thread with one UDP socket: it receives a datagram, serves it, sends its reply, and receives the next. Each datagram " +
		"is one request or one reply, whole. A service time holds all clients up.",
	Elsewhere: "most DNS and NTP servers, Python's socketserver.UDPServer",
	Limit:     datagramLimit,
	Knobs:     answers,
	Blocking:  true,
	Datagrams: true,
	Honest:    func(i Inspection, _ Spec, _ int) error { return i.datagrams("recvfrom") },
	Start:     startUDP(1),
}

var udpBatchEntry = Entry{
	Name: "udp-batch",
	Doc: "As udp, but it takes with one call up to 32 datagrams that have arrived (recvmmsg), and sends all their replies with " +
		"another (sendmmsg).",
	Elsewhere: "memcached over UDP, Knot DNS, the socket under QUIC",
	Limit:     datagramLimit,
	Knobs:     answers,
	Blocking:  true,
	Datagrams: true,
	Honest:    func(i Inspection, _ Spec, _ int) error { return i.datagrams("recvmmsg") },
	Start:     startUDP(datagramsMax),
}

const datagramLimit = "What finds no room is lost without a word, and the request times out. A request and a reply have at most 65,507 " +
	"bytes each; a datagram that is not just one request is dropped and counted."

// datagrams wants one blocking socket of UDP, and a thread that waits for it in that call.
func (i Inspection) datagrams(call string) error {
	if i.Datagram != 1 || i.Blocking != 1 {
		return fmt.Errorf("want one socket, of UDP: %s", i)
	}
	return i.blocks(threads{call: 1})
}

const datagramsMax = 32 // taken or sent in one call

type udp struct {
	env     *Env
	in, out mail
	state   wire.State
	waits   int   // since one was timed
	heard   int64 // when the last wait returned, if it is timed
	frame   wire.Frame
	total   Result
	drained atomic.Bool

	mu sync.Mutex
	fd int // -1: closed
}

// mail is what one call takes. Its heads point into the rest.
type mail struct {
	heads  []mmsghdr
	pieces []unix.Iovec
	names  []unix.RawSockaddrAny
	bufs   [][64 << 10]byte // more than any datagram
}

// mmsghdr is what recvmmsg and sendmmsg take a list of.
type mmsghdr struct {
	unix.Msghdr
	bytes uint32 // received
}

// newMail makes room for n datagrams.
func newMail(n int) mail {
	m := mail{make([]mmsghdr, n), make([]unix.Iovec, n), make([]unix.RawSockaddrAny, n), make([][64 << 10]byte, n)}
	for i := range n {
		m.pieces[i].Base = &m.bufs[i][0]
		m.pieces[i].SetLen(len(m.bufs[i]))
		m.heads[i].Iov = &m.pieces[i]
		m.heads[i].SetIovlen(1)
		m.heads[i].Name = (*byte)(unsafe.Pointer(&m.names[i]))
	}
	return m
}

// startUDP starts a server that takes and sends up to batch datagrams with one call; with 1, by calls for just one.
func startUDP(batch int) func(context.Context, Spec, Place) (Server, error) {
	return func(ctx context.Context, s Spec, p Place) (Server, error) {
		env, err := newEnv(s, p, overDatagrams)
		if err != nil {
			return nil, err
		}
		fd, err := env.bind(unix.SOCK_DGRAM)
		if err != nil {
			env.abandon(fd)
			return nil, env.listenError(err)
		}
		env.sockets.Opened(fd)
		return env.serve(ctx, env.at.String(), &udp{env: env, fd: fd, in: newMail(batch), out: newMail(batch)}), nil
	}
}

func (m *udp) run() {
	lockThread()
	defer m.release()
	for !m.env.halted.Load() {
		flags := unix.MSG_WAITFORONE
		last := m.drained.Load()
		if last {
			flags = unix.MSG_DONTWAIT
		}
		if n := m.receive(flags); n > 0 {
			m.serve(n)
		} else if last {
			return
		}
	}
}

// receive waits for datagrams and returns how many it took; 0: none, be it for a signal, a timeout or a stop.
func (m *udp) receive(flags int) int {
	for i := range m.in.heads {
		m.in.heads[i].Namelen = unix.SizeofSockaddrAny
	}
	first := &m.in.heads[0]
	var n uintptr
	var errno unix.Errno
	if len(m.in.heads) > 1 {
		n, _, errno = unix.Syscall6(unix.SYS_RECVMMSG, uintptr(m.fd), uintptr(unsafe.Pointer(first)), uintptr(len(m.in.heads)), uintptr(flags), 0, 0)
	} else {
		n, _, errno = unix.Syscall6(unix.SYS_RECVFROM, uintptr(m.fd), uintptr(unsafe.Pointer(first.Iov.Base)), uintptr(first.Iov.Len),
			uintptr(flags&^unix.MSG_WAITFORONE), uintptr(unsafe.Pointer(first.Name)), uintptr(unsafe.Pointer(&first.Namelen)))
		first.bytes, n = uint32(n), 1
	}
	if errno != 0 || first.Namelen == 0 { // a shutdown looks like a datagram from nobody
		return 0
	}
	return int(n)
}

// serve answers the first n datagrams received. Replies go together as long as they cost no time to make: no reply waits
// for the service of the request behind it.
func (m *udp) serve(n int) {
	m.total.Reads++
	at := m.env.samples.now()
	m.heard = m.env.times.hear(&m.waits)
	replies := 0
	for i := 0; i < n && !m.env.halted.Load(); i++ {
		b := m.in.bufs[i][:m.in.heads[i].bytes]
		m.total.Received += int64(len(b))
		reply := m.answer(b, m.out.bufs[replies][:], at)
		if reply == nil {
			continue
		}
		h := &m.out.heads[replies]
		h.Name, h.Namelen = m.in.heads[i].Name, m.in.heads[i].Namelen
		h.Iov.Base = &reply[0]
		h.Iov.SetLen(len(reply))
		if replies++; m.env.service.Mean > 0 {
			m.send(replies)
			replies = 0
		}
	}
	m.send(replies)
}

// answer serves one datagram and returns its reply, in buf; nil: there is none.
func (m *udp) answer(b, buf []byte, at int64) []byte {
	err := wire.ScanDatagram(m.env.codec, &m.state, b)
	msg := m.state.Msg
	if m.frame.Reset(); err == nil && msg.Reply != wire.NoReply {
		m.env.codec.Put(&m.frame, wire.Message{ID: msg.ID, Op: msg.Op, Size: msg.Reply, Reply: msg.Reply})
	}
	if err != nil || m.frame.Len() > wire.MaxDatagram {
		m.total.Protocol++
		return nil
	}
	m.total.Requests++
	m.env.handle(msg.ID, at, m.heard)
	if msg.Reply == wire.NoReply {
		return nil
	}
	return m.frame.Next(buf)
}

// send sends the first n replies. One that the kernel does not take is lost, as it could be anywhere behind it.
func (m *udp) send(n int) {
	for sent := 0; sent < n; {
		k, errno := m.hand(m.out.heads[sent:n])
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			sent++
			continue
		}
		m.total.Writes++
		for _, h := range m.out.heads[sent : sent+k] {
			m.total.Sent += int64(h.Iov.Len)
		}
		sent += k
	}
}

// hand gives the kernel replies, and says how many it took.
func (m *udp) hand(replies []mmsghdr) (taken int, errno unix.Errno) {
	first := &replies[0]
	if len(m.out.heads) > 1 {
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(m.fd), uintptr(unsafe.Pointer(first)), uintptr(len(replies)), 0, 0, 0)
		return int(n), errno
	}
	_, _, errno = unix.Syscall6(unix.SYS_SENDTO, uintptr(m.fd), uintptr(unsafe.Pointer(first.Iov.Base)), uintptr(first.Iov.Len), 0,
		uintptr(unsafe.Pointer(first.Name)), uintptr(first.Namelen))
	return 1, errno
}

// release closes the socket and counts in what was done.
func (m *udp) release() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.env.sockets.Closing(m.fd)
	closeFD(m.fd)
	m.fd = -1
	m.env.mu.Lock()
	defer m.env.mu.Unlock()
	m.env.total = m.total
}

// drain lets nothing more in, with a filter that drops every packet: what has arrived already stays to be read.
func (m *udp) drain() {
	m.mu.Lock()
	if m.fd >= 0 {
		m.env.sockets.Closing(m.fd) // the last look: what is dropped from now on was not lost for want of room
		drop := [1]unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K}}
		// Where a sandbox forbids it, what arrives while draining is answered too, until Drain's time is over.
		_ = unix.SetsockoptSockFprog(m.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop[0]})
	}
	m.mu.Unlock()
	m.drained.Store(true)
	m.halt()
}

// halt wakes the thread. The error is that the socket is not connected; it wakes all the same.
func (m *udp) halt() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fd >= 0 {
		_ = unix.Shutdown(m.fd, unix.SHUT_RD)
	}
}
