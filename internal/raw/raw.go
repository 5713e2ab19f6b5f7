// Package raw reads and writes non-blocking sockets without telling the Go scheduler: such a call returns at once.
//
// Note: through the scheduler (unix.Read, unix.Write), with 64 connections in a closed loop, a request cost the client on
// epoll 6.3 µs of CPU instead of 5.8 µs, and the server on epoll 1.5 times as much as one in C instead of 1.07 times: the
// runtime's monitor takes the processor away during system calls and wakes threads that want it back.
package raw

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An error is an errno and not an error value, so that the compiler inlines both.

// Read is read(2) of a descriptor that does not block.
func Read(fd int, b []byte) (n int, errno syscall.Errno) {
	r, _, errno := syscall.RawSyscall6(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), 0, 0, 0)
	return int(r), errno
}

// Write is write(2) to a descriptor that does not block.
func Write(fd int, b []byte) (n int, errno syscall.Errno) {
	r, _, errno := syscall.RawSyscall6(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), 0, 0, 0)
	return int(r), errno
}
