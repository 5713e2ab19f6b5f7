package explain

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/sockopt"
)

// Advice is the settings of the first variant of q that the second does not have, as something to do: code for what is a
// socket option, and what it was measured with.
func Advice(q *plan.Plan) *results.Advice {
	a := &results.Advice{}
	to, from := q.Variants[0].Knobs, q.Variants[1].Knobs
	var settings []setting
	var sysctls, needs []string
	for _, knob := range slices.Sorted(maps.Keys(to)) {
		level, before := to[knob], cmp.Or(from[knob], unset)
		if level == before {
			continue
		}
		o, sides, isOption := plan.Option(knob)
		name, isSysctl := strings.CutPrefix(knob, "sysctl.")
		switch {
		case isSysctl:
			sysctls = append(sysctls, name+" = "+level)
			a.Change = append(a.Change, fmt.Sprintf("set the sysctl %s to %s; it was %s", name, level, before))
		case !isOption:
			a.Change = append(a.Change, fmt.Sprintf("%s=%s instead of %s: no socket option; the program has to do so", knob, level, before))
		case level == unset:
			a.Change = append(a.Change, fmt.Sprintf("leave %s unset; it was %s", knob, before))
		default:
			a.Change = append(a.Change, strings.TrimSuffix(fmt.Sprintf("set %s=%s; it was %s: %s", knob, level, before, calls[o.Name]), ": "))
			settings = append(settings, settingsOf(o, sides, level)...)
		}
		if isOption {
			needs = append(needs, o.Name+": "+o.Needs)
		}
	}
	for knob, level := range from {
		if to[knob] == "" && level != unset {
			a.Change = append(a.Change, fmt.Sprintf("leave %s unset; it was %s", knob, level))
		}
	}
	slices.Sort(a.Change)
	for _, l := range languages {
		if code := l.code(settings, sysctls); code != "" {
			a.Snippets = append(a.Snippets, results.Snippet{Name: l.name, Fence: l.fence, Code: code})
		}
	}
	a.Holds = append([]string{"measured with " + conditions(q) + "; elsewhere, measure again"}, needs...)
	return a
}

const unset = "default"

// calls says how to set what is no call of setsockopt with a value.
var calls = map[string]string{
	"MSG_MORE":                 "send every part of a message but the last with the flag MSG_MORE",
	"IPPROTO_MPTCP":            "make the socket with the protocol IPPROTO_MPTCP, in Go by SetMultipathTCP of net.ListenConfig and net.Dialer",
	"SO_ATTACH_REUSEPORT_CBPF": "attach a program to the first socket of the port that returns the number of a socket",
}

// conditions are the knobs that say what was measured, with their levels.
func conditions(q *plan.Plan) string {
	levels := maps.Clone(q.Variants[0].Knobs)
	for _, f := range q.Factors {
		levels[f.Knob] = f.Levels[0]
	}
	var parts []string
	for _, name := range []string{"target", "via", "path", "workload", "framing", "request", "reply", "connections", "pipeline", "rate"} {
		k, err := plan.Lookup(name)
		if level := cmp.Or(levels[name], k.Default); err == nil {
			parts = append(parts, name+"="+level)
		}
	}
	return strings.Join(parts, " ")
}

// setting is an option to be set on one side's sockets.
type setting struct {
	*sockopt.Option
	asked sockopt.Level
	phase sockopt.Phase
	side  sockopt.Side
	num   int64  // what the kernel is given …
	text  string // … or this name
}

func settingsOf(o *sockopt.Option, sides sockopt.Side, level plan.Level) (all []setting) {
	for _, side := range []sockopt.Side{sockopt.Server, sockopt.Client} {
		s, err := o.Parse(level, side)
		if sides&side == 0 || err != nil || calls[o.Name] != "" {
			continue
		}
		num, text, err := o.Arg(s.Level)
		if err == nil {
			all = append(all, setting{o, s.Level, s.Phase, side, num, text})
		}
	}
	return all
}

// duration is the time that a number of o's unit is.
func (s setting) duration() time.Duration { return time.Duration(s.num) * s.Step() }

// moment is when in a socket's life a setting is made.
type moment struct {
	side  sockopt.Side
	phase sockopt.Phase
	name  string // of the function that makes it
	says  string // when to call it
}

var moments = []moment{
	{sockopt.Server, sockopt.Fresh, "before_listen", "on the listening socket, before listen; accepted ones inherit it"},
	{sockopt.Server, sockopt.Listen, "after_listen", "on the listening socket, after listen"},
	{sockopt.Server, sockopt.Established, "accepted", "on every socket that accept returned"},
	{sockopt.Server, sockopt.EachRead, "server_read", "on an accepted socket, again after every read"},
	{sockopt.Client, sockopt.Fresh, "before_connect", "on the socket, before connect"},
	{sockopt.Client, sockopt.Established, "connected", "on the socket, after connect"},
	{sockopt.Client, sockopt.EachRead, "client_read", "on the socket, again after every read"},
}

