// Package machine says what the machine is and what it did: CPU time by whom, stolen time, throttling, network
// counters. It only reads.
package machine

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/clock"
)

// Snapshot is the machine's counters at one moment. Differences of two are meant. Times are nanoseconds; but for
// Throttled they come in the kernel's steps of 10 ms.
type Snapshot struct {
	At        int64 // CLOCK_MONOTONIC
	Busy      int64 // over all CPUs
	Idle      int64
	Steal     int64
	Softirq   []int64 // by CPU
	Throttled int64   // of our control group, by a CPU quota
}

// tick is USER_HZ, which is 100 on every Linux system that Go runs on.
const tick = 10_000_000

// Read takes a snapshot, in about 50 µs.
func Read() (Snapshot, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return Snapshot{}, fmt.Errorf("read the machine's CPU times: %w", err)
	}
	s := Snapshot{At: clock.Now(), Throttled: throttled()}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 9 || !strings.HasPrefix(f[0], "cpu") {
			continue
		}
		var v [8]int64 // user nice system idle iowait irq softirq steal
		for i := range v {
			n, err := strconv.ParseInt(f[i+1], 10, 64)
			if err != nil {
				return s, fmt.Errorf("/proc/stat says %q", line)
			}
			v[i] = n * tick
		}
		if f[0] == "cpu" {
			s.Busy, s.Idle, s.Steal = v[0]+v[1]+v[2]+v[5]+v[6], v[3]+v[4], v[7]
			continue
		}
		cpu, err := strconv.Atoi(f[0][3:])
		if err != nil {
			return s, fmt.Errorf("/proc/stat says %q", line)
		}
		for len(s.Softirq) <= cpu {
			s.Softirq = append(s.Softirq, 0)
		}
		s.Softirq[cpu] = v[6]
	}
	return s, nil
}

// SoftirqSince is the time the given CPUs spent in softirqs between then and s.
func (s *Snapshot) SoftirqSince(then *Snapshot, cpus []int) (sum int64) {
	for _, c := range cpus {
		if c < len(s.Softirq) && c < len(then.Softirq) {
			sum += s.Softirq[c] - then.Softirq[c]
		}
	}
	return sum
}

// Allowed lists the CPUs this thread may run on.
func Allowed() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("sched_getaffinity: %w", err)
	}
	var cpus []int
	for c := range len(set) * 64 {
		if set.IsSet(c) {
			cpus = append(cpus, c)
		}
	}
	return cpus, nil
}

// Online is the number of CPUs the machine has.
func Online() int {
	s, err := Read()
	if err != nil {
		return runtime.NumCPU()
	}
	return len(s.Softirq)
}

// line is the first line of a file, "" if it cannot be read.
func line(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(first)
}

// Clocksource is the kernel's: tsc and the paravirtual ones are read without a system call.
func Clocksource() string {
	return line("/sys/devices/system/clocksource/clocksource0/current_clocksource")
}

// Fingerprint is what tells this machine, as far as measurements go, from another.
func Fingerprint() map[string]string {
	var u unix.Utsname
	f := map[string]string{"go": runtime.Version(), "arch": runtime.GOARCH, "cpus": strconv.Itoa(Online()), "clocksource": Clocksource(),
		"congestion": line("/proc/sys/net/ipv4/tcp_congestion_control"), "rmem_max": line("/proc/sys/net/core/rmem_max"),
		"wmem_max": line("/proc/sys/net/core/wmem_max"), "somaxconn": line("/proc/sys/net/core/somaxconn")}
	if err := unix.Uname(&u); err == nil {
		f["kernel"] = unix.ByteSliceToString(u.Release[:])
	}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for l := range strings.Lines(string(b)) {
			if k, v, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(k) == "model name" {
				f["cpu"] = strings.TrimSpace(v)
				break
			}
		}
	}
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		if v := strings.Fields(string(b)); len(v) > 1 {
			f["memory_kib"] = v[1]
		}
	}
	return f
}

// MemoryAvailable is what can be used without swapping, in bytes: MemAvailable of /proc/meminfo, or what the cgroup's
// limit leaves where that is less.
func MemoryAvailable() (int64, error) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	for l := range strings.Lines(string(b)) {
		v := strings.Fields(l)
		if len(v) < 2 || v[0] != "MemAvailable:" {
			continue
		}
		n, err := strconv.ParseInt(v[1], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/meminfo: %w", err)
		}
		return min(n<<10, memoryLeft()), nil
	}
	return 0, errors.New("/proc/meminfo has no MemAvailable")
}
