package targets

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kballard/go-shellquote"
)

// execHelper is the environment variable that makes the test binary a server; its last argument is the port. The value
// is what it does besides echoing.
const execHelper = "SOCKBENCH_EXEC_TEST"

// TestExecHelper is no test: it is the server.
func TestExecHelper(t *testing.T) {
	does := os.Getenv(execHelper)
	if does == "" {
		t.Skip("not started as a server")
	}
	if does == "deaf" {
		signal.Ignore(syscall.SIGTERM)
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+os.Args[len(os.Args)-1])
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("listening")
	for {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			defer c.Close()
			if does == "greet" {
				fmt.Fprintln(c, "hello")
			}
			in := bufio.NewReader(c)
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					fmt.Println("end:", err)
					return
				}
				if line == "die\n" {
					fmt.Println("dying")
					os.Exit(7)
				}
				io.WriteString(c, line)
			}
		}()
	}
}

func helperLine(t *testing.T, does string) string {
	t.Helper()
	t.Setenv(execHelper, does)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return shellquote.Join(self, "-test.run=^TestExecHelper$") + " {port}"
}

func startCommand(t *testing.T, line string) (*command, error) {
	t.Helper()
	s, err := execEntry.Start(context.Background(), Spec{Target: Ref{"exec", line}}, Place{Listen: "tcp://127.0.0.1:0"})
	if err != nil {
		return nil, err
	}
	c := s.(*command)
	t.Cleanup(func() {
		for range 2 {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		if left := c.PIDs(); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
	return c, nil
}

func running(t *testing.T, line string) *command {
	t.Helper()
	c, err := startCommand(t, line)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func ask(t *testing.T, c *command, line string) string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.Addr(), "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintln(conn, line)
	got, _ := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(got)
}

func died(t *testing.T, c *command) {
	t.Helper()
	select {
	case <-c.Died():
	case <-time.After(5 * time.Second):
		t.Fatal("it did not end within 5 s")
	}
}

func TestExec(t *testing.T) {
	t.Run("drain", func(t *testing.T) {
		c := running(t, helperLine(t, "echo"))
		if got := ask(t, c, "ping"); got != "ping" {
			t.Errorf("got %q", got)
		}
		if len(c.PIDs()) != 1 || c.Exit() != "" {
			t.Errorf("pids %v, exit %q", c.PIDs(), c.Exit())
		}
		for end := time.Now().Add(5 * time.Second); c.Log() == "" && time.Now().Before(end); {
			time.Sleep(time.Millisecond) // who reads it may lag behind
		}
		if log := c.Log(); !strings.HasPrefix(log, "listening") || strings.Contains(log, "reset") {
			t.Errorf("log %q", log)
		}
		start := time.Now()
		if err := c.Drain(context.Background()); err != nil || time.Since(start) > time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		died(t, c)
		if c.Exit() != "killed by SIGTERM" || c.Result().Requests != 0 {
			t.Error(c.Exit())
		}
	})
	t.Run("greets", func(t *testing.T) { // the connection that looked ended by FIN all the same
		c := running(t, helperLine(t, "greet"))
		if got := ask(t, c, ""); got != "hello" {
			t.Errorf("got %q", got)
		}
		if log := c.Log(); strings.Contains(log, "reset") {
			t.Errorf("log %q", log)
		}
	})
	t.Run("shell", func(t *testing.T) { // with a child in a session of its own
		c := running(t, `sh -c "setsid sleep 100 & exec `+strings.ReplaceAll(helperLine(t, "echo"), "$", `\$`)+`"`)
		if got := ask(t, c, "ping"); got != "ping" {
			t.Errorf("got %q", got)
		}
		if len(c.PIDs()) != 2 {
			t.Errorf("pids %v", c.PIDs())
		}
	})
	t.Run("deaf", func(t *testing.T) {
		c := running(t, helperLine(t, "deaf"))
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if err := c.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		died(t, c)
	})
	t.Run("stopped", func(t *testing.T) {
		c := running(t, helperLine(t, "echo"))
		syscall.Kill(c.PIDs()[0], syscall.SIGSTOP)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		died(t, c)
	})
	t.Run("dies", func(t *testing.T) {
		c := running(t, helperLine(t, "echo"))
		ask(t, c, "die")
		died(t, c)
		<-c.logged
		if c.Exit() != "exit status 7" || !strings.HasSuffix(c.Log(), "dying") {
			t.Errorf("%s: %s", c.Exit(), c.Log())
		}
	})
}

// The end of the context that it was started with closes it.
func TestExecContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, err := execEntry.Start(ctx, Spec{Target: Ref{"exec", helperLine(t, "echo")}}, Place{Listen: "tcp://127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	died(t, s.(*command))
	if err := s.Close(); err != nil {
		t.Error(err)
	}

	soon, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err = execEntry.Start(soon, Spec{Target: Ref{"exec", "sleep 100{port}"}}, Place{Listen: "tcp://127.0.0.1:0"})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestExecErrors(t *testing.T) {
	for line, says := range map[string][]string{
		"./server":               {"./server", "write {port} where the server takes its port"},
		"":                       {"no command"},
		"./server 'x {port}":     {"nterminated"},
		"/does/not/exist {port}": {"there is no command /does/not/exist"},
		"no-such-thing {port}":   {"there is no command no-such-thing"},
		"/etc/passwd {port}":     {"permission denied"},
		"sh -c 'echo sorry; echo no >&2; exit 3' {port}": {"exit status 3 after 0.", "its last lines:\nsorry\nno"},
		"sh -c 'kill -9 $$' {port}":                      {"killed by SIGKILL", "it wrote nothing"},
		"sh -c 'sleep 100 & exit 1' {port}":              {"exit status 1"},
	} {
		_, err := startCommand(t, line)
		if err == nil {
			t.Errorf("%s: started", line)
			continue
		}
		for _, want := range says {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", line, err, want)
			}
		}
	}
	if _, err := execEntry.Start(context.Background(), Spec{Target: Ref{"exec", "x {port}"}}, Place{Listen: "udp://127.0.0.1:0"}); err == nil {
		t.Error("udp was accepted")
	}
}

func TestCommandWords(t *testing.T) {
	words, err := commandWords(`./a\ b "--at={host}:{port}" '$HOME' "" {port}{port} {{port}`, "[::1]:80", "tcp://h:9")
	want := []string{"./a b", "--at=::1:80", "$HOME", "", "8080", "{port}"}
	if err != nil || strings.Join(words, "|") != strings.Join(want, "|") {
		t.Errorf("%q, %v", words, err)
	}
}
