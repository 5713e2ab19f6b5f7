package proc

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Files is how many files a process has open, and how many it may have: of the one among pids that is nearest to its
// limit. Zeros: all have ended, or this process may not look.
func Files(pids []int) (open, most int) {
	for _, pid := range pids {
		if o, m := filesOf(pid); m > 0 && (most == 0 || o*most > open*m) {
			open, most = o, m
		}
	}
	return open, most
}

func filesOf(pid int) (open, most int) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	info, err := os.Stat(dir)
	var limit unix.Rlimit
	if err != nil || unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &limit) != nil {
		return 0, 0
	}
	if open = int(info.Size()); open == 0 { // before Linux 6.2 it does not say
		open = len(numbered(dir))
	}
	return open, int(min(limit.Cur, 1<<31-1))
}
