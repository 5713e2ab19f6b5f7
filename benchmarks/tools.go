package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// tools are the programs under measurement, in a folder that goes when the benchmarks are over and that every user
// may read.
type tools struct {
	dir                                                     string
	sockbench, self                                         string
	cClient, echo, threadEcho, netEcho, netpollEcho, fortio string
}

// build makes them, from the folder of the benchmarks.
func build(ctx context.Context, dir string) (tools, error) {
	at := func(name string) string { return filepath.Join(dir, name) }
	t := tools{dir: dir, sockbench: at("sockbench"), cClient: at("epoll_client"), echo: at("epoll_echo"), threadEcho: at("thread_echo"),
		netEcho: at("net_echo"), netpollEcho: at("netpoll_echo"), fortio: at("fortio")}
	if err := os.Chmod(dir, 0o755); err != nil {
		return t, err
	}
	var err error
	if t.self, err = os.Executable(); err != nil {
		return t, err
	}
	for _, c := range []struct {
		in   string
		argv []string
	}{
		{"..", []string{"go", "build", "-o", t.sockbench, "./cmd/sockbench"}},
		{"peers", inC(t.cClient)},
		{"peers", inC(t.echo)},
		{"peers", inC(t.threadEcho)},
		{"peers", []string{"go", "build", "-o", t.netEcho, "./net_echo"}},
		{"peers", []string{"go", "build", "-o", t.netpollEcho, "./netpoll_echo"}},
		{"peers", []string{"go", "build", "-o", t.fortio, "fortio.org/fortio"}},
	} {
		cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
		cmd.Dir = c.in
		if out, err := cmd.CombinedOutput(); err != nil {
			return t, fmt.Errorf("%v in %s: %w\n%s", c.argv, c.in, err, out)
		}
	}
	return t, nil
}

// inC builds a peer from its one file.
func inC(program string) []string {
	return []string{"gcc", "-O2", "-pthread", "-Wall", "-Wextra", "-Werror", "-o", program, filepath.Base(program) + ".c"}
}
