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
		lines := strings.Split(string(b), "\n")
		for i := 0; i+1 < len(lines); i += 2 { // a line of names, a line of values
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
