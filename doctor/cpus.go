package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/results"
)

// lasting is a result of a measure phase of so many nanoseconds, for checks that judge shares of it.
func lasting(ns int64) loadgen.Result { return loadgen.Result{Duration: ns} }

func clockSource(h *host) []Line {
	const disturbs = "every time stamp, four a request: one that takes a system call costs more than the request's own work"
	const dir = "/sys/devices/system/clocksource/clocksource0/"
	source, err := h.read(dir + "current_clocksource")
	if err != nil {
		return []Line{hidden("clock source", disturbs, err)}
	}
	d, _ := judge("clock_source", results.Metrics{Machine: results.Machine{Clocksource: source}})
	l := Line{Looked: "clock source", Verdict: d.Verdict, Disturbs: disturbs, Figures: map[string]float64{"reading_ns": h.clock},
		Measured: fmt.Sprintf("%s; a reading takes %s (median of 100 times 200)", source, term.Duration(h.clock))}
	if l.Verdict != results.OK {
		l.Fix = "echo tsc > " + dir + "current_clocksource"
		if other, err := h.read(dir + "available_clocksource"); err == nil {
			l.Measured += "; there are " + other
		}
	}
	return []Line{l}
}

// cpus says whether client and server can each have a CPU, and what is left for others.
func cpus(h *host) []Line {
	const disturbs = "client and server on one CPU take turns: latency is then the scheduler's"
	l := Line{Looked: "CPUs", Disturbs: disturbs, Figures: map[string]float64{"allowed": float64(len(h.allowed))},
		Measured: fmt.Sprintf("this process may use %s: %s", term.Count(len(h.allowed), "CPU"), ranges(h.allowed))}
	if online, err := h.read("/sys/devices/system/cpu/online"); err == nil {
		l.Measured += ", of " + online + " online"
	}
	switch n := len(h.allowed); {
	case n < 2:
		l.Verdict = results.Warn
		l.Measured += "; pinning apart takes 2"
		l.Fix = "give it another CPU: taskset, or cpuset.cpus of its control group, or docker run --cpuset-cpus"
	case n == 2:
		l.Verdict = results.Note
		l.Measured += "; server and client take one each, so a proxy (via), an emulated path and other programs run on theirs"
	default:
		l.Verdict = results.OK
		l.Measured += "; server and client take one each"
	}
	lines := []Line{l}
	if twins, err := h.read(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", h.cpu(0))); err == nil && len(h.allowed) > 1 {
		lines = append(lines, siblings(h, twins))
	}
	return lines
}

// siblings judges whether server and client would share a core.
func siblings(h *host, twins string) Line {
	l := Line{Looked: "core of the server's CPU", Verdict: results.OK, Disturbs: "two hardware threads of a core slow each other down, by up to half",
		Measured: fmt.Sprintf("CPU %d is with %s on one core", h.cpu(0), twins)}
	same := parseRanges(twins)
	if !slices.Contains(same, h.cpu(1)) {
		l.Measured += fmt.Sprintf(", the client's CPU %d is not", h.cpu(1))
		return l
	}
	l.Verdict = results.Warn
	l.Measured += ", the client's CPU among them"
	l.Fix = "switch hyper-threading off: echo off > /sys/devices/system/cpu/smt/control"
	for _, c := range h.allowed {
		if !slices.Contains(same, c) {
			l.Fix = fmt.Sprintf("--cpus 'server=%d;client=%d'", h.cpu(0), c)
			break
		}
	}
	return l
}

// parseRanges reads a list of CPUs as the kernel writes them: 0-3,8.
func parseRanges(text string) (list []int) {
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		a, err := strconv.Atoi(from)
		b := a
		if isRange && err == nil {
			b, err = strconv.Atoi(to)
		}
		if err != nil || b-a > 1<<16 {
			continue
		}
		for c := a; c <= b; c++ {
			list = append(list, c)
		}
	}
	return list
}

// ranges writes such a list.
func ranges(list []int) string {
	var parts []string
	for i := 0; i < len(list); {
		j := i
		for j+1 < len(list) && list[j+1] == list[j]+1 {
			j++
		}
		part := strconv.Itoa(list[i])
		if j > i {
			part += "-" + strconv.Itoa(list[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ",")
}
