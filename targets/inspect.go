package targets

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/proc"
	"github.com/sockbench/sockbench/internal/term"
)

// Inspection is what a process was found to be made of, at about one moment. Its fields come from /proc and from nothing
// that the process says of itself.
type Inspection struct {
	PID         int     `json:"pid"`
	Blocking    int     `json:"blocking"`    // TCP and UDP sockets without O_NONBLOCK, …
	NonBlocking int     `json:"nonblocking"` // … and with it
	Listening   int     `json:"listening"`   // of both, those of TCP that listen
	Datagram    int     `json:"datagram"`    // of both, those of UDP
	Watched     int     `json:"watched"`     // sockets in an epoll, …
	Edge        int     `json:"edge"`        // … and those of them that are watched edge-triggered
	Epolls      int     `json:"epolls"`      // that watch sockets; the Go runtime's own may be idle
	Rings       int     `json:"io_urings"`
	Threads     threads `json:"threads"`         // by what they are in
	Doubt       string  `json:"doubt,omitempty"` // why some threads are "unknown"; "": none is

	Children []Inspection `json:"children,omitempty"` // processes that it started, and those that these did
}

// threads counts threads by the system call they are in. "running" is in none or about to run; "unknown" could not be
// told; "read elsewhere" and the like are calls that wait for no TCP or UDP socket, and for no epoll that watches one.
type threads map[string]int

// ErrUnknown is the third answer to whether a process does what its model claims.
var ErrUnknown = errors.New("cannot tell")

// calls are the system calls that threads are found in; elder has those that newer architectures lack.
var calls = map[int64]string{
	unix.SYS_READ: "read", unix.SYS_READV: "readv", unix.SYS_RECVFROM: "recvfrom", unix.SYS_RECVMSG: "recvmsg", unix.SYS_RECVMMSG: "recvmmsg",
	unix.SYS_WRITE: "write", unix.SYS_WRITEV: "writev", unix.SYS_SENDTO: "sendto", unix.SYS_SENDMSG: "sendmsg",
	unix.SYS_ACCEPT: "accept", unix.SYS_ACCEPT4: "accept4", unix.SYS_EPOLL_PWAIT: "epoll_pwait", unix.SYS_EPOLL_PWAIT2: "epoll_pwait2",
	unix.SYS_PPOLL: "ppoll", unix.SYS_PSELECT6: "pselect6", unix.SYS_FUTEX: "futex", unix.SYS_IO_URING_ENTER: "io_uring_enter",
	unix.SYS_NANOSLEEP: "nanosleep", unix.SYS_CLOCK_NANOSLEEP: "clock_nanosleep", unix.SYS_WAIT4: "wait4", unix.SYS_WAITID: "waitid",
	unix.SYS_RT_SIGTIMEDWAIT: "rt_sigtimedwait", unix.SYS_RESTART_SYSCALL: "restart_syscall",
}

// onSocket are the calls whose first argument is the descriptor they wait for.
var onSocket = []string{
	"read", "readv", "recvfrom", "recvmsg", "recvmmsg", "write", "writev", "sendto", "sendmsg", "accept", "accept4",
	"epoll_wait", "epoll_pwait", "epoll_pwait2",
}

// onMany are the calls that wait for a list of descriptors, which cannot be seen from outside.
var onMany = []string{"poll", "ppoll", "select", "pselect6"}

// Inspect looks at a process. Whose it is matters: for another user's it fails, and where ptrace is restricted
// (kernel.yama.ptrace_scope, a container) what its threads do may be unknown though its descriptors are not.
func Inspect(pid int) (Inspection, error) {
	i := Inspection{PID: pid, Threads: threads{}}
	dir, tables := filepath.Join("/proc", strconv.Itoa(pid)), inetTables{}
	if err := i.inspect(dir, tables); err != nil {
		if !exists(dir) {
			return i, fmt.Errorf("inspect process %d: there is no such process", pid)
		}
		if errors.Is(err, fs.ErrPermission) {
			err = fmt.Errorf("%w: it is another user's, or protected: try as root", err)
		}
		return i, fmt.Errorf("inspect process %d: %w", pid, err)
	}
	for _, child := range proc.Descendants(pid) {
		c := Inspection{PID: child, Threads: threads{}}
		if c.inspect(filepath.Join("/proc", strconv.Itoa(child)), tables) == nil { // else it has ended
			i.Children = append(i.Children, c)
		}
	}
	return i, nil
}

