package proc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Config is what to start. The zero value is an empty room.
type Config struct {
	Network      bool // in a fresh network namespace with lo up
	Ends         int  // further network namespaces, with lo up, for parts to be in; with Network
	NoNamespaces bool // in none at all, as where the machine refuses them; so does SOCKBENCH_NO_NAMESPACES=1
	Parts        []Part
}

// Part is one process of a room: the function that Main was given under its name.
type Part struct {
	Name     string
	CPUs     []int    // the CPUs it may use; nil: the caller's
	RealTime bool     // SCHED_RR, priority 1; an error where that is not allowed
	Env      []string // added to the caller's environment
	Keeper   bool     // it starts processes of its own: they end with it
	End      int      // the network namespace it is in: 0, the room's own, or one of Ends, from 1 on
	Admin    bool     // with what the room needed to make namespaces: CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN in them, and the Ends as its descriptors from EndsFD on
	NetAdmin bool     // with CAP_NET_ADMIN in the room's user namespace, which an ordinary user has too: congestion controls that are not everybody's
}

// EndsFD is the first of the descriptors by which a part that is Admin has the room's Ends.
const EndsFD = 3

// Isolation is what a room attained of what was asked. A PID namespace is always wanted.
type Isolation struct {
	Network bool
	PID     bool
	Why     string // why not all of it; "" when nothing is missing
}

// Room is a live room. Its methods are safe for concurrent use.
type Room struct {
	cmd       *exec.Cmd
	control   *os.File
	errs      *stderr
	eventsEnd *os.File
	events    *json.Decoder // used by begin, then by watch
	parts     []*Process
	isolation Isolation
	gone      chan struct{} // the room process has ended and was waited for
	closing   sync.Once
	closed    error
}

// openLimit is how long a room may take to start its parts, on the most loaded machine.
const openLimit = 10 * time.Second

// Open starts a room and its parts. It returns when the parts are started, not when they are ready. ctx bounds Open
// alone. What isolation the machine allows is found out by the first call. The caller must Close the room.
func Open(ctx context.Context, c Config) (*Room, error) {
	if registered == nil {
		return nil, errors.New("open a room: proc.Main was not called at the start of this program")
	}
	for _, p := range c.Parts {
		if registered[p.Name] == nil {
			return nil, fmt.Errorf("open a room: no part is called %q", p.Name)
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, openLimit, fmt.Errorf("it was not ready within %v", openLimit))
	defer cancel()
	var r *Room
	try := func(m mode) (err error) {
		r, err = start(ctx, c, m)
		return err
	}
	var f finding
	var err error
	if c.NoNamespaces || os.Getenv("SOCKBENCH_NO_NAMESPACES") == "1" {
		f.why = "namespaces are switched off"
		err = try(f.mode)
	} else {
		f, err = findMode(c.Network, try)
	}
	if err != nil {
		return nil, fmt.Errorf("open a room: %w", err)
	}
	r.isolation.Why = f.why
	return r, nil
}

// start starts a room in mode m. The error is a refusal if the machine does not allow it.
func start(ctx context.Context, c Config, m mode) (r *Room, err error) {
	pipes := &pipes{}
	defer pipes.closeChildEnds()
	defer func() {
		if err != nil && r == nil {
			pipes.closeParentEnds()
		}
	}()
	control := pipes.toChild()
	errs := pipes.fromChild()
	events := pipes.fromChild()
	var ends [][3]pipe
	files := []*os.File{events.child}
	for range c.Parts {
		e := [3]pipe{pipes.toChild(), pipes.fromChild(), pipes.fromChild()}
		ends = append(ends, e)
		files = append(files, e[0].child, e[1].child, e[2].child)
	}
	if pipes.err != nil {
		return nil, pipes.err
	}
	cmd := &exec.Cmd{Path: "/proc/self/exe", Args: []string{roomName}, Stdin: control.child, Stderr: errs.child,
		ExtraFiles: files, SysProcAttr: m.attr()}
	if err := Start(cmd); err != nil {
		var errno syscall.Errno
		if m != (mode{}) && errors.As(err, &errno) && permanent(errno) {
			return nil, refusal{m, stageClone, errno}
		}
		return nil, fmt.Errorf("start the room process: %w", err)
	}
	pipes.closeChildEnds()

	r = &Room{cmd: cmd, control: control.parent, errs: keepStderr(errs.parent), eventsEnd: events.parent,
		events: json.NewDecoder(events.parent), isolation: Isolation{Network: m.Net, PID: m.PID},
		gone: make(chan struct{})}
	for i, p := range c.Parts {
		r.parts = append(r.parts, newProcess(p.Name, ends[i][0].parent, ends[i][1].parent, ends[i][2].parent))
	}
	stop := context.AfterFunc(ctx, func() {
		events.parent.SetReadDeadline(time.Unix(1, 0))
		control.parent.SetWriteDeadline(time.Unix(1, 0))
	})
	err = r.begin(order{m, c.Ends, c.Parts})
	if !stop() {
		err = context.Cause(ctx)
	}
	go r.watch()
	if err == nil {
		return r, nil
	}
	err = errors.Join(err, r.Close())
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("the room process ended at its start: %s: %s", exitText(waitStatus(cmd)), r.errs)
	}
	return nil, err
}

