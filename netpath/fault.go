package netpath

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sockbench/sockbench/unit"
)

// Fault is what befalls a path at a set time, in both directions.
type Fault struct {
	Kind unit.Word     // of FaultKinds
	Loss unit.Share    // of "loss"
	At   unit.Duration // since the measure phase began
	For  unit.Duration // 0: to the end of the trial; of "reset": always 0
}

// Kinds of faults.
const (
	Blackout  = "blackout" // every frame is dropped, and nobody is told
	Stall     = "stall"    // no frame is delivered; afterwards all are, at once
	LossBurst = "loss"     // a share of frames is lost, instead of the path's own
	Reset     = "reset"    // what was connected is no longer known: its next frame is answered with a RST, and so is its peer
)

// FaultKinds lists how each is written.
var FaultKinds = []string{"blackout@1s+500ms", "stall@1s+200ms", "loss:5%@1s+500ms", "reset@1s"}

// Faults are in the order of their times. Text: "none", or faults with a semicolon between them.
type Faults []Fault

func (f Fault) String() string {
	t := string(f.Kind)
	if f.Kind == LossBurst {
		t += ":" + f.Loss.String()
	}
	t += "@" + f.At.String()
	if f.For != 0 {
		t += "+" + f.For.String()
	}
	return t
}

func parseFault(text string) (f Fault, err error) {
	what, when, ok := strings.Cut(text, "@")
	kind, arg, hasArg := strings.Cut(strings.TrimSpace(what), ":")
	at, length, hasLength := strings.Cut(strings.TrimSpace(when), "+")
	wrong := func(why string) (Fault, error) {
		return f, fmt.Errorf("%q is no fault: %s: write for example %s", text, why, strings.Join(FaultKinds, ", "))
	}
	f.Kind = unit.Word(kind)
	switch {
	case !ok:
		return wrong("it has no time")
	case !slices.Contains([]unit.Word{Blackout, Stall, LossBurst, Reset}, f.Kind):
		return wrong("there is no such kind")
	case hasArg != (f.Kind == LossBurst):
		return wrong("only loss has a share, and it must have one")
	case f.Kind == Reset && hasLength:
		return wrong("a reset has no length")
	case f.Kind == Stall && !hasLength:
		return wrong("what is stalled for ever is a blackout")
	}
	if hasArg {
		if err := f.Loss.UnmarshalText([]byte(arg)); err != nil {
			return f, err
		}
	}
	if err := f.At.UnmarshalText([]byte(at)); err != nil {
		return f, err
	}
	if hasLength {
		if err := f.For.UnmarshalText([]byte(length)); err != nil {
			return f, err
		}
		if f.For == 0 {
			return wrong("it takes no time")
		}
	}
	return f, nil
}

func (f *Faults) UnmarshalText(b []byte) error {
	t := strings.TrimSpace(string(b))
	if t == none {
		*f = nil
		return nil
	}
	var v Faults
	for part := range strings.SplitSeq(t, ";") {
		one, err := parseFault(strings.TrimSpace(part))
		if err != nil {
			return err
		}
		v = append(v, one)
	}
	slices.SortStableFunc(v, func(a, b Fault) int { return cmp.Compare(a.At, b.At) })
	for i := range v[1:] {
		if v[i].For == 0 && v[i].Kind != Reset || v[i].At+v[i].For > v[i+1].At {
			return fmt.Errorf("%s is not over when %s begins: let them follow each other", v[i], v[i+1])
		}
	}
	*f = v
	return nil
}

func (f Faults) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

func (f Faults) String() string {
	if len(f) == 0 {
		return none
	}
	var parts []string
	for _, one := range f {
		parts = append(parts, one.String())
	}
	return strings.Join(parts, ";")
}
