package explain

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/sockopt"
)

func openFiles(r *results.Record) (Diagnosis, bool) {
	s := &r.Metrics.Server
	if s.FilesMax == 0 {
		return Diagnosis{}, false
	}
	return found("The server's process has as many files open as it may have, and can take no more connections: allow it more, with ulimit -n or LimitNOFILE.", cure{},
		Figure{"files open in the server", float64(s.Files), "1", "≥", float64(s.FilesMax)})
}

func noLocalPort(r *results.Record) (Diagnosis, bool) {
	return found("The client has no local port left for another connection to this address: each closed one holds its port for a minute (TIME_WAIT). Keep connections open, or use more source addresses.",
		cure{knob: "workload", to: "rr"},
		Figure{"connects without a local port", float64(r.Metrics.Errors["connect: no local port left"]), "1", "≥", 1},
		Figure{"requests offered", float64(r.Metrics.Offered), "1", "", 0},
		Figure{"sockets in TIME_WAIT", timeWait(r), "1", "", 0})
}

func timeWait(r *results.Record) float64 {
	if v, ok := r.Metrics.Client.Net["sockstat.TCP.tw"]; ok {
		return float64(v)
	}
	return missing
}

func acceptQueue(r *results.Record) (Diagnosis, bool) {
	m := r.Metrics
	return found("The server's accept queue overflowed: the kernel drops the handshake of who finds no room, and that client tries again after 1 s, then 3 s, 7 s. Raise the backlog (and net.core.somaxconn), accept faster, or connect less at once.",
		cure{knob: "backlog", to: "4096"},
		Figure{"ListenOverflows", counter("TcpExt.ListenOverflows", &m.Server), "1", "≥", 1},
		Figure{"longest connect", longestConnect(r), "ns", "≥", slowConnect(r)},
		Figure{"connect p99", value(m.Connect.P99), "ns", "", 0},
		Figure{"connects that timed out", float64(m.Errors["connect: timed out"]), "1", "", 0})
}

func synLost(r *results.Record) (Diagnosis, bool) {
	m := r.Metrics
	clients := []*results.Side{&m.Client}
	if r.Spec.Path.IsZero() { // one namespace for both
		clients = append(clients, &m.Server)
	}
	return found("SYNs, or the answers to them, are lost on the way, and not for want of room at the server: the path loses them, a firewall swallows them, or nobody is there. Each is sent again after 1 s, then 3 s, 7 s: a connect_timeout below that and another try is sooner.",
		cure{knob: "connect_timeout", to: "300ms"},
		Figure{"SYNs sent again", counter("TcpExt.TCPSynRetrans", clients...), "1", "≥", 1},
		Figure{"ListenOverflows", counter("TcpExt.ListenOverflows", &m.Server), "1", "≤", 0},
		Figure{"longest connect", longestConnect(r), "ns", "≥", slowConnect(r)},
		Figure{"connect p99", value(m.Connect.P99), "ns", "", 0},
		Figure{"connects that timed out", float64(m.Errors["connect: timed out"]), "1", "", 0})
}

func udpDrops(r *results.Record) (Diagnosis, bool) {
	m := r.Metrics
	return found("Datagrams found no room in the receive buffer, and are lost: the server reads too slowly for them, or the buffer is too small for a burst. A larger SO_RCVBUF helps against bursts, a faster reader (target udp-batch) against the rest.",
		cure{knob: "SO_RCVBUF", side: "server", to: "4MiB", reset: "default"},
		Figure{"RcvbufErrors, of the datagrams sent", counter("Udp.RcvbufErrors", &m.Server) / float64(max(m.Sent, 1)), "share", "≥", dropShare},
		Figure{"requests without a reply", float64(m.TimedOut + m.Unfinished), "1", "≥", 1},
		Figure{"requests sent", float64(m.Sent), "1", "", 0})
}

func optionCapped(r *results.Record) (d Diagnosis, ok bool) {
	applied(r.Metrics, func(side string, a sockopt.Applied) bool {
		note, capped := strings.CutPrefix(a.Note, "capped by ")
		name, limit, _ := strings.Cut(note, "=")
		if a.Class != sockopt.Capped || !capped {
			return false
		}
		most, err := strconv.ParseFloat(limit, 64)
		if err != nil {
			return false
		}
		asked := size(string(a.Asked))
		how := cure{command: fmt.Sprintf("sudo sysctl -w %s=%.0f", name, asked)}
		if a.Option == "backlog" { // it is of a network namespace, which every trial has its own of
			how = cure{knob: "sysctl." + name, to: fmt.Sprintf("%.0f", asked)}
		}
		d, ok = found(fmt.Sprintf("The %s's %s=%s was cut down by %s, without an error: raise that, or measure what the limit allows.", side, a.Option, a.Asked, name), how,
			Figure{a.Option + " asked", asked, "B", ">", most},
			Figure{name, most, "B", "", 0})
		return ok
	})
	return d, ok
}

func optionInert(r *results.Record) (d Diagnosis, ok bool) {
	applied(r.Metrics, func(side string, a sockopt.Applied) bool {
		if a.Class != sockopt.Inert {
			return false
		}
		how := cure{knob: "target", to: "thread"}
		if side == "client" {
			how = cure{knob: "engine", to: "block"}
		}
		if o, known := sockopt.Find(a.Option); !known || !o.Blocking {
			how = cure{}
		}
		d, ok = found(fmt.Sprintf("The %s's %s=%s reads back as set and does nothing here: %s.", side, a.Option, a.Asked, a.Note), how,
			Figure{"sockets with it", float64(a.Sockets), "1", "≥", 1})
		return ok
	})
	return d, ok
}

func fastOpen(r *results.Record) (d Diagnosis, ok bool) {
	m := r.Metrics
	applied(m, func(side string, a sockopt.Applied) bool {
		if side != "client" || a.Option != "TCP_FASTOPEN_CONNECT" || a.Asked != "on" {
			return false
		}
		d, ok = found("TCP Fast Open was asked for, and no SYN carried data: net.ipv4.tcp_fastopen lacks the client's bit (1) or the server's (2), the server did not set TCP_FASTOPEN, or the cookie was not there yet.",
			cure{knob: "sysctl.net.ipv4.tcp_fastopen", to: "3"},
			Figure{"connections whose SYN carried data", sum(&m.Client, "tfo"), "1", "≤", 0},
			Figure{"connections", float64(m.Connections.Attained), "1", "", 0})
		return true
	})
	return d, ok
}

func listenerSkew(r *results.Record) (Diagnosis, bool) {
	spread := r.Metrics.Handled.Spread
	if r.Spec.Target.Listener == "shared" || len(spread) < 2 {
		return Diagnosis{}, false
	}
	most, all := int64(0), int64(0)
	for _, n := range spread {
		most, all = max(most, n), all+n
	}
	even := float64(all) / float64(len(spread))
	return found("One worker accepted far more than its share of the connections: the kernel chooses the listening socket by a hash, or by CPU, and not by who is free. A shared listener, or more connections, is more even.",
		cure{knob: "listener", to: "shared"},
		Figure{"connections of the worker with most, of an even share", float64(most) / even, "1", "≥", skewTimes},
		Figure{"connections for a worker", even, "1", "≥", skewLeast})
}
