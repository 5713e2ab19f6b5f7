package proc

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// mode is a way to isolate a room. The zero value is not to.
type mode struct {
	User bool // in a user namespace, which is what an ordinary user needs for any of the others
	Map  bool // with the caller's ids mapped to themselves
	PID  bool // in a PID namespace, with a mount namespace for its /proc
	Net  bool
}

// modes lists the ways to try, best first. The first one that works is kept for the life of this process. Without an id
// map is how uid 0 without capabilities, root in a container, can still have a user namespace.
func modes(network bool) []mode {
	var all []mode
	add := func(pid, net bool) {
		all = append(all, mode{PID: pid, Net: net},
			mode{User: true, Map: true, PID: pid, Net: net}, mode{User: true, PID: pid, Net: net})
	}
	add(true, network)
	if network {
		add(false, true)
		add(true, false)
	}
	return append(all, mode{})
}

func (m mode) String() string {
	switch {
	case m.User && m.Map:
		return "in a user namespace"
	case m.User:
		return "in a user namespace without id map"
	}
	return "without a user namespace"
}

// attr is how a room of that mode is started.
func (m mode) attr() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} // a room that is no PID 1 must have the time to end its tree
	if m.PID {
		a.Pdeathsig = syscall.SIGKILL
		a.Cloneflags |= unix.CLONE_NEWPID | unix.CLONE_NEWNS
	}
	if m.Net {
		a.Cloneflags |= unix.CLONE_NEWNET
	}
	if m.User {
		a.Cloneflags |= unix.CLONE_NEWUSER
		a.AmbientCaps = roomCaps
	}
	if m.Map {
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
	}
	return a
}

// roomCaps is what a room has in a user namespace of its own: to bring interfaces up, to mount /proc and enter namespaces,
// and, for a part that is Admin, to send and receive frames.
var roomCaps = []uintptr{unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN, unix.CAP_NET_RAW}

// refusal is why the machine does not let a room have its mode.
type refusal struct {
	mode  mode
	stage string
	errno syscall.Errno
}

func (r refusal) Error() string {
	return fmt.Sprintf("%s: %s: %v (%s)", r.mode, r.stage, r.errno, r.because())
}

// because names what on this machine most likely refuses, so that the user can change it.
func (r refusal) because() string {
	is := func(path, value string) bool {
		text, err := os.ReadFile(path)
		return err == nil && strings.TrimSpace(string(text)) == value
	}
	switch {
	case r.errno == unix.ENOSPC:
		return limitReached(r.mode)
	case r.errno == unix.EINVAL || r.errno == unix.ENOSYS:
		return "this kernel was built without that kind of namespace"
	case r.stage == stageProc:
		return "a part of /proc is masked here, as in containers, so it cannot be mounted afresh"
	case !r.mode.User:
		return "CAP_SYS_ADMIN is missing"
	case is("/proc/sys/kernel/unprivileged_userns_clone", "0"):
		return "kernel.unprivileged_userns_clone is 0: root can set it to 1 with sysctl -w"
	case is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"):
		return "kernel.apparmor_restrict_unprivileged_userns is 1: root can set it to 0 with sysctl -w, or give this program an AppArmor profile that allows userns"
	case seccompActive():
		return "a seccomp filter is active, Seccomp: 2 in /proc/self/status; allow it by a profile or with --cap-add SYS_ADMIN"
	case r.mode.Map && os.Geteuid() == 0:
		return "root without CAP_SETFCAP may not write the id map"
	}
	return "this process is not allowed to, as in a chroot or under a security module"
}

func seccompActive() bool {
	text, err := os.ReadFile("/proc/self/status")
	return err == nil && strings.Contains(string(text), "\nSeccomp:\t2\n")
}

// limitReached names the namespace limit that is 0, or else those that may have been reached.
func limitReached(m mode) string {
	var maybe []string
	for _, l := range []struct {
		used bool
		name string
	}{{m.User, "user"}, {m.PID, "pid"}, {m.PID, "mnt"}, {m.Net, "net"}} {
		if !l.used {
			continue
		}
		name := "max_" + l.name + "_namespaces"
		text, err := os.ReadFile("/proc/sys/user/" + name)
		value := strings.TrimSpace(string(text))
		if err == nil && value == "0" {
			return "user." + name + " is 0: root can raise it with sysctl -w"
		}
		maybe = append(maybe, "user."+name+"="+value)
	}
	return "a limit is reached: " + strings.Join(maybe, ", ")
}

// permanent tells a refusal by the machine from a shortage that may pass.
func permanent(errno syscall.Errno) bool {
	switch errno {
	case unix.EAGAIN, unix.ENOMEM, unix.EMFILE, unix.ENFILE, unix.EINTR:
		return false
	}
	return true
}

// found remembers, for rooms without and with a network, which mode works here and why no better one does.
var found struct {
	sync.Mutex
	byNetwork [2]*finding
}

type finding struct {
	mode mode
	why  string
}

// findMode calls try with the mode known to work here, or with one after the other until one is not refused.
func findMode(network bool, try func(mode) error) (finding, error) {
	i := 0
	if network {
		i = 1
	}
	found.Lock()
	known := found.byNetwork[i]
	found.Unlock()
	if known != nil {
		return *known, try(known.mode)
	}
	var why []string
	for n, m := range modes(network) {
		err := try(m)
		var no refusal
		if errors.As(err, &no) {
			if n < 3 { // the ways to have everything; the later ones fail for the same reasons
				why = append(why, no.Error())
			}
			continue
		}
		f := finding{m, ""}
		if !m.PID || m.Net != network {
			f.why = strings.Join(why, "; ")
		}
		if err == nil {
			found.Lock()
			found.byNetwork[i] = &f
			found.Unlock()
		}
		return f, err
	}
	return finding{}, errors.New(strings.Join(why, "; "))
}
