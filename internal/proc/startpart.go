package proc

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// startPart starts part i from the calling thread, which must be locked: the part inherits its affinity, which the Go
// runtime counts at its start, and its scheduling. Both are put back before it returns.
func (r *inside) startPart(i int, p Part) (pid int, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("start part %s: %w", p.Name, err)
		}
	}()
	var files [3]uintptr
	for f := range files {
		files[f] = uintptr(partsFD + 3*i + f)
		defer unix.Close(int(files[f])) // only the part holds them, so that their ends are seen when it ends
	}
	if p.CPUs != nil {
		restore, err := pin(p.CPUs)
		if err != nil {
			return 0, err
		}
		defer restore()
	}
	if p.RealTime {
		restore, err := realTime()
		if err != nil {
			return 0, err
		}
		defer restore()
	}
	if p.End > 0 && len(r.ends) > 0 {
		if err := unix.Setns(r.ends[p.End-1], unix.CLONE_NEWNET); err != nil {
			return 0, fmt.Errorf("enter its network namespace: %w", err)
		}
		defer unix.Setns(r.own, unix.CLONE_NEWNET) // as before
	}
	var caps []uintptr
	handed := files[:]
	switch user := r.order.Mode.User; {
	case p.Admin:
		for _, end := range r.ends {
			handed = append(handed, uintptr(end))
		}
		if user {
			caps = roomCaps
		}
	case p.NetAdmin && user:
		caps = []uintptr{unix.CAP_NET_ADMIN}
	}
	env := (&exec.Cmd{Env: append(os.Environ(), p.Env...)}).Environ() // of equal names the last one
	if p.Keeper {
		return restart([]string{partName, p.Name, "keeper"}, env, handed, syscall.SIGTERM, caps) // it ends its tree first
	}
	return restart([]string{partName, p.Name}, env, handed, syscall.SIGKILL, caps)
}

// restart starts this binary anew.
func restart(args, env []string, files []uintptr, death syscall.Signal, caps []uintptr) (pid int, err error) {
	return syscall.ForkExec("/proc/self/exe", args, &syscall.ProcAttr{
		Env: env, Files: files, Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: death, AmbientCaps: caps},
	})
}

// Fork starts the named part of this binary outside of any room, with files as its descriptors from 0 on. It is the child
// of the calling thread, which must be locked: the part dies with that thread, and wait4 with WNOTHREAD waits for it.
func Fork(name string, files []uintptr) (pid int, err error) {
	if registered[name] == nil {
		return 0, fmt.Errorf("start part %s: proc.Main was not told of it at the start of this program", name)
	}
	starting.Lock()
	defer starting.Unlock()
	if pid, err = restart([]string{partName, name}, os.Environ(), files, syscall.SIGKILL, nil); err != nil {
		err = fmt.Errorf("start part %s: %w", name, err)
	}
	return pid, err
}

func pin(cpus []int) (restore func(), err error) {
	var before, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, fmt.Errorf("read the CPU mask: %w", err)
	}
	for _, c := range cpus {
		set.Set(c)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("pin to CPUs %v: %w", cpus, err)
	}
	return func() { unix.SchedSetaffinity(0, &before) }, nil // what was allowed a moment ago
}

// RealTime puts a thread, 0 is the calling one, before all others that are not: SCHED_RR, priority 1. It takes CAP_SYS_NICE.
func RealTime(tid int) error {
	return unix.SchedSetAttr(tid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1}, 0)
}

func realTime() (restore func(), err error) {
	before, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return nil, fmt.Errorf("read the scheduling policy: %w", err)
	}
	if err := RealTime(0); err != nil {
		return nil, fmt.Errorf("real-time scheduling: %w (it needs CAP_SYS_NICE or a limit on RLIMIT_RTPRIO above 0)", err)
	}
	return func() { unix.SchedSetAttr(0, before, 0) }, nil // to leave real time is always allowed
}
