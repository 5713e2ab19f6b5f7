package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// limited is the program with limits of open files, soft and hard, that it may not raise.
func limited(t *testing.T, soft, hard int, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	c := program(t, args...)
	c.Args = append([]string{"sh", "-c", fmt.Sprintf(`ulimit -S -n %d && ulimit -H -n %d && exec "$0" "$@"`, soft, hard), c.Path}, args...)
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	c.Path = sh
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); c.ProcessState == nil {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), out.String(), errs.String()
}

// A load that would need more open files than the process may have is refused before its first connection, with what is
// needed and how to get it. The soft limit is no obstacle.
func TestOpenFiles(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // whoever connects waits in its queue
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	load := func(more ...string) []string {
		return append([]string{"load", l.Addr().String(), "--duration", "100ms", "--warmup", "0"}, more...)
	}
	epoll := func(more ...string) []string {
		return append(quick(filepath.Join(t.TempDir(), "run"), "--target", "epoll"), more...)
	}
	for _, c := range []struct {
		name string
		args []string
		says []string // nil: it works
	}{
		{"load, 20 % too many", load("--connections", "360"), []string{"360 connections take", "this process may have ", "ulimit -n", "LimitNOFILE="}},
		{"load, with those held", load("--connections", "10", "--hold", "350"), []string{"10 connections and 350 held ones take", "this process may have "}},
		{"load, more than the kernel allows", load("--connections", "500k", "--hold", "1M"), []string{"sysctl -w fs.nr_open=1500"}},
		{"load", load("--connections", "240"), nil},
		{"run, 20 % too many in one cell", epoll("--hold", "0,360"), []string{"hold=360: 2 connections and 360 held ones take", "this process may have ", "ulimit -n"}},
		{"run", epoll("--hold", "230"), nil},
	} {
		began := time.Now()
		code, _, stderr := limited(t, 60, 300, c.args...)
		if took := time.Since(began); c.says != nil && took > 10*time.Second {
			t.Errorf("%s: it took %v to say so", c.name, took)
		}
		if c.says == nil && code != exitFine || c.says != nil && (code != exitEnvironment || strings.Count(stderr, "\n") != 1) {
			t.Errorf("%s: exit %d, %s", c.name, code, stderr)
		}
		for _, s := range c.says {
			if !strings.Contains(stderr, s) {
				t.Errorf("%s: it says %q, want %q", c.name, stderr, s)
			}
		}
	}
}

// A server that may open too few files is found out, whoever wrote it.
func TestServerHasTooFewFiles(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(asProgram, "1") // for the target
	target := fmt.Sprintf(`exec: sh -c "ulimit -n 30; exec '%s' serve --target goroutine --listen 127.0.0.1:{port}"`, self)
	code, stdout, stderr := here(t, quick(filepath.Join(t.TempDir(), "run"), "--connections", "40", "--request-timeout", "200ms", "--target", target, "-o", "json")...)
	if code != exitFine || !strings.Contains(stdout, "files open and may have 30: it can take no more connections") {
		t.Errorf("exit %d, it is not said that the server had no files left: %s %s", code, stdout, stderr)
	}
}
