package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Descendants lists the processes that pid started, that those started, and so on, parents before their children, as
// this process's /proc has them; ended ones that were not waited for are among them. Orphans that left to another
// parent are not: see Tree. The list is a moment's, and may miss what is being started.
func Descendants(pid int) []int {
	all, known := []int{pid}, map[int]bool{pid: true}
	for i := 0; i < len(all); i++ {
		for _, c := range Children(all[i]) {
			if !known[c] { // or it moved, or its number came round, while we were looking
				known[c] = true
				all = append(all, c)
			}
		}
	}
	return all[1:]
}

// Children lists the processes that pid started itself. The lists of its threads are one read each; only a kernel without them
// (CONFIG_PROC_CHILDREN) costs a look at every process.
func Children(pid int) []int {
	if !childLists() {
		return childrenByScan(pid)
	}
	var all []int
	for _, tid := range numbered(fmt.Sprintf("/proc/%d/task", pid)) {
		list, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, tid))
		if err != nil {
			continue // the thread has ended
		}
		for word := range strings.FieldsSeq(string(list)) {
			if n, err := strconv.Atoi(word); err == nil {
				all = append(all, n)
			}
		}
	}
	return all
}

func childLists() bool {
	_, err := os.Stat("/proc/thread-self/children")
	return err == nil
}

func childrenByScan(pid int) []int {
	var all []int
	for _, p := range numbered("/proc") {
		if s, err := readStat(p); err == nil && s.parent == pid {
			all = append(all, p)
		}
	}
	return all
}

// numbered lists the entries of a directory of /proc that are numbers: processes, threads.
func numbered(dir string) []int {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil
	}
	all := make([]int, 0, len(names))
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil {
			all = append(all, n)
		}
	}
	return all
}

// stat is what is wanted of /proc/PID/stat.
type stat struct {
	state         byte
	parent, group int
	ticks         [4]int64 // user, system, and the same of its children that it has waited for; in 1/100 s
	threads       int
}

func (s stat) ended() bool { return s.state == 'Z' || s.state == 'X' }

func readStat(pid int) (s stat, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return s, err
	}
	// The command name, in parentheses, may hold anything: what follows begins after the last one.
	f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(f) < 18 {
		return s, fmt.Errorf("/proc/%d/stat: %d fields", pid, len(f))
	}
	number := func(field int) int64 { // as proc(5) counts them, from 1
		n, e := strconv.ParseInt(f[field-3], 10, 64)
		err = errors.Join(err, e)
		return n
	}
	s.state = f[0][0]
	s.parent, s.group = int(number(4)), int(number(5))
	for i := range s.ticks {
		s.ticks[i] = number(14 + i)
	}
	s.threads = int(number(20))
	return s, err
}

// endLimit is how long a room is given to end by itself before it is made to. endPatience is how long killing a tree may
// take before it is given up as impossible, but for so many looks at it: a large tree, or a loop of the idle class, dies
// slowly on a busy machine.
const (
	endLimit    = 800 * time.Millisecond
	endPatience = 5 * time.Second
	endLooks    = 10
)

// pause waits between two looks at a tree that is ending, longer each time.
func pause(look int) {
	time.Sleep(min(time.Duration(look+1)*250*time.Microsecond, 10*time.Millisecond))
}

// endDescendants kills everything this process started, stopped, forking and in other sessions alike, and returns when
// nothing is left. This process must be a subreaper or PID 1, so that an orphan cannot leave, and must be about to
// exit: whoever else waits for a child finds it gone.
func endDescendants() error {
	for start, look := time.Now(), 0; ; look++ {
		all := Descendants(os.Getpid())
		for _, pid := range all {
			unix.Kill(pid, unix.SIGKILL) // it may have ended in between
		}
		for {
			pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
			if err == unix.ECHILD { // the kernel's word that nothing is left
				return nil
			}
			if err != unix.EINTR && pid <= 0 {
				break
			}
		}
		if look > endLooks && time.Since(start) > endPatience {
			return fmt.Errorf("processes %v do not end", all)
		}
		pause(look)
	}
}