// begin gives the order and waits for the answer.
func (r *Room) begin(o order) error {
	if err := json.NewEncoder(r.control).Encode(o); err != nil && !errors.Is(err, unix.EPIPE) { // then it tells why, below
		return fmt.Errorf("give the order: %w", err)
	}
	var e event
	if err := r.events.Decode(&e); err != nil {
		return fmt.Errorf("wait for the room process: %w", err)
	}
	switch {
	case e.Refused != "":
		return refusal{o.Mode, e.Refused, e.Errno}
	case e.Failed != "":
		return errors.New(e.Failed)
	}
	r.lookUp(e.Started)
	return nil
}

// lookUp finds the pids the parent knows the parts by: their own numbers for themselves are in NSpid.
func (r *Room) lookUp(pids []int) {
	for _, pid := range Descendants(r.cmd.Process.Pid) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(text), "\nNSpid:")
		line, _, _ := strings.Cut(rest, "\n")
		all := strings.Fields(line)
		if len(all) == 0 {
			continue
		}
		inner, err := strconv.Atoi(all[len(all)-1])
		if i := slices.Index(pids, inner); err == nil && i >= 0 && r.parts[i].PID() == 0 {
			r.parts[i].handle, _ = os.FindProcess(pid) // never fails on Linux
		}
	}
}

// watch passes on what the room tells, until it has ended.
func (r *Room) watch() {
	r.eventsEnd.SetReadDeadline(time.Time{})
	for {
		var e event
		if r.events.Decode(&e) != nil {
			break // the room process, the only one to hold the other end, has ended
		}
		if e.Ended != nil {
			r.parts[e.Ended.Part].end(exitText(e.Ended.Status))
		}
	}
	r.cmd.Wait() // what it says is in ProcessState
	<-r.errs.drained
	how := "its room ended: " + exitText(waitStatus(r.cmd))
	for _, p := range r.parts {
		p.end(how)
	}
	close(r.gone)
}

// Part returns the part at that place of Config.Parts.
func (r *Room) Part(i int) *Process { return r.parts[i] }

// Isolation says what the room attained.
func (r *Room) Isolation() Isolation { return r.isolation }

// Close ends everything in the room and returns when no process of it is left, within about a second. Twice is fine.
func (r *Room) Close() error {
	r.closing.Do(func() { r.closed = r.close() })
	return r.closed
}

func (r *Room) close() (err error) {
	if r.isolation.PID {
		r.cmd.Process.Kill() // it may have ended; its end is reported when everything in its namespace has
	}
	r.control.Close()
	select {
	case <-r.gone:
		err = r.leftovers()
	case <-time.After(endLimit + 50*time.Millisecond):
		err = r.force()
	}
	for _, p := range r.parts {
		p.close()
	}
	r.eventsEnd.Close()
	r.errs.close()
	if err != nil {
		return fmt.Errorf("close the room: %w", err)
	}
	return nil
}

// leftovers waits for the parts that a room without a PID namespace did not end itself, because it was killed: their
// death signals did, and keepers end their trees before they go.
func (r *Room) leftovers() error {
	if r.isolation.PID {
		return nil
	}
	if ws := waitStatus(r.cmd); ws.Exited() && ws.ExitStatus() != 0 {
		return errors.New(r.errs.String())
	}
	for _, p := range r.parts {
		for look := 0; p.lives(); look++ {
			if look > 100 {
				return fmt.Errorf("process %d, part %s, does not end", p.PID(), p.name)
			}
			pause(look)
		}
	}
	return nil
}

// killLimit is how long a killed room may take: its end waits for that of everything in its namespaces, which a machine
// short of CPU time puts off. A run is lost with a room that does not end.
const killLimit = 10 * time.Second

// force ends a room that does not do it by itself, because it is stopped. It goes last: until then it keeps the orphans.
func (r *Room) force() error {
	room := r.cmd.Process.Pid
	for look := 0; look < 20 && !allEnded(Descendants(room)); look++ {
		for _, pid := range Descendants(room) {
			unix.Kill(pid, unix.SIGKILL)
		}
		pause(look)
	}
	r.cmd.Process.Kill()
	select {
	case <-r.gone:
		return nil
	case <-time.After(killLimit):
		return fmt.Errorf("process %d does not end %s after SIGKILL", room, killLimit)
	}
}

func allEnded(pids []int) bool {
	return !slices.ContainsFunc(pids, func(pid int) bool {
		s, err := readStat(pid)
		return err == nil && !s.ended()
	})
}

func waitStatus(ended *exec.Cmd) syscall.WaitStatus {
	return ended.ProcessState.Sys().(syscall.WaitStatus)
}