func (i *Inspection) inspect(dir string, tables inetTables) error {
	list, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return err
	}
	links, sockets := map[string]string{}, map[string]bool{}
	var epolls []string
	for _, e := range list {
		link, err := os.Readlink(filepath.Join(dir, "fd", e.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		switch {
		case link == "anon_inode:[eventpoll]":
			epolls = append(epolls, e.Name())
		case link == "anon_inode:[io_uring]":
			i.Rings++
		case strings.HasPrefix(link, "socket:"):
			links[e.Name()] = link
		}
	}
	inet, err := tables.kinds(dir, links)
	if err != nil {
		return err
	}
	for fd, kind := range inet {
		if i.socket(dir, fd, kind) {
			sockets[fd] = true
		}
	}
	waited := maps.Clone(sockets)
	for _, fd := range epolls {
		if n := i.epoll(dir, fd, sockets); n > 0 {
			i.Epolls++
			i.Watched += n
			waited[fd] = true
		}
	}
	return i.threads(dir, waited)
}

// Kinds of sockets.
const (
	streamSocket = iota
	listeningSocket
	datagramSocket
)

// inetTables are the kernel's tables of TCP and UDP sockets, by their namespace and name, each read when it is first
// needed: the kernel walks every bucket of a table, whoever asks, which takes 12 ms for each of TCP's.
type inetTables map[[2]string]map[string]int

// kinds says of which kind the sockets are that a process has by these links of /proc/PID/fd, those of TCP and UDP.
func (t inetTables) kinds(dir string, links map[string]string) (map[string]int, error) {
	space, err := os.Readlink(filepath.Join(dir, "ns", "net"))
	if err != nil {
		return nil, err
	}
	kinds := map[string]int{}
	for _, table := range []string{"tcp", "udp", "tcp6", "udp6"} {
		if len(kinds) == len(links) {
			break
		}
		key := [2]string{space, table}
		if t[key] == nil {
			if t[key], err = inetTable(dir, table); err != nil {
				return nil, err
			}
		}
		for fd, link := range links {
			if kind, ok := t[key][link]; ok {
				kinds[fd] = kind
			}
		}
	}
	return kinds, nil
}

// inetTable is one table of the process's network namespace: kinds by what /proc/PID/fd links to.
func inetTable(dir, table string) (map[string]int, error) {
	sockets := map[string]int{}
	b, err := os.ReadFile(filepath.Join(dir, "net", table))
	if errors.Is(err, fs.ErrNotExist) && strings.HasSuffix(table, "6") {
		return sockets, nil // a kernel without IPv6
	}
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 9 { // sl local remote st queues timer retransmits uid timeout inode
			kind := streamSocket
			if strings.HasPrefix(table, "udp") {
				kind = datagramSocket
			} else if f[3] == "0A" {
				kind = listeningSocket
			}
			sockets["socket:["+f[9]+"]"] = kind
		}
	}
	return sockets, nil
}

// socket counts a descriptor, unless it was closed meanwhile.
func (i *Inspection) socket(dir, fd string, kind int) bool {
	for _, f := range fdinfo(dir, fd) {
		if f[0] != "flags:" {
			continue
		}
		flags, err := strconv.ParseInt(f[1], 8, 64)
		if err != nil {
			return false
		}
		if flags&unix.O_NONBLOCK != 0 {
			i.NonBlocking++
		} else {
			i.Blocking++
		}
		switch kind {
		case listeningSocket:
			i.Listening++
		case datagramSocket:
			i.Datagram++
		}
		return true
	}
	return false
}

// epoll returns how many of the sockets an epoll watches.
func (i *Inspection) epoll(dir, fd string, sockets map[string]bool) (watched int) {
	for _, f := range fdinfo(dir, fd) { // tfd: 5 events: 19 data: …
		if len(f) < 4 || f[0] != "tfd:" || !sockets[f[1]] {
			continue
		}
		watched++
		if events, err := strconv.ParseUint(f[3], 16, 32); err == nil && events&unix.EPOLLET != 0 {
			i.Edge++
		}
	}
	return watched
}

