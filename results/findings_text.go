package results

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results/stats"
	"github.com/sockbench/sockbench/unit"
)

// sayings are how an effect on a metric is told: where it is twofold or more, where it is less, and the metric's name.
// %s is by how much.
var sayings = map[string]struct{ times, share, name string }{
	"p50":                    {"answers %s times faster than", "answers in %s less time than", "p50"},
	"p99":                    {"has a p99 %s times lower than", "has a p99 %s lower than", "p99"},
	"throughput":             {"answers %s times as many requests as", "answers %s more requests than", "requests/s"},
	"server_cpu_per_request": {"needs %s times less server CPU per request than", "needs %s less server CPU per request than", "CPU per request"},
}

// finding puts e into words.
func (s *study) finding(e *effect) Finding {
	ratio := s.interval(e) // x's value over y's
	better, worse := e.levels()
	to, from := s.values(e)
	if better != e.comparison.x {
		from, to = to, from
		ratio = inverse(ratio)
	}
	say := sayings[e.metric.Name]
	atLeast := ""
	if e.bound {
		atLeast = "at least "
	}
	claim := fmt.Sprintf("%s=%s %s %s: %s %s → %s (ratio %s, %d%% interval %s–%s, %d pairs).", e.factor.Knob, better,
		howMuch(e.metric, ratio.Ratio, atLeast), worse, say.name, e.metric.Format(middle(from)), e.metric.Format(middle(to)),
		short(ratio.Ratio), int(100*ratio.Level), short(ratio.Low), short(ratio.High), e.pairs)
	f := Finding{Code: "effect", Metric: e.metric.Name, Effect: ratio, Verdict: Better, Pairs: e.pairs,
		Cells: []plan.Cell{s.side(e, better), s.side(e, worse)}, Try: s.command(e, better, worse)}
	if e.by != "" {
		f.Code = "conditional_effect"
		claim = fmt.Sprintf("With %s=%s, %s%s", e.by, e.at, claim, s.elsewhere(e, better))
	}
	f.Claim = claim + s.extreme(e, better, worse) + s.opposite(e, better)
	return f
}

func inverse(i stats.Interval) stats.Interval {
	return stats.Interval{Ratio: 1 / i.Ratio, Low: 1 / i.High, High: 1 / i.Low, Level: i.Level}
}

// howMuch is the saying for a ratio of the better side to the worse one.
func howMuch(m Metric, ratio float64, atLeast string) string {
	say, times := sayings[m.Name], ratio
	if m.Lower {
		times = 1 / ratio
	}
	if times >= 2 {
		return fmt.Sprintf(say.times, atLeast+twoDigits(times))
	}
	return fmt.Sprintf(say.share, atLeast+fmt.Sprintf("%.0f%%", 100*math.Abs(1-ratio)))
}

// elsewhere tells of the other levels of the condition.
func (s *study) elsewhere(e *effect, better plan.Level) (text string) {
	var nothing, ratios []string
	for _, o := range s.siblings(e) {
		i := s.interval(o)
		if better != e.comparison.x && i != (stats.Interval{}) {
			i = inverse(i)
		}
		switch {
		case !o.shown:
			nothing = append(nothing, o.at)
			if i != (stats.Interval{}) {
				ratios = append(ratios, short(i.Low)+"–"+short(i.High))
			}
		default:
			text += fmt.Sprintf(" With %s=%s the ratio is %s (%s–%s).", o.by, o.at, short(i.Ratio), short(i.Low), short(i.High))
		}
	}
	if len(nothing) > 0 {
		within := ""
		if len(ratios) == len(nothing) {
			within = " (ratio " + strings.Join(ratios, ", ") + ")"
		}
		text = fmt.Sprintf(" With %s=%s it makes no difference shown%s.", e.by, strings.Join(nothing, " or "), within) + text
	}
	return text
}

