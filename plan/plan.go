package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sockbench/sockbench/unit"
)

// Level is a knob's value as text: canonical in a Plan, and the same in flags, files and JSON.
type Level = string

// Cell is one level of every knob that was named, fixed ones too. String is its knob list, by name.
type Cell map[string]Level

func (c Cell) String() string {
	var parts []string
	for _, knob := range slices.Sorted(maps.Keys(c)) {
		parts = append(parts, knob+"="+c[knob])
	}
	return strings.Join(parts, ",")
}

// Has says whether c has all these levels.
func (c Cell) Has(levels Cell) bool {
	for knob, level := range levels {
		if c[knob] != level {
			return false
		}
	}
	return true
}

// Factor is a knob and the levels it is to take, at least one.
type Factor struct {
	Knob   string  `json:"knob"`
	Levels []Level `json:"levels"`
}

// Variant is a named bundle of knobs, each with one level. All variants together are the factor "variant".
type Variant struct {
	Name  string `json:"name"`
	Knobs Cell   `json:"knobs"`
}

// Plan is a validated plan: New, Parse, With and UnmarshalJSON make no other. Immutable, and safe for concurrent use.
type Plan struct {
	Name     string        `json:"name"`
	Seed     uint64        `json:"seed"`
	Blocks   int           `json:"blocks"`
	Warmup   unit.Duration `json:"warmup"`
	Duration unit.Duration `json:"duration"`
	Factors  []Factor      `json:"factors"` // in the order named, fixed ones have one level, the variants come last; levels canonical
	Variants []Variant     `json:"variants,omitempty"`
	Exclude  []Cell        `json:"exclude,omitempty"` // cells that have all the levels of one of these are left out
	Gate     []Gate        `json:"gate,omitempty"`
	Limits   []Limit       `json:"limits,omitempty"`
	Brought  []Level       `json:"brought,omitempty"` // targets that "all" stands for: one that cannot run here fails only itself

	cells  []Cell
	specs  []Spec // of cells
	digest string
}

// What a plan has that says nothing about it.
const (
	DefaultSeed     = 1
	DefaultBlocks   = 6
	DefaultWarmup   = unit.Duration(200 * time.Millisecond)
	DefaultDuration = unit.Duration(time.Second)
)

// New makes a plan of the knobs, in the order they were named. The error holds everything that can be known to be wrong
// before the first packet, in that order, one line each.
func New(name string, seed uint64, blocks int, warmup, duration unit.Duration, knobs []Factor) (*Plan, error) {
	return made(build(Plan{Name: name, Seed: seed, Blocks: blocks, Warmup: warmup, Duration: duration, Factors: knobs}, 0, false))
}

// Changes are what flags and the environment say about a plan. What is nil or empty leaves it as it is.
type Changes struct {
	Name             *string
	Seed             *uint64
	Blocks           *int
	Warmup, Duration *unit.Duration
	Knobs            []Factor  // their levels replace the plan's; knobs that the plan does not name are added
	Variants         []Variant // instead of the plan's
	Exclude          []Cell    // beside the plan's, of which those are dropped that match nothing any more
	Gate             []Gate    // instead of the plan's
	Limits           []Limit   // instead of the plan's
}

// With is p with the changes made, and errors as New has them.
func (p *Plan) With(c Changes) (*Plan, error) {
	raw := p.raw()
	change(&raw.Name, c.Name)
	change(&raw.Seed, c.Seed)
	change(&raw.Blocks, c.Blocks)
	change(&raw.Warmup, c.Warmup)
	change(&raw.Duration, c.Duration)
	for i, f := range c.Knobs {
		at := slices.IndexFunc(raw.Factors, func(old Factor) bool { return old.Knob == f.Knob })
		if twice := slices.ContainsFunc(c.Knobs[:i], func(before Factor) bool { return before.Knob == f.Knob }); at < 0 || twice {
			raw.Factors = append(raw.Factors, f)
			continue
		}
		if raw.Factors[at] = f; f.Knob == "target" {
			raw.Brought = nil
		}
	}
	if len(c.Variants) > 0 {
		raw.Variants = c.Variants
	}
	raw.Exclude = slices.Concat(raw.Exclude, c.Exclude)
	if len(c.Gate) > 0 {
		raw.Gate = c.Gate
	}
	if len(c.Limits) > 0 {
		raw.Limits = c.Limits
	}
	return made(build(raw, len(p.Exclude), false))
}

func change[T any](old, to *T) {
	if to != nil {
		*old = *to
	}
}

// raw is what p was made of, to be changed.
func (p *Plan) raw() Plan {
	raw := *p
	raw.Factors = slices.DeleteFunc(slices.Clone(p.Factors), func(f Factor) bool { return f.Knob == variant && len(p.Variants) > 0 })
	return raw
}

// UnmarshalJSON reads and validates a plan, so that one read back is as good as a new one.
func (p *Plan) UnmarshalJSON(data []byte) error {
	type plain Plan
	var v plain
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	again, err := made(build((*Plan)(&v).raw(), 0, false))
	if err != nil {
		return err
	}
	*p = *again
	return nil
}

// Cells lists all cells; the last factor named varies fastest.
func (p *Plan) Cells() []Cell {
	cells := make([]Cell, len(p.cells))
	for i, c := range p.cells {
		cells[i] = maps.Clone(c)
	}
	return cells
}

// Label is what tells c from the plan's other cells, in the order named; all of it where nothing does.
func (p *Plan) Label(c Cell) string {
	var varying, all []string
	for _, f := range p.Factors {
		text := f.Knob + "=" + c[f.Knob]
		if all = append(all, text); len(f.Levels) > 1 {
			varying = append(varying, text)
		}
	}
	if len(varying) == 0 {
		varying = all
	}
	return strings.Join(varying, " ")
}

// Time is how long the whole plan is expected to take, when a trial takes overhead beside warm-up and measure phase.
func (p *Plan) Time(overhead time.Duration) time.Duration {
	trials := time.Duration(p.Blocks) * time.Duration(len(p.cells))
	return trials * (time.Duration(p.Warmup) + time.Duration(p.Duration) + overhead)
}

// Digest identifies the experiment: the seed and, in order, every cell with all that defines its trials, defaults
// included. Neither the name nor the number of blocks changes it: a run may be continued with more of them.
func (p *Plan) Digest() string { return p.digest }

func (p *Plan) sum() string {
	data, err := json.Marshal(struct {
		Seed  uint64
		Cells []Cell
		Specs []Spec
	}{p.Seed, p.cells, p.specs})
	if err != nil {
		panic("plan: " + err.Error()) // plain data: a field's MarshalText fails, which none does
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
