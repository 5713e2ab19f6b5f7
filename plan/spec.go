// Package plan says what is to be run: knobs and their levels make cells, cells make blocks, blocks hold trials.
// It is data and arithmetic; it starts nothing.
package plan

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/netpath"
	"github.com/sockbench/sockbench/targets"
	"github.com/sockbench/sockbench/unit"
)

// Spec is everything that defines one trial; two equal Specs are the same experiment. What a Spec holds is not to be
// modified: trials share it.
type Spec struct {
	Target targets.Spec `json:"target"`
	Via    targets.Via  `json:"via,omitzero"` // what clients connect to in its place
	Load   loadgen.Spec `json:"load"`

	Path    netpath.Spec    `json:"path,omitzero"` // between client and server; zero: a loopback for both
	Faults  netpath.Faults  `json:"faults,omitempty"`
	Sysctls netpath.Sysctls `json:"sysctls,omitempty"` // of both ends

	CPUs   CPUs      `json:"cpus,omitempty"`
	Beside unit.Word `json:"beside,omitempty"` // instead of CPUs: Same or Apart, of those where the trial runs
	Regime Regime    `json:"regime"`
}

// What Spec.Beside may say.
const (
	Same  = "same"  // both sides on one CPU
	Apart = "apart" // each on another
)

// Regime is how the machine is kept while a trial runs.
type Regime struct {
	KeepAwake bool `json:"keep_awake"` // an idle-priority loop on each CPU in use, so that none of them halts
	RealTime  bool `json:"real_time"`  // both sides under SCHED_RR
}

// Role is a part that can be given CPUs.
type Role string

const (
	Server Role = "server"
	Via    Role = "via"  // what stands between them
	Path   Role = "path" // the process that emulates the network
	Client Role = "client"
)

// seating is where the sides of a Spec run, as levels write it: CPUs, or one of the words of Spec.Beside.
type seating Spec

func (s *seating) UnmarshalText(text []byte) error {
	if t := strings.TrimSpace(string(text)); t == Same || t == Apart {
		s.CPUs, s.Beside = nil, unit.Word(t)
		return nil
	}
	s.Beside = ""
	return s.CPUs.UnmarshalText(text)
}

func (s *seating) MarshalText() ([]byte, error) {
	if s.Beside != "" {
		return []byte(s.Beside), nil
	}
	return s.CPUs.MarshalText()
}

var roles = []Role{Server, Via, Path, Client}

// CPUs pins roles to CPUs, each list ascending. nil: chosen where the trial runs, apart if there are two; a role that
// is absent from a CPUs that is not nil goes where the caller may run. Text: "server=0;client=1-3,5"; "default" is nil.
type CPUs map[Role][]int

func (c *CPUs) UnmarshalText(text []byte) error {
	t := strings.TrimSpace(string(text))
	if t == unset {
		*c = nil
		return nil
	}
	v := CPUs{}
	for part := range strings.SplitSeq(roleByRole.Replace(t), ";") {
		role, list, ok := strings.Cut(part, "=")
		r := Role(strings.TrimSpace(role))
		if !ok || !slices.Contains(roles, r) {
			return fmt.Errorf("%q names no role: write for example server=0;client=1", part)
		}
		if v[r] != nil {
			return fmt.Errorf("%q: %s is named twice", t, r)
		}
		cpus, err := parseCPUs(list)
		if err != nil {
			return err
		}
		v[r] = cpus
	}
	*c = v
	return nil
}

// roleByRole lets a comma stand before a role too, as it does where a plan writes a mapping.
var roleByRole = strings.NewReplacer(",server=", ";server=", ",via=", ";via=", ",path=", ";path=", ",client=", ";client=")

// maxCPU is beyond any Linux kernel's NR_CPUS.
const maxCPU = 8191

// parseCPUs reads "0-2,5".
func parseCPUs(list string) ([]int, error) {
	var cpus []int
	for item := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(item), "-")
		if !isRange {
			last = first
		}
		a, err1 := strconv.ParseUint(first, 10, 16)
		b, err2 := strconv.ParseUint(last, 10, 16)
		if err1 != nil || err2 != nil || a > b || b > maxCPU {
			return nil, fmt.Errorf("%q is no list of CPUs: write for example 0 or 0-2,5", list)
		}
		for cpu := a; cpu <= b; cpu++ {
			cpus = append(cpus, int(cpu))
		}
	}
	slices.Sort(cpus)
	return slices.Compact(cpus), nil
}

func (c CPUs) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

func (c CPUs) String() string {
	if c == nil {
		return unset
	}
	var parts []string
	for _, r := range roles {
		if cpus := c[r]; cpus != nil {
			parts = append(parts, string(r)+"="+formatCPUs(cpus))
		}
	}
	return strings.Join(parts, ";")
}

