package targets_test

import (
	"context"
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

// A process of a server that is killed makes the server a dead one, which says how.
func TestFamilyMemberKilled(t *testing.T) {
	srv, err := targets.Start(t.Context(), targets.Spec{Target: targets.Ref{Model: "prefork"}, Workers: 2}, targets.Place{Expect: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	pids := srv.PIDs()
	if len(pids) != 3 || pids[2] != os.Getpid() {
		t.Fatalf("processes %v, want two and this one", pids)
	}
	if err := syscall.Kill(pids[1], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	mortal := srv.(interface {
		Died() <-chan struct{}
		Exit() string
	})
	select {
	case <-mortal.Died():
	case <-time.After(10 * time.Second):
		t.Fatal("nobody noticed")
	}
	if how := mortal.Exit(); !strings.Contains(how, "killed by SIGKILL") {
		t.Errorf("it says %q", how)
	}
}

// The parent of fork looks for processes that have ended when the next connection comes, or at the end.
func TestForkMemberKilled(t *testing.T) {
	srv, err := targets.Start(t.Context(), targets.Spec{Target: targets.Ref{Model: "fork"}}, targets.Place{Expect: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	c, err := net.Dial("tcp", strings.TrimPrefix(srv.Addr(), "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	end := time.Now().Add(10 * time.Second)
	for len(srv.PIDs()) < 2 && time.Now().Before(end) {
		time.Sleep(time.Millisecond)
	}
	if pids := srv.PIDs(); len(pids) != 2 || syscall.Kill(pids[0], syscall.SIGKILL) != nil {
		t.Fatalf("processes %v, want one and this one", pids)
	}
	if err := srv.Drain(context.Background()); !errors.Is(err, targets.ErrDied) || !strings.Contains(err.Error(), "killed by SIGKILL") {
		t.Errorf("Drain: %v", err)
	}
}

// A stopped process does not hold Close up for ever.
func TestFamilyMemberStopped(t *testing.T) {
	srv, err := targets.Start(t.Context(), targets.Spec{Target: targets.Ref{Model: "prefork"}, Workers: 2}, targets.Place{Expect: 1})
	if err != nil {
		t.Fatal(err)
	}
	pids := srv.PIDs()
	if err := syscall.Kill(pids[0], syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- srv.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Close waits for a stopped process")
	}
	for _, pid := range pids[:2] {
		if syscall.Kill(pid, 0) == nil {
			t.Errorf("process %d is left", pid)
		}
	}
}

// What the processes saw is added up: every request is counted and timed, and the connections divided among them.
func TestFamilyResult(t *testing.T) {
	for _, model := range []string{"prefork", "fork"} {
		s := targets.Spec{Target: targets.Ref{Model: model}, Workers: 2, Listener: "reuseport", Framing: "fixed", Request: 1, Reply: 1}
		if err := s.Service.UnmarshalText([]byte("sleep:exp:200us")); err != nil {
			t.Fatal(err)
		}
		if model == "fork" {
			s.Listener = ""
		}
		srv, err := targets.Start(t.Context(), s, targets.Place{Expect: 16})
		if err != nil {
			t.Fatal(err)
		}
		const conns, each = 16, 5
		for range conns {
			c, err := net.Dial("tcp", strings.TrimPrefix(srv.Addr(), "tcp://"))
			if err != nil {
				t.Fatal(err)
			}
			for range each {
				if _, err := c.Write([]byte{1}); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
					t.Fatal(err)
				}
			}
			c.Close()
		}
		if err := srv.Drain(context.Background()); err != nil {
			t.Error(err)
		}
		r := srv.Result()
		if r.Accepts != conns || r.Requests != conns*each || r.Sent != conns*each || r.Reads != conns*each {
			t.Errorf("%s: %d accepts, %d requests, %d bytes, %d reads; want %d, %d", model, r.Accepts, r.Requests, r.Sent, r.Reads, conns, conns*each)
		}
		if r.Service.Count != conns*each || r.Histograms[targets.ServiceHistogram] == "" {
			t.Errorf("%s: %d service times, want %d", model, r.Service.Count, conns*each)
		}
		if mean := time.Duration(r.Service.Mean); mean < 100*time.Microsecond || mean > 20*time.Millisecond {
			t.Errorf("%s: mean service time %v, want about 200us", model, mean)
		}
		if model == "prefork" && (len(r.Spread) != 2 || r.Spread[0]+r.Spread[1] != conns) {
			t.Errorf("%s: accepts by worker %v", model, r.Spread)
		}
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	}
}

// More processes than memory can hold are refused before the first is started.
func TestForkMemory(t *testing.T) {
	srv, err := targets.Start(t.Context(), targets.Spec{Target: targets.Ref{Model: "fork"}}, targets.Place{Expect: 10_000_000})
	if err == nil {
		srv.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "use fewer connections") {
		t.Errorf("%v", err)
	}
}
