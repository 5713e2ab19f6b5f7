package proc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// program is the test binary as another program: the helper of that name.
func program(t *testing.T, name string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), append(env, helper+"="+name)...)
	cmd.Stderr = os.Stderr
	return cmd
}

// asNobody makes cmd run as an ordinary user, if this process may do that or is one.
func asNobody(t *testing.T, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	if os.Geteuid() == 0 {
		if cmd.SysProcAttr == nil {
			cmd.SysProcAttr = &syscall.SysProcAttr{}
		}
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	return cmd
}

func runHelper(name string) int {
	var err error
	switch name {
	case "isolation":
		err = showIsolation()
	case "room":
		holdRoom()
	case "no capabilities":
		err = withoutCapabilities()
	case "seccomp":
		err = withoutUserNamespaces()
	case "masked":
		err = withMaskedProc()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		return 1
	}
	return 0
}

// again replaces this process by the isolation helper, from the thread that holds what was changed.
func again() error {
	if err := os.Setenv(helper, "isolation"); err != nil {
		return err
	}
	return syscall.Exec("/proc/self/exe", os.Args, os.Environ())
}

// withoutCapabilities is root as in a container: uid 0 and nothing else.
func withoutCapabilities() error {
	runtime.LockOSThread()
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && err != unix.EINVAL {
			return err
		}
	}
	return again()
}

// withoutUserNamespaces refuses clone(CLONE_NEWUSER) as the filters of container engines do.
func withoutUserNamespaces() error {
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	load := uint16(unix.BPF_LD | unix.BPF_W | unix.BPF_ABS)
	filter := []unix.SockFilter{
		{Code: load, K: 0}, // the system call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 3, K: unix.SYS_CLONE},
		{Code: load, K: 16}, // its flags
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, Jf: 1, K: unix.CLONE_NEWUSER},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0); err != nil {
		return err
	}
	return again()
}

// withMaskedProc hides a part of /proc, as container engines do, in a mount namespace of its own, and goes on as nobody.
func withMaskedProc() error {
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("none", "/proc/fs", "tmpfs", 0, ""); err != nil {
		return err
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), helper+"=isolation")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	return cmd.Run()
}

type shown struct {
	Isolation Isolation
	Mode      mode
	Facts     facts
	UID       int
	Took      time.Duration // of the second room, from Open to Close, with the part's answer
}

// showIsolation opens two rooms, the second with what the first found out, and tells what it got.
func showIsolation() error {
	s := shown{UID: os.Getuid()}
	for range 2 {
		start := time.Now()
		r, err := Open(context.Background(), Config{Network: true, Parts: []Part{{Name: "report"}, {Name: "echo"}}})
		if err != nil {
			return err
		}
		if err := json.NewDecoder(r.Part(0).Stdout).Decode(&s.Facts); err != nil {
			return errors.Join(err, errors.New(r.Part(0).Stderr()), r.Close())
		}
		if err := r.Close(); err != nil {
			return err
		}
		s.Isolation, s.Took = r.Isolation(), time.Since(start)
	}
	if f := found.byNetwork[1]; f != nil {
		s.Mode = f.mode
	}
	return json.NewEncoder(os.Stdout).Encode(s)
}

// holdRoom holds a room with a keeper whose command does what it can to escape, until it is killed.
func holdRoom() {
	r, err := Open(context.Background(), Config{Parts: []Part{{Name: "keeper", Keeper: true}, {Name: "echo"}}})
	time.Sleep(time.Minute)
	fmt.Fprintln(os.Stderr, "nobody killed it", r, err)
}

// treeMark is in the environment of what the keeper's command starts.
const treeMark = "PROC_TEST_TREE"

const escapes = `
setsid sleep 100 &
(setsid sh -c 'sleep 100 & sleep 100') &
(trap "" TERM HUP INT; sleep 100) &
(while :; do sleep 0.003; done) &
sleep 100 &
kill -STOP $!
(sleep 0.02; kill -STOP $$) &
wait
sleep 100`

func keepScript(in io.Reader, out io.Writer) error {
	cmd := exec.Command("sh", "-c", escapes)
	cmd.Env = append(os.Environ(), treeMark+"=1")
	t, err := StartTree(cmd)
	if err != nil {
		return err
	}
	io.Copy(io.Discard, in)
	return t.Kill()
}
