package proc

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// marked lists the living processes with that entry in their environment; all is read, so this wants root or one user.
func marked(entry string) (pids []int) {
	for _, pid := range numbered("/proc") {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err == nil && slices.ContainsFunc(bytes.Split(env, []byte{0}), func(e []byte) bool { return string(e) == entry }) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func describe(pids []int) string {
	var b strings.Builder
	for _, pid := range pids {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		s, _ := readStat(pid)
		text := strings.Map(func(r rune) rune { return max(r, ' ') }, string(line))
		fmt.Fprintf(&b, "\n%d %c parent %d: %.60s", pid, s.state, s.parent, text)
	}
	return b.String()
}

// soon waits a second for the list to become empty, and says how long it took.
func soon(t *testing.T, what string, list func() []int) {
	t.Helper()
	start := time.Now()
	for {
		left := list()
		if len(left) == 0 {
			return
		}
		if time.Since(start) > time.Second {
			t.Fatalf("%s: left after 1 s:%s", what, describe(left))
		}
		time.Sleep(3 * time.Millisecond)
	}
}

// Whatever is killed, and whenever: nothing below it lives on.
func TestNoOrphans(t *testing.T) {
	for _, namespaces := range []bool{true, false} {
		for i := range 20 {
			t.Run(fmt.Sprintf("namespaces=%v/%d", namespaces, i), func(t *testing.T) { killSomething(t, namespaces, i) })
		}
	}
}

func killSomething(t *testing.T, namespaces bool, round int) {
	mark := fmt.Sprintf("PROC_TEST_MARK=%d.%d", os.Getpid(), time.Now().UnixNano())
	off := "SOCKBENCH_NO_NAMESPACES=1"
	if namespaces {
		off = "SOCKBENCH_NO_NAMESPACES=0"
	}
	cmd := program(t, "room", mark, off)
	cmd.Stderr = nil // it is about to be hurt
	if round%2 == 1 {
		asNobody(t, cmd)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	parent := cmd.Process.Pid
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
		soon(t, "after the parent was killed", func() []int { return marked(mark) })
	}()

	delay := rand.N(60 * time.Millisecond)
	time.Sleep(delay)
	victim := []string{"parent", "room", "keeper", "part"}[round/2%4]
	pid, below := find(parent, victim)
	if pid == 0 {
		victim, pid, below = "parent", parent, func() []int { return marked(mark) }
	}
	t.Logf("after %v the %s, pid %d, of%s", delay, victim, pid, describe(marked(mark)))
	unix.Kill(pid, unix.SIGKILL)
	if victim == "parent" {
		cmd.Wait()
	}
	if below == nil {
		below = func() []int {
			return slices.DeleteFunc(marked(mark), func(p int) bool { return p == parent })
		}
	}
	if victim == "keeper" {
		below = func() []int {
			all := marked(treeMark + "=1")
			mine := marked(mark)
			return slices.DeleteFunc(all, func(p int) bool { return !slices.Contains(mine, p) })
		}
	}
	soon(t, "after the "+victim+" was killed", below)
}

// find returns the process of that role below the parent, 0 if there is none yet, and what must end with it; nil: all
// but the parent.
func find(parent int, role string) (pid int, below func() []int) {
	if role == "parent" {
		return 0, nil
	}
	for _, room := range Children(parent) {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", room))
		if err != nil || !strings.HasPrefix(string(line), roomName) {
			continue // the Go runtime's own probe, or not there yet
		}
		if role == "room" {
			return room, nil
		}
		for _, p := range Children(room) {
			line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p))
			if err != nil || strings.HasSuffix(string(line), "\x00keeper\x00") != (role == "keeper") {
				continue
			}
			return p, func() []int {
				if allEnded([]int{p}) {
					return nil
				}
				return []int{p}
			}
		}
	}
	return 0, nil
}

func sh(script string) *exec.Cmd { return exec.Command("sh", "-c", script) }

func startTree(t *testing.T, script string) *Tree {
	t.Helper()
	before := len(Children(os.Getpid()))
	tree, err := StartTree(sh(script))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 2 {
			if err := tree.Kill(); err != nil {
				t.Error(err)
			}
		}
		<-tree.Done()
		if left := marked(string(tree.tag)); len(left) > 0 {
			t.Errorf("left:%s", describe(left))
		}
		if left := Children(os.Getpid()); len(left) > before {
			t.Errorf("not waited for:%s", describe(left))
		}
	})
	return tree
}

func atLeast(t *testing.T, tree *Tree, n int) {
	t.Helper()
	for start := time.Now(); len(tree.PIDs()) < n; time.Sleep(2 * time.Millisecond) {
		if time.Since(start) > 5*time.Second {
			t.Fatalf("only%s", describe(tree.PIDs()))
		}
	}
}

func TestTree(t *testing.T) {
	t.Run("escapes", func(t *testing.T) { atLeast(t, startTree(t, escapes), 8) })
	t.Run("many", func(t *testing.T) {
		atLeast(t, startTree(t, `i=0; while [ $i -lt 300 ]; do (sleep 100 & sleep 100) & i=$((i+1)); done; wait`), 100)
	})
	t.Run("relay", func(t *testing.T) { // each process leaves another one behind and ends
		tree := startTree(t, `f() { sleep 0.002; f & exit; }; f & wait; sleep 100`)
		atLeast(t, tree, 2)
		time.Sleep(30 * time.Millisecond)
	})
	t.Run("daemon", func(t *testing.T) {
		tree := startTree(t, `setsid sleep 100 >/dev/null 2>&1 & sleep 0.02`)
		for start := time.Now(); tree.Exit() == "" && time.Since(start) < 5*time.Second; {
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(30 * time.Millisecond)
		select {
		case <-tree.Done():
			t.Error("done, though what it left in the background lives")
		default:
		}
		if len(tree.PIDs()) != 1 || tree.Exit() != "exit status 0" {
			t.Errorf("%s, %v", tree.Exit(), tree.PIDs())
		}
		tree.Terminate()
		await(t, tree.Done())
	})
	t.Run("fails", func(t *testing.T) {
		tree := startTree(t, `sleep 100 & exit 3`)
		await(t, tree.Done())
		if tree.Exit() != "exit status 3" {
			t.Error(tree.Exit())
		}
	})
	t.Run("terminate", func(t *testing.T) {
		tree := startTree(t, `sleep 100 & wait`)
		atLeast(t, tree, 2)
		tree.Terminate()
		await(t, tree.Done())
		if tree.Exit() != "killed by SIGTERM" {
			t.Error(tree.Exit())
		}
	})
	t.Run("unknown", func(t *testing.T) {
		if _, err := StartTree(exec.Command("/does/not/exist")); err == nil {
			t.Error("started")
		}
	})
}
