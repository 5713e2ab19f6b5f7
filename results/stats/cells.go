package stats

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// cellMeans is a least-squares fit of a mean for each combination of levels (a cell) and of the machine's drift. The
// cells' means are taken out of Y and of the drift's columns beforehand, which leaves as many unknowns as the drift has
// (Frisch and Waugh 1933): a thousand cells take a pass over their runs.
type cellMeans struct {
	runs  []Run
	of    []int // the cell of each run
	cells []cell
	Sigma float64 // standard deviation of a run
	DF    int     // degrees of freedom that Sigma rests on

	drift polygon
	at    *mat.Dense   // by cell, the means of the drift's columns but the first, which the others and the cells' means say; nil: there is no other
	cov   mat.SymDense // of the drift at these knots, but for the variance of a run
}

// cell is how the runs of one combination of levels lie.
type cell struct {
	runs    float64
	mean    float64 // of Y, without the drift
	squares float64 // the sum of the squares of what the fit leaves of Y
	df      float64 // the degrees of freedom left to that: of each run 1, less its leverage
}

// fitCells fits runs of cells, all of which have one. The error is ErrAliased where they are too few, or in such an
// order, that cells cannot be told from the drift.
func fitCells(of []int, cells int, runs []Run, every float64) (*cellMeans, error) {
	m := &cellMeans{runs: runs, of: of, cells: make([]cell, cells), drift: newPolygon(runs, every)}
	columns := m.drift.knots - 1
	if m.DF = len(runs) - cells - columns; m.DF < 1 {
		return nil, fmt.Errorf("%w (%d runs of %d combinations)", ErrAliased, len(runs), cells)
	}
	for i, r := range runs {
		m.cells[of[i]].runs++
		m.cells[of[i]].mean += r.Y
	}
	for c := range m.cells {
		m.cells[c].mean /= m.cells[c].runs
		m.cells[c].df = m.cells[c].runs - 1
	}
	knots := make([]float64, m.drift.knots) // the drift at each, above the first
	if columns > 0 {
		if err := m.fitDrift(knots[1:]); err != nil {
			return nil, err
		}
	}
	sums := m.means(knots)
	squares := 0.0
	for i, r := range runs {
		c := &m.cells[of[i]]
		left := r.Y - c.mean - (m.drift.value(knots, r.Order) - sums[of[i]])
		c.squares += left * left
		squares += left * left
	}
	for c := range m.cells {
		m.cells[c].mean -= sums[c]
	}
	m.Sigma = math.Sqrt(squares / float64(m.DF))
	return m, nil
}

// fitDrift finds the drift at the knots but the first, and takes its share of the cells' degrees of freedom.
func (m *cellMeans) fitDrift(knots []float64) error {
	columns := len(knots)
	x, y := mat.NewDense(len(m.runs), columns, nil), mat.NewVecDense(len(m.runs), nil)
	m.at = mat.NewDense(len(m.cells), columns, nil)
	for i, r := range m.runs {
		row, mean := x.RawRowView(i), m.at.RawRowView(m.of[i])
		for k, v := range m.drift.row(r.Order)[1:] {
			row[k] = v
			mean[k] += v / m.cells[m.of[i]].runs
		}
	}
	for i, r := range m.runs {
		row := x.RawRowView(i)
		for k, v := range m.at.RawRowView(m.of[i]) {
			row[k] -= v
		}
		y.SetVec(i, r.Y-m.cells[m.of[i]].mean)
	}
	b, err := solve(x, y, &m.cov)
	if err != nil {
		return err
	}
	copy(knots, b)
	for i := range m.runs {
		row := x.RowView(i)
		m.cells[m.of[i]].df -= mat.Inner(row, &m.cov, row)
	}
	return nil
}

// means are those of a drift with these values at its knots, over each cell's runs.
func (m *cellMeans) means(knots []float64) []float64 {
	out := make([]float64, len(m.cells))
	for i, r := range m.runs {
		out[m.of[i]] += m.drift.value(knots, r.Order) / m.cells[m.of[i]].runs
	}
	return out
}

// contrast is the sum of the cells' means, each so many times: weights, which add up to 0. Each cell scatters in its own
// way (Welch 1947), so that quiet ones do not vouch for others; its degrees of freedom are those of Satterthwaite (1946),
// rounded down. What was run once scatters as all do.
func (m *cellMeans) contrast(weights []float64) Estimate {
	knots := make([]float64, m.drift.knots)
	if m.at != nil {
		var lean, solved mat.VecDense // how far the drift of the cells leans to one side of the contrast
		lean.MulVec(m.at.T(), mat.NewVecDense(len(weights), weights))
		solved.MulVec(&m.cov, &lean)
		copy(knots[1:], solved.RawVector().Data)
	}
	means, sum := m.means(knots), make([]float64, len(m.cells))
	for i, r := range m.runs {
		c := m.of[i]
		share := weights[c]/m.cells[c].runs - (m.drift.value(knots, r.Order) - means[c]) // of the run's Y in the estimate
		sum[c] += share * share
	}
	var e Estimate
	variance, spread := 0.0, 0.0
	for i, c := range m.cells {
		e.Value += weights[i] * c.mean
		v, df := m.Sigma*m.Sigma, float64(m.DF)
		if c.df > leverageOnly {
			v, df = c.squares/c.df, c.df
		}
		variance += sum[i] * v
		spread += sum[i] * v * sum[i] * v / df
	}
	e.SE, e.DF = math.Sqrt(variance), m.DF
	if spread > 0 {
		e.DF = int(min(variance*variance/spread, float64(m.DF)))
	}
	return e
}

// leverageOnly is what is left, by rounding, of the degrees of freedom of a cell that was run once.
const leverageOnly = 1e-6

// polygon is a drift in the order of runs, straight between knots that are every so many runs.
type polygon struct {
	every float64
	knots int
}

// mostKnots bounds the work of a fit.
const mostKnots = 128

func newPolygon(runs []Run, every float64) polygon {
	last := 0.0
	for _, r := range runs {
		last = max(last, r.Order)
	}
	every = max(every, last/mostKnots)
	return polygon{every, int(math.Ceil(last/every)) + 1}
}

// row is by how much each knot counts at t.
func (p polygon) row(t float64) []float64 {
	h := make([]float64, p.knots)
	for k := range h {
		h[k] = max(0, 1-math.Abs(t-float64(k)*p.every)/p.every)
	}
	return h
}

// value is the drift at t, from those at the knots.
func (p polygon) value(knots []float64, t float64) float64 {
	k := min(int(t/p.every), p.knots-1)
	rest := t/p.every - float64(k)
	if k+1 == p.knots {
		return knots[k]
	}
	return knots[k]*(1-rest) + knots[k+1]*rest
}
