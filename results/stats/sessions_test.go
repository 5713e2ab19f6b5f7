package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Student's quantiles as printed in every table.
func TestSpreadOf(t *testing.T) {
	s := SpreadOf([]float64{1, 2, 3, 4, 5})
	near(t, "sd", s.SD, math.Sqrt(2.5), 1e-12)
	i := s.Interval(0, .99)
	near(t, "t with 4 degrees of freedom at 99 %", math.Log(i.High)/(math.Sqrt2*s.SD), 4.604095, 1e-5)
	near(t, "low", i.Low*i.High, 1, 1e-12)
	near(t, "p at the limit", s.P(math.Log(i.High)), .01, 1e-9)
	if same := SpreadOf([]float64{2, 2, 2}); same.P(0) != 1 || same.P(.1) != 0 {
		t.Error("sessions that do not differ")
	}
}

// Sessions of known spread: the interval covers the true ratio at least as often as it says, whether the first session is
// one of those that the spread is measured by or not.
func TestSessionIntervalsCover(t *testing.T) {
	const runs, level, sd, truth = 20_000, .95, .08, .3
	r := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{FewestSessions, 12} {
		for _, among := range []bool{true, false} {
			missed := 0
			for range runs {
				var values []float64
				for range n {
					values = append(values, sd*r.NormFloat64())
				}
				a := values[0]
				if !among {
					a = sd * r.NormFloat64()
				}
				b := truth + sd*r.NormFloat64()
				if i := SpreadOf(values).Interval(b-a, level); truth < math.Log(i.Low) || truth > math.Log(i.High) {
					missed++
				}
			}
			share, error3 := float64(missed)/runs, 3*math.Sqrt(.05*.95/runs)
			if share > .05+error3 || !among && share < .05-error3 {
				t.Errorf("%d sessions, the first among them %v: %.4f missed", n, among, share)
			}
			t.Logf("%d sessions, the first among them %v: %.4f missed", n, among, share)
		}
	}
}
