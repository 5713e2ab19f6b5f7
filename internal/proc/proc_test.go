package proc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/sockbench/sockbench/internal/quiet"
	"github.com/sockbench/sockbench/internal/testenv"
	"time"

	"golang.org/x/sys/unix"
)

// helper is the environment variable that makes the test binary another program, the parent of rooms.
const helper = "SOCKBENCH_PROC_TEST"

func TestMain(m *testing.M) {
	Main(map[string]func(io.Reader, io.Writer) error{
		"echo": func(in io.Reader, out io.Writer) error {
			_, err := io.Copy(out, in)
			return err
		},
		"report": report,
		"flood": func(in io.Reader, out io.Writer) error {
			_, err := out.Write(make([]byte, 1<<20))
			return err
		},
		"fail": func(in io.Reader, out io.Writer) error {
			for i := range 10000 {
				fmt.Fprintln(os.Stderr, "line", i)
			}
			return errors.New("no good")
		},
		"panic":  func(in io.Reader, out io.Writer) error { panic("at the disco") },
		"keeper": keepScript,
	})
	if os.Getenv(helper) != "" {
		os.Exit(runHelper(os.Getenv(helper)))
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // or every process of a test under -race takes a second to end
	os.Exit(quiet.Run(m))
}

// facts is what a part finds about itself.
type facts struct {
	PID, Seen      int // getpid, and the one /proc/self shows
	First          string
	Processes      int
	CPUs, Procs    int
	Policy         uint32
	Ambient        string
	Effective      string
	Loopback       bool // 127.0.0.1 and ::1 can be listened on
	Interfaces     []string
	UID            int
	Mark, Override string
}

func report(in io.Reader, out io.Writer) error {
	f := facts{PID: os.Getpid(), CPUs: runtime.NumCPU(), Procs: runtime.GOMAXPROCS(0), UID: os.Getuid(),
		Override: os.Getenv("PROC_TEST_OVERRIDE")}
	link, err := os.Readlink("/proc/self")
	if err != nil {
		return err
	}
	fmt.Sscan(link, &f.Seen)
	comm, err := os.ReadFile("/proc/1/cmdline")
	if err != nil {
		return err
	}
	f.First = string(comm)
	f.Processes = len(numbered("/proc"))
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return err
	}
	f.Policy = attr.Policy
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "CapAmb":
			f.Ambient = strings.TrimSpace(value)
		case "CapEff":
			f.Effective = strings.TrimSpace(value)
		}
	}
	f.Loopback = true
	for _, a := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", a)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			f.Loopback = false
			continue
		}
		l.Close()
	}
	all, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, i := range all {
		f.Interfaces = append(f.Interfaces, i.Name)
	}
	if err := json.NewEncoder(out).Encode(f); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}

func open(t testing.TB, c Config) *Room {
	t.Helper()
	r, err := Open(context.Background(), c)
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

func await(t testing.TB, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("it did not end within 5 s")
	}
}

// both runs a test with and without namespaces.
func both(t *testing.T, test func(t *testing.T, c Config)) {
	t.Run("namespaces", func(t *testing.T) { test(t, Config{}) })
	t.Run("none", func(t *testing.T) { test(t, Config{NoNamespaces: true}) })
}

func TestRoundTrip(t *testing.T) {
	both(t, func(t *testing.T, c Config) {
		c.Parts = []Part{{Name: "echo"}, {Name: "echo", Keeper: true}}
		r := open(t, c)
		for i := range c.Parts {
			p := r.Part(i)
			in := bufio.NewReader(p.Stdout)
			for n := range 10 {
				fmt.Fprintln(p.Stdin, "message", n)
				line, err := in.ReadString('\n')
				if want := fmt.Sprintln("message", n); line != want || err != nil {
					t.Fatalf("got %q, %v; want %q", line, err, want)
				}
			}
			if p.PID() == 0 || p.Exit() != "" {
				t.Errorf("pid %d, exit %q of a living part", p.PID(), p.Exit())
			}
			line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID()))
			if !strings.HasPrefix(string(line), partName+"\x00echo") {
				t.Errorf("pid %d is %q, %v", p.PID(), line, err)
			}
			p.Stdin.Close()
			await(t, p.Done())
			if p.Exit() != "exit status 0" || p.Stderr() != "" {
				t.Errorf("exit %q, stderr %q", p.Exit(), p.Stderr())
			}
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if err := r.Close(); err != nil {
			t.Error("second close:", err)
		}
	})
}

// What a part wrote is there for the reader however it ended, and its standard error is bounded.
func TestPartEnds(t *testing.T) {
	both(t, func(t *testing.T, c Config) {
		c.Parts = []Part{{Name: "flood"}, {Name: "fail"}, {Name: "panic"}, {Name: "echo"}}
		r := open(t, c)
		out, err := io.ReadAll(r.Part(0).Stdout)
		if len(out) != 1<<20 || err != nil {
			t.Errorf("read %d bytes, %v", len(out), err)
		}
		for i := range 3 {
			await(t, r.Part(i).Done())
		}
		fail := strings.Split(r.Part(1).Stderr(), "\n")
		if r.Part(1).Exit() != "exit status 1" || len(fail) != tailLines || fail[19] != "no good" || fail[18] != "line 9999" {
			t.Errorf("%s: %q", r.Part(1).Exit(), fail)
		}
		if s := r.Part(2).Stderr(); r.Part(2).Exit() != "exit status 2" || !strings.HasPrefix(s, "panic: at the disco") {
			t.Errorf("%s: %s", r.Part(2).Exit(), s)
		}
		syscall.Kill(r.Part(3).PID(), syscall.SIGKILL)
		await(t, r.Part(3).Done())
		if got := r.Part(3).Exit(); got != "killed by SIGKILL" {
			t.Error(got)
		}
	})
}

