package stats

import "math"

// Ranks are the places, from 1, of the two of n ordered independent values between which the percentile p lies with
// probability level, and that probability exactly (Hahn and Meeker 1991, 5.2). false: the upper one is not among them.
// Requests of one trial are not independent: the interval is about this trial, not about the server.
func Ranks(n int64, p, level float64) (low, high int64, cover float64, ok bool) {
	if n < 1 || p <= 0 || p >= 1 {
		return 0, 0, 0, false
	}
	a := (1 - level) / 2
	b := binomial(n, p)
	low, high = b.quantile(a), b.quantile(1-a)+1
	return low, high, b.upTo(high-1) - b.upTo(low-1), high <= n
}

// binomialCDF holds P(X ≤ first+i) where it is neither 0 nor 1 to twenty digits.
type binomialCDF struct {
	first int64
	cdf   []float64
}

func binomial(n int64, p float64) binomialCDF {
	mean := float64(n) * p
	spread := 12*math.Sqrt(mean*(1-p)) + 60
	first, last := max(0, int64(mean-spread)), min(n, int64(mean+spread))
	b := binomialCDF{first: first}
	ln := func(k int64) float64 { v, _ := math.Lgamma(float64(k + 1)); return v }
	sum := 0.0
	for k := first; k <= last; k++ {
		sum += math.Exp(ln(n) - ln(k) - ln(n-k) + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
		b.cdf = append(b.cdf, sum)
	}
	return b
}

// quantile is the least k with P(X ≤ k) ≥ a.
func (b binomialCDF) quantile(a float64) int64 {
	for i, v := range b.cdf {
		if v >= a {
			return b.first + int64(i)
		}
	}
	return b.first + int64(len(b.cdf)) - 1
}

func (b binomialCDF) upTo(k int64) float64 {
	switch i := k - b.first; {
	case i < 0:
		return 0
	case i < int64(len(b.cdf)):
		return b.cdf[i]
	}
	return 1
}
