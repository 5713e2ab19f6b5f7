package proc

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

type startRequest struct {
	cmd  *exec.Cmd
	done chan error
}

// starting is held while a process is started, and for ever by a process that is ending its tree.
var starting sync.Mutex

// starter is the one thread that starts processes. A death signal is sent when the *thread* that started the process
// exits, so that thread must last as long as this process.
var starter = sync.OnceValue(func() chan<- startRequest {
	requests := make(chan startRequest)
	go func() {
		runtime.LockOSThread()
		for r := range requests {
			r.done <- r.cmd.Start()
		}
	}()
	return requests
})

// Start starts cmd, in a process group of its own so that the terminal's Ctrl-C does not reach it, and bound to this
// process's life: it gets Pdeathsig (SIGKILL when none is set) when this process dies, however it dies. It is safe for
// concurrent use. Wait for it as usual.
func Start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	if cmd.SysProcAttr.Pdeathsig == 0 {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	starting.Lock()
	defer starting.Unlock()
	r := startRequest{cmd, make(chan error, 1)}
	starter() <- r
	return <-r.done
}
