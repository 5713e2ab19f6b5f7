package uring

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Supported is nil if a Ring works here, or says why not and what to do. The error is one of Open's kinds. It tries a
// ring, any thread will do.
func Supported() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r, err := Open(Config{Entries: 8, Buffers: 8, BufferLen: 64, Files: 1})
	if err != nil {
		return err
	}
	defer r.Close()
	if err := r.probe(); err != nil {
		return err
	}
	return r.Wait(1, 1)
}

// operations are the ones that Ring has methods for.
var operations = []struct {
	name string
	op   int
}{
	{"POLL_ADD", opPollAdd}, {"ACCEPT", opAccept}, {"ASYNC_CANCEL", opAsyncCancel}, {"SEND", opSend}, {"RECV", opRecv},
}

// probe asks the kernel for the operations.
func (r *Ring) probe() error {
	var p probe
	if err := r.register(registerProbe, unsafe.Pointer(&p), uintptr(len(p.ops))); err != nil {
		return err
	}
	for _, o := range operations {
		if p.ops[o.op].flags&1 == 0 {
			return fmt.Errorf("io_uring: this kernel was built without %s: %w", o.name, errors.ErrUnsupported)
		}
	}
	return nil
}

// refused explains why the kernel refused one of io_uring's system calls.
func refused(call string, errno unix.Errno) error {
	var u unix.Utsname
	unix.Uname(&u)                                                   // on failure the release stays empty
	disabled, _ := os.ReadFile("/proc/sys/kernel/io_uring_disabled") // absent before Linux 6.6
	return explain(call, errno, unix.ByteSliceToString(u.Release[:]), strings.TrimSpace(string(disabled)))
}

// explain is refused, given the kernel's release and its sysctl kernel.io_uring_disabled.
func explain(call string, errno unix.Errno, release, disabled string) error {
	why := ""
	switch {
	case errno == unix.ENOSYS:
		why = "this kernel (" + release + ") or sandbox has no io_uring: use Linux 6.0 or newer with CONFIG_IO_URING"
	case errno == unix.EINVAL && call == "setup":
		return fmt.Errorf("io_uring_setup: this kernel (%s) is too old: use Linux 6.0 or newer: %w", release, errors.ErrUnsupported)
	case errno == unix.EPERM && disabled == "2":
		why = "forbidden to all on this machine: sysctl kernel.io_uring_disabled=0 allows it"
	case errno == unix.EPERM && disabled == "1":
		why = "forbidden to ordinary users on this machine: be root, join the group in sysctl kernel.io_uring_group, or set kernel.io_uring_disabled=0"
	case errno == unix.EPERM, errno == unix.EACCES:
		why = "forbidden by a seccomp filter or a security module: in a container, allow io_uring_setup, io_uring_enter and io_uring_register " +
			"(docker run --security-opt seccomp=unconfined)"
	case errno == unix.ENOMEM:
		why = "too little memory for it: raise the limit of locked memory (ulimit -l) or make the ring smaller"
	case errno == unix.EEXIST:
		why = "called from another thread than opened the ring"
	case errno == unix.EBADR:
		why = "the kernel ran out of memory and lost completions"
	default:
		return fmt.Errorf("io_uring_%s: %w", call, errno)
	}
	return fmt.Errorf("io_uring_%s: %s: %w", call, why, errno)
}
