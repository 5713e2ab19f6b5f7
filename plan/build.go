package plan

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sockbench/sockbench/internal/near"
)

// Bounds of one plan.
const (
	maxCells  = 100_000
	maxBlocks = 10_000
)

// variant is the factor that the variants are together.
const variant = "variant"

// fault is something wrong with a plan. at leads to it, by keys and indexes: "knobs", the index of the Factor, the
// index of the level; "variants", name, knob; "exclude", index, knob; "gate", index, "metric".
type fault struct {
	at  []string
	key bool // what stands there is wrong itself, not its value
	err error
}

// made is a plan, or its faults as one error.
func made(p *Plan, faults []fault) (*Plan, error) {
	if len(faults) == 0 {
		return p, nil
	}
	var errs []error
	for _, f := range faults {
		errs = append(errs, f.err)
	}
	return nil, errors.Join(errs...)
}

// builder makes a Plan of a raw one: levels as written, without cells, and without the factor of the variants.
type builder struct {
	Plan
	knobs  []Knob  // of Factors
	given  [][]int // of Factors: which level, as written, each level came from
	faults []fault
}

// build makes a plan of raw. Of its exclusions, the first old may match nothing: these are dropped. broken says that
// raw is not all that was written, so that cells would prove nothing.
func build(raw Plan, old int, broken bool) (*Plan, []fault) {
	b := builder{Plan: raw}
	b.Factors, b.Variants, b.Exclude, b.Limits = nil, nil, nil, nil
	b.cells, b.specs = nil, nil
	b.frame()
	for i, f := range raw.Factors {
		b.factor(i, f, raw.Factors[:i])
	}
	b.variants(raw.Variants)
	b.metrics(raw.Gate, raw.Limits)
	broken = broken || len(b.faults) > 0
	for i, c := range raw.Exclude {
		b.exclude(i, c, broken || i < old)
	}
	if !broken && len(b.faults) == 0 {
		b.expand()
	}
	if len(b.faults) > 0 {
		return nil, b.faults
	}
	b.digest = b.sum()
	return &b.Plan, nil
}

func (b *builder) fail(key bool, err error, at ...string) {
	b.faults = append(b.faults, fault{at, key, err})
}

// frame checks what is no knob.
func (b *builder) frame() {
	if strings.ContainsAny(b.Name, "/\x00") {
		b.fail(false, fmt.Errorf("name=%q: it becomes part of a folder's name and cannot hold a slash", b.Name), "name")
	}
	if b.Blocks < 1 {
		b.fail(false, fmt.Errorf("blocks=%d: at least one block is needed", b.Blocks), "blocks")
	}
	if b.Blocks > maxBlocks {
		b.fail(false, fmt.Errorf("blocks=%d: that is too many: at most %d", b.Blocks, maxBlocks), "blocks")
	}
	if b.Duration <= 0 {
		b.fail(false, fmt.Errorf("duration=%s: the measure phase needs a length: write for example 1s", b.Duration), "duration")
	}
	if b.Warmup < 0 {
		b.fail(false, fmt.Errorf("warmup=%s: it cannot be negative", b.Warmup), "warmup")
	}
}

// factor adds f, the i-th, with canonical levels. before are the knobs named before it.
func (b *builder) factor(i int, f Factor, before []Factor) {
	n := strconv.Itoa(i)
	k, err := lookup(f.Knob)
	if err != nil {
		b.fail(true, err, "knobs", n)
		return
	}
	for _, other := range before {
		if other.Knob == f.Knob {
			b.fail(true, fmt.Errorf("knob %s: it is named twice: give it all its levels at once", f.Knob), "knobs", n)
		} else if err := clash(f.Knob, other.Knob); err != nil {
			b.fail(true, err, "knobs", n)
		}
	}
	if len(f.Levels) == 0 {
		b.fail(false, fmt.Errorf("knob %s: it has no level", f.Knob), "knobs", n)
	}
	out := Factor{Knob: f.Knob}
	var given []int
	for j, text := range f.Levels {
		for _, text := range b.spread(f, j, text) {
			level, err := k.Canonical(text)
			switch {
			case err != nil:
			case slices.Contains(out.Levels, level) && level != text:
				err = fmt.Errorf("%s=%s: it is the same level as %s", f.Knob, text, level)
			case slices.Contains(out.Levels, level):
				err = fmt.Errorf("%s=%s: the level is named twice", f.Knob, text)
			default:
				out.Levels, given = append(out.Levels, level), append(given, j)
			}
			if err != nil {
				b.fail(false, err, "knobs", n, strconv.Itoa(j))
			}
		}
	}
	b.Factors, b.knobs, b.given = append(b.Factors, out), append(b.knobs, k), append(b.given, given)
}

