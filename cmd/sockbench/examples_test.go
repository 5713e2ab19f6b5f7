package main

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sockbench/sockbench/internal/proc"
	"github.com/sockbench/sockbench/internal/testenv"
	"github.com/sockbench/sockbench/results"
)

// needPrograms skips a test whose command or plan speaks of a program that this machine lacks.
func needPrograms(t *testing.T, text string) {
	t.Helper()
	need := func(what, program string) {
		if _, err := exec.LookPath(program); err != nil {
			testenv.Skip(t, what, err.Error())
		}
	}
	if strings.Contains(text, "python3 ") {
		need("python3", "python3")
	}
	if strings.Contains(text, "filled.sh") {
		need("redis-server", "redis-server")
		need("redis-server", "redis-cli")
		out, err := exec.Command("redis-server", "--version").Output()
		_, version, _ := strings.Cut(string(out), " v=")
		major := 0
		if fmt.Sscanf(version, "%d.", &major); major < 7 {
			testenv.Skip(t, "redis-server", fmt.Sprintf("filled.sh takes version 7 or newer, and this is %s (%v)", out, err))
		}
	}
	if strings.Contains(text, "nginx.py") {
		t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/usr/local/sbin") // where nginx.py looks too
		need("nginx", "nginx")
	}
	if strings.Contains(text, "nginx.py stream") {
		built, err := exec.Command("nginx", "-V").CombinedOutput()
		_, path, _ := strings.Cut(string(built), "--modules-path=")
		path, _, _ = strings.Cut(path, " ")
		_, missing := os.Stat(filepath.Join(path, "ngx_stream_module.so"))
		if err != nil || !strings.Contains(string(built), "--with-stream") || strings.Contains(string(built), "--with-stream=dynamic") && missing != nil {
			testenv.Skip(t, "nginx", fmt.Sprintf("it has no stream module: %v, %v", err, missing))
		}
	}
}

