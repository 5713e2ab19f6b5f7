// Package uring is as much of Linux's io_uring as one thread with many sockets needs: sends, receives and accepts that
// repeat themselves into buffers the kernel picks, and one system call for a whole batch of them.
//
// It needs Linux 6.0. A Ring belongs to one operating system thread: lock the goroutine to it (runtime.LockOSThread)
// before Open, and call every method from it, Close included. The kernel refuses others.
//
// A request waits in the background for its socket, be that in blocking mode or not; the thread waits in Wait only.
//
// A request that is out keeps its socket open: the peer sees no end before it is over. Cancel, then close.
package uring
