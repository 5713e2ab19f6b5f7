package proc

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// exitText says how a process ended: "exit status 3", "killed by SIGKILL".
func exitText(ws syscall.WaitStatus) string {
	switch {
	case ws.Exited():
		return fmt.Sprintf("exit status %d", ws.ExitStatus())
	case ws.Signaled():
		name := unix.SignalName(ws.Signal())
		if name == "" {
			name = fmt.Sprintf("signal %d", int(ws.Signal()))
		}
		return "killed by " + name
	}
	return fmt.Sprintf("wait status %#x", uint32(ws))
}
