package term

import (
	"math"
	"testing"
)

func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		show func(float64) string
		v    float64
		want string
	}{
		{Duration, 0, "0"}, {Duration, 1, "1ns"}, {Duration, 999, "999ns"}, {Duration, 0.5, "0.50ns"}, {Duration, 1000, "1.00us"},
		{Duration, 12_345, "12.3us"}, {Duration, 310_000, "310us"}, {Duration, 999_499, "999us"}, {Duration, 999_500, "1.00ms"},
		{Duration, 9_994, "9.99us"}, {Duration, 9_995, "10.0us"}, {Duration, 99_949, "99.9us"}, {Duration, 99_950, "100us"},
		{Duration, 1.5e9, "1.50s"}, {Duration, 75e9, "75.0s"}, {Duration, -2500, "-2.50us"},
		{Duration, math.NaN(), "?"}, {Duration, math.Inf(1), "∞"},
		{Number, 0, "0"}, {Number, 7, "7"}, {Number, 999, "999"}, {Number, 999.5, "1.00k"}, {Number, 12_345, "12.3k"}, {Number, 123_456, "123k"},
		{Number, 1_234_567, "1.23M"}, {Number, 0.25, "0.25"}, {Number, 3e10, "30.0G"},
		{Percent, 0, "0%"}, {Percent, 0.001, "0.10%"}, {Percent, 0.1234, "12.3%"}, {Percent, 1, "100%"}, {Percent, 0.000001, "<0.01%"},
		{Percent, 0.00005, "0.01%"}, {Percent, 1.5, "150%"},
	} {
		if got := c.show(c.v); got != c.want {
			t.Errorf("%v shows as %q, want %q", c.v, got, c.want)
		}
	}
}
