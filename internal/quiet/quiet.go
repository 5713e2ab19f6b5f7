// Package quiet keeps tests that measure, or that burn CPU, out of each other's way: go test runs packages side by
// side.
package quiet

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// held tells the processes a test starts that the lock is its own.
const held = "SOCKBENCH_TEST_LOCK_HELD"

// Run waits until no other package's Run is under way on this machine, then runs the tests and returns their exit code.
// Use it in TestMain: os.Exit(quiet.Run(m)). Without a lock file (another user's, a read-only disk) it runs them all the
// same: the lock buys quiet, not correctness.
func Run(m interface{ Run() int }) int {
	if os.Getenv(held) != "" { // a test started its own binary again
		return m.Run()
	}
	// A process built with the race detector sleeps a second before it ends, unless it is told not to.
	if err := errors.Join(os.Setenv(held, "1"), os.Setenv("GORACE", strings.TrimSpace(os.Getenv("GORACE")+" atexit_sleep_ms=0"))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	f, err := os.OpenFile(filepath.Join(os.TempDir(), fmt.Sprintf("sockbench-tests-%d.lock", os.Getuid())), os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		defer f.Close() // which gives the lock up
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
			fmt.Fprintln(os.Stderr, "tests run without the lock that keeps others quiet:", err)
		}
	}
	return m.Run()
}