// TestExamplesRun runs one short block of each plan: every trial completes requests, none of which fails, and every
// server ends when it is told to.
func TestExamplesRun(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute; run without -short")
	}
	t.Chdir("../..") // their commands' paths begin there
	err := filepath.WalkDir("examples", func(file string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(file) != ".yaml" {
			return err
		}
		src, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		args := []string{file}
		switch file {
		case "examples/own-server.yaml": // here is one
			args = append(args, "--target", "exec: python3 examples/python/socketserver_echo.py ThreadingTCPServer {port}", "--target", "epoll")
		case "examples/variants.yaml": // a backlog of 16 is too short for 256 clients who come together: some are reset, which it shows
			args = append(args, "--connections", "16")
		case "examples/python/forkingtcpserver.yaml": // to start a process for each of 32 takes longer than a trial here lasts
			args = append(args, "--connections", "1,4")
		}
		t.Run(strings.TrimSuffix(strings.TrimPrefix(file, "examples/"), ".yaml"), func(t *testing.T) {
			needPrograms(t, string(src)+strings.Join(args, " "))
			var wrong []string
			for _, long := range []int{100, 300, 1000} { // a machine that is busy elsewhere may need more
				if wrong = runExample(t, args, time.Duration(long)*time.Millisecond); len(wrong) == 0 {
					return
				}
				t.Logf("in %d ms: %s", long, strings.Join(wrong, "\n"))
			}
			t.Error(strings.Join(wrong, "\n"))
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// runExample is what was wrong in one block of trials of that length.
func runExample(t *testing.T, args []string, long time.Duration) (wrong []string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	args = append([]string{"run", "--blocks", "1", "--duration", long.String(), "--warmup", (long / 2).String(), "--quiet", "--out", dir}, args...)
	code, _, stderr := here(t, args...)
	if code != exitFine {
		wrong = append(wrong, fmt.Sprintf("exit %d: %s", code, stderr))
	}
	r, err := results.Open(dir)
	if err != nil {
		return append(wrong, err.Error())
	}
	counting, _ := results.Counting(r.Records)
	if len(counting) != len(r.Manifest.Plan.Cells()) {
		wrong = append(wrong, fmt.Sprintf("%d trials of %d cells", len(counting), len(r.Manifest.Plan.Cells())))
	}
	for _, rec := range counting {
		switch m := rec.Metrics; {
		case m == nil:
			wrong = append(wrong, fmt.Sprintf("%v: %s", rec.Cell, rec.Error))
		case m.Completed == 0 || len(m.Errors) > 0 || m.Failed > 0 || m.TimedOut > 0 || m.Server.Died != "" || m.Server.Undrained != "":
			wrong = append(wrong, fmt.Sprintf("%v: %d completed, %d failed, %d timed out, %v, %s%s", rec.Cell,
				m.Completed, m.Failed, m.TimedOut, m.Errors, m.Server.Died, m.Server.Undrained))
		}
	}
	return wrong
}

// TestExampleGate: a gate on a program that nobody wrote for this finds what its configuration says.
func TestExampleGate(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds; run without -short")
	}
	needPrograms(t, "python3 examples/nginx/nginx.py")
	t.Chdir("../..") // the plan's commands' paths begin there
	code, stdout, stderr := decided(t, func() []string {
		return []string{"check", "examples/nginx/nodelay.yaml", "--duration", "200ms", "--quiet", "-o", "json", "--out", filepath.Join(t.TempDir(), "run")}
	})
	var v checkJSON
	if err := json.Unmarshal([]byte(stdout), &v); err != nil || code != exitWrong || v.Verdict != "regression" || v.Findings[0].Effect.Ratio > .5 {
		t.Errorf("exit %d, %v: %s%s", code, err, stdout, stderr)
	}
}

// TestExampleServersEnd: SIGTERM to the command alone ends it with all it started, at once and with clients connected, and
// leaves nothing in the folder for temporary files.
func TestExampleServersEnd(t *testing.T) {
	const ask, echo = "PING\r\n", "PING\r\n"
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		command, ask, reply string
		clients             int // that are served at one time
	}{
		{"python3 examples/python/socketserver_echo.py TCPServer {port}", ask, echo, 1},
		{"python3 examples/python/socketserver_echo.py TCPServer {port} stock", ask, echo, 1},
		{"python3 examples/python/socketserver_echo.py ThreadingTCPServer {port}", ask, echo, 4},
		{"python3 examples/python/socketserver_echo.py ThreadingTCPServer {port} stock", ask, echo, 4},
		{"python3 examples/python/socketserver_echo.py ForkingTCPServer {port}", ask, echo, 4},
		{"python3 examples/python/socketserver_echo.py ForkingTCPServer {port} stock", ask, echo, 4},
		{"python3 examples/python/asyncio_echo.py {port}", ask, echo, 4},
		{"python3 examples/python/pool_echo.py 4 {port}", ask, echo, 4},
		{"python3 examples/python/reuseport_echo.py 3 {port}", ask, echo, 4},
		{"sh examples/redis/filled.sh {port} 1000", ask, "+PONG\r\n", 4},
		{"python3 examples/nginx/nginx.py file {port} off", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 200 OK\r\n", 4},
		{"python3 examples/nginx/nginx.py http {port}", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 200 OK\r\n", 4},
	} {
		t.Run(c.command, func(t *testing.T) {
			needPrograms(t, c.command)
			port := freePort(t)
			temporary := t.TempDir()
			words := strings.Fields(strings.ReplaceAll(c.command, "{port}", port))
			cmd := exec.Command(words[0], words[1:]...)
			cmd.Dir, cmd.Env = root, append(os.Environ(), "TMPDIR="+temporary)
			cmd.Stderr = os.Stderr
			tree, err := proc.StartTree(cmd)
			if err != nil {
				t.Fatal(err)
			}
			defer tree.Kill()
			for range c.clients {
				conn := connect(t, port)
				defer conn.Close()
				reply := make([]byte, len(c.reply))
				if _, err := conn.Write([]byte(c.ask)); err != nil {
					t.Fatal(err)
				}
				if n, err := io.ReadFull(conn, reply); string(reply) != c.reply {
					t.Fatalf("%q is answered %q (%v)", c.ask, reply[:n], err)
				}
			}
			if left := tree.PIDs(); len(left) == 0 {
				t.Fatal("it has no process")
			}
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			limit := time.Now().Add(2 * time.Second)
			for len(tree.PIDs()) > 0 {
				if time.Now().After(limit) {
					t.Fatalf("2 s after SIGTERM to %d these live: %v", cmd.Process.Pid, tree.PIDs())
				}
				time.Sleep(5 * time.Millisecond)
			}
			if files, err := os.ReadDir(temporary); err != nil || len(files) > 0 {
				t.Errorf("it left %v (%v)", files, err)
			}
		})
	}
}

// TestAsyncioExampleHoldsBack: from a client who sends and does not read, it takes no more than the buffers hold, and what
// it took it gives back.
func TestAsyncioExampleHoldsBack(t *testing.T) {
	needPrograms(t, "python3 ")
	port := freePort(t)
	cmd := exec.Command("python3", "../../examples/python/asyncio_echo.py", port)
	cmd.Stderr = os.Stderr
	tree, err := proc.StartTree(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Kill()
	conn := connect(t, port)
	defer conn.Close()
	const all = 256 << 20 // no buffers of a kernel are as large
	sent := 0
	for block := make([]byte, 1<<20); sent < all; {
		conn.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := conn.Write(block)
		if sent += n; err != nil {
			break
		}
	}
	if sent == all {
		t.Fatalf("it took %d bytes from a client who reads nothing", all)
	}
	for got, buf := 0, make([]byte, 1<<20); got < sent; {
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, err := conn.Read(buf)
		if got += n; err != nil {
			t.Fatalf("of %d bytes %d came back: %v", sent, got, err)
		}
	}
}

// freePort is a port that was free a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// connect connects as soon as somebody listens at the port.
func connect(t *testing.T, port string) net.Conn {
	t.Helper()
	var conn net.Conn
	waitFor(t, func() (ok bool) {
		var err error
		conn, err = net.Dial("tcp", "127.0.0.1:"+port)
		return err == nil
	})
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}
