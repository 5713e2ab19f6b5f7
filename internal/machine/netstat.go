package machine

import (
	"os"
	"strconv"
	"strings"
)

// Network reads the counters of this process's network namespace (/proc/net/netstat and snmp, TCP, UDP and IP), by
// names like "TcpExt.ListenOverflows". What cannot be read is absent.
func Network() map[string]int64 {
	m := map[string]int64{}
	for _, file := range []string{"/proc/self/net/netstat", "/proc/self/net/snmp"} {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		counters(string(b), m)
	}
	return m
}

// counters puts into m what a file of the kind of netstat says: a line of names, a line of values, and so on. Some of the
// values are limits and states, which may be negative.
func counters(text string, m map[string]int64) {
	lines := strings.Split(text, "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		names, values := strings.Fields(lines[i]), strings.Fields(lines[i+1])
		if len(names) == 0 || len(names) != len(values) || names[0] != values[0] || strings.HasPrefix(names[0], "Icmp") {
			continue
		}
		for k := 1; k < len(names); k++ {
			if v, err := strconv.ParseInt(values[k], 10, 64); err == nil {
				m[strings.TrimSuffix(names[0], ":")+"."+names[k]] = v
			}
		}
	}
}

// Sockstat reads what sockets there are now (/proc/net/sockstat, TCP and UDP), by names like "sockstat.TCP.tw". inuse and
// tw are of this process's network namespace; orphan, alloc and mem, in pages, of the whole machine.
func Sockstat() map[string]int64 {
	m := map[string]int64{}
	b, err := os.ReadFile("/proc/self/net/sockstat")
	if err != nil {
		return m
	}
	for l := range strings.Lines(string(b)) {
		kind, rest, _ := strings.Cut(l, ":")
		if kind != "TCP" && kind != "UDP" {
			continue
		}
		for f := strings.Fields(rest); len(f) > 1; f = f[2:] {
			if v, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				m["sockstat."+kind+"."+f[0]] = v
			}
		}
	}
	return m
}

// Changed is now − then, without what did not change.
func Changed(then, now map[string]int64) map[string]int64 {
	d := map[string]int64{}
	for k, v := range now {
		if v != then[k] {
			d[k] = v - then[k]
		}
	}
	return d
}
