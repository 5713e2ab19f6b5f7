package targettest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/targets"
	"github.com/sockbench/sockbench/wire"
)

// client is one test connection, of TCP or UDP. Every wait of it ends after patience. Requests carry the ids 1, 2, …
type client struct {
	net.Conn
	t       testing.TB
	p       wire.Params
	codec   wire.Codec
	matched bool
	state   wire.State
	unread  []byte // read and not yet scanned
	buf     []byte
	asked   uint64
	got     uint64
}

// dial connects to srv with the length framing and messages of 64 bytes.
func dial(t testing.TB, srv targets.Server) *client {
	t.Helper()
	return dialAs(t, srv, "length", wire.Params{Request: 64, Reply: 64})
}

func dialAs(t testing.TB, srv targets.Server, framing string, p wire.Params) *client {
	t.Helper()
	f, err := wire.Find(framing)
	if err != nil {
		t.Fatal(err)
	}
	if f.Kinds != nil { // for the others no reply has a size
		p.Keys, p.Reads = 1000, 1
	}
	network, at, _ := strings.Cut(srv.Addr(), "://")
	conn, err := net.DialTimeout(network, at, patience)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{Conn: conn, t: t, p: p, codec: f.Client(p), matched: f.Matched(p), buf: make([]byte, 64<<10)}
	t.Cleanup(func() { c.Close() }) // many tests close it themselves
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

func host(srv targets.Server) string {
	_, at, _ := strings.Cut(srv.Addr(), "://")
	return at
}

// requests is the next n requests, glued together.
func (c *client) requests(n int) []byte {
	var f wire.Frame
	var out []byte
	for range n {
		c.asked++
		f.Reset()
		c.codec.Put(&f, wire.Message{ID: c.asked, Size: c.p.Request, Reply: c.p.Reply})
		for f.Left() > 0 {
			b := f.Next(c.buf)
			out = append(out, b...)
			f.Wrote(len(b))
		}
	}
	return out
}

func (c *client) write(b []byte) {
	c.t.Helper()
	if _, err := c.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// ask writes n requests in one piece, or as many as the kernel takes it in; over UDP each is a datagram.
func (c *client) ask(n int) {
	c.t.Helper()
	if c.RemoteAddr().Network() == "tcp" {
		c.write(c.requests(n))
		return
	}
	for range n {
		c.write(c.requests(1))
	}
}

func (c *client) tcp() *net.TCPConn { return c.Conn.(*net.TCPConn) }

// accepted has the server answer a request: from now on the connection is not one that waits to be accepted.
func (c *client) accepted() {
	c.t.Helper()
	c.ask(1)
	c.replies(1)
}

// reached waits until all that was written is in the server's socket: the peer's kernel has acknowledged it. What has not
// got there, since the window was full or the machine slow, a drain may lose.
func (c *client) reached() {
	c.t.Helper()
	raw, err := c.tcp().SyscallConn()
	if err != nil {
		c.t.Fatal(err)
	}
	eventually(c.t, patience, func() (bool, string) {
		var left int
		if e := raw.Control(func(fd uintptr) { left, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); e != nil || err != nil {
			c.t.Fatal(e, err)
		}
		return left == 0, fmt.Sprintf("%d bytes do not reach the server", left)
	})
}

// replies reads the next n replies and checks what they are.
func (c *client) replies(n int) {
	c.t.Helper()
	for n > 0 {
		if len(c.unread) == 0 {
			k, err := c.Read(c.buf)
			if err != nil {
				c.t.Fatalf("waiting for reply %d: %v", c.got+1, err)
			}
			c.unread = c.buf[:k]
		}
		used, done, err := c.codec.Scan(&c.state, c.unread)
		if err != nil {
			c.t.Fatalf("reply %d: %v", c.got+1, err)
		}
		if c.unread = c.unread[used:]; !done {
			continue
		}
		n--
		c.got++
		if m := c.state.Msg; m.Size != c.p.Reply || c.matched && m.ID != c.got {
			c.t.Fatalf("reply %d is %+v, want size %d", c.got, m, c.p.Reply)
		}
	}
}

// fin expects that the server closes its side in order: end of file, no reset, no further byte.
func (c *client) fin() {
	c.t.Helper()
	if len(c.unread) > 0 || c.state.Partial() {
		c.t.Fatalf("%d bytes behind the last reply", len(c.unread))
	}
	if n, err := c.Read(c.buf); n != 0 || !errors.Is(err, io.EOF) {
		c.t.Fatalf("read %d bytes, %v; want end of file", n, err)
	}
}

// gone expects the end of the connection, in whatever way.
func (c *client) gone() {
	c.t.Helper()
	_, err := io.Copy(io.Discard, c)
	if errors.Is(err, unix.ETIMEDOUT) || err != nil && !errors.Is(err, unix.ECONNRESET) {
		c.t.Fatalf("connection is not closed: %v", err)
	}
}

// abort resets the connection.
func (c *client) abort() {
	c.t.Helper()
	if err := c.tcp().SetLinger(0); err != nil {
		c.t.Fatal(err)
	}
	c.hangUp()
}

func (c *client) hangUp() {
	c.t.Helper()
	if err := c.Close(); err != nil {
		c.t.Fatal(err)
	}
}

// alive checks that srv serves a new connection.
func alive(t testing.TB, srv targets.Server) {
	t.Helper()
	c := dial(t, srv)
	c.accepted()
	c.hangUp()
}
