package uring

import (
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// File is a descriptor, or a Slot.
type File int32

// Slot is the file that SetFiles put into slot i. A request on it saves the kernel looking a descriptor up.
func Slot(i int) File { return File(^i) }

// Completion is what became of a request.
type Completion struct {
	Data  uint64 // what the request was given
	Res   int32  // what the system call of that name returns: a count or a descriptor, or a negative error number
	flags uint32
}

// More says whether the same request will have further completions. Without it, it is over.
func (c *Completion) More() bool { return c.flags&cqeMore != 0 }

// Err is the request's error, or nil.
func (c *Completion) Err() error {
	if c.Res < 0 {
		return syscall.Errno(-c.Res)
	}
	return nil
}

// Next takes the next completion of those that are there. It makes no system call.
func (r *Ring) Next(c *Completion) bool {
	if r.head == r.ready {
		if r.ready = atomic.LoadUint32(r.cqTail); r.head == r.ready {
			return false
		}
	}
	*c = r.cqes[r.head&uint32(len(r.cqes)-1)]
	r.head++
	return true
}

// prepare returns the next request to fill in. A full queue is submitted first; if that fails, Wait says so.
func (r *Ring) prepare(op uint8, f File, data uint64) *sqe {
	s := &r.spare
	if r.tail-atomic.LoadUint32(r.sqHead) < uint32(len(r.sqes)) || r.enter(0, 0, nil, 0) == nil {
		s = &r.sqes[r.tail&uint32(len(r.sqes)-1)]
		r.tail++
	}
	*s = sqe{opcode: op, fd: int32(f), data: data}
	if f < 0 {
		s.fd, s.flags = int32(^f), sqeFixedFile
	}
	return s
}

// Send sends all of b, which is of Memory or of Buffer and the kernel's until the completion. Of two Sends at a time on
// one socket, the bytes may mix: have one.
func (r *Ring) Send(f File, b []byte, data uint64) {
	s := r.prepare(opSend, f, data)
	s.addr, s.len, s.opFlags = address(b), uint32(len(b)), unix.MSG_WAITALL|unix.MSG_NOSIGNAL
}

// TrySend sends as much of b, which is of Memory or of Buffer, as the socket takes when it is submitted. It has a
// completion only if that was not all: Res is the bytes taken, or an error, EAGAIN if there was no room. When the Wait
// after it returns, b is free again.
func (r *Ring) TrySend(f File, b []byte, data uint64) {
	s := r.prepare(opSend, f, data)
	s.flags |= sqeCQESkipSuccess
	s.addr, s.len, s.opFlags = address(b), uint32(len(b)), unix.MSG_WAITALL|unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT
}

// Recv receives again and again, a completion with a Buffer each time, for as long as they say More. It ends with Res 0
// at the end of the stream, with an error, or because the completion queue overflowed. ENOBUFS means that the kernel has
// no buffer left: Recycle some, then Recv again. Nothing is lost by any of these.
func (r *Ring) Recv(f File, data uint64) {
	s := r.prepare(opRecv, f, data)
	s.flags |= sqeBufferSelect
	s.ioprio = recvMultishot
}

// Accept accepts again and again, a completion with a descriptor (close-on-exec, non-blocking) each time, for as long as they
// say More.
func (r *Ring) Accept(listener File, data uint64) {
	s := r.prepare(opAccept, listener, data)
	s.ioprio, s.opFlags = acceptMultishot, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK
}

// Poll waits once until f is ready for events (unix.POLLIN, …): for an eventfd that other threads wake this one with.
// Res is the events.
func (r *Ring) Poll(f File, events uint16, data uint64) {
	s := r.prepare(opPollAdd, f, data)
	*(*uint16)(unsafe.Pointer(&s.opFlags)) = events // the first half, in either byte order
}

// Cancel ends all requests on f; each has its completion, ECANCELED if nothing happened before. Cancel's own Res is how
// many there were. f must still be open when Cancel is submitted.
func (r *Ring) Cancel(f File, data uint64) {
	s := r.prepare(opAsyncCancel, f, data)
	s.opFlags = cancelAll | cancelFD
	if s.flags&sqeFixedFile != 0 { // here the kernel wants to be told in another place
		s.flags, s.opFlags = 0, s.opFlags|cancelFDFixed
	}
}
