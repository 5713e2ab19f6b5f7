package proc

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Usage is what processes used since they started. Differences of two are meant; the sum of User and System only grows,
// but the kernel estimates how it divides, so that one of them may shrink by a tick.
type Usage struct {
	User, System           time.Duration
	Voluntary, Involuntary int64 // context switches
	MaxRSS                 int64 // the largest resident size so far, bytes
	Threads                int   // now
}

// SelfUsage is this process's and, but for MaxRSS and Threads, that of its children that have ended and were waited
// for. The kernel's own peak, ru_maxrss, is not used: it begins with that of the process that started this one.
func SelfUsage() (u Usage, err error) {
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var r unix.Rusage
		if err := unix.Getrusage(who, &r); err != nil {
			return u, fmt.Errorf("getrusage: %w", err)
		}
		u.User += time.Duration(r.Utime.Nano())
		u.System += time.Duration(r.Stime.Nano())
		u.Voluntary += r.Nvcsw
		u.Involuntary += r.Nivcsw
	}
	s, err := readStatus("/proc/self/status")
	if err != nil {
		return u, err
	}
	u.MaxRSS, u.Threads = s.peak, s.threads
	return u, nil
}

// TreeUsage is the sum over processes, with the CPU time of their children that have ended and were waited for (in
// steps of 10 ms; the processes' own is exact), so that a server that forks for every connection is charged for it.
// A process that has ended, or that this one may not look at, adds nothing. MaxRSS counts shared pages once for each
// process, and switches of threads that have ended are lost. It takes about 30 µs a thread: the CPU times, which are
// read first, belong to one instant, the rest follows.
func TreeUsage(pids []int) (u Usage) {
	for _, pid := range pids {
		u.addCPU(pid)
	}
	for _, pid := range pids {
		s, err := readStatus(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue
		}
		u.MaxRSS += s.peak
		u.Threads += s.threads
		for _, tid := range numbered(fmt.Sprintf("/proc/%d/task", pid)) {
			if s, err := readStatus(fmt.Sprintf("/proc/%d/task/%d/status", pid, tid)); err == nil {
				u.Voluntary += s.voluntary
				u.Involuntary += s.involuntary
			}
		}
	}
	return u
}

// CPUOf is the CPU time of one process, in two system calls: for those who look at an instant. Zero if it has ended.
func CPUOf(pid int) (user, system time.Duration) {
	var u Usage
	u.addCPU(pid)
	return u.User, u.System
}

// PSS is the memory of processes now, in bytes: of what several share, each one's part counts. It does not hold what the
// kernel has for their sockets and threads. A process that has ended, or that this one may not look at, adds nothing. It
// takes the kernel a walk through their page tables, about 1 ms for 100 MB.
func PSS(pids []int) (bytes int64) {
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) == 3 && f[0] == "Pss:" {
				if n, err := strconv.ParseInt(f[1], 10, 64); err == nil {
					bytes += n << 10
				}
			}
		}
	}
	return bytes
}

// tick is the unit of times in /proc, the same on all architectures that Go runs on.
const tick = 10 * time.Millisecond

// addCPU reads the process CPU clock, in ns, and only divides it by the ticks of /proc/PID/stat.
func (u *Usage) addCPU(pid int) {
	s, err := readStat(pid)
	if err != nil {
		return
	}
	user, system := s.ticks[0], s.ticks[1]
	total := time.Duration(user+system) * tick
	var ts unix.Timespec
	if unix.ClockGettime(processClock(pid), &ts) == nil {
		total = time.Duration(ts.Nano())
	}
	inUser := total
	if user+system > 0 {
		inUser = time.Duration(float64(total) * float64(user) / float64(user+system))
	}
	u.User += inUser + time.Duration(s.ticks[2])*tick
	u.System += total - inUser + time.Duration(s.ticks[3])*tick
}

// processClock is the clock id that clock_getcpuclockid(3) makes: the CPU time of all threads of a process.
func processClock(pid int) int32 { return int32(^pid)<<3 | 2 }

type status struct {
	peak                   int64
	threads                int
	voluntary, involuntary int64
}

func readStatus(path string) (s status, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return s, err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSuffix(strings.TrimSpace(value), " kB")
		var n int64
		switch name {
		case "VmHWM", "Threads", "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches":
			if n, err = strconv.ParseInt(value, 10, 64); err != nil {
				return s, fmt.Errorf("%s: %s: %w", path, name, err)
			}
		}
		switch name {
		case "VmHWM":
			s.peak = n << 10
		case "Threads":
			s.threads = int(n)
		case "voluntary_ctxt_switches":
			s.voluntary = n
		case "nonvoluntary_ctxt_switches":
			s.involuntary = n
		}
	}
	return s, nil
}
