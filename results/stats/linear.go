package stats

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Run is one run of an experiment with several factors.
type Run struct {
	Levels []int   // of each factor: the place among its levels, from 0
	Order  float64 // when it was run: its place in the order of all runs, from 0
	Y      float64 // what came of it; the logarithm of a metric, where effects are to be ratios
}

// Model is what a least-squares fit says about runs: a mean, effects of factors and of combinations of them, and the
// drift of the machine. Factors are coded so that their effects add up to zero (Montgomery, Design and Analysis of
// Experiments, ch. 5): an effect of a factor is a mean over all levels of the others, alike for each.
type Model struct {
	levels []int   // how many each factor has
	terms  [][]int // sets of factors that act together, those of one factor first
	at     []int   // where the columns of each term begin
	b      []float64
	cov    mat.SymDense // of b, but for the variance of a run
	Sigma  float64      // standard deviation of a run
	DF     int          // degrees of freedom that Sigma rests on
}

// ErrAliased is that of Fit where runs are too few, or chosen so, that effects cannot be told apart.
var ErrAliased = errors.New("the runs cannot tell the effects apart: some combination of levels was not run")

// Fit fits all effects of at most order factors together. levels is how many levels each factor has. The drift is a
// polygon in the order of the runs with a knot every so many runs (H_k(t) = max(0, 1 − |t − k·every|/every), neighbour
// adjustment: Papadakis 1937, Wilkinson 1983); with the block as Order and 1 as every, each block has a mean of its own;
// 0: no drift. Without degrees of freedom left, Sigma is NaN.
func Fit(levels []int, runs []Run, order int, every float64) (*Model, error) {
	m := &Model{levels: levels, terms: subsets(len(levels), order)}
	columns := 0
	for _, t := range m.terms {
		m.at = append(m.at, columns)
		width := 1
		for _, f := range t {
			width *= levels[f] - 1
		}
		columns += width
	}
	drift := func(float64) []float64 { return []float64{1} }
	if every > 0 {
		drift = newPolygon(runs, every).row
	}
	all := columns + len(drift(0))
	if m.DF = len(runs) - all; m.DF < 0 {
		return nil, fmt.Errorf("%w (%d runs for %d unknowns)", ErrAliased, len(runs), all)
	}
	x, y := mat.NewDense(len(runs), all, nil), mat.NewVecDense(len(runs), nil)
	for i, r := range runs {
		x.SetRow(i, append(m.point(r.Levels), drift(r.Order)...))
		y.SetVec(i, r.Y)
	}
	var err error
	if m.b, err = solve(x, y, &m.cov); err != nil {
		return nil, err
	}
	var residuals mat.VecDense
	residuals.MulVec(x, mat.NewVecDense(all, m.b))
	residuals.SubVec(y, &residuals)
	m.Sigma = math.Sqrt(mat.Dot(&residuals, &residuals) / float64(m.DF))
	return m, nil
}

// solve finds the coefficients of x's columns by least squares, and their covariances, but for the variance of a run.
func solve(x *mat.Dense, y *mat.VecDense, cov *mat.SymDense) ([]float64, error) {
	var normal mat.SymDense
	normal.SymOuterK(1, x.T())
	var c mat.Cholesky
	if !c.Factorize(&normal) || c.Cond() > 1e10 {
		return nil, ErrAliased
	}
	var xy, b mat.VecDense
	xy.MulVec(x.T(), y)
	if err := errors.Join(c.SolveVecTo(&b, &xy), c.InverseTo(cov)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAliased, err)
	}
	return b.RawVector().Data, nil
}

// subsets lists the sets of at most order of n things, smaller ones first.
func subsets(n, order int) (all [][]int) {
	last := [][]int{nil}
	for range order {
		var next [][]int
		for _, s := range last {
			first := 0
			if len(s) > 0 {
				first = s[len(s)-1] + 1
			}
			for f := first; f < n; f++ {
				next = append(next, append(append([]int(nil), s...), f))
			}
		}
		all, last = append(all, next...), next
	}
	return all
}

// Every is the level of a factor in Difference that stands for the mean over all its levels.
const Every = -1

// point is the row of the model's matrix, without drift, that stands for levels.
func (m *Model) point(levels []int) (row []float64) {
	for _, t := range m.terms {
		columns := []float64{1}
		for _, f := range t {
			var next []float64
			for _, v := range columns {
				for _, c := range contrast(m.levels[f], levels[f]) {
					next = append(next, v*c)
				}
			}
			columns = next
		}
		row = append(row, columns...)
	}
	return row
}

// contrast codes one of n levels so that all of them add up to zero, which is also the code of Every.
func contrast(n, level int) []float64 {
	c := make([]float64, n-1)
	switch {
	case level == Every:
	case level < n-1:
		c[level] = 1
	default:
		for i := range c {
			c[i] = -1
		}
	}
	return c
}

// Mean is what the model expects at levels, above the mean of all combinations.
func (m *Model) Mean(levels []int) (sum float64) {
	for i, v := range m.point(levels) {
		sum += v * m.b[i]
	}
	return sum
}

// Difference is what the model expects at x above what it expects at y. Every in both, for a factor, is its mean.
func (m *Model) Difference(x, y []int) Estimate {
	c := m.point(x)
	for i, v := range m.point(y) {
		c[i] -= v
	}
	return m.estimate(c)
}

// estimate is of a sum of coefficients.
func (m *Model) estimate(c []float64) Estimate {
	e := Estimate{DF: m.DF}
	variance := 0.0
	for i, v := range c {
		if v == 0 {
			continue
		}
		e.Value += v * m.b[i]
		for j, w := range c {
			variance += v * w * m.cov.At(i, j)
		}
	}
	e.SE = m.Sigma * math.Sqrt(variance)
	return e
}

// Estimate is a value known from runs, with its standard error and the degrees of freedom of that.
type Estimate struct {
	Value, SE float64
	DF        int
}

// Within is how far to either side of Value the interval at level reaches: Student's t (1908); +∞ without degrees of freedom.
func (e Estimate) Within(level float64) float64 {
	if e.DF < 1 {
		return math.Inf(1)
	}
	return e.SE * student(e.DF).Quantile((1+level)/2)
}

// P is the two-sided p-value of no difference; 1 without degrees of freedom.
func (e Estimate) P() float64 {
	if e.DF < 1 || e.SE == 0 && e.Value == 0 {
		return 1
	}
	return 2 * student(e.DF).CDF(-math.Abs(e.Value/e.SE))
}

func student(df int) distuv.StudentsT { return distuv.StudentsT{Sigma: 1, Nu: float64(df)} }

// MeanOf estimates the mean that independent values scatter around; without two of them, nothing is known about how much.
func MeanOf(values []float64) Estimate {
	n := float64(len(values))
	e := Estimate{DF: len(values) - 1}
	for _, v := range values {
		e.Value += v / n
	}
	sum := 0.0
	for _, v := range values {
		sum += (v - e.Value) * (v - e.Value)
	}
	e.SE = math.Sqrt(sum / (n - 1) / n)
	return e
}
