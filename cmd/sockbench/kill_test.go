package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// marker is in the environment of every process of a test's run, by inheritance.
const marker = "SOCKBENCH_TEST_MARK"

// marked lists the processes that have this mark, by pid, with their command lines.
func marked(mark string) map[int]string {
	found := map[int]string{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return found
	}
	want := []byte(marker + "=" + mark + "\x00")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		env, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if err != nil || !bytes.Contains(env, want) {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err == nil && len(line) > 0 {
			found[pid] = strings.ReplaceAll(strings.TrimRight(string(line), "\x00"), "\x00", " ")
		}
	}
	return found
}

// kill -9 of any process of a run at any time leaves none of the others behind for more than a second if it was the
// parent, and none at all when the run is over, so that no namespace is left either; --resume then finishes it with no trial lost or doubled. The target
// forks, detaches children with setsid, and stops one of them.
func TestKillAnyProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute; run without -short")
	}
	t.Setenv(asProgram, "1") // for the target of the run that is gone on with here
	for _, namespaces := range []bool{true, false} {
		t.Run(fmt.Sprintf("namespaces=%v", namespaces), func(t *testing.T) {
			for i := range 10 {
				killOnce(t, i, namespaces)
			}
		})
	}
}

func killOnce(t *testing.T, i int, namespaces bool) {
	rng := rand.New(rand.NewPCG(uint64(i), uint64(os.Getpid())))
	mark := fmt.Sprintf("%d-%d-%v", os.Getpid(), i, namespaces)
	dir := filepath.Join(t.TempDir(), "run")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	target := fmt.Sprintf(`exec: sh -c 'setsid sleep 300 & sleep 300 & kill -STOP $!; (sleep 300 & sleep 300) & exec %s serve --target epoll --listen {host}:{port}'`, self)
	c := program(t, "run", "--target", target, "--target", "epoll", "--connections", "2", "--blocks", "2",
		"--duration", "80ms", "--warmup", "10ms", "--keep-awake", "off", "--quiet", "--out", dir)
	if i%2 == 1 && namespaces { // with the path's process, and two namespaces more
		c.Args = append(c.Args, "--path", "delay=1ms")
	}
	c.Env = append(c.Env, marker+"="+mark)
	if !namespaces {
		c.Env = append(c.Env, "SOCKBENCH_NO_NAMESPACES=1")
	}
	var errs bytes.Buffer
	c.Stderr = &errs
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Duration(rng.IntN(400)) * time.Millisecond)
	var pids []int
	all := marked(mark)
	for pid := range all {
		pids = append(pids, pid)
	}
	if len(pids) == 0 {
		t.Fatalf("no process of the run is found: %s", errs.String())
	}
	victim := pids[rng.IntN(len(pids))]
	if i%3 == 0 {
		victim = c.Process.Pid
	}
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { c.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(60 * time.Second):
		t.Fatalf("the run does not end after kill -9 of %q: %s", all[victim], errs.String())
	}
	for at := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		left := marked(mark)
		if len(left) == 0 {
			break
		}
		if time.Since(at) > time.Second {
			for pid := range left {
				syscall.Kill(pid, syscall.SIGKILL)
			}
			t.Fatalf("a second after kill -9 of %q these are left: %v", all[victim], left)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "manifest.json")); err != nil {
		return // killed before there was a run
	}
	if code, _, stderr := here(t, "run", "--resume", dir, "--quiet"); code != exitFine {
		t.Errorf("resume after kill -9 of %q: exit %d, %s", all[victim], code, stderr)
	}
	checkWhole(t, dir, 2, 2)
}
