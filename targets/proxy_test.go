package targets_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sockbench/sockbench/targets"
)

// inFront starts a proxy in front of whatever listens at upstream.
func inFront(t *testing.T, upstream string) targets.Server {
	t.Helper()
	var v targets.Via
	if err := v.UnmarshalText([]byte("proxy")); err != nil {
		t.Fatal(err)
	}
	srv, err := v.Start(t.Context(), targets.Place{Upstream: upstream, Expect: 16})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	return srv
}

// listen is an upstream that does what serve says with every connection.
func listen(t *testing.T, serve func(*net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c.(*net.TCPConn))
			}()
		}
	}()
	return "tcp://" + l.Addr().String()
}

func connect(t *testing.T, srv targets.Server) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(srv.Addr(), "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// Every byte arrives, in order, both ways, and FIN behind the last, whatever the sizes; the relay keeps nothing open.
func TestProxyEchoes(t *testing.T) {
	srv := inFront(t, listen(t, func(c *net.TCPConn) { io.Copy(c, c) }))
	files := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	before := files()
	var total int64
	for _, size := range []int{0, 1, 100, 65536, 65537, 8 << 20} {
		c := connect(t, srv)
		sent := make([]byte, size)
		rand.Read(sent)
		go func() {
			c.Write(sent)
			c.CloseWrite()
		}()
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d bytes: %d came back, %v", size, len(got), err)
		}
		c.Close()
		total += 2 * int64(size)
	}
	for end := time.Now().Add(10 * time.Second); files() > before+16; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("%d files are open, before it were %d", files(), before)
			break
		}
	}
	if err := srv.Drain(context.Background()); err != nil {
		t.Error(err)
	}
	if r := srv.Result(); r.Accepts != 6 || r.Received != total || r.Sent != total || r.Refused != 0 {
		t.Errorf("%d accepts, %d bytes in, %d out, %d refused; want 6, %d, %d, 0", r.Accepts, r.Received, r.Sent, r.Refused, total, total)
	}
}

// What a client does not read, the proxy does not take from the target, beyond a pipe and the sockets' own buffers; and
// another client is served meanwhile.
func TestProxyHoldsLittle(t *testing.T) {
	const all = 64 << 20
	wrote := make(chan int, 1)
	srv := inFront(t, listen(t, func(c *net.TCPConn) {
		c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		n, err := c.Write(make([]byte, all))
		if errors.Is(err, os.ErrDeadlineExceeded) {
			select {
			case wrote <- n:
			default:
			}
		}
	}))
	connect(t, srv) // and reads nothing
	select {
	case n := <-wrote:
		if n > 32<<20 {
			t.Errorf("the target got rid of %d of %d bytes that nobody read", n, all)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the target got rid of everything")
	}
	c := connect(t, srv)
	if n, err := io.CopyN(io.Discard, c, 1<<20); err != nil {
		t.Errorf("another client read %d bytes: %v", n, err)
	}
}

// A target that refuses is a client that is hung up on, and one that was told of.
func TestProxyRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := "tcp://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	srv := inFront(t, addr)
	if n, err := connect(t, srv).Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
	if r := srv.Result(); r.Refused != 1 {
		t.Errorf("%d were refused, want 1", r.Refused)
	}
}

// Replies to what had arrived when the drain began still arrive, and then FIN.
func TestProxyDrain(t *testing.T) {
	got := make(chan struct{})
	srv := inFront(t, listen(t, func(c *net.TCPConn) {
		b := make([]byte, 5)
		io.ReadFull(c, b)
		close(got)
		time.Sleep(50 * time.Millisecond)
		c.Write(b)
		io.Copy(io.Discard, c)
	}))
	c := connect(t, srv)
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	<-got
	drained := make(chan error, 1)
	go func() { drained <- srv.Drain(context.Background()) }()
	if b, err := io.ReadAll(c); string(b) != "hello" || err != nil {
		t.Errorf("read %q, %v", b, err)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// An idle relay whose client has said FIN and whose target waits costs no CPU time.
func TestProxyCalm(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	srv := inFront(t, listen(t, func(c *net.TCPConn) { <-hold }))
	for range 4 {
		if err := connect(t, srv).CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(20 * time.Millisecond)
	cpu := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := cpu()
	time.Sleep(200 * time.Millisecond)
	if used := cpu() - before; used > 50*time.Millisecond {
		t.Errorf("%v of CPU time in 200ms of rest", used)
	}
}

func TestVia(t *testing.T) {
	for in, want := range map[string]string{"none": "none", "proxy": "proxy", "exec: p {port} {upstream}": "exec: p {port} {upstream}"} {
		var v targets.Via
		err := v.UnmarshalText([]byte(in))
		if text, _ := v.MarshalText(); err != nil || string(text) != want || v.IsZero() != (in == "none") {
			t.Errorf("%q: %q, %v", in, text, err)
		}
	}
	for in, says := range map[string]string{"proxi": "did you mean", "proxy: x": "takes no argument", "exec: p {port}": "write {upstream}", "epoll": "choose one of none"} {
		var v targets.Via
		if err := v.UnmarshalText([]byte(in)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want an error that says %q", in, err, says)
		}
	}
}
