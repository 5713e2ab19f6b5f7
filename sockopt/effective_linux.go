package sockopt

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Effective sets s on one side of a connection of this machine's loopback, in its phase, and says what became of it there.
// An error means that there was no such connection to ask.
func Effective(s Setting, side Side) (Applied, error) {
	t := NewTally([]Setting{s})
	sockets, err := effective(t, side)
	for _, fd := range sockets {
		defer unix.Close(fd)
	}
	if err != nil {
		return Applied{}, fmt.Errorf("try %s=%s on a loopback connection: %w", s.Option, s, err)
	}
	for _, a := range t.Report().Applied {
		if a.Option == s.Option {
			return a, nil
		}
	}
	return Applied{}, fmt.Errorf("try %s=%s on a loopback connection: it was nowhere to be read", s.Option, s)
}

// patience is how many milliseconds a loopback connection may take to come about.
const patience = 1000

// effective makes a connection whose given side is t's, and returns the sockets that are open, also with an error.
func effective(t *Tally, side Side) (open []int, err error) {
	socket := func(mine bool) (fd int, err error) {
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err == nil {
			if open = append(open, fd); mine {
				t.Fresh(fd)
			}
		}
		return fd, err
	}
	listener, err := socket(side == Server)
	if err != nil {
		return open, err
	}
	if err := unix.Bind(listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return open, err
	}
	if side == Server {
		err = t.Listen(listener)
	} else {
		err = unix.Listen(listener, 1)
	}
	if err != nil {
		return open, err
	}
	at, err := unix.Getsockname(listener)
	if err != nil {
		return open, err
	}
	client, err := socket(side == Client)
	if err != nil {
		return open, err
	}
	if err := unix.Connect(client, at); err != nil && err != unix.EINPROGRESS { // as SO_SNDTIMEO has it
		return open, err
	}
	if err := await(client, unix.POLLOUT); err != nil {
		return open, err
	}
	if side == Client { // before anything is sent, as a load does
		t.Opened(client)
	}
	if _, err := unix.Write(client, []byte{0}); err != nil { // a listener may wait for the first byte
		return open, err
	}
	if err := await(listener, unix.POLLIN); err != nil {
		return open, err
	}
	accepted, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	if err != nil {
		return open, err
	}
	if open = append(open, accepted); side == Server {
		t.Opened(accepted)
	}
	return open, nil
}

// await waits until fd is what events say.
func await(fd int, events int16) error {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: events}}, patience)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case n == 0:
			return unix.ETIMEDOUT
		default:
			return nil
		}
	}
}
