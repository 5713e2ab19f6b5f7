package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sockbench/sockbench/sockopt"
)

// inNginx are the options of a server that nginx has a word for, as parameter of listen or as directive of its own; %s is
// on or off, %d the number. A parameter that has neither can only be switched on.
var inNginx = map[string]string{
	"backlog":          "backlog=%d",
	"SO_RCVBUF":        "rcvbuf=%d",
	"SO_SNDBUF":        "sndbuf=%d",
	"TCP_FASTOPEN":     "fastopen=%d",
	"TCP_DEFER_ACCEPT": "deferred",
	"SO_REUSEPORT":     "reuseport",
	"SO_KEEPALIVE":     "so_keepalive=%s",
	"TCP_NODELAY":      "tcp_nodelay %s;",
	"TCP_CORK":         "tcp_nopush %s;",
}

func nginxCode(all []setting, _ []string) string {
	var listen, lines []string
	for _, s := range all {
		form, ok := inNginx[s.Name]
		switch {
		case !ok || s.side != sockopt.Server:
			continue
		case strings.Contains(form, "%d"):
			form = fmt.Sprintf(form, s.num)
		case strings.Contains(form, "%s"):
			form = fmt.Sprintf(form, s.asked)
		case s.num == 0:
			continue
		}
		if strings.HasSuffix(form, ";") {
			lines = append(lines, form)
		} else {
			listen = append(listen, form)
		}
	}
	if len(listen) > 0 {
		lines = slices.Insert(lines, 0, "listen 80 "+strings.Join(listen, " ")+";")
	}
	return joined(lines)
}

// ofAll are the sysctls that set an option for all sockets that do not set it themselves.
var ofAll = map[string]string{
	"TCP_CONGESTION":    "net.ipv4.tcp_congestion_control",
	"TCP_KEEPIDLE":      "net.ipv4.tcp_keepalive_time",
	"TCP_KEEPINTVL":     "net.ipv4.tcp_keepalive_intvl",
	"TCP_KEEPCNT":       "net.ipv4.tcp_keepalive_probes",
	"TCP_NOTSENT_LOWAT": "net.ipv4.tcp_notsent_lowat",
	"TCP_SYNCNT":        "net.ipv4.tcp_syn_retries",
}

// fastOpenBits are the bits of net.ipv4.tcp_fastopen without which an option is taken and does nothing.
var fastOpenBits = map[sockopt.Condition]int{sockopt.FastOpenClient: 1, sockopt.FastOpenServer: 2}

func sysctlCode(all []setting, sysctls []string) string {
	lines := slices.Clone(sysctls)
	bits := 0
	for _, s := range all {
		if bits |= fastOpenBits[s.Condition]; strings.HasPrefix(s.Cap, "net.") && s.num > 0 {
			lines = append(lines, fmt.Sprintf("# %s caps %s without an error: it must be %d or more", s.Cap, s.Name, s.num))
		}
		if name := ofAll[s.Name]; name != "" {
			value := s.text
			if value == "" {
				value = fmt.Sprint(s.num)
			}
			lines = append(lines, "# for all sockets that do not set "+s.Name+" themselves:", name+" = "+value)
		}
	}
	if bits > 0 {
		lines = append(lines, fmt.Sprintf("# without these bits Fast Open does nothing:\nnet.ipv4.tcp_fastopen = %d", bits))
	}
	var once []string // of an option of both sides
	for _, l := range lines {
		if !slices.Contains(once, l) {
			once = append(once, l)
		}
	}
	return joined(once)
}

// joined are lines, each with its end; "" of none.
func joined(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return strings.Join(lines, "\n") + "\n"
}
