package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/sockbench/sockbench/internal/proc"
	"github.com/sockbench/sockbench/internal/uring"
	"github.com/sockbench/sockbench/netpath"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/unit"
)

// Parts are the processes of this package, for lab.Main.
var Parts = map[string]func(io.Reader, io.Writer) error{insidePart: lookInside}

const insidePart = "doctor"

// inside is what a process sees that is where the parts of a trial are.
type inside struct {
	Sysctls map[string]string `json:"sysctls"`
	Path    string            `json:"path"` // why no path can be emulated; "": one can
}

// lookInside is that process.
func lookInside(_ io.Reader, out io.Writer) error {
	h := host{tree: os.DirFS("/")}
	seen := inside{Sysctls: map[string]string{}}
	names := []string{"net.ipv4.ip_local_port_range"}
	for _, s := range limits {
		names = append(names, s.name)
	}
	for _, name := range names {
		if v, err := h.sysctl(name); err == nil { // what is not there is of the whole machine
			seen.Sysctls[name] = v
		}
	}
	one := netpath.Dir{Delay: unit.Duration(time.Millisecond)}
	path, err := netpath.Open(netpath.Spec{Up: one, Down: one}, 1, proc.EndsFD, proc.EndsFD+1)
	if err == nil {
		_, err = path.Close()
	}
	if err != nil {
		seen.Path = err.Error()
	}
	return json.NewEncoder(out).Encode(seen)
}

// enter opens a room as a trial with a path does, and looks around.
func enter(ctx context.Context) (seen inside, is proc.Isolation, err error) {
	room, err := proc.Open(ctx, proc.Config{Network: true, Ends: 2, Parts: []proc.Part{{Name: insidePart, Admin: true}}})
	if err != nil {
		return seen, is, err
	}
	defer func() { err = errors.Join(err, room.Close()) }()
	p, is := room.Part(0), room.Isolation()
	stop := context.AfterFunc(ctx, func() { room.Close() })
	defer stop()
	if err := json.NewDecoder(p.Stdout).Decode(&seen); err != nil {
		return seen, is, fmt.Errorf("look into a room: %w: %s %s", err, p.Exit(), p.Stderr())
	}
	return seen, is, nil
}

// isolation says what of its own a trial can have.
func isolation(ctx context.Context, e *exam) ([]Line, error) {
	seen, is, err := enter(ctx)
	if err != nil {
		return nil, err
	}
	if is.Network {
		e.inside = seen.Sysctls
	}
	return []Line{judgeNamespaces(is), judgePath(is, seen.Path), judgeRing(uring.Supported()), judgeRealTime(tryRealTime())}, nil
}

// remedies are the sysctls that a reason may name, and what to make of them.
var remedies = []struct{ name, value string }{
	{"kernel.unprivileged_userns_clone", "1"},
	{"kernel.apparmor_restrict_unprivileged_userns", "0"},
	{"user.max_user_namespaces", "10000"},
	{"user.max_pid_namespaces", "10000"},
	{"user.max_mnt_namespaces", "10000"},
	{"user.max_net_namespaces", "10000"},
	{"kernel.io_uring_disabled", "0"},
}

// remedy is the command against a reason; otherwise where it knows none.
func remedy(why, otherwise string) string {
	for _, r := range remedies {
		if strings.Contains(why, r.name) {
			return "sysctl -w " + r.name + "=" + r.value
		}
	}
	return otherwise
}

func judgeNamespaces(is proc.Isolation) Line {
	l := Line{Looked: "namespaces", Verdict: results.OK, Measured: "trials have their own network, PIDs and mounts",
		Disturbs: "trials that share the host's: its counters, ports and route metrics are not theirs alone, and what they start may outlive a kill -9"}
	if is.Network && is.PID {
		return l
	}
	has := []string{}
	for _, n := range []struct {
		it   bool
		name string
	}{{is.Network, "network"}, {is.PID, "PIDs"}} {
		if !n.it {
			has = append(has, n.name)
		}
	}
	l.Verdict, l.Measured = results.Warn, "trials have no "+strings.Join(has, " and no ")+" of their own: "+is.Why
	l.Fix = remedy(is.Why, "run as root with CAP_SYS_ADMIN, or allow user namespaces (in a container: --security-opt seccomp=unconfined)")
	return l
}

func judgePath(is proc.Isolation, why string) Line {
	l := Line{Looked: "emulated paths", Verdict: results.OK, Measured: "possible: one with 1 ms each way was made and taken away", Disturbs: "the knobs path, fault and sysctl.…: their trials fail where none can be made"}
	switch {
	case !is.Network:
		l.Verdict, l.Measured = results.Warn, "not possible: they take network namespaces"
		l.Fix = remedy(is.Why, "as for namespaces")
	case why != "":
		l.Verdict, l.Measured, l.Fix = results.Warn, "not possible: "+why, "load what the kernel lacks: modprobe veth af_packet"
	}
	return l
}

func judgeRing(err error) Line {
	l := Line{Looked: "io_uring", Verdict: results.OK, Measured: "a ring was opened and asked for all operations in use", Disturbs: "target iouring and engine iouring: their trials fail without it"}
	if err != nil {
		l.Verdict, l.Measured = results.Note, "not possible: "+err.Error()
		l.Fix = remedy(err.Error(), "Linux 6.0 or newer; in a container --security-opt seccomp=unconfined")
	}
	return l
}

// tryRealTime puts a thread of its own into the real-time class for a moment.
func tryRealTime() error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocks: the thread ends
		done <- proc.RealTime(0)
	}()
	return <-done
}

func judgeRealTime(err error) Line {
	l := Line{Looked: "real time", Verdict: results.OK, Measured: "allowed: real_time=on puts both sides before all other programs", Disturbs: "nothing while real_time is off, the default; with it the tail of an open loop is steadier"}
	if err != nil {
		l.Verdict, l.Measured = results.Note, "not allowed: "+err.Error()
		l.Fix = "run as root with CAP_SYS_NICE, or allow it: ulimit -r 1"
	}
	return l
}
