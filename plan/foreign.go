package plan

import (
	"fmt"
	"slices"
	"time"

	"github.com/sockbench/sockbench/sockopt"
)

// The trials of Foreign take about foreignMost, but a block of them at least, where each takes foreignStart beside its
// warm-up and measure phase: an interpreter has to start.
const (
	foreignMost  = time.Minute
	foreignStart = 150 * time.Millisecond
)

// Foreign is the plan that is run where a command is the target and no other knob is named: those that can act on a
// server that is not ours, and those that stand in its command and have no value of their own. cpus is how many there are.
func Foreign(target Level, cpus int) (*Plan, error) {
	factors := []Factor{
		{"target", []Level{target}},
		{"write", []Level{"split"}}, // what Nagle's algorithm acts on
		{"connections", []Level{"1", "16"}},
		{"client.TCP_NODELAY", []Level{"off", "on"}},
		{"client.TCP_QUICKACK", []Level{unset, "on@each_read"}},
	}
	for _, name := range placeholders(target) {
		levels := usual(name, cpus)
		if levels == nil {
			continue
		}
		// Of an option of both sides the client's is set with it.
		factors = slices.DeleteFunc(factors, func(f Factor) bool { return f.Knob == name || clash(name, f.Knob) != nil })
		factors = append(factors, Factor{name, levels})
	}
	b := Builtin()
	p, err := New("exec", DefaultSeed, 1, b.Warmup, b.Duration, factors)
	if err != nil {
		return nil, err
	}
	return p.With(Changes{Blocks: new(max(1, min(b.Blocks, int(foreignMost/p.Time(foreignStart)))))})
}

// usual are levels of a knob that a command of someone else's may hold and that has no default; nil: nobody can guess.
func usual(name string, cpus int) []Level {
	option, side := splitOption(name)
	o, ok := sockopt.Find(option)
	switch {
	case name == "workers", name == "gomaxprocs":
		return []Level{"1", fmt.Sprint(max(2, cpus))}
	case !ok || o.Sides&side == 0:
		return nil
	case o.Kind == sockopt.Bool:
		return []Level{"off", "on"}
	case o.Kind == sockopt.Bytes:
		return []Level{"64KiB", "1MiB"}
	case o.Name == "backlog":
		return []Level{"16", "1024"}
	}
	return nil
}

// Inside lists the knobs that act inside a server and cannot act on a command, because they do not stand in it.
func Inside(target Level) (names []string) {
	said := placeholders(target)
	for _, k := range Knobs {
		if k.Server && !slices.Contains(said, k.Name) {
			names = append(names, k.Name)
		}
	}
	return names
}
