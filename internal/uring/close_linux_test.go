package uring

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Requests that are out, and slots, hold their sockets open; Close lets go of them.
func TestCloseWithRequestsOut(t *testing.T) {
	const conns = 64
	r := openRing(t, Config{Entries: 8, Buffers: 64, BufferLen: 16, Files: conns})
	out := memory(t, r, 16<<20)
	var theirs [conns]File
	for i := range conns {
		var f File
		theirs[i], f = pair(t)
		switch {
		case i == 0:
			r.Send(f, out, 1) // waits for room
		case i%2 == 1:
			if err := r.SetFiles(i, []int32{int32(f)}); err != nil {
				t.Fatal(err)
			}
			r.Recv(Slot(i), 1)
		default:
			r.Recv(f, 1)
		}
		silent(t, r)
		closeSocket(t, f)
	}
	one := make([]byte, 1)
	for i, f := range theirs[1:] {
		if n, _, err := unix.Recvfrom(int(f), one, unix.MSG_DONTWAIT); err != unix.EAGAIN {
			t.Errorf("connection %d ended before its requests: %d, %v", i+1, n, err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for i, f := range theirs[1:] {
		if n, _, err := unix.Recvfrom(int(f), one, unix.MSG_DONTWAIT); n != 0 || err != nil {
			t.Errorf("connection %d is still open: %d, %v", i+1, n, err)
		}
	}
}

// Another thread is refused, and told so.
func TestOtherThread(t *testing.T) {
	r := openRing(t, Config{Entries: 8})
	errs := make(chan error)
	go func() {
		runtime.LockOSThread()
		errs <- r.Wait(1, 1)
	}()
	if err := <-errs; err == nil {
		t.Error("two threads use one ring")
	}
}

func TestAllocations(t *testing.T) {
	r := openRing(t, Config{Entries: 64, Buffers: 64, BufferLen: 64, Files: 1})
	a, b := pair(t)
	if err := r.SetFiles(0, []int32{int32(a)}); err != nil {
		t.Fatal(err)
	}
	out := memory(t, r, 64)
	r.Recv(b, 1)
	n := testing.AllocsPerRun(1000, func() {
		r.TrySend(Slot(0), out, 2)
		r.Wait(1, second)
		var c Completion
		for r.Next(&c) {
			if len(r.Buffer(&c)) == 0 || c.Err() != nil {
				t.Fatal(c)
			}
			r.Recycle(&c)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations an exchange", n)
	}
}