// clash says why two knobs cannot be named together.
func clash(knob, other string) error {
	option, side := splitOption(knob)
	if o, s := splitOption(other); o != option || s&side == 0 || other == knob {
		return nil
	}
	return fmt.Errorf("knob %s: %s is named too, and both set the same sockets: name client.%s and server.%s, or %s alone",
		knob, other, option, option, option)
}

// spread replaces target=all, the first time, by every model it stands for that is not named beside it, and remembers
// which those were.
func (b *builder) spread(f Factor, i int, text Level) []Level {
	if f.Knob != "target" || text != everyModel || slices.Index(f.Levels, everyModel) != i {
		return []Level{text}
	}
	b.Brought = nil
	for _, m := range builtin() {
		if !slices.Contains(f.Levels, m) {
			b.Brought = append(b.Brought, m)
		}
	}
	return b.Brought
}

// lookup is Lookup for levels of a plan, where "variant" has a place of its own.
func lookup(knob string) (Knob, error) {
	if knob == variant {
		return Knob{}, errors.New("knob variant: variants are named bundles of knobs: write variants: {old: {…}, new: {…}}")
	}
	return Lookup(knob)
}

// variants adds the bundles and the factor they are.
func (b *builder) variants(raw []Variant) {
	f := Factor{Knob: variant}
	var given []int
	for i, v := range raw {
		if v.Name == "" || strings.ContainsAny(v.Name, ",= \t") {
			b.fail(true, fmt.Errorf("variant %q: a name is a word without comma and =", v.Name), "variants", v.Name)
		}
		if slices.Contains(f.Levels, v.Name) {
			b.fail(true, fmt.Errorf("variant %s: it is named twice", v.Name), "variants", v.Name)
		}
		out := Variant{Name: v.Name, Knobs: Cell{}}
		names := slices.Sorted(maps.Keys(v.Knobs))
		for j, knob := range names {
			k, err := lookup(knob)
			for _, other := range names[:j] {
				err = cmp.Or(err, clash(knob, other))
			}
			for _, outside := range b.Factors {
				if outside.Knob == knob {
					err = fmt.Errorf("knob %s: it is named outside the variants too: name it in one place", knob)
				}
				err = cmp.Or(err, clash(knob, outside.Knob))
			}
			if err != nil {
				b.fail(true, err, "variants", v.Name, knob)
				continue
			}
			if out.Knobs[knob], err = k.Canonical(v.Knobs[knob]); err != nil {
				b.fail(false, err, "variants", v.Name, knob)
			}
		}
		b.Variants, f.Levels, given = append(b.Variants, out), append(f.Levels, v.Name), append(given, i)
	}
	if len(raw) > 0 {
		b.Factors, b.knobs, b.given = append(b.Factors, f), append(b.knobs, Knob{Name: variant}), append(b.given, given)
	}
}

// exclude adds an exclusion. One that matches nothing is a fault, unless it may: then it is left out.
func (b *builder) exclude(i int, raw Cell, mayMiss bool) {
	n := strconv.Itoa(i)
	if len(raw) == 0 {
		b.fail(false, errors.New("exclude: it names no level, and would leave nothing: write for example {target: blocking}"), "exclude", n)
	}
	out, missed := Cell{}, false
	for _, knob := range slices.Sorted(maps.Keys(raw)) {
		level, err := raw[knob], error(nil)
		if knob != variant {
			var k Knob
			if k, err = Lookup(knob); err != nil {
				b.fail(true, err, "exclude", n, knob)
				continue
			}
			if level, err = k.Canonical(level); err != nil {
				b.fail(false, err, "exclude", n, knob)
				continue
			}
		}
		out[knob] = level
		at := slices.IndexFunc(b.Factors, func(f Factor) bool { return f.Knob == knob })
		switch {
		case at >= 0 && slices.Contains(b.Factors[at].Levels, level):
		case mayMiss:
			missed = true
		case at < 0:
			b.fail(true, fmt.Errorf("exclude: knob %s is not varied, so this matches nothing: leave it out%s", knob, b.bundled(knob)), "exclude", n, knob)
		default:
			b.fail(false, fmt.Errorf("exclude: %s=%s matches nothing: the levels are %s%s", knob, level,
				strings.Join(b.Factors[at].Levels, ", "), near.Suggest(level, b.Factors[at].Levels)), "exclude", n, knob)
		}
	}
	if !missed {
		b.Exclude = append(b.Exclude, out)
	}
}

// bundled says which variant to name instead of a knob in it.
func (b *builder) bundled(knob string) string {
	for _, v := range b.Variants {
		if _, ok := v.Knobs[knob]; ok {
			return ", or name variant: " + v.Name
		}
	}
	return ""
}
