//go:build unix

package results

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lock keeps other writers out of f until it is closed, by whatever means: the kernel drops the lock of a process that
// dies.
func lock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, syscall.EWOULDBLOCK):
			return errors.New("another process is writing to this run folder")
		case !errors.Is(err, syscall.EINTR):
			return fmt.Errorf("lock: %w", err)
		}
	}
}
