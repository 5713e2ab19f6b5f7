package plan

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sockbench/sockbench/internal/planfile"
	"github.com/sockbench/sockbench/unit"
)

// Parse reads a plan file, whose name is for messages, and names the plan if the plan does not. The error is a
// *planfile.Error: everything that is wrong, each with its place, the line and the fix.
func Parse(file string, src []byte) (*Plan, error) {
	root, problems := planfile.Parse(src)
	if root == nil {
		return nil, &planfile.Error{File: file, Source: src, Problems: problems}
	}
	r := reading{root: root, problems: problems, rows: map[string][]string{}}
	shape := r.shape()
	raw := r.plan(file)
	p, faults := build(raw, 0, len(r.problems)+len(shape) > 0)
	for _, f := range faults {
		r.report(f)
	}
	for _, s := range shape { // where the knobs have said it better, the schema is silent
		if !slices.ContainsFunc(r.problems, func(p planfile.Problem) bool { return p.Line == s.Line && p.Col == s.Col }) {
			r.problems = append(r.problems, s)
		}
	}
	if len(r.problems) > 0 {
		slices.SortStableFunc(r.problems, func(a, b planfile.Problem) int {
			return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
		})
		return nil, &planfile.Error{File: file, Source: src, Problems: slices.Compact(r.problems)}
	}
	return p, nil
}

// reading is a plan file on its way to a raw Plan. What has the wrong shape is passed over: the schema reports it.
type reading struct {
	root     *planfile.Node
	sections []string            // of the Factors read: where each stands
	factors  []string            // and its knob
	rows     map[string][]string // of gate and limits: the index of each that was read
	problems []planfile.Problem
}

// report adds a problem at the fault's place.
func (r *reading) report(f fault) {
	path := f.at
	if len(path) > 1 && path[0] == "knobs" {
		i, _ := strconv.Atoi(path[1])
		path = append([]string{r.sections[i], r.factors[i]}, path[2:]...)
	}
	if len(path) > 1 && r.rows[path[0]] != nil {
		i, _ := strconv.Atoi(path[1])
		path = append([]string{path[0], r.rows[path[0]][i]}, path[2:]...)
	}
	key, value := r.root.Find(path...)
	if f.key && key != nil {
		value = key
	}
	r.fail(value, f.err)
}

func (r *reading) fail(at *planfile.Node, err error) {
	r.problems = append(r.problems, planfile.Problem{Line: at.Line, Col: at.Col, Text: err.Error()})
}

// plan reads every section.
func (r *reading) plan(file string) Plan {
	base := filepath.Base(file)
	p := Plan{Name: strings.TrimSuffix(base, filepath.Ext(base)), Seed: DefaultSeed, Blocks: DefaultBlocks, Warmup: DefaultWarmup, Duration: DefaultDuration}
	for i, key := range r.root.Keys {
		switch n := r.root.Items[i]; key.Text {
		case "name":
			if name, ok := r.level(key.Text, n); ok {
				p.Name = name
			}
		case "seed":
			if text, ok := r.level(key.Text, n); ok {
				seed, err := strconv.ParseUint(text, 10, 64)
				if err != nil {
					r.fail(n, fmt.Errorf("seed=%s: write a whole number from 0 to 18446744073709551615", text))
				}
				p.Seed = seed
			}
		case "blocks":
			blocks := unit.Count(p.Blocks)
			r.quantity(key.Text, n, &blocks)
			p.Blocks = int(blocks)
		case "duration":
			r.quantity(key.Text, n, &p.Duration)
		case "warmup":
			r.quantity(key.Text, n, &p.Warmup)
		case "fixed":
			r.fixed(&p, n)
		case "factors":
			r.varied(&p, n)
		case "exclude":
			for i, item := range items(n) {
				p.Exclude = append(p.Exclude, r.cell(fmt.Sprintf("exclude %d", i+1), item))
			}
		case "variants":
			for i, name := range n.Keys {
				p.Variants = append(p.Variants, Variant{name.Text, r.cell("variant "+name.Text, n.Items[i])})
			}
		case "gate", "limits":
			r.metrics(&p, key.Text, n)
		}
	}
	return p
}