// fdinfo is the lines of a descriptor's fdinfo that have a key and a value; none if it is gone.
func fdinfo(dir, fd string) (lines [][]string) {
	b, err := os.ReadFile(filepath.Join(dir, "fdinfo", fd))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 {
			lines = append(lines, f)
		}
	}
	return lines
}

// threads counts what the threads are in. waited are the descriptors that it matters to wait for: sockets, and epolls
// that watch them.
func (i *Inspection) threads(dir string, waited map[string]bool) error {
	list, err := os.ReadDir(filepath.Join(dir, "task"))
	if err != nil {
		return err
	}
	for _, e := range list {
		b, err := os.ReadFile(filepath.Join(dir, "task", e.Name(), "syscall"))
		if errors.Is(err, unix.ESRCH) || errors.Is(err, fs.ErrNotExist) && !exists(filepath.Join(dir, "task", e.Name())) {
			continue // it ended
		}
		if err != nil {
			i.Threads["unknown"]++
			i.Doubt = fmt.Sprintf("%v (it takes the right to ptrace: see kernel.yama.ptrace_scope, or try as root)", err)
			continue
		}
		i.Threads[doing(string(b), waited)]++
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// doing reads a line of /proc/PID/task/TID/syscall: "running", or number, arguments in hex, stack and instruction pointer.
func doing(line string, waited map[string]bool) string {
	f := strings.Fields(line)
	if len(f) == 0 {
		return "unknown"
	}
	if f[0] == "running" {
		return "running"
	}
	number, err := strconv.ParseInt(f[0], 10, 64)
	if err != nil || number < 0 || len(f) < 2 {
		return "no system call" // a page fault, a stop
	}
	name := calls[number]
	if name == "" {
		name = elder[number]
	}
	if name == "" {
		return "system call " + f[0]
	}
	fd, err := strconv.ParseUint(strings.TrimPrefix(f[1], "0x"), 16, 64)
	if slices.Contains(onSocket, name) && (err != nil || !waited[strconv.FormatUint(fd, 10)]) {
		name += " elsewhere"
	}
	return name
}

// String is one line: "9 sockets (1 listening), all blocking; 14 threads: 8 in read, 1 in accept4, 5 in futex; no epoll".
func (i Inspection) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s (%d listening", term.Count(i.Blocking+i.NonBlocking, "socket"), i.Listening)
	if i.Datagram > 0 {
		fmt.Fprintf(&s, ", %d of UDP", i.Datagram)
	}
	s.WriteString(")")
	switch {
	case i.NonBlocking == 0 && i.Blocking > 0:
		s.WriteString(", all blocking")
	case i.Blocking == 0 && i.NonBlocking > 0:
		s.WriteString(", all non-blocking")
	case i.Blocking > 0:
		fmt.Fprintf(&s, ", %d blocking, %d non-blocking", i.Blocking, i.NonBlocking)
	}
	names := slices.SortedFunc(maps.Keys(i.Threads), func(a, b string) int {
		if d := i.Threads[b] - i.Threads[a]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	var each strings.Builder
	all, sep := 0, ": "
	for _, name := range names {
		all += i.Threads[name]
		in := "in "
		if name == "running" || name == "unknown" {
			in = ""
		}
		fmt.Fprintf(&each, "%s%d %s%s", sep, i.Threads[name], in, name)
		sep = ", "
	}
	fmt.Fprintf(&s, "; %s%s", term.Count(all, "thread"), &each)
	switch {
	case i.Epolls == 0:
		s.WriteString("; no epoll")
	case i.Edge == i.Watched:
		fmt.Fprintf(&s, "; %d epoll, edge-triggered", i.Epolls)
	default:
		fmt.Fprintf(&s, "; %d epoll", i.Epolls)
	}
	if i.Rings > 0 {
		fmt.Fprintf(&s, "; %d io_uring", i.Rings)
	}
	if i.Doubt != "" {
		fmt.Fprintf(&s, " (what threads do cannot be told: %s)", i.Doubt)
	}
	if n := len(i.Children); n > 0 {
		fmt.Fprintf(&s, "; started %d processes, the first: %s", n, i.Children[0])
	}
	return s.String()
}