// at are the settings of a moment.
func (m moment) at(all []setting) (those []setting) {
	for _, s := range all {
		if s.side == m.side && s.phase == m.phase {
			those = append(those, s)
		}
	}
	return those
}

// levels are the names of setsockopt's levels, the same in all languages.
var levels = map[int]string{0: "IPPROTO_IP", 1: "SOL_SOCKET", 6: "IPPROTO_TCP", 17: "IPPROTO_UDP"}

// language writes settings down; "": it has nothing to say about them.
type language struct {
	name, fence string
	code        func(all []setting, sysctls []string) string
}

var languages = []language{{"Go", "go", goCode}, {"Python", "python", pythonCode}, {"C", "c", cCode}, {"nginx", "nginx", nginxCode}, {"sysctl", "ini", sysctlCode}}

// goSets are the options that Go sets itself on every connection that it accepted or made, so that what was set before is lost.
var goSets = []string{"TCP_NODELAY", "SO_KEEPALIVE", "TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT"}

func goCode(all []setting, _ []string) string {
	if len(all) == 0 {
		return ""
	}
	imports := []string{"errors", "syscall"}
	all = slices.Clone(all)
	for i, s := range all {
		if s.phase == sockopt.Fresh && slices.Contains(goSets, s.Name) {
			all[i].phase = sockopt.Established
		}
		if s.Kind == sockopt.BytesPerSecond {
			imports = append(imports, "encoding/binary")
		}
	}
	var out strings.Builder
	before, after := false, false
	for _, m := range moments {
		those := m.at(all)
		if len(those) == 0 {
			continue
		}
		name := camel(m.name)
		fmt.Fprintf(&out, "\n// %s is to be set %s.\nfunc %s(fd int) error {\n\treturn errors.Join(\n", name, m.says, name)
		width := 0 // as gofmt aligns comments
		for _, s := range those {
			width = max(width, len(s.goCall()))
		}
		for _, s := range those {
			fmt.Fprintf(&out, "\t\t%-*s // %s=%s\n", width+1, s.goCall()+",", s.Name, s.asked)
		}
		out.WriteString("\t)\n}\n")
		switch m.name {
		case "before_listen":
			before = true
			out.WriteString(goListen)
		case "before_connect":
			before = true
			out.WriteString(goDial)
		default:
			after = true
		}
	}
	if before {
		imports = append(imports, "context", "net")
	}
	if after {
		out.WriteString(goSet)
	}
	slices.Sort(imports)
	return "import (\n\t\"" + strings.Join(slices.Compact(imports), "\"\n\t\"") + "\"\n)\n" + out.String() + goControl
}

const (
	goListen = `
func listen(ctx context.Context, network, address string) (net.Listener, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error { return control(c, beforeListen) }}
	lc.SetMultipathTCP(false) // Go listens by MPTCP otherwise, whose sockets refuse or silently forget some options
	return lc.Listen(ctx, network, address)
}
`
	goDial = `
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error { return control(c, beforeConnect) }}
	return d.DialContext(ctx, network, address)
}
`
	goSet = `
// set sets options on a net.Conn or a net.Listener: set(conn, FUNCTION).
func set(c any, options func(fd int) error) error {
	s, ok := c.(syscall.Conn)
	if !ok {
		return errors.ErrUnsupported
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	return control(raw, options)
}
`
	goControl = `
func control(c syscall.RawConn, options func(fd int) error) (err error) {
	if failed := c.Control(func(fd uintptr) { err = options(int(fd)) }); failed != nil {
		return failed
	}
	return err
}
`
)

// camel is a name as Go writes it.
func camel(name string) string {
	first, rest, _ := strings.Cut(name, "_")
	if rest == "" {
		return first
	}
	return first + strings.ToUpper(rest[:1]) + rest[1:]
}

// named are the options whose names Go's syscall and Python's socket both have on Linux.
var named = []string{"IP_TOS", "SO_KEEPALIVE", "SO_LINGER", "SO_RCVBUF", "SO_RCVLOWAT", "SO_RCVTIMEO", "SO_REUSEADDR", "SO_SNDBUF", "SO_SNDTIMEO",
	"TCP_CONGESTION", "TCP_CORK", "TCP_DEFER_ACCEPT", "TCP_KEEPCNT", "TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_LINGER2", "TCP_MAXSEG", "TCP_NODELAY",
	"TCP_QUICKACK", "TCP_SYNCNT", "TCP_WINDOW_CLAMP"}

// option is the option's name in a package, or its number on amd64 and arm64 where not every version knows the name.
func (s setting) option(pkg string) string {
	if slices.Contains(named, s.Name) {
		return pkg + "." + s.Name
	}
	return fmt.Sprint(s.Num)
}

