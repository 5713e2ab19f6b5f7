package loadgen

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// SpareFiles is how many files a process may still open beside its connections.
const SpareFiles = 32

// CheckFiles says whether this process may have as many open files as s takes. The Go runtime raised the soft limit when
// the process began, to the hard one less one; commands that are started get the one it found.
func (s *Spec) CheckFiles() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("count the open files: %w", err)
	}
	need := uint64(s.Total() + len(open) + SpareFiles)
	if need <= limit.Cur {
		return nil
	}
	what := fmt.Sprintf("%d connections", s.Connections)
	if s.Hold > 0 {
		what += fmt.Sprintf(" and %d held ones", s.Hold)
	}
	first := ""
	if most := mostFiles(); most > 0 && need > most {
		first = fmt.Sprintf("sysctl -w fs.nr_open=%d, then ", need)
	}
	return fmt.Errorf("%s take %d open files, and this process may have %d: allow more, as root with %sulimit -n %d, or in the unit of a systemd service with LimitNOFILE=%[5]d; or ask for fewer",
		what, need, limit.Cur, first, need)
}

// mostFiles is the kernel's own bound on that limit; 0: not known.
func mostFiles() uint64 {
	text, err := os.ReadFile("/proc/sys/fs/nr_open")
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
