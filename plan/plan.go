package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
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

// Factor is a knob and the levels it is to take, at least one.
type Factor struct {
	Knob   string  `json:"knob"`
	Levels []Level `json:"levels"`
}

// Plan is a validated plan: New and UnmarshalJSON make no other. Immutable, and safe for concurrent use.
type Plan struct {
	Name     string        `json:"name"`
	Seed     uint64        `json:"seed"`
	Blocks   int           `json:"blocks"`
	Warmup   unit.Duration `json:"warmup"`
	Duration unit.Duration `json:"duration"`
	Factors  []Factor      `json:"factors"`           // in the order named; levels canonical
	Brought  []Level       `json:"brought,omitempty"` // targets that "all" stands for: one that cannot run here fails only itself

	cells  []Cell
	specs  []Spec // of cells
	digest string
}

// maxCells bounds what one plan may hold.
const maxCells = 100_000

// New makes a plan of the knobs, in the order they were named. The error holds everything that can be known to be wrong
// before the first packet, in that order, one line each.
func New(name string, seed uint64, blocks int, warmup, duration unit.Duration, knobs []Factor) (*Plan, error) {
	p := &Plan{Name: name, Seed: seed, Blocks: blocks, Warmup: warmup, Duration: duration}
	var errs []error
	if blocks < 1 {
		errs = append(errs, fmt.Errorf("blocks=%d: at least one block is needed", blocks))
	}
	if duration <= 0 {
		errs = append(errs, fmt.Errorf("duration=%s: the measure phase needs a length: write for example 1s", duration))
	}
	if warmup < 0 {
		errs = append(errs, fmt.Errorf("warmup=%s: it cannot be negative", warmup))
	}
	for i, f := range knobs {
		f, bad := p.factor(f, knobs[:i])
		errs = append(errs, bad...)
		p.Factors = append(p.Factors, f)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if err := p.expand(); err != nil {
		return nil, err
	}
	return p, nil
}

// factor makes f's levels canonical. before are the knobs named before it.
func (p *Plan) factor(f Factor, before []Factor) (Factor, []error) {
	k, err := Lookup(f.Knob)
	if err != nil {
		return f, []error{err}
	}
	var errs []error
	option, side := splitOption(f.Knob)
	for _, b := range before {
		switch o, s := splitOption(b.Knob); {
		case b.Knob == f.Knob:
			errs = append(errs, fmt.Errorf("knob %s: it is named twice: give it all its levels at once", f.Knob))
		case o == option && s&side != 0:
			errs = append(errs, fmt.Errorf("knob %s: %s is named too, and both set the same sockets: name client.%s and server.%s, or %s alone",
				f.Knob, b.Knob, option, option, option))
		}
	}
	if len(f.Levels) == 0 {
		errs = append(errs, fmt.Errorf("knob %s: it has no level", f.Knob))
	}
	out := Factor{Knob: f.Knob}
	for _, given := range p.spread(f) {
		level, err := k.Canonical(given)
		switch {
		case err != nil:
			errs = append(errs, err)
		case slices.Contains(out.Levels, level) && level != given:
			errs = append(errs, fmt.Errorf("%s=%s: it is the same level as %s", f.Knob, given, level))
		case slices.Contains(out.Levels, level):
			errs = append(errs, fmt.Errorf("%s=%s: the level is named twice", f.Knob, given))
		default:
			out.Levels = append(out.Levels, level)
		}
	}
	return out, errs
}

// spread replaces target=all by every built-in model that is not named beside it, and remembers which those were.
func (p *Plan) spread(f Factor) []Level {
	i := slices.Index(f.Levels, everyModel)
	if f.Knob != "target" || i < 0 {
		return f.Levels
	}
	var brought []Level
	for _, m := range builtin() {
		if !slices.Contains(f.Levels, m) {
			brought = append(brought, m)
		}
	}
	p.Brought = brought
	return slices.Concat(f.Levels[:i], brought, f.Levels[i+1:])
}

// expand makes the cells and judges each.
func (p *Plan) expand() error {
	n := 1
	for _, f := range p.Factors {
		if n *= len(f.Levels); n > maxCells {
			return fmt.Errorf("the levels make more than %d cells: name fewer", maxCells)
		}
	}
	var errs []error
	seen := map[string]bool{}
	for i := range n {
		c := p.cell(i, n)
		s := Default()
		s.Load.Warmup, s.Load.Duration = p.Warmup, p.Duration
		for _, f := range p.Factors {
			k, err := Lookup(f.Knob)
			if err == nil {
				err = k.set(&s, c[f.Knob])
			}
			if err != nil {
				return err
			}
		}
		for _, problem := range judge(p.Factors, c, &s) {
			if !seen[problem] {
				seen[problem] = true
				errs = append(errs, errors.New(problem))
			}
		}
		p.cells, p.specs = append(p.cells, c), append(p.specs, s)
	}
	p.digest = p.sum()
	return errors.Join(errs...)
}

// cell is the i-th of n: the last factor varies fastest.
func (p *Plan) cell(i, n int) Cell {
	c := Cell{}
	for _, f := range p.Factors {
		n /= len(f.Levels)
		c[f.Knob] = f.Levels[i/n%len(f.Levels)]
	}
	return c
}

// UnmarshalJSON reads and validates a plan, so that one read back is as good as a new one.
func (p *Plan) UnmarshalJSON(data []byte) error {
	type plain Plan
	var v plain
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	made, err := New(v.Name, v.Seed, v.Blocks, v.Warmup, v.Duration, v.Factors)
	if err != nil {
		return err
	}
	made.Brought = v.Brought
	*p = *made
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
