package stats

import "testing"

func TestSupported(t *testing.T) {
	for _, c := range []struct {
		p    float64
		need int64
	}{{.5, 6}, {.9, 36}, {.99, 368}, {.999, 3688}, {.9999, 36887}} {
		if Supported(c.p, c.need-1) {
			t.Errorf("p%v is supported by %d values, which are too few", c.p*100, c.need-1)
		}
		if Needs(c.p) != c.need {
			t.Errorf("p%v needs %d values, want %d", c.p*100, Needs(c.p), c.need)
		}
		if !Supported(c.p, c.need) {
			t.Errorf("p%v is not supported by %d values", c.p*100, c.need)
		}
	}
	for _, p := range []float64{-1, 0, 1, 2} {
		if Supported(p, 1<<40) {
			t.Errorf("%v is no percentile, yet it is supported", p)
		}
	}
}
