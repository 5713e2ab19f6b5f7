package targets

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Listen makes the listening socket, blocking, and says where it listens: "tcp://127.0.0.1:41234". The caller owns fd.
func (e *Env) Listen() (fd int, addr string, err error) {
	fd, err = e.bind(unix.SOCK_STREAM)
	if err == nil {
		err = e.sockets.Listen(fd)
	}
	if err != nil {
		e.abandon(fd)
		return -1, "", e.listenError(err)
	}
	return fd, e.at.String(), nil
}

// listenAll makes a listening descriptor for each of n workers: of one socket, or each of its own on the same port.
func (e *Env) listenAll(n int) (fds []int, addr string, err error) {
	defer func() {
		if err != nil {
			for _, fd := range fds {
				closeFD(fd)
			}
			e.leave()
			fds, err = nil, e.listenError(err)
		}
	}()
	for range n {
		fd := -1
		if e.apart || len(fds) == 0 {
			fd, err = e.bind(unix.SOCK_STREAM)
		} else {
			fd, err = unix.FcntlInt(uintptr(fds[0]), unix.F_DUPFD_CLOEXEC, 0)
		}
		if fd >= 0 {
			fds = append(fds, fd)
		}
		if err == nil && (e.apart || len(fds) == 1) {
			err = e.sockets.Listen(fd)
		}
		if err != nil {
			return fds, "", err
		}
	}
	if e.steered {
		err = steer(fds[0], n)
	}
	return fds, e.at.String(), err
}

// steer divides the connections among n sockets of one port by the CPU that handles their first packet. The program is
// "load the CPU; modulo n; return it", and what it returns is the number of a socket, in the order of their bind.
func steer(fd, n int) error {
	const cpu = 1<<32 - 0x1000 + 36 // SKF_AD_OFF + SKF_AD_CPU
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: cpu},
		{Code: unix.BPF_ALU | unix.BPF_MOD | unix.BPF_K, K: uint32(n)},
		{Code: unix.BPF_RET | unix.BPF_A},
	}
	err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	if err != nil {
		return fmt.Errorf("set SO_ATTACH_REUSEPORT_CBPF: %w", err)
	}
	return nil
}

// bind makes a blocking socket where the server is to be. What of it exists is returned also with an error.
func (e *Env) bind(kind int) (fd int, err error) {
	if err = e.at.claim(); err != nil {
		return -1, err
	}
	family, to := e.at.sockaddr()
	if fd, err = unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, err
	}
	if err = e.fresh(fd); err != nil {
		return fd, err
	}
	if err = unix.Bind(fd, to); err != nil {
		return fd, err
	}
	return fd, e.bound(fd)
}

// bound notes where fd was bound.
func (e *Env) bound(fd int) (err error) {
	if e.at.network == onUnix {
		return unix.Lstat(e.at.path, &e.file)
	}
	e.at, err = e.at.of(fd)
	return err
}

// leave removes the file of a unix socket, unless it is no longer the one that bound made.
func (e *Env) leave() {
	var st unix.Stat_t
	if e.file.Ino != 0 && unix.Lstat(e.at.path, &st) == nil && st.Ino == e.file.Ino && st.Dev == e.file.Dev {
		unix.Unlink(e.at.path) // a directory that no longer lets us is not ours to mend
	}
}

// abandon undoes bind, as far as it came.
func (e *Env) abandon(fd int) {
	if fd >= 0 {
		closeFD(fd)
	}
	e.leave()
}

// fresh sets what is to be set before bind. SO_REUSEADDR, unless it is asked for, is left as the kernel has it, off, but
// on a fixed port.
func (e *Env) fresh(fd int) error {
	reuse := 0
	if e.fixed && !e.sockets.Asks("SO_REUSEADDR") {
		reuse = 1
		e.sockets.ByModel("SO_REUSEADDR", "on", "the port is fixed: connections of an earlier server may linger on it")
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, reuse); err != nil { // package net has set it
		return fmt.Errorf("set SO_REUSEADDR: %w", err)
	}
	e.sockets.Fresh(fd)
	if e.apart {
		e.sockets.ByModel("SO_REUSEPORT", "on", "each worker listens on the same port")
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return fmt.Errorf("set SO_REUSEPORT: %w", err)
		}
	}
	return nil
}

// listenError says where it failed and what to do.
func (e *Env) listenError(err error) error {
	var inner *os.SyscallError
	if errors.As(err, &inner) {
		err = inner.Err // package net wraps it in words that name the address again
	}
	hint := ""
	switch onPath := e.at.network == onUnix; {
	case errors.Is(err, unix.EADDRINUSE) && onPath:
		hint = ": another process listens there; choose another path"
	case errors.Is(err, unix.EADDRINUSE):
		hint = ": another process listens there; choose another port or 0"
	case errors.Is(err, unix.EADDRNOTAVAIL):
		hint = ": no interface here has this address"
	case errors.Is(err, unix.EACCES) && onPath:
		hint = ": this user may not make files there; choose another path"
	case errors.Is(err, unix.EACCES):
		hint = ": ports below 1024 are for root; choose another port or 0"
	case errors.Is(err, unix.ENOENT):
		hint = ": there is no such folder"
	}
	return fmt.Errorf("listen %s: %w%s", e.at, err, hint)
}
