package targets_test

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"time"

	"github.com/sockbench/sockbench/internal/proc"
	"github.com/sockbench/sockbench/internal/quiet"
	"github.com/sockbench/sockbench/targets"
	"github.com/sockbench/sockbench/targets/targettest"
	"github.com/sockbench/sockbench/unit"
)

// TestMain opens what the Go runtime keeps open for good, so that it does not look like a leak of the first test.
func TestMain(m *testing.M) {
	proc.Main(targets.Parts)
	if name := os.Getenv(served); name != "" {
		os.Exit(serveModel(name))
	}
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close()
	}
	os.Exit(quiet.Run(m))
}

func TestConformance(t *testing.T) {
	for _, e := range targets.All {
		if !e.Foreign {
			t.Run(e.Name, func(t *testing.T) { targettest.Run(t, e.Name) })
		}
	}
}

// Every entry says what a reader of the list needs.
func TestEntries(t *testing.T) {
	for _, e := range targets.All {
		if e.Name == "" || e.Doc == "" || e.Start == nil || e.Foreign == (e.Example == "") || !e.Foreign && (e.Elsewhere == "" || len(e.Knobs) == 0 || e.Honest == nil) {
			t.Errorf("%+v is not complete", e)
		}
	}
}

func TestRef(t *testing.T) {
	for in, want := range map[string]string{"epoll": "epoll", " addr:tcp://[::1]:9": "addr: tcp://[::1]:9", "addr: tcp://h:1": "addr: tcp://h:1"} {
		var r targets.Ref
		if err := r.UnmarshalText([]byte(in)); err != nil || r.String() != want {
			t.Errorf("%q: %q, %v; want %q", in, r, err, want)
		}
	}
	for in, says := range map[string]string{"epol": "choose one of blocking", "addr": "addr: tcp://", "epoll: x": "no argument"} {
		var r targets.Ref
		if err := r.UnmarshalText([]byte(in)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want an error that says %q", in, err, says)
		}
	}
}

// What cannot be served is refused by every model before anything listens.
func TestRefused(t *testing.T) {
	for _, e := range targets.All {
		if e.Foreign || e.Datagrams { // those have a test of their own
			continue
		}
		for _, c := range []struct {
			framing string
			request unit.Bytes
			listen  string
			says    string
		}{
			{"morse", 64, "tcp://127.0.0.1:0", "choose one of length"},
			{"fixed", 0, "tcp://127.0.0.1:0", "request 0 is too small"},
			{"length", 64, "127.0.0.1:0", "write tcp://127.0.0.1:0"},
			{"length", 64, "http://127.0.0.1:0", "no network \"http\" here: write "},
			{"length", 64, "tcp://:0", "names no host"},
			{"length", 64, "tcp://127.0.0.1:70000", "not a number"},
			{"length", 64, "tcp://192.0.2.1:0", "no interface here"},
		} {
			s := targets.Spec{Target: targets.Ref{Model: e.Name}, Framing: unit.Word(c.framing), Request: c.request, Reply: 64}
			srv, err := targets.Start(t.Context(), s, targets.Place{Listen: c.listen})
			if err == nil {
				srv.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %+v: %v, want an error that says %q", e.Name, c, err, c.says)
			}
		}
	}
}

func TestAddr(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/s"
	u, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	addr := "tcp://" + l.Addr().String()
	start := func(arg string) (targets.Server, error) {
		return targets.Start(t.Context(), targets.Spec{Target: targets.Ref{Model: "addr", Arg: arg}}, targets.Place{})
	}
	srv, err := start(addr)
	if err != nil {
		t.Fatal(err)
	}
	if srv.Addr() != addr || len(srv.PIDs()) != 0 {
		t.Errorf("address %s, processes %v", srv.Addr(), srv.PIDs())
	}
	for _, at := range []string{"unix://" + path, "udp://127.0.0.1:1"} {
		if srv, err := start(at); err != nil || srv.Addr() != at {
			t.Errorf("%s: %v", at, err)
		}
	}
	if err := errors.Join(srv.Drain(context.Background()), srv.Close(), srv.Close(), l.Close(), u.Close()); err != nil {
		t.Error(err)
	}
	for arg, says := range map[string]string{
		addr: "nothing answers at " + addr, "unix:///no/such/folder/x": "nothing answers at unix:///no/such/folder/x", "unix://x": "begins with a slash", "udp://127.0.0.1": "missing port",
		"127.0.0.1:1": "write tcp://127.0.0.1:1", "tcp://127.0.0.1": "missing port", "http://a:1": "no network", "tcp://127.0.0.1:http": "not a number",
	} {
		began := time.Now()
		if _, err := start(arg); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want an error that says %q", arg, err, says)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("%s: took %v", arg, took)
		}
	}
}
