// Package sockopt is the table of socket options: data first (All), system calls in set_linux.go.
//
// An option that is not asked for is never set. What was asked, what the kernel gave and the error travel together,
// as Applied, from the file descriptor to the report.
package sockopt

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sockbench/sockbench/unit"
)

// Phase is a moment in a socket's life when an option can be set. Phases combine as bits.
type Phase uint8

const (
	Fresh       Phase = 1 << iota // a fresh socket, before bind, listen or connect
	Listen                        // the listening socket, after listen
	Established                   // the connected or accepted socket
	EachRead                      // the same, again after every read (TCP_QUICKACK does not stick)
)

var phaseNames = []string{"socket", "listen", "established", "each_read"}

// String names the phases, separated by commas.
func (p Phase) String() string { return names(uint8(p), phaseNames) }

// names lists the names of the bits that are set.
func names(bits uint8, all []string) string {
	var names []string
	for i, n := range all {
		if bits&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return strings.Join(names, ",")
}

func (p Phase) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

func (p *Phase) UnmarshalText(b []byte) error {
	*p = 0
	for _, word := range strings.Split(string(b), ",") {
		i := 0
		for i < len(phaseNames) && phaseNames[i] != word {
			i++
		}
		if i == len(phaseNames) {
			return fmt.Errorf("no phase %q: choose one of %s", word, strings.Join(phaseNames, ", "))
		}
		*p |= 1 << i
	}
	return nil
}

// first is the lowest phase in p: an option's usual one.
func (p Phase) first() Phase { return p & -p }

// Side says whose sockets an option is for.
type Side uint8

const (
	Client Side = 1 << iota
	Server
	Both = Client | Server
)

func (s Side) String() string { return [...]string{"", "client", "server", "both"}[s] }

// Network is a kind of sockets. Networks combine as bits.
type Network uint8

const (
	TCP Network = 1 << iota
	UDP
	Unix // stream sockets of unix(7)
)

var networkNames = []string{"tcp", "udp", "unix"}

// String names the networks, separated by commas.
func (n Network) String() string { return names(uint8(n), networkNames) }

// Kind is how an option's value is written and passed to the kernel.
type Kind string

const (
	Bool         Kind = "on/off"
	Bytes        Kind = "bytes"
	Seconds      Kind = "whole seconds"
	Milliseconds Kind = "whole milliseconds"
	Timeval      Kind = "duration"
	Count        Kind = "count"
	Name         Kind = "name"
	LingerTime   Kind = "off or whole seconds"
)

// Reads is how getsockopt answers what was set.
type Reads string

const (
	ReadsEqual   Reads = "equal"
	ReadsDoubled Reads = "doubled"
	ReadsRounded Reads = "rounded up" // to the kernel's clock tick
)

// Option is one entry of All. Data only.
type Option struct {
	Name       string // the kernel's; "backlog" is listen(2)'s second argument
	Level, Num int    // of setsockopt
	Kind       Kind
	Min, Max   int64 // in the unit the kernel takes
	Phases     Phase // where it acts; the first is the usual one
	Sides      Side
	Networks   Network // on whose sockets it acts; 0: TCP alone
	Inherited  bool    // by accepted sockets
	Reads      Reads
	Cap        string // the sysctl that caps it without an error
	Blocking   bool   // acts on blocking sockets only
	Doc        string
}

// Level is a canonical level text: "on", "16KiB", "cubic", "1s".
// "default" is not a Level: an option at its default has no Setting.
type Level string

// Setting is one option asked for. Comparable.
type Setting struct {
	Option string `json:"option"`
	Level  Level  `json:"level"`
	Phase  Phase  `json:"phase"`
}

// String is the level as a plan writes it: "16KiB", or "16KiB@established" off the option's usual phase.
func (s Setting) String() string {
	if o, ok := Find(s.Option); ok && s.Phase == o.Phases.first() {
		return string(s.Level)
	}
	return string(s.Level) + "@" + s.Phase.String()
}

// On is on whose sockets o acts.
func (o *Option) On() Network { return max(o.Networks, TCP) }

// Fits says why s cannot act on a side's sockets of the network "tcp", "udp" or "unix"; nil if it can.
func (s Setting) Fits(network string, side Side) error {
	o, ok := Find(s.Option)
	if !ok {
		return fmt.Errorf("no socket option %s", s.Option)
	}
	if i := slices.Index(networkNames, network); i < 0 || o.On()&(1<<i) == 0 {
		return fmt.Errorf("%s=%s acts on sockets of %s only, and this one is of %s: leave it out", o.Name, s, o.On(), network)
	}
	switch {
	case network == "udp" && s.Phase == Listen:
		return fmt.Errorf("%s=%s: a socket of udp does not listen: write %s@%s", o.Name, s, s.Level, o.Phases.first())
	case network == "unix" && side&Server != 0 && s.Phase&(Fresh|Listen) != 0 && o.Name != backlog:
		return fmt.Errorf("%s=%s: accepted sockets of unix take nothing from the listening one: write %s@established", o.Name, s, s.Level)
	}
	return nil
}

// Find returns the option of that name.
func Find(name string) (*Option, bool) {
	for i := range All {
		if All[i].Name == name {
			return &All[i], true
		}
	}
	return nil, false
}

// Parse reads a level of o, with "@phase" if it is to act off its usual phase, on the given side's sockets.
func (o *Option) Parse(text string, side Side) (Setting, error) {
	if o.Sides&side == 0 {
		return Setting{}, fmt.Errorf("%s acts on the %s's sockets only", o.Name, o.Sides)
	}
	s := Setting{Option: o.Name, Phase: o.Phases.first()}
	level, phase, named := strings.Cut(strings.TrimSpace(text), "@")
	if named {
		if err := s.Phase.UnmarshalText([]byte(phase)); err != nil {
			return s, fmt.Errorf("%s=%s: %w", o.Name, text, err)
		}
		if s.Phase&^o.Phases != 0 {
			return s, fmt.Errorf("%s=%s: it cannot be set there: its phases are %s", o.Name, text, o.Phases)
		}
		if side == Client && s.Phase == Listen {
			return s, fmt.Errorf("%s=%s: a client does not listen", o.Name, text)
		}
	}
	v, err := o.value(level)
	if err != nil {
		return s, fmt.Errorf("%s=%s: %w", o.Name, text, err)
	}
	s.Level = Level(o.text(v))
	return s, nil
}

// value is what the kernel is given: a number in the option's unit, or a name.
type value struct {
	num  int64
	name string
}

func (o *Option) value(level string) (v value, err error) {
	switch o.Kind {
	case Bool:
		switch strings.ToLower(level) {
		case "on", "1", "true", "yes":
			v.num = 1
		case "off", "0", "false", "no":
		default:
			return v, fmt.Errorf("write on or off")
		}
		return v, nil
	case Name:
		if level == "" || len(level) > 15 || strings.ContainsAny(level, " \t/") {
			return v, fmt.Errorf("not a name of 1 to 15 characters")
		}
		v.name = level
		return v, nil
	case Bytes:
		var b unit.Bytes
		err = b.UnmarshalText([]byte(level))
		v.num = int64(b)
	case Count:
		var c unit.Count
		err = c.UnmarshalText([]byte(level))
		v.num = int64(c)
	case LingerTime:
		if level == "off" {
			return value{num: -1}, nil
		}
		v.num, err = duration(level, time.Second)
	case Seconds:
		v.num, err = duration(level, time.Second)
	case Milliseconds:
		v.num, err = duration(level, time.Millisecond)
	case Timeval:
		v.num, err = duration(level, time.Microsecond)
	}
	if err == nil && (v.num < o.Min || v.num > o.Max) {
		err = fmt.Errorf("out of range: %s to %s", o.text(value{num: o.Min}), o.text(value{num: o.Max}))
	}
	return v, err
}

// duration reads a whole number of steps.
func duration(text string, step time.Duration) (int64, error) {
	var d unit.Duration
	if err := d.UnmarshalText([]byte(text)); err != nil {
		return 0, err
	}
	if time.Duration(d)%step != 0 {
		return 0, fmt.Errorf("the kernel counts in steps of %s", unit.Duration(step))
	}
	return int64(time.Duration(d) / step), nil
}

// text is value's inverse, canonical.
func (o *Option) text(v value) string {
	steps := map[Kind]time.Duration{Seconds: time.Second, LingerTime: time.Second, Milliseconds: time.Millisecond, Timeval: time.Microsecond}
	switch step := steps[o.Kind]; {
	case o.Kind == Bool && v.num != 0:
		return "on"
	case o.Kind == Bool, o.Kind == LingerTime && v.num < 0:
		return "off"
	case o.Kind == Name:
		return v.name
	case o.Kind == Bytes:
		return unit.Bytes(v.num).String()
	case step > 0 && v.num == 0:
		return "0s"
	case step > 0:
		return unit.Duration(time.Duration(v.num) * step).String()
	}
	return strconv.FormatInt(v.num, 10)
}
