package verify

import (
	"encoding/json"
	"math"
	"strconv"

	"github.com/sockbench/sockbench/internal/term"
)

// Verdict is what became of a line.
type Verdict string

const (
	Pass   Verdict = "pass"
	Fail   Verdict = "fail"
	NotRun Verdict = "could-not-run"
)

// Line is one known answer and what was measured.
type Line struct {
	Test      string  `json:"test"`
	Name      string  `json:"name"`
	Unit      string  `json:"unit,omitempty"` // of the numbers: "ns", "share", "bit/s", "1/s", "B"; "": they are counts or ratios
	Expected  Number  `json:"expected"`
	Measured  Number  `json:"measured"`
	Low       Number  `json:"low"`  // what is measured may be no less …
	High      Number  `json:"high"` // … and no more
	Verdict   Verdict `json:"verdict"`
	Why       string  `json:"why,omitempty"` // of NotRun
	Formula   string  `json:"formula"`
	Reference string  `json:"reference"`
}

// Number is a float64 that is null in JSON where there is none, which a record shows as NaN here.
type Number float64

func (n Number) MarshalJSON() ([]byte, error) {
	if v := float64(n); !math.IsNaN(v) && !math.IsInf(v, 0) {
		return json.Marshal(v)
	}
	return []byte("null"), nil
}

// within is a line whose measured value is to lie between low and high. NaN, which stands for what the record does not
// hold, lies nowhere.
func within(name, unit string, measured, expected, low, high float64) Line {
	l := Line{Name: name, Unit: unit, Expected: Number(expected), Measured: Number(measured), Low: Number(low), High: Number(high), Verdict: Fail}
	if measured >= low && measured <= high {
		l.Verdict = Pass
	}
	return l
}

// about is a line whose measured value is to be that expected, give or take a share of it.
func about(name, unit string, measured, expected, share float64) Line {
	return within(name, unit, measured, expected, expected*(1-share), expected*(1+share))
}

// same is a line of a count that is known exactly.
func same[T int | int64](name string, measured, expected T) Line {
	return within(name, "", float64(measured), float64(expected), float64(expected), float64(expected))
}

// atMost is a line of what has no known value but a bound.
func atMost(name, unit string, measured, high float64) Line {
	return within(name, unit, measured, 0, 0, high)
}

// number is what a percentile or another pointer of a record says; NaN: nothing.
func number(v *int64) float64 {
	if v == nil {
		return math.NaN()
	}
	return float64(*v)
}

// tooShort says that a time is less than it may be, for which no disturbance is an excuse: it makes times longer.
func (l *Line) tooShort() bool { return l.Unit == "ns" && l.Measured < l.Low }

// show writes a value of the line.
func (l *Line) show(n Number) string {
	switch v := float64(n); {
	case math.IsNaN(v):
		return "–"
	case l.Unit == "ns":
		return term.Duration(v)
	case l.Unit == "share":
		return term.Percent(v)
	case l.Unit != "":
		return term.Number(v) + l.Unit
	case v == math.Trunc(v):
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
}

// Tolerance says in words what is accepted.
func (l *Line) Tolerance() string {
	low, high := l.show(l.Low), l.show(l.High)
	if low == high {
		return "exactly"
	}
	return low + " to " + high
}
