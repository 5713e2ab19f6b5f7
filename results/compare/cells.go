package compare

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sockbench/sockbench/internal/near"
	"github.com/sockbench/sockbench/plan"
)

// Sides says by which knobs two lists of knobs differ; they must name the same ones.
func Sides(x, y plan.Cell) (knobs []string, err error) {
	for _, k := range slices.Sorted(maps.Keys(x)) {
		level, ok := y[k]
		if !ok {
			return nil, fmt.Errorf("--cells %s names %s and --cells %s does not: name the same knobs on both sides", x, k, y)
		}
		if level != x[k] {
			knobs = append(knobs, k)
		}
	}
	for k := range y {
		if _, ok := x[k]; !ok {
			return nil, fmt.Errorf("--cells %s names %s and --cells %s does not: name the same knobs on both sides", y, k, x)
		}
	}
	return knobs, nil
}

// Default is the two levels that are compared where none are named: of the factor by or, if that is "", of the only one that
// has two.
func Default(p *plan.Plan, by string) (x, y plan.Cell, err error) {
	var pairs, names []string
	for _, f := range p.Factors {
		if len(f.Levels) > 1 {
			names = append(names, f.Knob)
		}
		if len(f.Levels) == 2 {
			pairs = append(pairs, f.Knob)
		}
	}
	if by == "" && slices.Contains(pairs, "variant") {
		by = "variant"
	}
	if by == "" && len(pairs) == 1 {
		by = pairs[0]
	}
	at := slices.IndexFunc(p.Factors, func(f plan.Factor) bool { return f.Knob == by })
	switch {
	case len(names) == 0:
		return nil, nil, errors.New("this run has one cell: there is nothing to compare it with but another run")
	case by == "" && len(pairs) > 1:
		return nil, nil, fmt.Errorf("what is to be compared? name a knob of two levels (--by %s) or two kinds of cells (--cells %s --cells %s)",
			strings.Join(pairs, ", --by "), example(p, pairs[0], 0), example(p, pairs[0], 1))
	case by == "":
		return nil, nil, fmt.Errorf("no knob of this run has exactly two levels: name two kinds of cells (--cells %s --cells %s)", example(p, names[0], 0), example(p, names[0], 1))
	case at < 0:
		return nil, nil, fmt.Errorf("--by %s: this run did not name that knob: it has %s%s", by, strings.Join(names, ", "), near.Suggest(by, names))
	case len(p.Factors[at].Levels) != 2:
		return nil, nil, fmt.Errorf("--by %s: it has the levels %s: name two of them (--cells %s=… --cells %s=…)", by, strings.Join(p.Factors[at].Levels, ", "), by, by)
	}
	levels := p.Factors[at].Levels
	return plan.Cell{by: levels[0]}, plan.Cell{by: levels[1]}, nil
}

func example(p *plan.Plan, knob string, n int) string {
	i := slices.IndexFunc(p.Factors, func(f plan.Factor) bool { return f.Knob == knob })
	return knob + "=" + p.Factors[i].Levels[n]
}

// Groups pairs the cells of two plans, which may be one, that have x's and y's levels and are equal in all others: all of
// them first, then each by itself. left are those without a partner. filter is of what both sides have; none: all.
func Groups(a, b *plan.Plan, x, y plan.Cell, filter []plan.Cell) (groups []Group, left [2]int) {
	rest := func(c plan.Cell) plan.Cell {
		c = maps.Clone(c)
		maps.DeleteFunc(c, func(k string, _ plan.Level) bool { _, named := x[k]; return named && x[k] != y[k] })
		return c
	}
	wanted := func(c, side plan.Cell) bool {
		return c.Has(side) && (len(filter) == 0 || slices.ContainsFunc(filter, c.Has))
	}
	partner := map[string]plan.Cell{}
	for _, c := range b.Cells() {
		if wanted(c, y) {
			partner[rest(c).String()] = c
		}
	}
	left[1] = len(partner)
	whole := Group{Whole: true, Cells: [2]plan.Cell{x, y}}
	for _, c := range a.Cells() {
		if !wanted(c, x) {
			continue
		}
		r := rest(c)
		other, ok := partner[r.String()]
		if !ok {
			left[0]++
			continue
		}
		left[1]--
		whole.Pairs = append(whole.Pairs, [2]plan.Cell{c, other})
		groups = append(groups, Group{Label: label(a, r), Cells: [2]plan.Cell{c, other}, Pairs: [][2]plan.Cell{{c, other}}})
	}
	if len(groups) > 1 {
		whole.Label = fmt.Sprintf("all %d", len(groups))
		groups = slices.Insert(groups, 0, whole)
	}
	return groups, left
}

// label is what tells a cell from others, of the knobs that are left in it.
func label(p *plan.Plan, c plan.Cell) string {
	var words []string
	for _, f := range p.Factors {
		if level, ok := c[f.Knob]; ok && len(f.Levels) > 1 {
			words = append(words, f.Knob+"="+level)
		}
	}
	return strings.Join(words, " ")
}

// Table groups cells for a pivot: of each level of rows, the levels of cols after the first one against the first.
func Table(p *plan.Plan, rows, cols string, filter []plan.Cell) (groups []Group, err error) {
	var levels [2][]plan.Level
	for i, knob := range []string{rows, cols} {
		at := slices.IndexFunc(p.Factors, func(f plan.Factor) bool { return f.Knob == knob })
		if at < 0 {
			var names []string
			for _, f := range p.Factors {
				names = append(names, f.Knob)
			}
			return nil, fmt.Errorf("this run did not name the knob %s: it has %s%s", knob, strings.Join(names, ", "), near.Suggest(knob, names))
		}
		levels[i] = p.Factors[at].Levels
	}
	if rows == cols || len(levels[1]) < 2 {
		return nil, fmt.Errorf("--rows %s --cols %s: two different knobs are needed, and several levels of the second", rows, cols)
	}
	for _, r := range levels[0] {
		for _, c := range levels[1][1:] {
			x, y := plan.Cell{rows: r, cols: levels[1][0]}, plan.Cell{rows: r, cols: c}
			g := Group{Cells: [2]plan.Cell{x, y}, Label: rows + "=" + r}
			each, _ := Groups(p, p, x, y, filter)
			if len(each) > 0 {
				g.Pairs = each[0].Pairs // of all
			}
			groups = append(groups, g)
		}
	}
	return groups, nil
}
