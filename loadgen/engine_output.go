package loadgen

import (
	"cmp"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/raw"
	"github.com/sockbench/sockbench/wire"
)

// turn is how many writes a connection has before replies, other connections and the clock have theirs: where a server
// reads as fast as a client writes, the socket has room for ever. In 64 writes of 64 KiB a millisecond passes.
const turn = 64

// output writes to sockets that do not block, for the engines of one thread.
type output struct {
	*engine
	buf  []byte
	left int                    // writes of this turn
	arm  func(i int32, on bool) // has connection i flushed when it becomes writable, or no longer
}

func newOutput(e *engine) output {
	return output{engine: e, buf: make([]byte, cmp.Or(int(e.load.spec.WriteSize), bufferLen))}
}

// flush writes as much as the socket takes in one turn.
func (o *output) flush(i int32) {
	o.left = turn
	c := &o.conns[i]
	together := o.pipes != nil && o.flows == nil && o.manner == single
	for {
		switch {
		case c.armed:
			if !o.write(i, &c.cut.out) {
				return
			}
			o.arm(i, false)
		case together && o.several(i):
		case !o.lay(i, &o.frame) || !o.write(i, &o.frame):
			return
		case o.pipes == nil:
			return
		}
		if c.fd < 0 {
			return
		}
		if o.left <= 0 {
			o.todo = append(o.todo, i)
			return
		}
	}
}

// several writes all requests that wait, in one call, and says whether there were some that fit.
func (o *output) several(i int32) bool {
	c := &o.conns[i]
	b, n := o.gather(i, o.buf)
	if n == 0 {
		return false
	}
	o.left--
	took, errno := raw.Write(int(c.fd), b)
	switch errno {
	case 0:
	case unix.EAGAIN, unix.EINTR:
		took = 0
	default:
		o.lose(i, kindOf(errno))
		return true
	}
	o.sent += int64(took)
	if took < len(b) {
		o.scatter(i, n, int64(took), &c.keep().out)
		o.arm(i, true)
	}
	return true
}

// write writes f, and says whether all of it has gone.
func (o *output) write(i int32, f *wire.Frame) bool {
	c := &o.conns[i]
	if o.manner == corked && f.Left() == f.Len() {
		if err := cork(c.fd, 1); err != nil {
			o.lose(i, kindOf(err))
			return false
		}
	}
	for f.Left() > 0 {
		if o.left <= 0 {
			o.hold(i)
			return false
		}
		o.left--
		var n int
		var errno syscall.Errno
		if a, b := o.manner.pieces(f, o.buf, o.most); b == nil {
			n, errno = raw.Write(int(c.fd), a)
		} else {
			n, errno = writev(c.fd, a, b)
		}
		switch errno {
		case 0:
			o.sent += int64(n)
			f.Wrote(n)
		case unix.EINTR:
		case unix.EAGAIN:
			o.hold(i)
			return false
		default:
			o.lose(i, kindOf(errno))
			return false
		}
	}
	if o.manner == corked {
		if err := cork(c.fd, 0); err != nil {
			o.lose(i, kindOf(err))
			return false
		}
	}
	return true
}

// hold keeps what is left of the frame that connection i writes until the socket is writable, as after a turn it may be
// at once.
func (o *output) hold(i int32) {
	if c := &o.conns[i]; !c.armed {
		c.keep().out, o.frame = o.frame, c.cut.out // swapped: neither loses its buffer
		o.arm(i, true)
	}
}
