// Package unit holds the quantities people write: one grammar for flags, plan keys, cells and JSON.
//
// Every type reads the forms a person would try and writes one canonical text, so equal values give equal text.
// Values are plain numbers: compare them, copy them, use their zero value.
package unit

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

type (
	// Bytes is a size. Text: "64", "16KiB", "1MiB"; "kB", "MB", "GB" are powers of ten. Never negative.
	Bytes int64
	// Duration is a span of time. Text: "200ms", "1.5s", "0". Never negative.
	Duration time.Duration
	// Rate is events per second. Text: "20k", "1.5M", "300/s". 0 means closed loop.
	Rate float64
	// Bits is bits per second. Text: "100mbit", "1gbit". 0 means unlimited.
	Bits int64
	// Share is a part of the whole, 0 to 1. Text: "0.1%" or "0.001".
	Share float64
	// Count is a number of things. Text: "64", "10k". Never negative.
	Count int
	// Word is one of a list of names.
	Word string
)

// scale is one suffix and what it multiplies by, largest first.
type scale struct {
	suffix string
	factor float64
}

var (
	byteScales = []scale{
		{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1}, {"", 1},
	}
	rateScales  = []scale{{"M", 1e6}, {"k", 1e3}, {"", 1}}
	bitScales   = []scale{{"gbit", 1e9}, {"mbit", 1e6}, {"kbit", 1e3}, {"bit", 1}}
	countScales = []scale{{"M", 1e6}, {"k", 1e3}, {"", 1}}
)

// number reads a non-negative decimal followed by one of the suffixes.
func number(text, what, example string, scales []scale) (float64, error) {
	t := strings.TrimSpace(text)
	for _, s := range scales {
		digits, ok := strings.CutSuffix(t, s.suffix)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
		if err != nil || strings.ContainsAny(digits, "xXpPiInN_") {
			break
		}
		if v < 0 {
			return 0, fmt.Errorf("%q is negative: a %s is at least 0", text, what)
		}
		return v * s.factor, nil
	}
	return 0, fmt.Errorf("%q is not a %s: write for example %s", text, what, example)
}

// whole is number for types that hold integers no greater than limit.
func whole(text, what, example string, scales []scale, limit int64) (int64, error) {
	v, err := number(text, what, example, scales)
	if err != nil {
		return 0, err
	}
	if v != math.Trunc(v) {
		return 0, fmt.Errorf("%q is not a whole number of %ss", text, what)
	}
	if v > float64(limit) {
		return 0, fmt.Errorf("%q is too large: a %s is at most %d", text, what, limit)
	}
	return int64(v), nil
}

// shortest writes v with the largest suffix that loses nothing.
func shortest(v float64, scales ...scale) []byte {
	for _, s := range scales {
		if q := v / s.factor; v >= s.factor && q*1000 == math.Trunc(q*1000) && q*s.factor == v {
			return []byte(strconv.FormatFloat(q, 'f', -1, 64) + s.suffix)
		}
	}
	return []byte(strconv.FormatFloat(v, 'f', -1, 64))
}

func (b *Bytes) UnmarshalText(text []byte) error {
	v, err := whole(string(text), "size", "64, 16KiB or 1MiB", byteScales, 1<<53)
	if err == nil {
		*b = Bytes(v)
	}
	return err
}

func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// String is exact: a binary suffix stands only where it divides the size.
func (b Bytes) String() string {
	for _, s := range byteScales[:3] {
		if f := int64(s.factor); b > 0 && int64(b)%f == 0 {
			return strconv.FormatInt(int64(b)/f, 10) + s.suffix
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

func (d *Duration) UnmarshalText(text []byte) error {
	t := strings.TrimSpace(string(text))
	v, err := time.ParseDuration(t)
	if err != nil {
		if _, bare := strconv.ParseFloat(t, 64); bare == nil {
			return fmt.Errorf("%q has no unit: write %sus, %sms or %ss", t, t, t, t)
		}
		return fmt.Errorf("%q is not a duration: write for example 50us, 200ms or 1.5s", t)
	}
	if v < 0 {
		return fmt.Errorf("%q is negative: a duration is at least 0", t)
	}
	*d = Duration(v)
	return nil
}

func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String is time.Duration's without trailing zero parts: "1m", not "1m0s"; "50us", not "50µs"; "0", not "0s".
func (d Duration) String() string {
	if d == 0 {
		return "0"
	}
	s := strings.Replace(time.Duration(d).String(), "µs", "us", 1)
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func (r *Rate) UnmarshalText(text []byte) error {
	v, err := number(strings.TrimSuffix(strings.TrimSpace(string(text)), "/s"), "rate", "20k (per second)", rateScales)
	if err != nil {
		return err
	}
	if v > 1e9 {
		return fmt.Errorf("%q is too large: a rate is at most 1000M per second", text)
	}
	*r = Rate(v)
	return nil
}

func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }
func (r Rate) String() string               { return string(shortest(float64(r), rateScales[:2]...)) }

func (b *Bits) UnmarshalText(text []byte) error {
	if t := strings.TrimSpace(string(text)); t == "0" {
		*b = 0
		return nil
	}
	v, err := whole(strings.ToLower(string(text)), "bit rate", "100mbit", bitScales, 1<<53)
	if err == nil {
		*b = Bits(v)
	}
	return err
}

func (b Bits) MarshalText() ([]byte, error) { return []byte(b.String()), nil }
func (b Bits) String() string               { return string(shortest(float64(b), bitScales...)) }

func (s *Share) UnmarshalText(text []byte) error {
	v, err := number(string(text), "share", "0.1%", []scale{{"%", 1e-2}, {"", 1}})
	if err != nil {
		return err
	}
	if v > 1 {
		return fmt.Errorf("%q is more than the whole: a share is 0%% to 100%%", text)
	}
	*s = Share(v)
	return nil
}

func (s Share) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String rounds the percentage to 12 significant digits, so that 0.1% stays 0.1%.
func (s Share) String() string {
	return strconv.FormatFloat(math.Round(float64(s)*100*1e12)/1e12, 'f', -1, 64) + "%"
}

func (c *Count) UnmarshalText(text []byte) error {
	v, err := whole(string(text), "count", "64", countScales, math.MaxInt32)
	if err == nil {
		*c = Count(v)
	}
	return err
}

func (c Count) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
func (c Count) String() string               { return strconv.Itoa(int(c)) }

func (w *Word) UnmarshalText(text []byte) error {
	*w = Word(strings.TrimSpace(string(text)))
	return nil
}

func (w Word) MarshalText() ([]byte, error) { return []byte(w), nil }
