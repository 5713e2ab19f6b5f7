package proc

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/clock"
)

// treeTag is the environment variable by which a process that left its parents and its session is known as a tree's.
const treeTag = "SOCKBENCH_TREE"

var trees atomic.Int64

// Tree is a command and all it started. It is safe for concurrent use.
type Tree struct {
	cmd  *exec.Cmd
	tag  []byte
	ran  chan struct{} // the command itself has ended
	done chan struct{}

	mu     sync.Mutex
	closed bool
	err    error

	looking sync.Mutex
	seen    map[int]bool // what PIDs found, until it is gone: an ended process has no environment to know it by,
	groups  map[int]bool // but it has its process group
}

// StartTree starts cmd as Start does. The calling process becomes a subreaper for good: what the tree orphans stays
// within its reach. The caller must Kill the tree, and must not wait for cmd.
func StartTree(cmd *exec.Cmd) (*Tree, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become a subreaper: %w", err)
	}
	tag := fmt.Sprintf("%s=%d.%d.%d", treeTag, os.Getpid(), clock.Now(), trees.Add(1))
	cmd.Env = append(cmd.Environ(), tag)
	if err := Start(cmd); err != nil {
		return nil, err
	}
	t := &Tree{cmd: cmd, tag: []byte(tag), ran: make(chan struct{}), done: make(chan struct{}),
		seen: map[int]bool{}, groups: map[int]bool{cmd.Process.Pid: true}}
	go t.watch()
	return t, nil
}

// watch waits for the command. One that ends well and leaves others behind has put itself in the background, as daemons
// do: then the tree lasts as long as they do.
func (t *Tree) watch() {
	defer close(t.done)
	err := t.cmd.Wait()
	close(t.ran)
	if err != nil {
		return
	}
	for !t.isClosed() && len(t.PIDs()) > 0 {
		time.Sleep(20 * time.Millisecond)
	}
}

func (t *Tree) isClosed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closed
}

// Done is closed when the command has ended; after a good end, only when all it left in the background has ended too.
func (t *Tree) Done() <-chan struct{} { return t.done }

// Exit says how the command itself ended: "exit status 3", "killed by SIGKILL"; "" if it has not.
func (t *Tree) Exit() string {
	select {
	case <-t.ran:
		return exitText(waitStatus(t.cmd))
	default:
		return ""
	}
}

// PIDs lists the processes of the tree that live now, also those in sessions of their own and those whose parents have
// ended, as long as they kept the environment they were given.
func (t *Tree) PIDs() []int {
	list, _ := t.look()
	return list
}

// look lists the living, and the process groups they were in.
func (t *Tree) look() (list []int, groups map[int]bool) {
	t.looking.Lock()
	defer t.looking.Unlock()
	groups = map[int]bool{}
	mine := map[int]bool{}
	root := t.cmd.Process.Pid
	for _, pid := range Descendants(os.Getpid()) {
		s, err := readStat(pid)
		switch {
		case err != nil || pid == root && s.ended():
		case s.ended() && t.groups[s.group]:
			t.seen[pid] = true
		case !s.ended() && (t.groups[s.group] || t.seen[pid] || mine[s.parent] || t.tagged(pid)):
			list = append(list, pid)
			mine[pid] = true
			t.seen[pid] = true
			if s.group != unix.Getpgrp() {
				t.groups[s.group], groups[s.group] = true, true
			}
		}
	}
	// The orphans among those that ended are our children now, and nobody else will wait for them.
	for pid := range t.seen {
		s, err := readStat(pid)
		if err == nil && s.ended() && pid != root {
			unix.Wait4(pid, nil, unix.WNOHANG, nil) // ECHILD: its parent lives, and may do it
		}
		if err != nil {
			delete(t.seen, pid)
		}
	}
	return list, groups
}

// tagged tells by the environment whether a process is of this tree. One that is just ending has none any more.
func (t *Tree) tagged(pid int) bool {
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	for entry := range bytes.SplitSeq(env, []byte{0}) {
		if bytes.Equal(entry, t.tag) {
			return true
		}
	}
	return false
}

// Terminate asks the tree to end: SIGTERM, once, to every process of it, and SIGCONT, for those that are stopped.
func (t *Tree) Terminate() {
	left, groups := t.look()
	for _, signal := range []unix.Signal{unix.SIGTERM, unix.SIGCONT} {
		for group := range groups {
			unix.Kill(-group, signal)
		}
		for _, pid := range left {
			if group, err := unix.Getpgid(pid); err == nil && !groups[group] { // it joined ours
				unix.Kill(pid, signal)
			}
		}
	}
}

// Kill ends the whole tree and waits until nothing is left of it, about a second at most. Twice is fine.
func (t *Tree) Kill() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return t.err
	}
	t.closed = true
	// What is being started while we look may be missed: nothing twice in a row is nothing.
	for start, look, none := time.Now(), 0, 0; none < 2; look++ {
		left, groups := t.look()
		none++
		// A process group dies at one instant, so that one whose members fork and end cannot run away from us.
		for group := range groups {
			unix.Kill(-group, unix.SIGKILL)
		}
		for _, pid := range left {
			none = 0
			unix.Kill(pid, unix.SIGKILL)
		}
		if look > endLooks && time.Since(start) > endPatience {
			t.err = fmt.Errorf("processes %v of %s do not end", left, t.cmd.Path)
			return t.err
		}
		pause(look)
	}
	<-t.ran
	return nil
}
