package targettest

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sockbench/sockbench/sockopt"
	"github.com/sockbench/sockbench/targets"
	"github.com/sockbench/sockbench/wire"
)

// unixSocket: a server on a unix socket serves as it does on TCP, and leaves no file behind.
func unixSocket(t testing.TB, e *targets.Entry) {
	path := filepath.Join(t.TempDir(), "s")
	at := targets.Place{Listen: "unix://" + path}
	spec := targets.Spec{Service: dist(t, "sleep:20ms"), Options: []sockopt.Setting{option(t, "SO_SNDBUF", "64KiB@established"), option(t, "backlog", "7")}}
	srv := start(t, e, spec, at)
	if srv.Addr() != at.Listen {
		t.Errorf("address %s, want %s", srv.Addr(), at.Listen)
	}
	c := unixAsk(t, path, 1)
	unixReply(t, c)
	if _, err := targets.Start(t.Context(), targets.Spec{Target: targets.Ref{Model: e.Name}}, at); err == nil ||
		err.Error() != "listen "+at.Listen+": address already in use: another process listens there; choose another path" {
		t.Errorf("a path in use: %v", err)
	}
	unixWrite(t, c, 1)
	time.Sleep(10 * time.Millisecond)
	wait := drain(t, srv, patience)
	unixReply(t, c)
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("read %d bytes, %v; want end of file", n, err)
	}
	if err := wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket's file is left behind: %v", err)
	}
	r := srv.Result()
	if len(r.Sockets.Applied) != 2 || r.Requests != 2 || r.Accepts < 1 { // the look for somebody who listens may be one
		t.Fatalf("result %+v", r)
	}
	for _, a := range r.Sockets.Applied {
		if a.Option == "SO_SNDBUF" && a.Class != sockopt.Doubled || a.Option == "backlog" && a.Class != sockopt.Unknown {
			t.Errorf("reported %+v", a)
		}
	}
}

// unixPaths: what a dead server left is replaced; what is no socket, or not of this server, stays.
func unixPaths(t testing.TB, e *targets.Entry) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	srv := start(t, e, targets.Spec{}, targets.Place{Listen: "unix://" + path})
	unixReply(t, unixAsk(t, path, 1))
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	stop(t, srv)
	for name, says := range map[string]string{
		path:                                "there is a file that is no socket: choose another path, or remove it",
		filepath.Join(dir, "no", "s"):       "no such file or directory: there is no such folder",
		"/" + strings.Repeat("x", 107):      "the path has 108 bytes, and that of a unix socket at most 107: choose a shorter one",
		"relative":                          "write unix:///tmp/server.sock",
		"/tmp/\x00":                         "begins with a slash",
		filepath.Join(path, "under-a-file"): "not a directory",
	} {
		s, err := targets.Start(t.Context(), targets.Spec{Target: targets.Ref{Model: e.Name}}, targets.Place{Listen: "unix://" + name})
		if err == nil {
			stop(t, s)
		}
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want an error that says %q", name, err, says)
		}
	}
	if b, err := os.ReadFile(path); string(b) != "mine" || err != nil {
		t.Errorf("the file of somebody else holds %q, %v", b, err)
	}
	refused := targets.Spec{Target: targets.Ref{Model: e.Name}, Options: []sockopt.Setting{option(t, "TCP_NODELAY", "on")}}
	_, err = targets.Start(t.Context(), refused, targets.Place{Listen: "unix://" + dir + "/t"})
	if err == nil || !strings.Contains(err.Error(), "TCP_NODELAY=on acts on sockets of tcp only, and this one is of unix: leave it out") {
		t.Errorf("TCP_NODELAY on a unix socket: %v", err)
	}
}

// option reads a server's option.
func option(t testing.TB, name, level string) sockopt.Setting {
	t.Helper()
	o, ok := sockopt.Find(name)
	if !ok {
		t.Fatalf("no option %s", name)
	}
	s, err := o.Parse(level, sockopt.Server)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// unixAsk connects and writes n requests of the length framing.
func unixAsk(t testing.TB, path string, n int) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("unix", path, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	unixWrite(t, c, n)
	return c
}

func unixWrite(t testing.TB, to io.Writer, n int) {
	t.Helper()
	f, err := wire.Find("length")
	if err != nil {
		t.Fatal(err)
	}
	p := wire.Params{Request: 64, Reply: 64}
	ask := client{t: t, p: p, codec: f.Client(p), buf: make([]byte, 100)}
	if _, err := to.Write(ask.requests(n)); err != nil {
		t.Fatal(err)
	}
}

// unixReply reads one reply.
func unixReply(t testing.TB, from io.Reader) {
	t.Helper()
	b := make([]byte, 68)
	if _, err := io.ReadFull(from, b); err != nil || b[3] != 64 || b[19] != 1 {
		t.Fatalf("reply % x, %v", b, err)
	}
}
