package doctor

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/sockbench/sockbench/results"
)

// frequency says how the clock rate of the CPUs is chosen.
func frequency(h *host) []Line {
	const looked = "frequency governor"
	const disturbs = "a CPU that is slowed down when it idles makes light load look slow, and adjacent trials differ"
	files, _ := fs.Glob(h.tree, "sys/devices/system/cpu/cpu*/cpufreq/scaling_governor") // no match: none
	if len(files) == 0 {
		return []Line{{Looked: looked, Verdict: results.Note, Disturbs: disturbs,
			Measured: "not visible: there is no cpufreq here, as in virtual machines, whose host chooses"}, turbo(h)}
	}
	count := map[string]int{}
	for _, f := range files {
		governor, err := h.read(f)
		if err != nil {
			return []Line{hidden(looked, disturbs, err), turbo(h)}
		}
		count[governor]++
	}
	l := Line{Looked: looked, Verdict: graded(len(count) > 1 || count["performance"] == 0, false), Disturbs: disturbs}
	var said []string
	for governor, n := range count {
		said = append(said, fmt.Sprintf("%s on %d of %d CPUs", governor, n, len(files)))
	}
	slices.Sort(said)
	if l.Measured = strings.Join(said, ", "); l.Verdict != results.OK {
		l.Fix = "cpupower frequency-set -g performance, or: echo performance | tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
	}
	return []Line{l, turbo(h)}
}

// turbo says whether CPUs may run faster than they can for long.
func turbo(h *host) Line {
	l := Line{Looked: "turbo", Disturbs: "the clock rate depends on heat and on what other cores do: trials drift"}
	for _, s := range []struct{ path, on, off string }{
		{"/sys/devices/system/cpu/intel_pstate/no_turbo", "0", "1"},
		{"/sys/devices/system/cpu/cpufreq/boost", "1", "0"},
	} {
		switch v, err := h.read(s.path); {
		case err != nil:
			continue
		case v == s.on:
			l.Verdict, l.Measured, l.Fix = results.Note, fmt.Sprintf("on (%s is %s)", s.path, v), fmt.Sprintf("echo %s > %s", s.off, s.path)
			return l
		}
		l.Verdict, l.Measured = results.OK, "off, by "+s.path
		return l
	}
	l.Verdict, l.Measured = results.Note, "not visible: neither intel_pstate nor cpufreq say"
	return l
}

// kernel says how the kernel was built and booted, as far as it shows in latencies and in CPU times.
func kernel(h *host) []Line {
	lines := []Line{idle(h)}
	config, from, err := h.config()
	if err != nil {
		lines = append(lines, Line{Looked: "kernel: tick, preemption, CPU accounting", Verdict: results.Note, Disturbs: "CPU times and scheduling latency are read with them in mind",
			Measured: "not visible: neither /proc/config.gz nor /boot/config-… can be read"})
	} else {
		lines = append(lines, h.built(config, from)...)
	}
	const disturbs = "nice and the idle class count only within a login session: a build in another one gets as much CPU time as all of a trial"
	switch group, err := h.sysctl("kernel.sched_autogroup_enabled"); {
	case err != nil: // this kernel has no such groups
	case group == "1":
		lines = append(lines, Line{Looked: "scheduling groups by session", Verdict: results.Note, Disturbs: disturbs,
			Measured: "kernel.sched_autogroup_enabled is 1", Fix: "sysctl -w kernel.sched_autogroup_enabled=0"})
	default:
		lines = append(lines, Line{Looked: "scheduling groups by session", Verdict: results.OK, Disturbs: disturbs, Measured: "kernel.sched_autogroup_enabled is " + group})
	}
	return lines
}

