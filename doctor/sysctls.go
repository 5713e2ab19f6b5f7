package doctor

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sockbench/sockbench/results"
)

// limit is a sysctl that caps what is set elsewhere, or what there can be.
type limit struct {
	name  string
	field int // of its values, which one caps, from 0
	unit  string
	low   int64 // below it: a warning
	ample int64 // from it on: fine
	caps  string
}

// limits lists them.
var limits = []limit{
	{"net.core.rmem_max", 0, "bytes", 212_992, 4 << 20, "SO_RCVBUF above it is capped without an error: long paths are limited by the window"},
	{"net.core.wmem_max", 0, "bytes", 212_992, 4 << 20, "SO_SNDBUF above it is capped without an error"},
	{"net.ipv4.tcp_rmem", 2, "bytes", 1 << 20, 4 << 20, "the receive buffer grows by itself up to this: a long path is limited by the window"},
	{"net.ipv4.tcp_wmem", 2, "bytes", 1 << 20, 4 << 20, "the send buffer grows by itself up to this"},
	{"net.core.somaxconn", 0, "connections", 1024, 4096, "a longer backlog of listen(2) is capped without an error: bursts of connections are dropped and come back after 1 s"},
	{"net.ipv4.tcp_max_syn_backlog", 0, "connections", 128, 1024, "half-open connections beyond it are dropped or get SYN cookies, without window scaling in the worst case"},
	{"net.core.netdev_max_backlog", 0, "packets", 300, 1000, "packets on the loopback beyond it, by CPU, are dropped and sent again"},
	{"net.ipv4.tcp_mem", 2, "pages", 16_384, 32_768, "memory of all TCP sockets together: beyond it buffers shrink and connections are dropped"},
	{"net.netfilter.nf_conntrack_max", 0, "connections", 16_384, 65_536, "connections beyond it are dropped by the firewall, those that were closed count for minutes"},
}

// sysctls judges the limits, each as a trial has it.
func sysctls(h *host) []Line {
	var lines []Line
	for _, s := range limits {
		text, err := h.sysctl(s.name)
		if err != nil {
			if s.name != "net.netfilter.nf_conntrack_max" { // without a firewall there is none
				lines = append(lines, hidden(s.name, s.caps, err))
			}
			continue
		}
		lines = append(lines, s.judge(text, h.inside))
	}
	return lines
}

// judge holds what a limit says here, and what in a trial's own namespace, against what it is to be.
func (s limit) judge(here string, inside map[string]string) Line {
	here = strings.Join(strings.Fields(here), " ")
	l := Line{Looked: s.name, Disturbs: s.caps, Measured: here + " " + s.unit}
	v, err := s.value(here)
	if err != nil {
		l.Verdict, l.Measured = results.Note, "not visible: "+err.Error()
		return l
	}
	l.Figures = map[string]float64{"value": float64(v)}
	l.Verdict = graded(v < s.low, v < s.ample)
	switch within, ok := inside[s.name]; {
	case inside == nil:
	case !ok:
		l.Measured += ", of the whole machine"
	default:
		within = strings.Join(strings.Fields(within), " ")
		if other, err := s.value(within); err == nil && within != here {
			l.Measured += fmt.Sprintf(" here, %s in the fresh network namespace of a trial with a built-in server", within)
			l.Figures["value_in_trials"] = float64(other)
		}
	}
	if l.Verdict != results.OK {
		f := strings.Fields(here)
		f[s.field] = strconv.FormatInt(s.ample, 10)
		l.Fix = fmt.Sprintf("sysctl -w %s=%s", s.name, strings.Join(f, " "))
		if len(f) > 1 {
			l.Fix = fmt.Sprintf("sysctl -w %s='%s'", s.name, strings.Join(f, " "))
		}
	}
	return l
}

func (s limit) value(text string) (int64, error) {
	f := strings.Fields(text)
	if len(f) <= s.field {
		return 0, fmt.Errorf("%s says %q", s.name, text)
	}
	return strconv.ParseInt(f[s.field], 10, 64)
}
