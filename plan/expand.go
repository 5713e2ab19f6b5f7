package plan

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/unit"
	"github.com/sockbench/sockbench/wire"
)

// expand makes the cells and judges each.
func (b *builder) expand() {
	n := 1
	for _, f := range b.Factors {
		if n *= len(f.Levels); n > maxCells {
			b.fail(true, fmt.Errorf("the levels make more than %d cells: name fewer", maxCells), "factors")
			return
		}
	}
	seen := map[string]bool{}
	for i := range n {
		c := b.cell(i, n)
		if b.excluded(c) {
			continue
		}
		acting, s, err := b.spec(c)
		if err != nil { // cannot be: each level was read before
			b.fail(false, err)
			return
		}
		for _, v := range judge(b.named(c), acting, &s, slices.Contains(b.Brought, acting["target"])) {
			if !seen[v.text] {
				seen[v.text] = true
				b.fail(false, errors.New(v.text), b.place(c, v.blame)...)
			}
		}
		b.cells, b.specs = append(b.cells, c), append(b.specs, s)
	}
	if len(b.cells) == 0 {
		b.fail(true, errors.New("exclude: no cell is left: exclude fewer"), "exclude")
	}
}

// cell is the i-th of n: the last factor varies fastest.
func (b *builder) cell(i, n int) Cell {
	c := Cell{}
	for _, f := range b.Factors {
		n /= len(f.Levels)
		c[f.Knob] = f.Levels[i/n%len(f.Levels)]
	}
	return c
}

func (b *builder) excluded(c Cell) bool { return slices.ContainsFunc(b.Exclude, c.Has) }

// bundle is the knobs of c's variant.
func (b *builder) bundle(c Cell) Cell {
	i := slices.IndexFunc(b.Variants, func(v Variant) bool { return v.Name == c[variant] })
	if i < 0 {
		return nil
	}
	return b.Variants[i].Knobs
}

// named lists the knobs that act in c, those of its variant last.
func (b *builder) named(c Cell) (names []string) {
	for _, f := range b.Factors {
		if f.Knob != variant {
			names = append(names, f.Knob)
		}
	}
	return append(names, slices.Sorted(maps.Keys(b.bundle(c)))...)
}

// spec is the trial that c stands for, and acting its levels with the variant's in its place.
func (b *builder) spec(c Cell) (acting Cell, s Spec, err error) {
	s = defaults
	s.Load.Warmup, s.Load.Duration = b.Warmup, b.Duration
	framing := cmp.Or(b.bundle(c)["framing"], c["framing"])
	if f, err := wire.Find(framing); err == nil && f.Bare {
		s.Load.Request, s.Target.Request = 0, 0
	}
	work := cmp.Or(b.bundle(c)["workload"], c["workload"])
	if w, err := loadgen.FindWorkload(unit.Word(work)); err == nil && w.Defaults != nil {
		w.Defaults(&s.Load)
		s.Target.Request, s.Target.Reply = s.Load.Request, s.Load.Reply
	}
	acting = Cell{}
	for i, f := range b.Factors {
		if f.Knob == variant {
			continue
		}
		acting[f.Knob] = c[f.Knob]
		if err := b.knobs[i].set(&s, c[f.Knob]); err != nil {
			return nil, s, err
		}
	}
	for knob, level := range b.bundle(c) {
		acting[knob] = level
		k, err := Lookup(knob)
		if err == nil {
			err = k.set(&s, level)
		}
		if err != nil {
			return nil, s, err
		}
	}
	s.fill()
	return acting, s, nil
}

// defaults is what every trial begins with. Setting a knob never writes into what it shares.
var defaults = Default()

// place leads to the level that knob has in c.
func (b *builder) place(c Cell, knob string) []string {
	if _, ok := b.bundle(c)[knob]; ok {
		return []string{"variants", c[variant], knob}
	}
	for i, f := range b.Factors {
		if f.Knob == knob {
			return []string{"knobs", strconv.Itoa(i), strconv.Itoa(b.given[i][slices.Index(f.Levels, c[knob])])}
		}
	}
	return nil
}
