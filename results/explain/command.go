package explain

import (
	"maps"
	"slices"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

// cure is what to try: a command as it stands, or a knob's other level beside the one it has. The zero cure is none.
type cure struct {
	command string
	side    string // of a socket option: "client" or "server"
	knob    string // its name without a side
	to      plan.Level
	reset   plan.Level // instead of to, where the cell names the knob; "": to
}

// acting are the cell's knobs in the order named, those of its variant last.
func (c *Case) acting() (factors []plan.Factor) {
	for _, f := range c.Plan.Factors {
		if f.Knob != "variant" || len(c.Plan.Variants) == 0 {
			factors = append(factors, plan.Factor{Knob: f.Knob, Levels: []plan.Level{c.Cell[f.Knob]}})
			continue
		}
		i := slices.IndexFunc(c.Plan.Variants, func(v plan.Variant) bool { return v.Name == c.Cell["variant"] })
		for _, knob := range slices.Sorted(maps.Keys(c.Plan.Variants[i].Knobs)) {
			factors = append(factors, plan.Factor{Knob: knob, Levels: []plan.Level{c.Plan.Variants[i].Knobs[knob]}})
		}
	}
	return factors
}

// try is the command that runs the cell with the knob's old and new level; "" where there is no such knob, nothing to
// change, or the target cannot do it.
func (c *Case) try(what cure) string {
	if what.knob == "" {
		return what.command
	}
	factors := c.acting()
	names := []string{what.knob}
	if what.side != "" {
		names = []string{what.side + "." + what.knob, what.knob}
	}
	at := slices.IndexFunc(factors, func(f plan.Factor) bool { return slices.Contains(names, f.Knob) })
	if at < 0 {
		k, err := plan.Lookup(names[0])
		if err != nil {
			return ""
		}
		at = len(factors)
		factors = append(factors, plan.Factor{Knob: names[0], Levels: []plan.Level{k.Default}})
	} else if what.reset != "" {
		what.to = what.reset
	}
	factors[at].Levels = append(factors[at].Levels, what.to)
	p, err := plan.New(c.Plan.Name, c.Plan.Seed, c.Plan.Blocks, c.Plan.Warmup, c.Plan.Duration, factors)
	if err != nil {
		return ""
	}
	return results.Command(p.Factors, p.Blocks, p.Warmup, p.Duration)
}