// level is the text of a level of what; ok is false where it was reported, or the schema will.
func (r *reading) level(what string, n *planfile.Node) (text Level, ok bool) {
	switch n.Kind {
	case planfile.Scalar:
		if n.Text == "" && !n.Quoted {
			r.fail(n, fmt.Errorf("%s: its value is missing", what))
			return "", false
		}
		return n.Text, true
	case planfile.Map:
		var parts []string
		for i, k := range n.Keys {
			v := n.Items[i]
			if v.Kind != planfile.Scalar {
				r.fail(v, fmt.Errorf("%s: %s: write a single value, not %s", what, k.Text, v.Kind))
				return "", false
			}
			parts = append(parts, k.Text+"="+v.Text)
		}
		return strings.Join(parts, ","), true
	}
	return "", false
}

// quantity reads a value that is no knob's; a missing or misshapen one leaves it alone.
func (r *reading) quantity(what string, n *planfile.Node, into Text) {
	if n.Kind != planfile.Scalar {
		return
	}
	text, ok := r.level(what, n)
	if !ok {
		return
	}
	if err := into.UnmarshalText([]byte(text)); err != nil {
		r.fail(n, fmt.Errorf("%s=%s: %w", what, text, err))
	}
}

func (r *reading) fixed(p *Plan, n *planfile.Node) {
	for i, k := range n.Keys {
		if n.Items[i].Kind == planfile.List {
			r.fail(n.Items[i], fmt.Errorf("knob %s: a fixed knob has one level: move it to factors to vary it", k.Text))
			continue
		}
		if level, ok := r.level(k.Text, n.Items[i]); ok {
			r.add(p, "fixed", k.Text, level)
		}
	}
}

func (r *reading) varied(p *Plan, n *planfile.Node) {
	for i, k := range n.Keys {
		v := n.Items[i]
		if v.Kind == planfile.Scalar && (v.Text != "" || v.Quoted) {
			r.fail(v, fmt.Errorf("knob %s: its levels are a list: write [%s]", k.Text, v.Text))
		}
		if v.Kind != planfile.List {
			continue
		}
		var levels []Level
		for _, item := range v.Items {
			level, ok := r.level(k.Text, item)
			if !ok {
				level = unset // in its place, so that the others keep their indexes
			}
			levels = append(levels, level)
		}
		r.add(p, "factors", k.Text, levels...)
	}
}

func (r *reading) add(p *Plan, section, knob string, levels ...Level) {
	p.Factors = append(p.Factors, Factor{Knob: knob, Levels: levels})
	r.sections, r.factors = append(r.sections, section), append(r.factors, knob)
}

// cell reads one level for each knob.
func (r *reading) cell(what string, n *planfile.Node) Cell {
	c := Cell{}
	for i, k := range n.Keys {
		c[k.Text] = unset // for what is reported otherwise
		if v := n.Items[i]; v.Kind == planfile.List {
			r.fail(v, fmt.Errorf("%s: knob %s has one level here: write a single value", what, k.Text))
		} else if level, ok := r.level(k.Text, v); ok {
			c[k.Text] = level
		}
	}
	return c
}

// items are those of a list.
func items(n *planfile.Node) []*planfile.Node {
	if n.Kind != planfile.List {
		return nil
	}
	return n.Items
}

// metrics reads gates or limits. Incomplete ones are the schema's to report.
func (r *reading) metrics(p *Plan, section string, n *planfile.Node) {
	second := map[string]string{"gate": "worse", "limits": "limit"}[section]
	for i, item := range items(n) {
		_, name := item.Find("metric")
		_, value := item.Find(second)
		if name == item || value == item || name.Kind != planfile.Scalar || value.Kind != planfile.Scalar {
			continue
		}
		metric, ok := r.level("metric", name)
		text, also := r.level(second, value)
		if !ok || !also {
			continue
		}
		r.rows[section] = append(r.rows[section], strconv.Itoa(i))
		if section == "limits" {
			p.Limits = append(p.Limits, Limit{metric, text})
			continue
		}
		var worse unit.Share
		r.quantity(second, value, &worse)
		p.Gate = append(p.Gate, Gate{metric, worse})
	}
}
