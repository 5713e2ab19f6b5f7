package unit

import (
	"fmt"
	"strings"
)

// Dist is a distribution of times. Zero: no time at all.
// Text: "0", "50us" (always the same), "exp:50us" (exponential with that mean), and with "sleep:" before either,
// time spent asleep instead of computing.
type Dist struct {
	Sleep       bool
	Exponential bool
	Mean        Duration
}

func (d *Dist) UnmarshalText(text []byte) error {
	var v Dist
	rest := strings.TrimSpace(string(text))
	rest, v.Sleep = strings.CutPrefix(rest, "sleep:")
	rest, v.Exponential = strings.CutPrefix(rest, "exp:")
	if err := v.Mean.UnmarshalText([]byte(rest)); err != nil {
		return fmt.Errorf("%w; a service time is 50us, exp:50us, sleep:5ms or sleep:exp:5ms", err)
	}
	if v.Mean == 0 {
		v = Dist{}
	}
	*d = v
	return nil
}

func (d Dist) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d Dist) String() string {
	s := d.Mean.String()
	if d.Exponential {
		s = "exp:" + s
	}
	if d.Sleep {
		s = "sleep:" + s
	}
	return s
}
