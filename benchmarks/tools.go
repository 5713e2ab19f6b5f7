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
	dir                                    string
	sockbench, cClient, echo, fortio, self string
}

// build makes them, from the folder of the benchmarks.
func build(ctx context.Context, dir string) (tools, error) {
	t := tools{dir: dir, sockbench: filepath.Join(dir, "sockbench"), cClient: filepath.Join(dir, "epoll_client"), echo: filepath.Join(dir, "epoll_echo"),
		fortio: filepath.Join(dir, "fortio")}
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
		{"peers", []string{"gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", t.cClient, "epoll_client.c"}},
		{"peers", []string{"gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", t.echo, "epoll_echo.c"}},
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
