package loadgen

import (
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

var netKind = EngineKind{
	Name:  "net",
	Doc:   "a goroutine per connection, waiting in Go's network poller as with package net: what most Go programs are",
	Tasks: true,
	open:  func(e *engine) (mover, error) { return openTasks(e, pollable) },
}

// polled is a socket in Go's network poller. It is what a net.Conn is below its addresses and deadlines: reads and
// writes take the same way, and nothing is set on the socket that was not asked for, as package net does to those it
// makes (TCP_NODELAY, keep-alive).
type polled struct {
	file *os.File
	fd   int32
}

func pollable(fd int) (lane, error) { return polled{os.NewFile(uintptr(fd), "socket"), int32(fd)}, nil }

func (p polled) read(b []byte) (int, error) {
	n, err := p.file.Read(b)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

func (p polled) write(b []byte) error {
	_, err := p.file.Write(b)
	return err
}

func (p polled) writev(a, b []byte) error {
	n, errno := writev(p.fd, a, b)
	var err error
	switch errno {
	case 0:
	case unix.EAGAIN, unix.EINTR:
		n = 0
	default:
		err = errno
	}
	if err == nil && n < len(a) {
		err = p.write(a[n:])
		n = len(a)
	}
	if err == nil && n < len(a)+len(b) {
		err = p.write(b[n-len(a):])
	}
	return err
}

func (p polled) receive(b []byte, timeout int64) (int, error) {
	if err := p.file.SetReadDeadline(time.Now().Add(time.Duration(timeout))); err != nil {
		return 0, err
	}
	return p.read(b)
}

func (p polled) close() { p.file.Close() }
