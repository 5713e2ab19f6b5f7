package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/sockopt"
)

// merge leaves out of p the levels of socket options that this kernel makes the same as one named before, and says which
// and why. Each is tried on a loopback connection of this machine.
func merge(p *plan.Plan) (merged *plan.Plan, notes []string, err error) {
	var change plan.Changes
	for _, f := range p.Factors {
		if !judged(p, f) {
			continue
		}
		kept, says := distinct(f)
		if notes = append(notes, says...); len(kept) < len(f.Levels) {
			change.Knobs = append(change.Knobs, plan.Factor{Knob: f.Knob, Levels: kept})
		}
	}
	if len(change.Knobs) == 0 {
		return p, nil, nil
	}
	merged, err = p.With(change)
	return merged, notes, err
}

// judged says whether what f's levels are in a trial can be told beforehand: it is a socket option that we set ourselves,
// under the kernel's settings as they are here.
func judged(p *plan.Plan, f plan.Factor) bool {
	if _, _, ok := plan.Option(f.Knob); !ok || len(f.Levels) < 2 {
		return false
	}
	elsewhere := func(knob string, levels ...plan.Level) bool {
		return strings.HasPrefix(knob, "sysctl.") || slices.ContainsFunc(levels, func(l plan.Level) bool { return strings.Contains(l, "{"+f.Knob+"}") })
	}
	for _, other := range p.Factors {
		if elsewhere(other.Knob, other.Levels...) {
			return false
		}
	}
	for _, v := range p.Variants {
		for knob, level := range v.Knobs {
			if elsewhere(knob, level) {
				return false
			}
		}
	}
	return true
}

// reading is what a level of an option reads back, on each side that it acts on.
type reading struct {
	level plan.Level
	phase sockopt.Phase
	sides []sockopt.Applied
}

// distinct are the levels of an option's knob without those that read back as one before does. "default" is none of them:
// to set an option does more than to give it a value.
func distinct(f plan.Factor) (kept []plan.Level, notes []string) {
	var seen []reading
	for _, level := range f.Levels {
		r, ok := read(f.Knob, level)
		if !ok {
			kept = append(kept, level)
			continue
		}
		i := slices.IndexFunc(seen, func(other reading) bool { return other.same(r) })
		if i < 0 {
			seen, kept = append(seen, r), append(kept, level)
			continue
		}
		why := ""
		if note := r.sides[0].Note; note != "" {
			why = " (" + note + ")"
		}
		notes = append(notes, fmt.Sprintf("%s=%s reads back %s, as %s does%s: one level, run once", f.Knob, level, r.sides[0].Got, seen[i].level, why))
	}
	return kept, notes
}

func (r reading) same(o reading) bool {
	return r.phase == o.phase && slices.EqualFunc(r.sides, o.sides, func(a, b sockopt.Applied) bool { return a.Got == b.Got })
}

// read tries a level; ok is false where it is not set, or what it reads back does not say what it does.
func read(knob string, level plan.Level) (r reading, ok bool) {
	option, sides, ok := plan.Option(knob)
	if !ok || level == "default" {
		return r, false
	}
	r.level = level
	for _, side := range []sockopt.Side{sockopt.Client, sockopt.Server} {
		if sides&side == 0 {
			continue
		}
		s, err := option.Parse(level, side)
		if err != nil {
			return r, false
		}
		a, err := sockopt.Effective(s, side)
		if err != nil || !a.Class.Acts() && a.Class != sockopt.Capped {
			return r, false
		}
		r.phase, r.sides = s.Phase, append(r.sides, a)
	}
	return r, true
}