func TestRoomKilled(t *testing.T) {
	both(t, func(t *testing.T, c Config) {
		c.Parts = []Part{{Name: "echo"}, {Name: "echo", Keeper: true}}
		r := open(t, c)
		r.cmd.Process.Kill()
		for i := range c.Parts {
			await(t, r.Part(i).Done())
			if got := r.Part(i).Exit(); got != "its room ended: killed by SIGKILL" {
				t.Error(got)
			}
		}
	})
}

// A stopped room, or part, does not keep Close from ending it.
func TestStopped(t *testing.T) {
	both(t, func(t *testing.T, c Config) {
		for _, room := range []bool{true, false} {
			c.Parts = []Part{{Name: "echo"}, {Name: "echo", Keeper: true}}
			r := open(t, c)
			pids := []int{r.Part(0).PID(), r.Part(1).PID()}
			if room {
				pids = append(pids, r.cmd.Process.Pid)
			}
			for _, pid := range pids {
				unix.Kill(pid, unix.SIGSTOP)
			}
			start := time.Now()
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			if !allEnded(pids) {
				t.Errorf("of %v some are left", pids)
			}
		}
	})
}

func part(t *testing.T, p *Process) (f facts) {
	t.Helper()
	if err := json.NewDecoder(p.Stdout).Decode(&f); err != nil {
		p.Stdin.Close()
		<-p.Done()
		t.Fatal(err, p.Exit(), p.Stderr())
	}
	return f
}

func TestPlacement(t *testing.T) {
	both(t, func(t *testing.T, c Config) {
		t.Setenv("PROC_TEST_OVERRIDE", "outer")
		c.Parts = []Part{{Name: "report", CPUs: []int{0}, Env: []string{"PROC_TEST_OVERRIDE=inner"}}, {Name: "report"}}
		r := open(t, c)
		pinned, free := part(t, r.Part(0)), part(t, r.Part(1))
		if pinned.CPUs != 1 || pinned.Procs != 1 || pinned.Override != "inner" {
			t.Errorf("pinned: %+v", pinned)
		}
		if free.CPUs != runtime.NumCPU() || free.Override != "outer" {
			t.Errorf("not pinned: %+v", free)
		}
		c.Parts = []Part{{Name: "report", CPUs: []int{1023}}}
		if r, err := Open(context.Background(), c); err == nil || !strings.Contains(err.Error(), "pin to CPUs [1023]") {
			t.Errorf("%v, %v", r, err)
		}
	})
}

func TestRealTime(t *testing.T) {
	both(t, func(t *testing.T, c Config) {
		c.Parts = []Part{{Name: "report", RealTime: true}, {Name: "report"}}
		r, err := Open(context.Background(), c)
		if err != nil {
			if !strings.Contains(err.Error(), "real-time scheduling") {
				t.Fatal(err)
			}
			testenv.Skip(t, "userns", err.Error())
		}
		defer r.Close()
		if a, b := part(t, r.Part(0)).Policy, part(t, r.Part(1)).Policy; a != unix.SCHED_RR || b != unix.SCHED_NORMAL {
			t.Errorf("policies %d and %d", a, b)
		}
	})
}

func TestOpenErrors(t *testing.T) {
	if _, err := Open(context.Background(), Config{Parts: []Part{{Name: "nobody"}}}); err == nil {
		t.Error("an unknown part was started")
	}
	both(t, func(t *testing.T, c Config) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		c.Parts = []Part{{Name: "echo"}}
		if _, err := Open(ctx, c); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// Rooms come and go without a trace.
func TestLeak(t *testing.T) {
	both(t, func(t *testing.T, c Config) {
		c.Parts = []Part{{Name: "echo"}, {Name: "fail"}}
		run := func() {
			r, err := Open(context.Background(), c)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
		run() // what is there once, the starting thread among it
		before := len(Children(os.Getpid()))
		fds, goroutines := len(numbered("/proc/self/fd")), runtime.NumGoroutine()
		for range 3 {
			run()
		}
		time.Sleep(10 * time.Millisecond)
		if f, g := len(numbered("/proc/self/fd")), runtime.NumGoroutine(); f > fds || g > goroutines {
			t.Errorf("descriptors %d → %d, goroutines %d → %d", fds, f, goroutines, g)
		}
		if left := Children(os.Getpid()); len(left) > before {
			t.Errorf("children:%s", describe(left))
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	for _, none := range []bool{false, true} {
		b.Run(fmt.Sprintf("none=%v", none), func(b *testing.B) {
			for b.Loop() {
				r, err := Open(context.Background(), Config{NoNamespaces: none, Network: true, Parts: []Part{{Name: "echo"}, {Name: "echo"}}})
				if err != nil {
					b.Fatal(err)
				}
				for i := range 2 {
					r.Part(i).Stdin.Write([]byte{'x'})
					io.ReadFull(r.Part(i).Stdout, make([]byte, 1))
				}
				if err := r.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