func (s setting) goCall() string {
	where := fmt.Sprintf("fd, syscall.%s, %s", levels[s.Level], s.option("syscall"))
	switch d := s.duration(); s.Kind {
	case sockopt.Name:
		return fmt.Sprintf("syscall.SetsockoptString(%s, %q)", where, s.text)
	case sockopt.Timeval:
		return fmt.Sprintf("syscall.SetsockoptTimeval(%s, &syscall.Timeval{Sec: %d, Usec: %d})", where, d/time.Second, d%time.Second/time.Microsecond)
	case sockopt.LingerTime:
		return fmt.Sprintf("syscall.SetsockoptLinger(%s, &syscall.Linger{Onoff: %d, Linger: %d})", where, s.onoff(), max(s.num, 0))
	case sockopt.BytesPerSecond:
		return fmt.Sprintf("syscall.SetsockoptString(%s, string(binary.NativeEndian.AppendUint64(nil, %d)))", where, uint64(s.num))
	}
	if s.Name == "backlog" {
		return fmt.Sprintf("syscall.Listen(fd, %d)", s.num)
	}
	return fmt.Sprintf("syscall.SetsockoptInt(%s, %d)", where, s.num)
}

func (s setting) onoff() int {
	if s.num < 0 {
		return 0
	}
	return 1
}

func pythonCode(all []setting, _ []string) string {
	var out strings.Builder
	for _, m := range moments {
		those := m.at(all)
		if len(those) == 0 {
			continue
		}
		fmt.Fprintf(&out, "\n\ndef %s(sock):\n    \"\"\"To be set %s.\"\"\"\n", m.name, m.says)
		for _, s := range those {
			fmt.Fprintf(&out, "    %s  # %s=%s\n", s.pythonCall(), s.Name, s.asked)
		}
	}
	if out.Len() == 0 {
		return ""
	}
	code := out.String()
	if strings.Contains(code, "struct.pack") {
		code = "import struct\n" + code
	}
	return "import socket\n" + code
}

func (s setting) pythonCall() string {
	value := fmt.Sprint(s.num)
	switch d := s.duration(); s.Kind {
	case sockopt.Name:
		value = fmt.Sprintf("b%q", s.text)
	case sockopt.Timeval:
		value = fmt.Sprintf(`struct.pack("@ll", %d, %d)`, d/time.Second, d%time.Second/time.Microsecond)
	case sockopt.LingerTime:
		value = fmt.Sprintf(`struct.pack("@ii", %d, %d)`, s.onoff(), max(s.num, 0))
	case sockopt.BytesPerSecond:
		value = fmt.Sprintf(`struct.pack("@Q", %d)`, uint64(s.num))
	}
	if s.Name == "backlog" {
		return fmt.Sprintf("sock.listen(%s)", value)
	}
	return fmt.Sprintf("sock.setsockopt(socket.%s, %s, %s)", levels[s.Level], s.option("socket"), value)
}

func cCode(all []setting, _ []string) string {
	if len(all) == 0 {
		return ""
	}
	var out, defines strings.Builder
	defined := map[string]bool{"backlog": true}
	for _, m := range moments {
		those := m.at(all)
		if len(those) == 0 {
			continue
		}
		fmt.Fprintf(&out, "\n/* To be set %s. -1: see errno. */\nstatic int %s(int fd)\n{\n", m.says, m.name)
		for _, s := range those {
			if !defined[s.Name] {
				fmt.Fprintf(&defines, "#ifndef %s\n#define %s %d\n#endif\n", s.Name, s.Name, s.Num)
			}
			defined[s.Name] = true
			fmt.Fprintf(&out, "\tif (%s < 0) /* %s=%s */\n\t\treturn -1;\n", s.cCall(), s.Name, s.asked)
		}
		out.WriteString("\treturn 0;\n}\n")
	}
	headers, code := "#include <netinet/in.h>\n#include <netinet/tcp.h>\n", out.String()
	for _, h := range []struct{ file, of string }{{"stdint", "uint64_t"}, {"sys/socket", "sock"}, {"sys/time", "timeval"}} {
		if strings.Contains(code, h.of) {
			headers += "#include <" + h.file + ".h>\n"
		}
	}
	return headers + "\n" + defines.String() + code
}

func (s setting) cCall() string {
	kind, value := "int", fmt.Sprint(s.num)
	switch d := s.duration(); s.Kind {
	case sockopt.Name:
		return fmt.Sprintf("setsockopt(fd, %s, %s, %q, %d)", levels[s.Level], s.Name, s.text, len(s.text))
	case sockopt.Timeval:
		kind, value = "struct timeval", fmt.Sprintf("%d, %d", d/time.Second, d%time.Second/time.Microsecond)
	case sockopt.LingerTime:
		kind, value = "struct linger", fmt.Sprintf("%d, %d", s.onoff(), max(s.num, 0))
	case sockopt.BytesPerSecond:
		kind, value = "uint64_t", fmt.Sprintf("%dU", uint64(s.num))
	}
	if s.Name == "backlog" {
		return fmt.Sprintf("listen(fd, %s)", value)
	}
	return fmt.Sprintf("setsockopt(fd, %s, %s, &(%s){%s}, sizeof(%s))", levels[s.Level], s.Name, kind, value, kind)
}
