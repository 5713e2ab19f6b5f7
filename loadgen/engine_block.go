package loadgen

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

var blockKind = EngineKind{
	Name: "block",
	Doc: "a thread per connection in blocking calls: what most Python and Java programs are, and the only engine on " +
		"which SO_RCVTIMEO acts",
	Tasks:   true,
	Threads: true,
	open:    func(e *engine) (mover, error) { return openTasks(e, blocking) },
}

// blocked is a blocking socket.
type blocked int

func blocking(fd int) (lane, error) {
	if err := unix.SetNonblock(fd, false); err != nil {
		return nil, fmt.Errorf("make a socket blocking: %w", err)
	}
	return blocked(fd), nil
}

func (f blocked) read(b []byte) (int, error) {
	for {
		n, err := unix.Read(int(f), b)
		switch err {
		case unix.EINTR:
			continue
		case unix.EAGAIN: // SO_RCVTIMEO
			err = errReceiveTimeout
		}
		return n, err
	}
}

func (f blocked) write(b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(int(f), b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func (f blocked) writev(a, b []byte) error {
	n, err := unix.Writev(int(f), [][]byte{a, b})
	for err == unix.EINTR {
		n, err = unix.Writev(int(f), [][]byte{a, b})
	}
	if err == nil && n < len(a) {
		err = f.write(a[n:])
		n = len(a)
	}
	if err == nil && n < len(a)+len(b) {
		err = f.write(b[n-len(a):])
	}
	return err
}

func (f blocked) receive(b []byte, timeout int64) (int, error) {
	some, err := ready(int(f), unix.POLLIN, timeout)
	if err != nil {
		return 0, err
	}
	if !some {
		return 0, os.ErrDeadlineExceeded
	}
	return f.read(b)
}

func (f blocked) close() { unix.Close(int(f)) }