// extreme says which side all other levels of the factor differ from, if one of the two is.
func (s *study) extreme(e *effect, better, worse plan.Level) string {
	if len(e.factor.Levels) < 3 {
		return ""
	}
	behind, ahead := 0, 0 // levels shown to be better than worse, and worse than better
	for _, o := range s.effects {
		if !o.shown || o.factor.Knob != e.factor.Knob || o.by != e.by || o.at != e.at || o.metric.Name != e.metric.Name {
			continue
		}
		s.interval(o)
		b, w := o.levels()
		if w == worse {
			behind++
		}
		if b == better {
			ahead++
		}
	}
	switch all := len(e.factor.Levels) - 1; {
	case behind == all:
		return fmt.Sprintf(" No other %s is as bad as %s.", e.factor.Knob, worse)
	case ahead == all:
		return fmt.Sprintf(" No other %s is as good as %s.", e.factor.Knob, better)
	}
	return ""
}

// opposite names the metrics by which the better side is worse.
func (s *study) opposite(e *effect, better plan.Level) (text string) {
	for _, o := range s.effects {
		if o.comparison != e.comparison || !o.shown || math.Abs(math.Log(s.interval(o).Ratio)) < worth {
			continue
		}
		if b, _ := o.levels(); b != better {
			from, to := s.values(o)
			if b != o.comparison.x {
				from, to = to, from
			}
			text += fmt.Sprintf(" By %s it is the other way round: %s → %s.", sayings[o.metric.Name].name, o.metric.Format(middle(from)), o.metric.Format(middle(to)))
		}
	}
	return text
}

func middle(values []float64) float64 { return stats.Median(slices.Sorted(slices.Values(values))) }

// side is the knobs that all trials of a side share.
func (s *study) side(e *effect, level plan.Level) plan.Cell {
	c := plan.Cell{e.factor.Knob: level}
	if e.by != "" {
		c[e.by] = e.at
	}
	for _, f := range s.plan.Factors {
		if len(f.Levels) == 1 {
			c[f.Knob] = f.Levels[0]
		}
	}
	return c
}

// command runs the two levels again, in twice the blocks; "" where a factor is no knob.
func (s *study) command(e *effect, better, worse plan.Level) string {
	factors := slices.Clone(s.plan.Factors)
	for i, f := range factors {
		switch f.Knob {
		case e.factor.Knob:
			factors[i].Levels = []plan.Level{better, worse}
		case e.by:
			factors[i].Levels = []plan.Level{e.at}
		}
	}
	return Command(factors, 2*s.plan.Blocks, s.plan.Warmup, s.plan.Duration)
}

// Command is the command line that runs these knobs, as one pastes it; "" where one is no knob.
func Command(factors []plan.Factor, blocks int, warmup, duration unit.Duration) string {
	words := []string{"sockbench run"}
	for _, f := range factors {
		k, err := plan.Lookup(f.Knob)
		if err != nil {
			return ""
		}
		levels := f.Levels
		argument := func(level plan.Level) bool { return strings.ContainsAny(level, ":=@") }
		if !k.Commas || k.Values != nil && !slices.ContainsFunc(levels, argument) {
			levels = []plan.Level{strings.Join(levels, ",")}
		}
		for _, level := range levels {
			words = append(words, "--set "+quote(f.Knob+"="+level))
		}
	}
	return strings.Join(append(words, fmt.Sprintf("--blocks %d --warmup %s --duration %s", blocks, warmup, duration)), " ")
}

// quote makes one word of a shell's of it.
func quote(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-+=.,:/@%", r)
	}
	if !strings.ContainsFunc(word, func(r rune) bool { return !plain(r) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// short writes a ratio: two places behind the point near 1, two digits far from it.
func short(v float64) string {
	if v >= 0.1 && v < 10 {
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return twoDigits(v)
}

// twoDigits writes v > 0 with two significant digits and no exponent: 1.2, 450, 0.0014.
func twoDigits(v float64) string {
	places := 1 - int(math.Floor(math.Log10(v)))
	scale := math.Pow10(places)
	return strconv.FormatFloat(math.Round(v*scale)/scale, 'f', max(places, 0), 64)
}
