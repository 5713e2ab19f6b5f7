package proc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// inside is the room's own side.
type inside struct {
	order order
	tell  *json.Encoder // used by one goroutine at a time: the main one, then reap

	own  int   // the room's own network namespace, where Ends are made
	ends []int // the others

	mu     sync.Mutex
	live   map[int]int // pid → part
	strays chan struct{}
}

// runRoom is the room process. Its control pipe is its standard input.
func runRoom() (status int) {
	// Affinity, scheduling and capabilities, which the parts inherit, and their death signal are this thread's.
	runtime.LockOSThread()
	unix.CloseOnExec(eventsFD)
	control := json.NewDecoder(os.Stdin)
	r := &inside{
		tell:   json.NewEncoder(os.NewFile(eventsFD, "events")),
		live:   map[int]int{},
		strays: make(chan struct{}, 1),
	}
	if err := control.Decode(&r.order); err != nil {
		if errors.Is(err, io.EOF) {
			return 0 // the parent is gone, or has thought better of it
		}
		fmt.Fprintln(os.Stderr, "read the order:", err)
		return 1
	}

	// From here on the default action of these, to die at once, would leave the tree behind. SIGPIPE is what a complaint
	// on standard error gets when the parent is gone.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGHUP, unix.SIGPIPE)
	parentGone := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin) // however it ends, nobody is there any more
		close(parentGone)
	}()

	started, err := r.open()
	if started && err == nil {
		go r.reap()
		go r.sweep()
		select {
		case <-signals:
		case <-parentGone:
		}
	}
	if !r.order.Mode.PID { // PID 1 need not: the kernel ends a PID namespace with it
		err = errors.Join(err, endDescendants())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// open makes the room ready, starts the parts and tells the parent what came of it; the error is one of telling.
func (r *inside) open() (started bool, err error) {
	for fd := partsFD; fd < partsFD+3*len(r.order.Parts); fd++ {
		unix.CloseOnExec(fd) // or one part would hold the ends of another
	}
	if stage, err := r.prepare(); err != nil {
		var errno syscall.Errno
		if stage != stageSelf && errors.As(err, &errno) && permanent(errno) {
			return false, r.tell.Encode(event{Refused: stage, Errno: errno})
		}
		return false, r.tell.Encode(event{Failed: fmt.Sprintf("%s: %v", stage, err)})
	}
	pids := []int{}
	for i, p := range r.order.Parts {
		pid, err := r.startPart(i, p)
		if err != nil {
			return false, r.tell.Encode(event{Failed: err.Error()})
		}
		r.live[pid] = i
		pids = append(pids, pid)
	}
	return true, r.tell.Encode(event{Started: pids})
}

// prepare isolates this process as the mode says. The error is of a stage that another mode does without, or of stageSelf.
func (r *inside) prepare() (stage string, err error) {
	m := r.order.Mode
	if m.PID {
		// A private tree first: or our /proc would appear on the host.
		if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return stageProc, err
		}
		if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
			return stageProc, err
		}
	} else if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return stageSelf, fmt.Errorf("become a subreaper: %w", err)
	}
	if m.Net {
		if err := loopbackUp(); err != nil {
			return stageLo, err
		}
	}
	if r.order.Ends > 0 && m.Net {
		if err := r.makeEnds(); err != nil {
			return stageEnds, err
		}
	}
	if m.User {
		// The parts run with what the user had, not with what the room needed, but for those that are to have it.
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
			return stageSelf, fmt.Errorf("drop the ambient capabilities: %w", err)
		}
	}
	return "", nil
}

// makeEnds makes the further network namespaces. This thread goes into each and comes back.
func (r *inside) makeEnds() (err error) {
	here := func() (int, error) {
		return unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	if r.own, err = here(); err != nil {
		return err
	}
	for range r.order.Ends {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		if err := loopbackUp(); err != nil {
			return err
		}
		fd, err := here()
		if err != nil {
			return err
		}
		r.ends = append(r.ends, fd)
	}
	return unix.Setns(r.own, unix.CLONE_NEWNET)
}

// loopbackUp makes 127.0.0.1 and ::1 usable; the kernel adds the addresses by itself.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}

// reap waits for everything that ends in this room, parts and orphans, and tells the parent of the parts.
func (r *inside) reap() {
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil { // ECHILD: nothing is left in this room, so nothing can come any more
			return
		}
		r.mu.Lock()
		part, ok := r.live[pid]
		delete(r.live, pid)
		r.mu.Unlock()
		if !ok {
			continue
		}
		select {
		case r.strays <- struct{}{}:
		default: // it is about to look
		}
		if err := r.tell.Encode(event{Ended: &ended{part, ws}}); err != nil {
			fmt.Fprintln(os.Stderr, "report an exit:", err) // the parent is gone: the control pipe says so too
		}
	}
}

// sweep ends what a part leaves behind when it ends: by then the kernel has made it this room's children.
func (r *inside) sweep() {
	for range r.strays {
		for look := 0; ; look++ {
			left := Children(os.Getpid())
			r.mu.Lock()
			left = slices.DeleteFunc(left, func(pid int) bool { _, ok := r.live[pid]; return ok })
			r.mu.Unlock()
			if len(left) == 0 {
				break
			}
			for _, pid := range left {
				unix.Kill(pid, unix.SIGKILL)
				for _, d := range Descendants(pid) {
					unix.Kill(d, unix.SIGKILL)
				}
			}
			pause(look)
		}
	}
}
