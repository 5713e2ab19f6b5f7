package results

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/results/stats"
)

// Lines are the effects in words: what the numbers are, a sentence for each level, the interactions that are in none of
// these, and what is missing.
func (m *MetricEffects) Lines() (lines []string) {
	if m.Nothing != "" {
		lines = append(lines, "None: "+m.Nothing+".")
	} else {
		lines = append(lines, fmt.Sprintf("Beside each factor's first level, with %.0f%% intervals of the ratio; from %s, which scatter by %.0f%% within their cells.",
			100*stats.Confidence, term.Count(m.Trials, "trial"), 100*math.Expm1(m.Scatter)))
	}
	for _, e := range m.Effects {
		lines = append(lines, e.Claim)
	}
	lines = append(lines, m.together()...)
	for _, u := range m.Unbalanced {
		lines = append(lines, "Unbalanced: "+u+".")
	}
	return lines
}

// claim is e as a sentence.
func (d *design) claim(e *stats.Effect, f FactorEffect) string {
	head := fmt.Sprintf("%s=%s beside %s", f.Knob, f.Level, f.Beside)
	if e.Evidence == stats.Aliased {
		return head + ": " + d.aliased(e, f.Knob)
	}
	if len(f.Depends) > 0 {
		head += ", an interaction with " + enumerated(f.Depends)
	}
	var parts []string
	for i, p := range f.Parts {
		saying := d.saying(p)
		if i > 0 {
			saying = strings.Replace(saying, d.metric.Name+" ", "", 1) // it was named
		}
		parts = append(parts, saying)
	}
	text := head + ": " + strings.Join(parts, "; ") + "."
	if lacks := d.levelsOf(e.Lacks); lacks != "" {
		text += fmt.Sprintf(" With %s it is not known: no two cells there differ in %s alone and can be compared.", lacks, f.Knob)
	}
	return text
}

// aliased says why nothing is known of an effect.
func (d *design) aliased(e *stats.Effect, knob string) string {
	text := "cannot be told: no two cells with a result differ in " + knob + " alone and can be compared"
	var with []string
	for _, f := range e.Aliased {
		with = append(with, d.factors[f].Knob)
	}
	if len(with) > 0 {
		text += "; it is aliased with " + enumerated(with)
	}
	return text + "."
}

// fraction says why nothing is known of any effect, where all levels were run, but none changed alone; "": else. A half of
// all combinations of two levels is then every other one: the product of all factors, in signs, is the same in each cell
// (Montgomery, ch. 8).
func (d *design) fraction(f *stats.Factorial) string {
	if len(d.apart) > 0 || slices.ContainsFunc(f.Effects, func(e *stats.Effect) bool { return len(e.Aliased) == 0 }) {
		return ""
	}
	full, twoLevels := d.full(), true
	for _, n := range d.levels() {
		twoLevels = twoLevels && n == 2
	}
	text := fmt.Sprintf("no two cells with a result differ in one factor alone: they are a fraction, %d of %d combinations", d.used(), full)
	if !twoLevels || 2*d.used() != full {
		return text + ", in which every effect is aliased with those of other factors; run pairs of cells that differ in one factor, or all combinations"
	}
	var aliases []string
	for i, factor := range d.factors {
		var others []string
		for j, other := range d.factors {
			if j != i {
				others = append(others, other.Knob)
			}
		}
		aliases = append(aliases, factor.Knob+" with "+strings.Join(others, " × "))
	}
	return text + " (a half fraction), in which every effect is aliased: " + strings.Join(aliases, ", ") + "; run the other half too"
}

// levelsOf writes levels of factors, those of one together: "write=split or cork, path=none".
func (d *design) levelsOf(all [][2]int) string {
	var parts []string
	for f, factor := range d.factors {
		var levels []string
		for _, l := range all {
			if l[0] == f {
				levels = append(levels, factor.Levels[l[1]])
			}
		}
		if len(levels) > 0 {
			parts = append(parts, factor.Knob+"="+strings.Join(levels, " or "))
		}
	}
	return strings.Join(parts, ", or ")
}

// saying is a part of a claim: "p50 ÷ 310 with write=split (0.0030–0.0034)".
func (d *design) saying(p EffectPart) string {
	where := ""
	for _, f := range d.factors {
		if level, ok := p.At[f.Knob]; ok {
			where += " " + f.Knob + "=" + level
		}
	}
	if where != "" {
		where = " with" + where
	}
	if p.Pairs < p.Of {
		where += fmt.Sprintf(" over %d of %d pairs of cells", p.Pairs, p.Of)
	}
	within := ""
	if p.Effect != (stats.Interval{}) {
		within = fmt.Sprintf(" (%s–%s)", short(p.Effect.Low), short(p.Effect.High))
	}
	switch p.Evidence {
	case stats.Shown:
		return d.metric.Name + " " + times(p.Effect.Ratio) + where + within
	case stats.Likely:
		return "perhaps " + d.metric.Name + " " + times(p.Effect.Ratio) + where + within
	case stats.NotShown:
		if p.Effect.Low > 1 || p.Effect.High < 1 {
			return "no effect shown after correction" + where + within
		}
		return "no effect shown" + where + within
	}
	return "too noisy to say" + where + ": " + halfWidth(p.Effect)
}

