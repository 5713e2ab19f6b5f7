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
	Bool           Kind = "on/off"
	Bytes          Kind = "bytes"
	BytesPerSecond Kind = "bytes per second or unlimited"
	Seconds        Kind = "whole seconds"
	SecondsOrOff   Kind = "whole seconds or off"
	Milliseconds   Kind = "whole milliseconds"
	Microseconds   Kind = "whole microseconds"
	Timeval        Kind = "duration"
	Count          Kind = "count"
	Number         Kind = "number" // not of things: bits, a class, a CPU
	Name           Kind = "name"
	LingerTime     Kind = "off or whole seconds"
)

// steps are what kinds that hold a time count in.
var steps = map[Kind]time.Duration{Seconds: time.Second, SecondsOrOff: time.Second, LingerTime: time.Second,
	Milliseconds: time.Millisecond, Microseconds: time.Microsecond, Timeval: time.Microsecond}

// Reads is how getsockopt answers what was set.
type Reads string

const (
	ReadsEqual   Reads = "equal"
	ReadsDoubled Reads = "doubled"
	ReadsRounded Reads = "rounded up"
	ReadsPayload Reads = "what is left of it for data" // beside 12 bytes of TCP timestamps
	ReadsNot     Reads = "not at all"                  // it can only be set
)

// Condition is what an option cannot act without, where a program can find out whether it is there.
type Condition string

const (
	NAPI           Condition = "packets from a network device with NAPI (SO_INCOMING_NAPI_ID)"
	FairQueue      Condition = "a network device with the queueing discipline fq"
	FastOpenClient Condition = "bit 1 of net.ipv4.tcp_fastopen"
	FastOpenServer Condition = "bit 2 of net.ipv4.tcp_fastopen"
	IPv4           Condition = "connections of IPv4"
)

// Option is one entry of All. Data only.
type Option struct {
	Name       string // the kernel's; "backlog" is listen(2)'s second argument
	Level, Num int    // of setsockopt
	ReadNum    int    // of getsockopt, where it is another
	Kind       Kind
	Min, Max   int64 // in the unit the kernel takes
	Phases     Phase // where it acts; the first is the usual one
	Sides      Side
	Networks   Network // on whose sockets it acts; 0: TCP alone
	Inherited  bool    // by accepted sockets
	Listener   bool    // it is the listening socket's own, and reads back there
	Reads      Reads
	RoundsTo   string // what a value is rounded up to …
	RoundsBy   int64  // … and by how much at most
	Mask       int64  // bits that TCP keeps for itself
	Cap        string // the sysctl, or whatever else, that caps it without an error
	Privilege  string // the capability it takes, and for which values
	Blocking   bool   // acts on blocking sockets only
	Condition  Condition
	Inert      string // why it reads back and cannot act in this program
	Refuse     string // why it is no knob, and what to write instead
	Needs      string // what must be true of path, engine or workload for it to matter
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
	if o.Refuse != "" {
		return Setting{}, fmt.Errorf("%s cannot be set here: %s", o.Name, o.Refuse)
	}
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
	case BytesPerSecond, Bytes:
		if o.Kind == BytesPerSecond && level == unlimited {
			return value{num: -1}, nil
		}
		var b unit.Bytes
		err = b.UnmarshalText([]byte(level))
		v.num = int64(b)
	case Count:
		var c unit.Count
		err = c.UnmarshalText([]byte(level))
		v.num = int64(c)
	case Number:
		if v.num, err = strconv.ParseInt(level, 0, 64); err != nil {
			return v, fmt.Errorf("not a whole number")
		}
	default:
		if level == off && (o.Kind == LingerTime || o.Kind == SecondsOrOff) {
			return value{num: -1}, nil
		}
		v.num, err = duration(level, steps[o.Kind])
	}
	if err == nil && (v.num < o.Min || v.num > o.Max) {
		err = fmt.Errorf("out of range: %s", o.Range())
	}
	return v, err
}

// Arg is what setsockopt is given for a level: a number in o's unit, which is -1 for off and unlimited, or a name.
func (o *Option) Arg(level Level) (num int64, name string, err error) {
	v, err := o.value(string(level))
	return v.num, v.name, err
}

// Step is the unit of o's numbers, where they are times; else 0.
func (o *Option) Step() time.Duration { return steps[o.Kind] }

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

// Range is what a level may be, "" if the kind says it all.
func (o *Option) Range() string {
	if o.Kind == Bool || o.Kind == Name || o.Refuse != "" {
		return ""
	}
	return o.text(value{num: o.Min}) + " to " + o.text(value{num: o.Max})
}

// What is written for the number -1 of some kinds.
const (
	off       = "off"
	unlimited = "unlimited"
)

// text is value's inverse, canonical.
func (o *Option) text(v value) string {
	switch step := steps[o.Kind]; {
	case o.Kind == Bool && v.num != 0:
		return "on"
	case o.Kind == Bool, v.num < 0 && (o.Kind == LingerTime || o.Kind == SecondsOrOff):
		return off
	case o.Kind == Name:
		return v.name
	case o.Kind == BytesPerSecond && v.num < 0:
		return unlimited
	case o.Kind == Bytes, o.Kind == BytesPerSecond:
		return unit.Bytes(v.num).String()
	case step > 0 && v.num == 0:
		return "0s"
	case step > 0:
		return unit.Duration(time.Duration(v.num) * step).String()
	}
	return strconv.FormatInt(v.num, 10)
}
