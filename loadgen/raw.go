package loadgen

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// These calls on non-blocking sockets do not tell the Go scheduler, for the reason that package internal/raw gives.

// writev writes two pieces in one call.
func writev(fd int32, a, b []byte) (n int, errno syscall.Errno) {
	pieces := [2]unix.Iovec{{Base: &a[0]}, {Base: &b[0]}}
	pieces[0].SetLen(len(a))
	pieces[1].SetLen(len(b))
	r, _, errno := syscall.RawSyscall6(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&pieces[0])), 2, 0, 0, 0)
	return int(r), errno
}

// cork holds back what is written to a TCP socket, or lets it go.
func cork(fd int32, on int32) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_CORK, uintptr(unsafe.Pointer(&on)), unsafe.Sizeof(on), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// connect begins to connect a non-blocking socket.
func connect(fd int, to *rawAddr) syscall.Errno {
	_, _, errno := syscall.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&to.any)), to.len)
	return errno
}

// bind gives a socket its own address.
func bind(fd int, at *rawAddr) syscall.Errno {
	_, _, errno := syscall.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&at.any)), at.len)
	return errno
}
