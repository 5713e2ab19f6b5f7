package stats

import (
	"math"
	"slices"
)

// SignedRank is the exact distribution, where nothing differs, of Wilcoxon's T+ over n pairs: element k is P(T+ ≤ k),
// k from 0 to n(n+1)/2 (Wilcoxon 1945). Its differences are any that are as likely to have either sign, which swapping
// a pair at random sees to, whatever the machine did meanwhile.
type SignedRank []float64

// NewSignedRank adds rank after rank, each with either sign: the share of sign patterns with sum k. Memory grows with n²,
// time with n³: 256 pairs take some milliseconds.
func NewSignedRank(n int) SignedRank {
	s := make(SignedRank, n*(n+1)/2+1)
	s[0] = 1
	for r := 1; r <= n; r++ {
		for k := r * (r + 1) / 2; k >= 0; k-- {
			if s[k] /= 2; k >= r {
				s[k] += s[k-r] / 2
			}
		}
	}
	for k := 1; k < len(s); k++ {
		s[k] += s[k-1]
	}
	return s
}

// Rank is the largest k with P(T+ ≤ k) ≤ a; -1 if there is none.
func (s SignedRank) Rank(a float64) int {
	k, found := slices.BinarySearch(s, a)
	for ; found && k+1 < len(s) && s[k+1] == a; k++ {
	}
	if found {
		return k
	}
	return k - 1
}

// P is the two-sided p-value of no difference. Zeros and ties make it larger, never smaller, than it is.
func (s SignedRank) P(d []float64) float64 {
	below, above := signs(d)
	return min(1, 2*s[min(below, above)])
}

// MinP is the least that P can be with n pairs: all of one sign.
func MinP(n int) float64 { return min(1, math.Ldexp(1, 1-n)) }

// signs counts the Walsh averages of d that are at most, and at least, 0, without making them.
func signs(d []float64) (below, above int) {
	d = slices.Sorted(slices.Values(d))
	strictly := func(sign float64) (n int) { // averages of that sign; -1: walks the negative ones
		for i, j := 0, len(d)-1; i <= j; {
			low, high := d[i], d[j]
			if sign < 0 {
				low, high = -d[j], -d[i]
			}
			if low+high > 0 { // with the larger one every value from the smaller on makes a positive average
				n += j - i + 1
				if sign > 0 {
					j--
				} else {
					i++
				}
			} else if sign > 0 {
				i++
			} else {
				j--
			}
		}
		return n
	}
	all := len(d) * (len(d) + 1) / 2
	return all - strictly(1), all - strictly(-1)
}

// Walsh lists the averages of every two of d and of each with itself, ascending.
func Walsh(d []float64) []float64 {
	w := make([]float64, 0, len(d)*(len(d)+1)/2)
	for i, a := range d {
		for _, b := range d[i:] {
			w = append(w, (a+b)/2)
		}
	}
	slices.Sort(w)
	return w
}

// Median of ascending values; NaN if there are none. Of Walsh averages it is the estimate of Hodges and Lehmann (1963).
func Median(sorted []float64) float64 {
	n := len(sorted)
	if n == 0 {
		return math.NaN()
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Lower is the bound below which the difference lies with probability a at most, of the pairs' Walsh averages; -∞ where
// there are too few pairs (Hollander, Wolfe and Chicken 2014, 3.2).
func (s SignedRank) Lower(walsh []float64, a float64) float64 {
	if k := s.Rank(a); k >= 0 {
		return walsh[k]
	}
	return math.Inf(-1)
}

// Upper is Lower's other side.
func (s SignedRank) Upper(walsh []float64, a float64) float64 {
	if k := s.Rank(a); k >= 0 {
		return walsh[len(walsh)-1-k]
	}
	return math.Inf(1)
}

// Interval is a ratio with the limits between which it lies with a probability of Level; the zero Interval is none.
type Interval struct {
	Ratio float64 `json:"ratio"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Level float64 `json:"level"`
}

// Interval is of the ratio whose logarithms in the pairs d are. Level is the exact one, at least the one asked for;
// false: so few pairs have no such interval.
func (s SignedRank) Interval(d []float64, level float64) (Interval, bool) {
	a := (1 - level) / 2
	k := s.Rank(a)
	if k < 0 {
		return Interval{}, false
	}
	d = slices.Sorted(slices.Values(d))
	last := len(d)*(len(d)+1)/2 - 1
	middle := (walshAt(d, last/2) + walshAt(d, (last+1)/2)) / 2
	return Interval{math.Exp(middle), math.Exp(walshAt(d, k)), math.Exp(walshAt(d, last-k)), 1 - 2*s[k]}, true
}

// walshAt is element k of the Walsh averages of ascending d, without making them: of all numbers in their order the first
// that more than k averages do not exceed, found by halving. Of 128 pairs there are 8,256 averages, and many effects.
func walshAt(d []float64, k int) float64 {
	low, high := place(d[0]), place(d[len(d)-1])
	for low < high {
		if middle := low + (high-low)/2; atMost(d, number(middle)) > k {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return number(low)
}

// atMost counts the Walsh averages of ascending d that are at most v.
func atMost(d []float64, v float64) (n int) {
	for i, j := 0, len(d)-1; i <= j; {
		if (d[i]+d[j])/2 <= v { // and so are those of d[i] with all between
			n += j - i + 1
			i++
		} else {
			j--
		}
	}
	return n
}

// place numbers the float64s in their order, and number is its inverse: of one sign they are ordered as their bits (IEEE 754).
func place(v float64) uint64 {
	bits := math.Float64bits(v)
	if bits>>63 == 0 {
		return bits | 1<<63
	}
	return ^bits
}

func number(place uint64) float64 {
	if place>>63 == 1 {
		return math.Float64frombits(place &^ (1 << 63))
	}
	return math.Float64frombits(^place)
}
