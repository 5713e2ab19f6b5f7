package doctor

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/results"
)

// openFiles reads the limits of a process from its /proc/PID/limits: math.MaxInt64 is none.
func (h *host) openFiles(pid string) (soft, hard int64, err error) {
	text, err := h.read("/proc/" + pid + "/limits")
	if err != nil {
		return 0, 0, err
	}
	_, rest, ok := strings.Cut(text, "Max open files")
	f := strings.Fields(rest)
	if !ok || len(f) < 2 {
		return 0, 0, fmt.Errorf("/proc/%s/limits does not say", pid)
	}
	one := func(s string) int64 {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return n
		}
		return math.MaxInt64 // "unlimited"
	}
	return one(f[0]), one(f[1]), nil
}

// What limits of open files allow, in connections.
const (
	manyConnections = 8192
	fewConnections  = 1024
)

// files judges how many connections a process of ours may have open, and a command that is started with what ours got.
func files(h *host) []Line {
	const looked = "open files"
	const disturbs = "connections: each takes a file on either side; a server that runs out of them accepts no more"
	soft, hard, err := h.openFiles("self")
	if err != nil {
		return []Line{hidden(looked, disturbs, err)}
	}
	room := max(0, soft-int64(h.open)-loadgen.SpareFiles)
	l := Line{Looked: looked, Disturbs: disturbs, Verdict: graded(room < fewConnections, room < manyConnections),
		Figures:  map[string]float64{"soft": float64(soft), "hard": float64(hard), "connections": float64(room)},
		Measured: fmt.Sprintf("sockbench may have %d (hard limit %d, up to which Go raises its own), which is enough for %d connections", soft, hard, room)}
	most, err := h.number(sysctlPath("fs.nr_open"))
	if err == nil {
		l.Measured += fmt.Sprintf("; fs.nr_open %d", most)
	}
	given, _, err := h.openFiles(strconv.Itoa(h.parent))
	if err == nil && given < soft {
		l.Measured += fmt.Sprintf("; a server that is started as a command gets %d, as the shell had it", given)
		if l.Figures["command"] = float64(given); given < fewConnections && l.Verdict == results.OK {
			l.Verdict = results.Note
		}
	}
	if l.Verdict != results.OK {
		const want = 65_536
		l.Fix = fmt.Sprintf("ulimit -n %d, or LimitNOFILE=%[1]d in the unit of a systemd service", want)
		if hard < want {
			l.Fix = "as root: " + l.Fix
		}
		if most > 0 && most < want {
			l.Fix = fmt.Sprintf("sysctl -w fs.nr_open=%d, then %s", want, l.Fix)
		}
	}
	return []Line{l}
}

// ports judges how many connections one client can have to one address.
func ports(h *host) []Line {
	const name = "net.ipv4.ip_local_port_range"
	const disturbs = "workload crr: a closed connection keeps its port for 60 s; and connections beyond the number of ports fail"
	text, err := h.sysctl(name)
	if err != nil {
		return []Line{hidden("ephemeral ports", disturbs, err)}
	}
	n, ok := portsOf(text)
	if !ok {
		return []Line{hidden("ephemeral ports", disturbs, fmt.Errorf("%s says %q", name, text))}
	}
	reserved := 0
	if list, err := h.sysctl("net.ipv4.ip_local_reserved_ports"); err == nil {
		low, high, _ := strings.Cut(strings.Join(strings.Fields(text), " "), " ")
		from, _ := strconv.Atoi(low)
		to, _ := strconv.Atoi(high)
		for _, p := range parseRanges(list) {
			if p >= from && p <= to {
				reserved++
			}
		}
	}
	n -= reserved
	l := Line{Looked: "ephemeral ports", Disturbs: disturbs, Verdict: graded(n < 8192, n < 28_000), Figures: map[string]float64{"ports": float64(n)},
		Measured: fmt.Sprintf("%s: %s from one address to one server, or %s new ones a second where each is closed by the client", strings.Join(strings.Fields(text), " "),
			term.Count(n, "connection"), strconv.Itoa(n/60))}
	if reserved > 0 {
		l.Measured += fmt.Sprintf("; %d more are reserved", reserved)
	}
	if within, ok := portsOf(h.inside[name]); ok && strings.Join(strings.Fields(h.inside[name]), " ") != strings.Join(strings.Fields(text), " ") {
		l.Measured += fmt.Sprintf("; %d in the fresh network namespace of a trial with a built-in server", within)
		l.Figures["ports_in_trials"] = float64(within)
	}
	if reuse, err := h.sysctl("net.ipv4.tcp_tw_reuse"); err == nil {
		l.Measured += "; tcp_tw_reuse " + reuse
	}
	if l.Verdict != results.OK {
		l.Fix = "sysctl -w " + name + "='10240 65535'"
	}
	return []Line{l}
}

// portsOf counts a range of ports.
func portsOf(text string) (int, bool) {
	f := strings.Fields(text)
	if len(f) != 2 {
		return 0, false
	}
	low, err1 := strconv.Atoi(f[0])
	high, err2 := strconv.Atoi(f[1])
	return high - low + 1, err1 == nil && err2 == nil && high >= low
}