// formatCPUs is parseCPUs's inverse, with runs of three and more as ranges.
func formatCPUs(cpus []int) string {
	var parts []string
	for i := 0; i < len(cpus); {
		j := i
		for j+1 < len(cpus) && cpus[j+1] == cpus[j]+1 {
			j++
		}
		if j-i < 2 {
			j = i
			parts = append(parts, strconv.Itoa(cpus[i]))
		} else {
			parts = append(parts, strconv.Itoa(cpus[i])+"-"+strconv.Itoa(cpus[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ",")
}

// onOff is a bool as levels write it.
type onOff bool

func (b *onOff) UnmarshalText(text []byte) error {
	switch strings.ToLower(strings.TrimSpace(string(text))) {
	case "on", "true", "yes", "1":
		*b = true
	case "off", "false", "no", "0":
		*b = false
	default:
		return fmt.Errorf("%q is neither on nor off", text)
	}
	return nil
}

func (b onOff) MarshalText() ([]byte, error) {
	if b {
		return []byte("on"), nil
	}
	return []byte("off"), nil
}

// befalls is the faults of a Spec as levels write them. A client that loses connections by them opens new ones.
type befalls Spec

func (b *befalls) UnmarshalText(text []byte) error {
	err := b.Faults.UnmarshalText(text)
	b.Load.Reopen = len(b.Faults) > 0
	return err
}

func (b *befalls) MarshalText() ([]byte, error) { return b.Faults.MarshalText() }

// orDefault is a count of at least 1 as levels write it: "default" is 0.
type orDefault unit.Count

func (n *orDefault) UnmarshalText(text []byte) error {
	if strings.TrimSpace(string(text)) == unset {
		*n = 0
		return nil
	}
	if err := (*unit.Count)(n).UnmarshalText(text); err != nil {
		return err
	}
	if *n == 0 {
		return errors.New("at least one is needed: write for example 8, or default")
	}
	return nil
}

func (n orDefault) MarshalText() ([]byte, error) {
	if n == 0 {
		return []byte(unset), nil
	}
	return unit.Count(n).MarshalText()
}

// bytesOrDefault is a number of bytes of at least 1 as levels write it: "default" is 0.
type bytesOrDefault unit.Bytes

func (n *bytesOrDefault) UnmarshalText(text []byte) error {
	if strings.TrimSpace(string(text)) == unset {
		*n = 0
		return nil
	}
	if err := (*unit.Bytes)(n).UnmarshalText(text); err != nil {
		return err
	}
	if *n == 0 {
		return errors.New("a call that moves nothing is none: write for example 4KiB, or default")
	}
	return nil
}

func (n bytesOrDefault) MarshalText() ([]byte, error) {
	if n == 0 {
		return []byte(unset), nil
	}
	return unit.Bytes(n).MarshalText()
}

// none is the level of a knob whose absence has a name.
const none = "none"

// bounded is a count of at least 1 as levels write it: "none" is no bound.
type bounded unit.Count

func (n *bounded) UnmarshalText(text []byte) error {
	if strings.TrimSpace(string(text)) == none {
		*n = 0
		return nil
	}
	if err := (*unit.Count)(n).UnmarshalText(text); err != nil {
		return fmt.Errorf("%w, or none", err)
	}
	if *n == 0 {
		return errors.New("at least one is needed: write for example 100, or none")
	}
	return nil
}

func (n bounded) MarshalText() ([]byte, error) {
	if n == 0 {
		return []byte(none), nil
	}
	return unit.Count(n).MarshalText()
}

// patience is a timeout as levels write it: "none" is for ever.
type patience unit.Duration

func (p *patience) UnmarshalText(text []byte) error {
	if strings.TrimSpace(string(text)) == none {
		*p = 0
		return nil
	}
	var d unit.Duration
	if err := d.UnmarshalText(text); err != nil {
		return fmt.Errorf("%w, or none", err)
	}
	if d == 0 {
		return errors.New("nothing can be done in no time: write for example 5s, or none")
	}
	*p = patience(d)
	return nil
}

func (p patience) MarshalText() ([]byte, error) {
	if p == 0 {
		return []byte(none), nil
	}
	return unit.Duration(p).MarshalText()
}

// offered is a rate as levels write it: "none" is the closed loop.
type offered unit.Rate

func (r *offered) UnmarshalText(text []byte) error {
	if strings.TrimSpace(string(text)) == none {
		*r = 0
		return nil
	}
	if err := (*unit.Rate)(r).UnmarshalText(text); err != nil {
		return fmt.Errorf("%w, or none for a closed loop", err)
	}
	return nil
}

func (r offered) MarshalText() ([]byte, error) {
	if r == 0 {
		return []byte(none), nil
	}
	return unit.Rate(r).MarshalText()
}

// addresses are IP addresses as levels write them: "default" is none named.
type addresses []netip.Addr

func (a *addresses) UnmarshalText(text []byte) error {
	t := strings.TrimSpace(string(text))
	if t == unset {
		*a = nil
		return nil
	}
	var v addresses
	for part := range strings.SplitSeq(t, ",") {
		ip, err := netip.ParseAddr(strings.TrimSpace(part))
		if err != nil || ip.IsUnspecified() {
			return fmt.Errorf("%q is no address that connections could come from: write for example 10.0.0.2, or 10.0.0.2,10.0.0.3", part)
		}
		if slices.Contains(v, ip) {
			return fmt.Errorf("%s is named twice", ip)
		}
		v = append(v, ip)
	}
	*a = v
	return nil
}

func (a addresses) MarshalText() ([]byte, error) {
	if a == nil {
		return []byte(unset), nil
	}
	var parts []string
	for _, ip := range a {
		parts = append(parts, ip.String())
	}
	return []byte(strings.Join(parts, ",")), nil
}
