package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/sockbench/sockbench/internal/machine"
	"github.com/sockbench/sockbench/internal/proc"
)

// unknown is said of what cannot be found out.
const unknown = "unknown"

// commit is what is measured: the commit of the work tree, with "-dirty" where files that git knows differ from it.
func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*").Output()
	if err != nil {
		return unknown
	}
	return strings.TrimSpace(string(out))
}

// conditions says under which the figures were taken.
func conditions(seed uint64, realTime bool) []string {
	f := machine.Fingerprint()
	class := "the ordinary class (CFS)"
	if realTime {
		class = "SCHED_RR"
	}
	return []string{
		fmt.Sprintf("Machine: %s, %s CPUs, Linux %s (HZ %s, clock source %s), %s, linux/%s, congestion control %s.",
			f["cpu"], f["cpus"], f["kernel"], ticks(), f["clocksource"], f["go"], f["arch"], f["congestion"]),
		fmt.Sprintf("Idle regime: cpuidle governor %s, guest_halt_poll_ns %s; only P4, P5, P7, P8 and P11 run with keep-awake loops. sched_autogroup_enabled %s.",
			read("/sys/devices/system/cpu/cpuidle/current_governor"), read("/sys/module/haltpoll/parameters/guest_halt_poll_ns"),
			read("/proc/sys/kernel/sched_autogroup_enabled")),
		fmt.Sprintf("Server on CPU %d, client on CPU %d; P1, P2, P3, P6 and P10 in %s; uid %d; seed of the order in pairs %d; load average when it began %s.",
			serverCPU, clientCPU, class, os.Getuid(), seed, read("/proc/loadavg")),
	}
}

// read is the first line of a file, or unknown.
func read(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return unknown
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}

// ticks is the kernel's CONFIG_HZ, where it tells.
func ticks() string {
	f, err := os.Open("/proc/config.gz")
	if err != nil {
		return unknown
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return unknown
	}
	for s := bufio.NewScanner(z); s.Scan(); {
		if v, ok := strings.CutPrefix(s.Text(), "CONFIG_HZ="); ok {
			return v
		}
	}
	return unknown
}

// foreignCPU begins to watch, and returns what tells how many CPUs programs other than this one and its children,
// which must have ended by then, used since. The kernel counts in ticks: a few per cent are noise.
func foreignCPU() func() (float64, error) {
	begin, err := machine.Read()
	own, err1 := proc.SelfUsage()
	return func() (float64, error) {
		end, err2 := machine.Read()
		used, err3 := proc.SelfUsage()
		for _, err := range []error{err, err1, err2, err3} {
			if err != nil {
				return 0, err
			}
		}
		ours := used.User + used.System - own.User - own.System
		return max(0, float64(end.Busy-begin.Busy-int64(ours))/float64(end.At-begin.At)), nil
	}
}
