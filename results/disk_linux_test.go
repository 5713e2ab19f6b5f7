package results

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const limited = "SOCKBENCH_TEST_LIMITED_DISK"

// TestFullDisk lets the disk be full in the middle of a line, by a limit on the file's size, in a process of its own.
func TestFullDisk(t *testing.T) {
	if dir := os.Getenv(limited); dir != "" {
		fillUp(t, dir)
		return
	}
	dir := filepath.Join(t.TempDir(), "run")
	c := exec.Command(os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
	c.Env = append(os.Environ(), limited+"="+dir)
	if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS: TestFullDisk") {
		t.Fatalf("%v\n%s", err, out)
	}
	run, err := Open(dir)
	if err != nil || len(run.Records) == 0 || run.Torn || len(run.Damaged) > 0 {
		t.Errorf("what is left: %+v, %v", run, err)
	}
}

func fillUp(t *testing.T, dir string) {
	signal.Ignore(syscall.SIGXFSZ) // so that the write fails instead
	p := newPlan(t, 100)
	l, err := Create(dir, Manifest{Plan: p})
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 10_000, Max: 10_000}); err != nil {
		t.Fatal(err)
	}
	kept := 0
	for n := range 100 {
		err = l.Append(small(p.Block(n, 0)[0]))
		if err != nil {
			break
		}
		kept++
	}
	if !errors.Is(err, syscall.EFBIG) || !strings.Contains(err.Error(), filepath.Join(dir, trialsFile)) {
		t.Fatalf("error %v, want one of the limit that names the file", err)
	}
	run, err := Open(dir)
	if err != nil || run.Torn || len(run.Records) != kept || kept == 0 {
		t.Fatalf("%d records kept, %d read, torn %v, %v", kept, len(run.Records), run.Torn, err)
	}
	if err := l.Append(small(p.Block(99, 0)[0])); err == nil {
		t.Error("the disk is still full, yet there is no error")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// TestNoSpace has the kernel say ENOSPC.
func TestNoSpace(t *testing.T) {
	f, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no /dev/full: %v", err)
	}
	l := &Log{path: "/dev/full", file: f}
	defer l.Close()
	if err := l.Append(small(newPlan(t, 1).Block(0, 0)[0])); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "/dev/full") {
		t.Errorf("error %v, want ENOSPC and the file", err)
	}
}
