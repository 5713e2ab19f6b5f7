// Package netpath puts an emulated network path between two network namespaces, without root: a process in the middle
// takes every frame off one wire and puts it on the other when the path's delay, rate, queue and losses say so. The
// kernel's own TCP runs at both ends, so what a socket option does over the path is what it does over a real one.
package netpath

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sockbench/sockbench/unit"
)

// Dir is one direction of a path. Zero: nothing is done to frames.
type Dir struct {
	Delay     unit.Duration // of propagation, one way
	Jitter    unit.Duration // each frame's delay is drawn evenly from Delay ± Jitter; no frame overtakes another by it
	Rate      unit.Bits     // of the bottleneck, in bits of Ethernet frames without checksum (TCP payload × 1514/1448); 0: unlimited
	Queue     unit.Bytes    // of frames that wait for the bottleneck: one that finds no room is dropped; 0 with a Rate: see Room
	Loss      unit.Share    // of frames, independent of each other, after the bottleneck
	Reorder   unit.Share    // of frames, which skip the delay and so overtake others
	Duplicate unit.Share    // of frames, delivered twice
}

// Spec is a path. Up is from the client to the server. The zero Spec is no path: one loopback for both.
type Spec struct {
	Up, Down Dir
	MTU      unit.Bytes // of all interfaces; 0: 1500
	Backend  unit.Word  // one of Backends; "": the one that fits
}

// Backends are the ways to make a path. What each can do is in the order of how much.
var Backends = []string{Link, TBF, Veth}

const (
	Link = "link" // our process between two AF_PACKET sockets: everything, up to 500 Mbit/s
	TBF  = "tbf"  // the kernel's bridge and token bucket filter: rate and queue
	Veth = "veth" // two namespaces and nothing between them
)

// Bounds of what a path can be.
const (
	DefaultMTU   = 1500
	minMTU       = 576
	maxMTU       = 9000
	maxDelay     = unit.Duration(10 * time.Second)
	minRate      = unit.Bits(8_000)
	linkCeiling  = 500e6    // bit/s at the default MTU up to which the link's own queue stays out of the result: the work is by the frame
	kernelRate   = 10e9     // bit/s, beyond which the bridge is the bottleneck
	bursts       = 64 << 10 // bytes that TCP hands to a device at one time
	minRoomTime  = 2 * time.Millisecond
	ethernetHead = 14
)

// IsZero says whether there is no path.
func (s Spec) IsZero() bool { return s == Spec{} }

// mtu is what MTU means.
func (s Spec) mtu() int {
	if s.MTU == 0 {
		return DefaultMTU
	}
	return int(s.MTU)
}

// backend is what Backend means.
func (s Spec) backend() string {
	switch {
	case s.Backend != "":
		return string(s.Backend)
	case s.Up == Dir{} && s.Down == Dir{}:
		return Veth
	case s.limitsOnly() && float64(max(s.Up.Rate, s.Down.Rate)) > s.ceiling():
		return TBF
	}
	return Link
}

// Emulated says whether our process makes the path, which faults take.
func (s Spec) Emulated() bool { return !s.IsZero() && s.backend() == Link }

// limitsOnly says whether rate and queue are all that is asked.
func (s Spec) limitsOnly() bool {
	only := func(d Dir) bool { return d == Dir{Rate: d.Rate, Queue: d.Queue} }
	return only(s.Up) && only(s.Down)
}

// ceiling is the rate, in bit/s, up to which the link is honest at the path's MTU.
func (s Spec) ceiling() float64 { return linkCeiling * float64(s.mtu()) / DefaultMTU }

// Room is how many bytes the bottleneck's queue of d holds on s: what Queue says, or by default one bandwidth-delay
// product of the whole path (Villamizar and Song, 1994), but no less than the 64 KiB that TCP hands over at one time
// and no less than 2 ms of the rate. 0: there is no bottleneck.
func (s Spec) Room(d Dir) unit.Bytes {
	if d.Rate == 0 || d.Queue != 0 {
		return d.Queue
	}
	rtt := time.Duration(s.Up.Delay + s.Down.Delay)
	return max(bursts, unit.Bytes(float64(d.Rate)/8*max(rtt, minRoomTime).Seconds()))
}

// text is what a number of a path reads and writes.
type text = interface {
	UnmarshalText([]byte) error
	MarshalText() ([]byte, error)
}

// fields are the keys of a direction.
var fields = []struct {
	name string
	of   func(*Dir) text
}{
	{"delay", func(d *Dir) text { return &d.Delay }},
	{"jitter", func(d *Dir) text { return &d.Jitter }},
	{"rate", func(d *Dir) text { return &d.Rate }},
	{"queue", func(d *Dir) text { return &d.Queue }},
	{"loss", func(d *Dir) text { return &d.Loss }},
	{"reorder", func(d *Dir) text { return &d.Reorder }},
	{"duplicate", func(d *Dir) text { return &d.Duplicate }},
}

// none is the text of the zero Spec; still that of a link that does nothing to frames.
const (
	none  = "none"
	still = "delay=0"
)

const example = "delay=10ms,rate=100mbit (delay is one way; up. or down. before a key is for one direction), or a preset"