// idle says what a CPU does with nothing to do.
func idle(h *host) Line {
	const disturbs = "how long a CPU takes to wake from idling, which the timers above measure"
	governor, err := h.read("/sys/devices/system/cpu/cpuidle/current_governor")
	if err != nil {
		return hidden("idle governor", disturbs, err)
	}
	l := Line{Looked: "idle governor", Verdict: results.OK, Disturbs: disturbs, Measured: governor}
	if poll, err := h.read("/sys/module/haltpoll/parameters/guest_halt_poll_ns"); err == nil && governor == "haltpoll" {
		l.Measured += ", guest_halt_poll_ns " + poll
		if poll == "0" {
			l.Verdict, l.Measured = results.Note, l.Measured+": a CPU halts at once, and its host wakes it"
			l.Fix = "leave keep_awake on, the default; or: echo 200000 > /sys/module/haltpoll/parameters/guest_halt_poll_ns"
		}
	}
	return l
}

// config is the configuration that the kernel was built with, "CONFIG_HZ=250" by line.
func (h *host) config() (text, from string, err error) {
	if packed, err := h.read("/proc/config.gz"); err == nil { // trimming white space off its end harms nothing but its check sum
		z, err := gzip.NewReader(bytes.NewReader([]byte(packed)))
		if err != nil {
			return "", "", err
		}
		b, err := io.ReadAll(z)
		return string(b), "/proc/config.gz", err
	}
	release, err := h.sysctl("kernel.osrelease")
	if err != nil {
		return "", "", err
	}
	from = "/boot/config-" + release
	text, err = h.read(from)
	return text, from, err
}

// built reads what matters of the configuration.
func (h *host) built(config, from string) []Line {
	set := map[string]string{}
	for line := range strings.Lines(config) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			set[strings.TrimPrefix(k, "CONFIG_")] = v
		}
	}
	first := func(names ...string) string {
		for _, n := range names {
			if set[n] == "y" {
				return n
			}
		}
		return ""
	}
	preempt := map[string]string{"PREEMPT_RT": "real time", "PREEMPT_LAZY": "lazy", "PREEMPT": "full", "PREEMPT_VOLUNTARY": "voluntary", "PREEMPT_NONE": "none"}[first("PREEMPT_RT", "PREEMPT_LAZY", "PREEMPT", "PREEMPT_VOLUNTARY", "PREEMPT_NONE")]
	model := "preemption " + preempt
	if set["PREEMPT_DYNAMIC"] == "y" {
		model += " when it was built"
		if now, err := h.read("/sys/kernel/debug/sched/preempt"); err == nil {
			_, chosen, _ := strings.Cut(now, "(")
			chosen, _, _ = strings.Cut(chosen, ")")
			model = "preemption " + chosen
		} else if line, err := h.read("/proc/cmdline"); err == nil {
			if _, chosen, ok := strings.Cut(" "+line, " preempt="); ok {
				model = "preemption " + strings.Fields(chosen + " ?")[0]
			}
		}
	}
	tick := Line{Looked: "kernel: tick rate and preemption", Verdict: results.OK, Measured: fmt.Sprintf("HZ %s, %s (%s)", set["HZ"], model, from),
		Disturbs: "socket timeouts and retransmissions come in steps of a tick; a thread that computes is looked at once a tick"}
	accounting := Line{Looked: "kernel: CPU accounting", Verdict: results.OK, Disturbs: "CPU time in user, system and softirq is estimated, not measured; sums are right, shares of short work are not",
		Measured: "exact at every change between user, system and interrupts (" + from + ")"}
	switch {
	case set["VIRT_CPU_ACCOUNTING_NATIVE"] == "y":
	case set["IRQ_TIME_ACCOUNTING"] == "y":
		accounting.Measured = "interrupts exactly, user and system by what a tick finds (" + from + ")"
	default:
		accounting.Verdict, accounting.Measured = results.Note, "by what a tick finds running, interrupts too ("+from+")"
		accounting.Fix = "compare CPU times over whole trials, of both sides with their softirq time; nothing but another kernel changes it"
	}
	return []Line{tick, accounting}
}
