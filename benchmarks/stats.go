package main

import (
	"math"
	"slices"
)

// Interval is an estimate with its 95 % confidence interval. Lo and Hi are -Inf and +Inf where n allows none.
type Interval struct {
	N               int
	Estimate        float64
	Lo, Hi          float64
	Smallest, Large float64 // the extremes of what was seen
}

// tail is the share left out on each side.
const tail = 0.025

// HodgesLehmann is the median of the Walsh averages of d, with the exact interval of the signed-rank test
// (Hollander, Wolfe and Chicken 2014, 3.2 and 3.3).
func HodgesLehmann(d []float64) Interval {
	lo, hi := walshInterval(d, tail)
	return Interval{N: len(d), Estimate: median(walsh(d)), Lo: lo, Hi: hi, Smallest: slices.Min(d), Large: slices.Max(d)}
}

// Exp is the interval of exp(x), for estimates of logarithms.
func (i Interval) Exp() Interval {
	return Interval{i.N, math.Exp(i.Estimate), math.Exp(i.Lo), math.Exp(i.Hi), math.Exp(i.Smallest), math.Exp(i.Large)}
}

// Median is the median of x with the interval between the order statistics that the binomial distribution gives
// (Hahn and Meeker 1991, 5.2): no assumption but independence.
func Median(x []float64) Interval {
	s := slices.Sorted(slices.Values(x))
	n := len(s)
	i := Interval{N: n, Estimate: median(s), Lo: math.Inf(-1), Hi: math.Inf(1), Smallest: s[0], Large: s[n-1]}
	p, sum := math.Pow(.5, float64(n)), 0.0 // P(B = k), P(B ≤ k) for B of n fair coins
	for k := 0; k < n/2; k++ {
		if sum += p; sum > tail {
			break
		}
		i.Lo, i.Hi = s[k], s[n-1-k]
		p *= float64(n-k) / float64(k+1)
	}
	return i
}

// walsh is the sorted Walsh averages (x_i + x_j)/2, i ≤ j.
func walsh(d []float64) []float64 {
	var w []float64
	for i, a := range d {
		for _, b := range d[i:] {
			w = append(w, (a+b)/2)
		}
	}
	slices.Sort(w)
	return w
}

// walshInterval leaves alpha out on each side.
func walshInterval(d []float64, alpha float64) (lo, hi float64) {
	w := walsh(d)
	k := rankLimit(len(d), alpha)
	if k < 0 {
		return math.Inf(-1), math.Inf(1)
	}
	return w[k], w[len(w)-1-k]
}

// rankLimit is the largest k with P(T+ ≤ k) ≤ alpha, where T+ is the signed-rank statistic of n values; -1: there is none.
func rankLimit(n int, alpha float64) int {
	k, sum := -1, 0.0
	for i, p := range signedRank(n) {
		if sum += p; sum > alpha {
			break
		}
		k = i
	}
	return k
}

// signedRank is the exact distribution of T+ under symmetry: each rank is in the sum or not, like a fair coin.
func signedRank(n int) []float64 {
	p := make([]float64, n*(n+1)/2+1)
	p[0] = 1
	for r := 1; r <= n; r++ {
		for t := len(p) - 1; t >= 0; t-- {
			p[t] /= 2
			if t >= r {
				p[t] += p[t-r] / 2
			}
		}
	}
	return p
}

// median of sorted values.
func median(s []float64) float64 {
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}
