package uring

import (
	"errors"
	"io/fs"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/testenv"
)

// supported skips the test where there is no io_uring.
func supported(t testing.TB) {
	t.Helper()
	err := Supported()
	if err == nil {
		return
	}
	testenv.Skip(t, "iouring", err.Error())
}

func TestExplain(t *testing.T) {
	for _, c := range []struct {
		call     string
		errno    unix.Errno
		disabled string
		kind     error
		says     string
	}{
		{"setup", unix.ENOSYS, "", errors.ErrUnsupported, "Linux 6.0"},
		{"setup", unix.EINVAL, "0", errors.ErrUnsupported, "5.15.0-9 is too old"},
		{"setup", unix.EPERM, "2", fs.ErrPermission, "kernel.io_uring_disabled=0"},
		{"setup", unix.EPERM, "1", fs.ErrPermission, "io_uring_group"},
		{"enter", unix.EPERM, "0", fs.ErrPermission, "seccomp"},
		{"setup", unix.EPERM, "", fs.ErrPermission, "seccomp"},
		{"setup", unix.EACCES, "0", fs.ErrPermission, "security module"},
		{"setup", unix.ENOMEM, "0", unix.ENOMEM, "ulimit -l"},
		{"register", unix.EINVAL, "0", unix.EINVAL, "io_uring_register: invalid argument"},
	} {
		err := explain(c.call, c.errno, "5.15.0-9", c.disabled)
		if !errors.Is(err, c.kind) || !strings.Contains(strings.ReplaceAll(err.Error(), "(5.15.0-9)", "5.15.0-9"), c.says) {
			t.Errorf("%s, %v, %q: %v", c.call, c.errno, c.disabled, err)
		}
	}
}

// A seccomp filter such as containers have, on a thread of its own, which ends with the test.
func TestForbidden(t *testing.T) {
	supported(t)
	got := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		filter := []unix.SockFilter{
			{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the number of the system call
			{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_IO_URING_SETUP, Jf: 1},
			{Code: unix.BPF_RET | unix.BPF_K, K: 0x50000 | uint32(unix.EPERM)}, // SECCOMP_RET_ERRNO
			{Code: unix.BPF_RET | unix.BPF_K, K: 0x7fff0000},                   // SECCOMP_RET_ALLOW
		}
		program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
		err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		if err == nil {
			err = unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
		}
		if err == nil {
			err = Supported()
		}
		got <- err
	}()
	if err := <-got; !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "seccomp") {
		t.Errorf("%v", err)
	}
}