// UnmarshalText reads none, a backend's name, a preset, or a list of keys, before which a preset may stand.
func (s *Spec) UnmarshalText(b []byte) error {
	t := strings.TrimSpace(string(b))
	if t == none {
		*s = Spec{}
		return nil
	}
	var v Spec
	named := map[string]bool{}
	for i, part := range strings.Split(t, ",") {
		key, value, pair := strings.Cut(strings.TrimSpace(part), "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !pair && i == 0 {
			if slices.Contains(Backends, key) {
				v.Backend = unit.Word(key)
				continue
			}
			p, err := findPreset(key)
			if err != nil {
				return err
			}
			v = p.Spec
			continue
		}
		if !pair {
			return fmt.Errorf("%q is no key and value: write for example %s", part, example)
		}
		if named[key] {
			return fmt.Errorf("%s is named twice", key)
		}
		named[key] = true
		if err := v.put(key, value); err != nil {
			return err
		}
	}
	if v.IsZero() { // delay=0 among delays is a path like the others
		v.Backend = Link
	}
	if auto := v; v != (Spec{Backend: v.Backend}) {
		if auto.Backend = ""; auto.backend() == string(v.Backend) {
			v = auto
		}
	}
	if err := v.Check(); err != nil {
		return err
	}
	*s = v
	return nil
}

// put sets one key.
func (s *Spec) put(key, value string) error {
	switch key {
	case "mtu":
		if err := s.MTU.UnmarshalText([]byte(value)); err != nil {
			return fmt.Errorf("mtu: %w", err)
		}
		if s.MTU == DefaultMTU {
			s.MTU = 0
		}
		return nil
	case "backend":
		if !slices.Contains(Backends, value) {
			return fmt.Errorf("no backend %q: choose one of %s", value, strings.Join(Backends, ", "))
		}
		s.Backend = unit.Word(value)
		return nil
	}
	dirs := []*Dir{&s.Up, &s.Down}
	name := key
	if rest, ok := strings.CutPrefix(key, "up."); ok {
		dirs, name = dirs[:1], rest
	} else if rest, ok := strings.CutPrefix(key, "down."); ok {
		dirs, name = dirs[1:], rest
	}
	var all []string
	for _, f := range fields {
		all = append(all, f.name)
		if f.name != name {
			continue
		}
		for _, d := range dirs {
			if err := f.of(d).UnmarshalText([]byte(value)); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
		return nil
	}
	return fmt.Errorf("a path has no %q: its keys are %s, mtu and backend; write for example %s", key, strings.Join(all, ", "), example)
}

// MarshalText is String.
func (s Spec) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String is canonical: the name of a preset that is the same, else all that is set.
func (s Spec) String() string {
	for _, p := range Presets {
		if p.Spec == s {
			return p.Name
		}
	}
	return s.Long()
}

// Long is s with every number written out.
func (s Spec) Long() string {
	var parts []string
	for _, f := range fields {
		level := func(d Dir) string {
			t, err := f.of(&d).MarshalText()
			if err != nil {
				panic("netpath: " + err.Error()) // of a number, none of which fails
			}
			return f.name + "=" + string(t)
		}
		zero, up, down := level(Dir{}), level(s.Up), level(s.Down)
		switch {
		case up == down && up != zero:
			parts = append(parts, up)
		case up != down:
			if up != zero {
				parts = append(parts, "up."+up)
			}
			if down != zero {
				parts = append(parts, "down."+down)
			}
		}
	}
	if s.MTU != 0 {
		parts = append(parts, "mtu="+s.MTU.String())
	}
	if s.Backend != "" && len(parts) > 0 {
		parts = append(parts, "backend="+string(s.Backend))
	}
	switch {
	case len(parts) > 0:
		return strings.Join(parts, ",")
	case s.IsZero():
		return none
	case s.Backend == Link:
		return still
	}
	return string(s.Backend)
}

// Check says everything that is wrong with s.
func (s Spec) Check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if s.MTU != 0 && (s.MTU < minMTU || s.MTU > maxMTU) {
		bad("mtu=%s: it is %d to %d bytes", s.MTU, minMTU, maxMTU)
	}
	for _, d := range []struct {
		name string
		Dir
	}{{"up", s.Up}, {"down", s.Down}} {
		if d.name == "down" && s.Down == s.Up {
			break // it is wrong in the same way
		}
		switch {
		case d.Delay > maxDelay:
			bad("delay=%s: at most %s", d.Delay, maxDelay)
		case d.Jitter > d.Delay:
			bad("jitter=%s: it is how far the delay of %s varies to either side, and no frame arrives before it was sent: make the delay longer", d.Jitter, d.Delay)
		case d.Reorder > 0 && d.Delay == 0:
			bad("reorder=%s: frames overtake others by skipping the delay, and there is none: name a delay", d.Reorder)
		case d.Queue != 0 && d.Rate == 0:
			bad("queue=%s: nothing queues where nothing limits the rate: name a rate", d.Queue)
		case d.Rate != 0 && d.Rate < minRate:
			bad("rate=%s: at least %s", d.Rate, minRate)
		case d.Queue != 0 && int(d.Queue) < s.mtu()+ethernetHead:
			bad("queue=%s: a frame of %d bytes would never find room: make it larger", d.Queue, s.mtu()+ethernetHead)
		}
	}
	top := float64(max(s.Up.Rate, s.Down.Rate))
	switch s.backend() {
	case Veth:
		if s.Up != (Dir{}) || s.Down != (Dir{}) {
			bad("backend=veth: it does nothing to frames: leave the backend out")
		}
	case TBF:
		switch {
		case !s.limitsOnly():
			bad("backend=tbf: it limits rate and queue and nothing else: leave the backend out")
		case top == 0:
			bad("backend=tbf: it takes a rate")
		case top > kernelRate:
			bad("rate=%s: at most %s", max(s.Up.Rate, s.Down.Rate), unit.Bits(kernelRate))
		}
	case Link:
		if top > s.ceiling() {
			bad("rate=%s: the emulated link is honest up to %s with an MTU of %d; beyond that it would be the bottleneck itself: ask for less, or for nothing but rate and queue, which the kernel does",
				max(s.Up.Rate, s.Down.Rate), unit.Bits(s.ceiling()), s.mtu())
		}
	}
	return errors.Join(errs...)
}
