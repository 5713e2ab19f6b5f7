package uring

import (
	"fmt"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// BenchmarkExchange compares a client on epoll, read and write with one on a ring: 64 bytes there and back, on many
// connections at once, with an epoll server on another CPU. cpu-ns/op is the client thread's own time.
func BenchmarkExchange(b *testing.B) {
	for _, conns := range []int{1, 64, 1000} {
		for _, way := range []struct {
			name string
			open func(*testing.B, []File) client
		}{
			{"epoll", newEpollClient},
			{"ring", func(b *testing.B, fds []File) client { return newRingClient(b, fds, false) }},
			{"ring-slots", func(b *testing.B, fds []File) client { return newRingClient(b, fds, true) }},
		} {
			b.Run(fmt.Sprintf("%s/%d", way.name, conns), func(b *testing.B) {
				pin(b, 1)
				exchange(b, way.open(b, serve(b, conns)), conns)
			})
		}
	}
}

// client is a way to exchange messages.
type client interface {
	send(i int)
	wait()
	next() (i int, ok bool) // the next connection, of those wait found, that has received its message
}

const messageLen = 64

func exchange(b *testing.B, c client, conns int) {
	round := func(n int) {
		sent := 0
		for ; sent < min(conns, n); sent++ {
			c.send(sent)
		}
		for received := 0; received < n; {
			c.wait()
			for i, ok := c.next(); ok; i, ok = c.next() {
				if received++; sent < n {
					c.send(i)
					sent++
				}
			}
		}
	}
	round(10 * conns) // everything is warm
	begin := threadCPU(b)
	b.ResetTimer()
	round(b.N)
	b.StopTimer()
	b.ReportMetric(float64(threadCPU(b)-begin)/float64(b.N), "cpu-ns/op")
}

func threadCPU(b *testing.B) int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		b.Fatal(err)
	}
	return ts.Nano()
}

// pin locks the goroutine to a thread on one CPU, if there are several, until the benchmark ends.
func pin(b *testing.B, cpu int) {
	runtime.LockOSThread()
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		unix.SchedSetaffinity(0, &before)
		runtime.UnlockOSThread()
	})
	if before.Count() > 1 && before.IsSet(cpu) {
		one.Set(cpu)
		if err := unix.SchedSetaffinity(0, &one); err != nil {
			b.Fatal(err)
		}
	}
}

// serve starts an echo server on epoll, and returns connections to it.
func serve(b *testing.B, conns int) []File {
	l, addr := listen(b)
	ep := newEpoll(b)
	fds := make([]File, conns)
	for i := range fds {
		fds[i] = dial(b, addr)
		fd, _, err := unix.Accept4(int(l), unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		if err == nil {
			b.Cleanup(func() { unix.Close(fd) })
			err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		}
		if err != nil {
			b.Fatal(err)
		}
		ep.add(b, fd, fd)
	}
	done := make(chan struct{})
	b.Cleanup(func() {
		for _, fd := range fds {
			unix.Shutdown(int(fd), unix.SHUT_WR)
		}
		<-done
	})
	go func() {
		defer close(done)
		pin(b, 0)
		buf := make([]byte, 4096)
		for ended := 0; ended < conns; {
			ep.wait()
			for fd, ok := ep.next(); ok; fd, ok = ep.next() {
				n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
				if n == 0 || errno != 0 && errno != unix.EAGAIN {
					ended++
					unix.EpollCtl(ep.fd, unix.EPOLL_CTL_DEL, int(fd), nil)
				} else if errno == 0 {
					unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&buf[0])), n)
				}
			}
		}
	}()
	return fds
}

type epoll struct {
	fd     int
	events []unix.EpollEvent
	ready  []unix.EpollEvent
}

func newEpoll(b *testing.B) *epoll {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { unix.Close(fd) })
	return &epoll{fd: fd, events: make([]unix.EpollEvent, 512)}
}

func (e *epoll) add(b *testing.B, fd, data int) {
	if err := unix.EpollCtl(e.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(data)}); err != nil {
		b.Fatal(err)
	}
}

func (e *epoll) wait() {
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.fd), uintptr(unsafe.Pointer(&e.events[0])), uintptr(len(e.events)), ^uintptr(0), 0, 0)
	if e.ready = e.events[:0]; errno == 0 {
		e.ready = e.events[:n]
	}
}

func (e *epoll) next() (data int32, ok bool) {
	if len(e.ready) == 0 {
		return 0, false
	}
	data = e.ready[0].Fd
	e.ready = e.ready[1:]
	return data, true
}

type epollClient struct {
	*epoll
	b       *testing.B
	fds     []File
	out, in [4096]byte
}

func newEpollClient(b *testing.B, fds []File) client {
	c := &epollClient{epoll: newEpoll(b), b: b, fds: fds}
	for i, fd := range fds {
		if err := unix.SetNonblock(int(fd), true); err != nil {
			b.Fatal(err)
		}
		c.add(b, int(fd), i)
	}
	return c
}

func (c *epollClient) send(i int) {
	if n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(c.fds[i]), uintptr(unsafe.Pointer(&c.out)), messageLen); n != messageLen {
		c.b.Fatal("write: ", errno)
	}
}

func (c *epollClient) next() (int, bool) {
	i, ok := c.epoll.next()
	if ok {
		if n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(c.fds[i]), uintptr(unsafe.Pointer(&c.in)), uintptr(len(c.in))); n != messageLen {
			c.b.Fatal("read: ", errno)
		}
	}
	return int(i), ok
}

type ringClient struct {
	*Ring
	b   *testing.B
	fds []File
	out []byte
}

func newRingClient(b *testing.B, fds []File, slots bool) client {
	conf := Config{Entries: 1024, Completions: 4096, Buffers: 1024, BufferLen: 4096}
	if slots {
		conf.Files = len(fds)
	}
	c := &ringClient{Ring: openRing(b, conf), b: b, fds: fds}
	if slots {
		all := make([]int32, len(fds))
		c.fds = make([]File, len(fds))
		for i, fd := range fds {
			all[i], c.fds[i] = int32(fd), Slot(i)
		}
		if err := c.SetFiles(0, all); err != nil {
			b.Fatal(err)
		}
	}
	c.out = memory(b, c.Ring, messageLen)
	for i, f := range c.fds {
		c.Recv(f, uint64(i))
	}
	return c
}

func (c *ringClient) send(i int) { c.TrySend(c.fds[i], c.out, uint64(i)) }

func (c *ringClient) wait() {
	if err := c.Wait(1, -1); err != nil {
		c.b.Fatal(err)
	}
}

func (c *ringClient) next() (int, bool) {
	var done Completion
	if !c.Next(&done) {
		return 0, false
	}
	if done.Res != messageLen || !done.More() {
		c.b.Fatal("receive: ", done.Res, done.Err())
	}
	c.Recycle(&done)
	return int(done.Data), true
}