// times is a ratio as a person says it.
func times(ratio float64) string {
	switch percent := 100 * (ratio - 1); {
	case ratio >= 2:
		return "× " + twoDigits(ratio)
	case ratio <= 0.5:
		return "÷ " + twoDigits(1/ratio)
	case math.Abs(percent) >= 1:
		return fmt.Sprintf("%+.0f%%", percent)
	default:
		return fmt.Sprintf("%+.1f%%", percent)
	}
}

// halfWidth is how far an interval reaches.
func halfWidth(i stats.Interval) string {
	if i == (stats.Interval{}) {
		return "too few trials"
	}
	if share := i.High/i.Ratio - 1; share < 10 {
		return fmt.Sprintf("±%.0f%%", 100*share)
	}
	return "more than ±1000%"
}

// wider says which of two intervals reaches further; the one that is not there reaches furthest.
func wider(a, b stats.Interval) bool {
	return b != (stats.Interval{}) && (a == (stats.Interval{}) || a.High/a.Ratio > b.High/b.Ratio)
}

func enumerated(words []string) string {
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
	return words[0]
}

// together tells of pairs of factors that are in no claim: those not shown to act together.
func (m *MetricEffects) together() (lines []string) {
	type pair struct {
		stats.Interval
		name     string
		evidence stats.Evidence
	}
	worse := []stats.Evidence{stats.NotShown, stats.Unknown, stats.Likely, stats.Shown}
	var pairs []*pair
	for _, t := range m.Interactions {
		name := t.Knobs[0] + " × " + t.Knobs[1]
		i := slices.IndexFunc(pairs, func(p *pair) bool { return p.name == name })
		if i < 0 {
			i = len(pairs)
			pairs = append(pairs, &pair{t.Effect, name, t.Evidence})
		}
		p := pairs[i]
		stronger := slices.Index(worse, t.Evidence) - slices.Index(worse, p.evidence)
		if stronger > 0 || stronger == 0 && wider(t.Effect, p.Interval) { // it speaks for all of the pair
			p.evidence, p.Interval = t.Evidence, t.Effect
		}
	}
	for _, say := range []struct {
		evidence stats.Evidence
		text     string
		with     func(stats.Interval) string
	}{
		{stats.Likely, "Perhaps these act together", func(i stats.Interval) string { return short(i.Low) + "–" + short(i.High) }},
		{stats.NotShown, "Not shown to act together", func(i stats.Interval) string { return short(i.Low) + "–" + short(i.High) }},
		{stats.Unknown, "Too noisy to say whether they act together", halfWidth},
	} {
		var names []string
		for _, p := range pairs {
			if p.evidence == say.evidence {
				names = append(names, fmt.Sprintf("%s (%s)", p.name, say.with(p.Interval)))
			}
		}
		if names != nil {
			lines = append(lines, say.text+": "+strings.Join(names, ", ")+".")
		}
	}
	return lines
}

// unbalanced names what keeps the design from being full: each combination as often as every other.
func (d *design) unbalanced() (all []string) {
	if full := d.full(); len(d.cells) < full {
		all = append(all, fmt.Sprintf("the plan has not %d of %d combinations", full-len(d.cells), full))
	}
	var reasons []string
	labels := map[string][]string{}
	least, most := math.MaxInt, 0
	for i, why := range d.why {
		if why == "" {
			least, most = min(least, d.usable[i]), max(most, d.usable[i])
			continue
		}
		if labels[why] == nil {
			reasons = append(reasons, why)
		}
		labels[why] = append(labels[why], d.plan.Label(d.cells[i]))
	}
	for _, why := range reasons {
		all = append(all, fmt.Sprintf("%d of %d cells left out (%s): %s", len(labels[why]), len(d.cells), someOf(labels[why]), why))
	}
	if least < most {
		all = append(all, fmt.Sprintf("cells have %d to %d trials that count", least, most))
	}
	if len(d.apart) > 0 {
		var names []string
		for i, a := range d.cells {
			for j, b := range d.cells {
				if _, ok := d.apart[[2]int{i, j}]; ok {
					names = append(names, d.plan.Label(a)+" with "+d.plan.Label(b))
				}
			}
		}
		all = append(all, fmt.Sprintf("%s of cells not compared (%s): as in findings, more than the levels differs, or CPU time sets the pace of both",
			term.Count(len(d.apart), "pair"), someOf(names)))
	}
	return all
}

// someOf are the first of many words.
func someOf(words []string) string {
	if len(words) > 2 {
		return fmt.Sprintf("%s; and %d more", words[0], len(words)-1)
	}
	return strings.Join(words, "; ")
}
