package targets_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sockbench/sockbench/internal/testenv"
	"github.com/sockbench/sockbench/targets"
)

// served names the model that this binary, started again by a test, is to be.
const served = "SOCKBENCH_TEST_SERVE"

// serveModel is a process with one server in it, until its standard input ends.
func serveModel(name string) int {
	s := targets.Spec{Target: targets.Ref{Model: name}}
	srv, err := targets.Start(context.Background(), s, targets.Place{Expect: 16})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(srv.Addr())
	io.Copy(io.Discard, os.Stdin)
	if err := srv.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// process starts a model in a process of its own, with idle connections that have all been tried.
func process(t *testing.T, e *targets.Entry, conns int) (pid int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), served+"="+e.Name)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
			t.Error(err)
		}
	})
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	for range conns {
		network, at, _ := strings.Cut(strings.TrimSpace(addr), "://")
		c, err := net.DialTimeout(network, at, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
	return cmd.Process.Pid
}

// inspect looks until want holds, and then whether it goes on holding in 8 of 10 looks, as a process at rest should: what
// sleeps most of the time is running now and then. Its error is that of the last look at which want did not hold.
func inspect(t *testing.T, pid int, want func(targets.Inspection) error) (i targets.Inspection, err error) {
	t.Helper()
	look := func() error {
		time.Sleep(5 * time.Millisecond)
		var failed error
		if i, failed = targets.Inspect(pid); failed != nil {
			t.Fatal(failed)
		}
		return want(i)
	}
	for range 200 {
		if err = look(); err != nil {
			continue
		}
		held, failed := 0, 0
		for held < 8 && failed < 3 {
			if bad := look(); bad == nil {
				held++
			} else {
				failed++
				err = bad
			}
		}
		if held == 8 {
			return i, nil
		}
		return i, err
	}
	return i, err
}

// threadLike are models that wait alike.
var threadLike = []string{"thread", "naive", "sink"}

// Every model is what it says, and what no other says. Ten connections are more than a pool has workers.
func TestHonest(t *testing.T) {
	for n := range targets.All {
		e := &targets.All[n]
		if e.Foreign {
			continue
		}
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel() // each looks at a process of its own, and waits for it
			if err := e.Fits(); err != nil {
				testenv.Skip(t, e.Name, err.Error())
			}
			for _, conns := range []int{0, 3, 10} {
				pid := process(t, e, conns)
				i, err := inspect(t, pid, func(i targets.Inspection) error { return e.Honest(i, targets.Spec{}, conns) })
				t.Logf("%d connections: %s", conns, i)
				if errors.Is(err, targets.ErrUnknown) {
					t.Skip(err)
				}
				if err != nil {
					t.Error(err)
				}
				if conns < 10 {
					continue
				}
				for _, other := range targets.All {
					same := e.Name == other.Name || slices.Contains(threadLike, e.Name) && slices.Contains(threadLike, other.Name)
					if !other.Foreign && !same && other.Honest(i, targets.Spec{}, conns) == nil {
						t.Errorf("%s passes for %s", e.Name, other.Name)
					}
				}
			}
		})
	}
}

// A locked thread that uses package net is no thread in a blocking read, whatever it is called.
func TestDishonest(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 3 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		go func() {
			runtime.LockOSThread()
			s.Read(make([]byte, 1))
		}()
	}
	thread, err := targets.Find("thread")
	if err != nil {
		t.Fatal(err)
	}
	i, err := targets.Inspect(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := thread.Honest(i, targets.Spec{}, 3); err == nil || !strings.Contains(err.Error(), "not all sockets are blocking") {
		t.Errorf("%s passes for thread: %v", i, err)
	}
}

func TestInspectNobody(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if i, err := targets.Inspect(cmd.Process.Pid); err == nil || !strings.Contains(err.Error(), "no such process") {
		t.Errorf("a process that has ended: %s, %v", i, err)
	}
}
