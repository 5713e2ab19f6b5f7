package uring

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const second = int64(time.Second)

// openRing opens a ring for the test, on its thread, and skips where there is no io_uring.
func openRing(t testing.TB, c Config) *Ring {
	t.Helper()
	supported(t)
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	r, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// listen returns a listening TCP socket on loopback and its address.
func listen(t testing.TB) (File, unix.Sockaddr) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 1024); err != nil {
		t.Fatal(err)
	}
	addr, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return File(fd), addr
}

// dial connects to addr. Reads and writes of the test itself give up after ten seconds.
func dial(t testing.TB, addr unix.Sockaddr) File {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		t.Cleanup(func() { unix.Close(fd) })
		err = unix.Connect(fd, addr)
	}
	for _, o := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} {
		if err == nil {
			err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, o, &unix.Timeval{Sec: 10})
		}
	}
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if err != nil {
		t.Fatal(err)
	}
	return File(fd)
}

// pair returns the two ends of a TCP connection.
func pair(t testing.TB) (File, File) {
	t.Helper()
	l, addr := listen(t)
	a := dial(t, addr)
	b, _, err := unix.Accept4(int(l), unix.SOCK_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(b) })
	return a, File(b)
}

// closeSocket closes what f stands for. The number stays taken, by something else, until the test ends.
func closeSocket(t testing.TB, f File) {
	t.Helper()
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == nil {
		err = unix.Dup3(null, int(f), unix.O_CLOEXEC)
		unix.Close(null)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// full calls what reads or writes, a signal notwithstanding, until b is.
func full(do func(int, []byte) (int, error), f File, b []byte) error {
	for got := 0; got < len(b); {
		n, err := do(int(f), b[got:])
		if err == unix.EINTR {
			continue
		}
		if n == 0 {
			err = io.EOF
		}
		if err != nil {
			return fmt.Errorf("after %d of %d bytes: %w", got, len(b), err)
		}
		got += n
	}
	return nil
}

func write(t testing.TB, f File, b []byte) {
	t.Helper()
	if err := full(unix.Write, f, b); err != nil {
		t.Fatal("write: ", err)
	}
}

// read reads n bytes.
func read(t testing.TB, f File, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if err := full(unix.Read, f, b); err != nil {
		t.Fatal("read: ", err)
	}
	return b
}

func wait(t testing.TB, r *Ring, min int, timeout int64) {
	t.Helper()
	if err := r.Wait(min, timeout); err != nil {
		t.Fatal(err)
	}
}

// take waits for a completion and returns it.
func take(t testing.TB, r *Ring) Completion {
	t.Helper()
	var c Completion
	for range 100 { // Wait may return early
		if r.Next(&c) {
			return c
		}
		wait(t, r, 1, 10*second)
	}
	t.Fatal("no completion")
	return c
}

// want waits for a completion, which must be this one.
func want(t testing.TB, r *Ring, data uint64, res int, more bool) Completion {
	t.Helper()
	c := take(t, r)
	if c.Data != data || c.Res != int32(res) || c.More() != more {
		t.Fatalf("completion of %d with %d (%v), more %v; want %d, %d, %v", c.Data, c.Res, c.Err(), c.More(), data, res, more)
	}
	return c
}

// silent fails if there is a completion.
func silent(t testing.TB, r *Ring) {
	t.Helper()
	wait(t, r, 0, 0)
	var c Completion
	if r.Next(&c) {
		t.Fatalf("unexpected completion of %d with %d", c.Data, c.Res)
	}
}

func memory(t testing.TB, r *Ring, n int) []byte {
	t.Helper()
	b, err := r.Memory(n)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLayout(t *testing.T) {
	for name, sizes := range map[string][2]uintptr{
		"params": {unsafe.Sizeof(params{}), 120}, "sqe": {unsafe.Sizeof(sqe{}), 64}, "cqe": {unsafe.Sizeof(Completion{}), 16},
		"sqe.data": {unsafe.Offsetof(sqe{}.data), 32}, "waitArg": {unsafe.Offsetof(waitArg{}.seconds), waitArgLen},
		"buf": {unsafe.Sizeof(buf{}), 16}, "buf.id": {unsafe.Offsetof(buf{}.id), 12}, "bufReg": {unsafe.Sizeof(bufReg{}), 40},
		"filesReg": {unsafe.Sizeof(filesReg{}), 32}, "filesUpdate": {unsafe.Sizeof(filesUpdate{}), 16},
		"syncCancel": {unsafe.Sizeof(syncCancel{}), 64}, "probe": {unsafe.Sizeof(probe{}), 16 + 256*8},
	} {
		if sizes[0] != sizes[1] {
			t.Errorf("%s: %d, want %d", name, sizes[0], sizes[1])
		}
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []Config{
		{}, {Entries: 32769}, {Entries: 8, Completions: 4}, {Entries: 8, Completions: 65537}, {Entries: 8, Buffers: 3, BufferLen: 1},
		{Entries: 8, Buffers: 65536, BufferLen: 1}, {Entries: 8, Buffers: 4}, {Entries: 8, Files: -1},
	} {
		if r, err := Open(c); err == nil {
			r.Close()
			t.Errorf("%+v was taken", c)
		}
	}
}

// Nothing happens for at least the timeout; what is there already ends it.
func TestTimeout(t *testing.T) {
	r := openRing(t, Config{Entries: 8})
	a, b := pair(t)
	for _, timeout := range []time.Duration{50 * time.Microsecond, 20 * time.Millisecond} {
		begin, late := time.Now(), false
		for range 100 { // Wait may return early
			wait(t, r, 1, int64(timeout))
			if late = time.Since(begin) >= timeout; late {
				break
			}
		}
		if !late {
			t.Errorf("100 waits of %v were over before one of them should have been", timeout)
		}
	}
	r.Poll(b, unix.POLLIN, 1)
	silent(t, r)
	write(t, a, []byte("x"))
	begin := time.Now()
	want(t, r, 1, unix.POLLIN, false)
	if took := time.Since(begin); took >= 10*time.Second {
		t.Errorf("a completion did not end a wait of 10 s: %v", took)
	}
}

// Another thread ends a wait that has no end.
func TestWake(t *testing.T) {
	r := openRing(t, Config{Entries: 8})
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	r.Poll(File(fd), unix.POLLIN, 9)
	go func() {
		time.Sleep(10 * time.Millisecond)
		unix.Write(fd, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}()
	var c Completion
	for !r.Next(&c) {
		wait(t, r, 1, -1)
	}
	if c.Data != 9 || c.Res&unix.POLLIN == 0 {
		t.Errorf("%+v", c)
	}
}

func TestCancel(t *testing.T) {
	for _, slot := range []bool{false, true} {
		r := openRing(t, Config{Entries: 8, Buffers: 8, BufferLen: 16, Files: 4})
		_, f := pair(t)
		if slot {
			if err := r.SetFiles(2, []int32{int32(f)}); err != nil {
				t.Fatal(err)
			}
			f = Slot(2)
		}
		r.Recv(f, 1)
		silent(t, r)
		r.Cancel(f, 2)
		got := map[uint64]Completion{}
		for range 2 {
			c := take(t, r)
			got[c.Data] = c
		}
		recv, cancel := got[1], got[2]
		if recv.Err() != unix.ECANCELED || recv.More() || cancel.Res != 1 {
			t.Errorf("slot %v: %+v", slot, got)
		}
		r.Cancel(f, 3)
		if c := take(t, r); c.Data != 3 || c.Err() != unix.ENOENT && c.Res != 0 {
			t.Errorf("slot %v: nothing was left to cancel: %+v", slot, c)
		}
		r.Recv(f, 4) // it is as good as before
		silent(t, r)
	}
}

func TestEndOfStreamAndReset(t *testing.T) {
	r := openRing(t, Config{Entries: 8, Buffers: 8, BufferLen: 16})
	out := memory(t, r, 16)

	a, b := pair(t)
	r.Recv(b, 1)
	write(t, a, []byte("last"))
	if err := unix.Shutdown(int(a), unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	c := want(t, r, 1, 4, true)
	if string(r.Buffer(&c)) != "last" {
		t.Errorf("%q", r.Buffer(&c))
	}
	r.Recycle(&c)
	c = want(t, r, 1, 0, false)
	if c.Err() != nil || r.Buffer(&c) != nil {
		t.Errorf("end of stream: %v, %q", c.Err(), r.Buffer(&c))
	}
	r.Recycle(&c)

	a, b = pair(t)
	r.Recv(b, 2)
	silent(t, r)
	if err := unix.SetsockoptLinger(int(a), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		t.Fatal(err)
	}
	closeSocket(t, a)
	want(t, r, 2, -int(unix.ECONNRESET), false)
	r.TrySend(b, out, 3) // its failure is not silent
	want(t, r, 3, -int(unix.EPIPE), false)
}

// A send that the socket takes whole is silent; otherwise the completion says how far it came, and nothing is sent later.
// Send sends the rest as the peer makes room.
func TestSendToFullSocket(t *testing.T) {
	r := openRing(t, Config{Entries: 8})
	a, b := pair(t)
	out := memory(t, r, 16<<20)
	for i := range out {
		out[i] = byte(i * 31 >> 8)
	}
	r.TrySend(a, out[:1000], 1)
	silent(t, r)
	sent := 1000
	c := func() Completion { r.TrySend(a, out[sent:], 2); return take(t, r) }()
	if c.Data != 2 || c.Res <= 0 || int(c.Res) >= len(out)-sent {
		t.Fatalf("%+v", c)
	}
	sent += int(c.Res)
	for { // until it is quite full
		r.TrySend(a, out[sent:], 3)
		if c := take(t, r); c.Err() == nil {
			sent += int(c.Res)
		} else if c.Err() != unix.EAGAIN {
			t.Fatal(c.Err())
		} else {
			break
		}
	}
	r.Send(a, out[sent:], 4)
	silent(t, r)
	got := make(chan []byte)
	go func() {
		all := make([]byte, len(out))
		if err := full(unix.Read, b, all); err != nil {
			t.Error("read: ", err)
		}
		got <- all
	}()
	want(t, r, 4, len(out)-sent, false)
	if !bytes.Equal(<-got, out) {
		t.Error("what came is not what was sent")
	}
}

// More requests than the queue holds, before any Wait.
func TestFullQueue(t *testing.T) {
	r := openRing(t, Config{Entries: 4, Completions: 8})
	a, b := pair(t)
	out := memory(t, r, 100)
	for i := range out {
		out[i] = byte(i)
		r.TrySend(a, out[i:i+1], uint64(i))
	}
	silent(t, r)
	if got := read(t, b, len(out)); !bytes.Equal(got, out) {
		t.Errorf("%v", got)
	}
}

// The kernel stops at a request it does not know, if it is not asked to go on: Wait goes on.
func TestShortSubmission(t *testing.T) {
	openRing(t, Config{Entries: 8}).Close()
	r, err := open(Config{Entries: 8}, needed&^setupSubmitAll, options)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	a, b := pair(t)
	out := memory(t, r, 8)
	for range 2 {
		r.prepare(255, a, 7)
		r.TrySend(a, out, 1)
	}
	wait(t, r, 2, second)
	if r.tail != *r.sqHead {
		t.Errorf("%d requests of %d submitted", *r.sqHead, r.tail)
	}
	want(t, r, 7, -int(unix.EINVAL), false)
	want(t, r, 7, -int(unix.EINVAL), false)
	read(t, b, 16)
}

// 64 completions where 8 fit: each comes once, and the receives they ended begin again.
func TestCompletionOverflow(t *testing.T) {
	r := openRing(t, Config{Entries: 8, Completions: 8, Buffers: 256, BufferLen: 16})
	const conns = 64
	var ours, theirs [conns]File
	for i := range conns {
		theirs[i], ours[i] = pair(t)
		r.Recv(ours[i], uint64(i))
	}
	silent(t, r)
	ended := 0
	for round := range byte(20) {
		for i := range byte(conns) {
			write(t, theirs[i], []byte{i, round})
		}
		for range conns {
			c := take(t, r)
			for c.Res < 0 && c.Err() == unix.ENOBUFS {
				t.Fatal("256 buffers are enough")
			}
			if b := r.Buffer(&c); !bytes.Equal(b, []byte{byte(c.Data), round}) {
				t.Fatalf("round %d: connection %d received %v (%v)", round, c.Data, b, c.Err())
			}
			r.Recycle(&c)
			if !c.More() {
				ended++
				r.Recv(ours[c.Data], c.Data)
			}
		}
		silent(t, r)
	}
	if r.Overflows() == 0 {
		t.Error("the queue did not overflow: the test tests nothing")
	}
	t.Logf("%d overflows, %d receives ended", r.Overflows(), ended)
}

// A Wait that has nothing to do does not even ask the kernel; what comes is seen all the same.
func TestPeek(t *testing.T) {
	r := openRing(t, Config{Entries: 8, Buffers: 8, BufferLen: 16})
	a, b := pair(t)
	r.Recv(b, 1)
	silent(t, r)
	if n := testing.AllocsPerRun(1000, func() { wait(t, r, 0, 0) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	write(t, a, []byte("x"))
	for begin := time.Now(); time.Since(begin) < 10*time.Second; {
		wait(t, r, 0, 0)
		var c Completion
		if r.Next(&c) {
			if string(r.Buffer(&c)) != "x" {
				t.Errorf("%q", r.Buffer(&c))
			}
			return
		}
	}
	t.Error("no completion")
}
