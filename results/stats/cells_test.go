package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// fitMeans fits runs of one factor, whose levels are the cells.
func fitMeans(t *testing.T, runs []Run) *cellMeans {
	t.Helper()
	var of []int
	cells := 0
	for _, r := range runs {
		of, cells = append(of, r.Levels[0]), max(cells, r.Levels[0]+1)
	}
	m, err := fitCells(of, cells, runs, everyRuns)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// What is found by parts is that of one fit of all unknowns together, by the matrix that makes fitted values of the runs.
func TestCellMeansAreThoseOfOneFit(t *testing.T) {
	const cells = 7
	rng := rand.New(rand.NewPCG(1, 8))
	for _, long := range []int{40, 200, 900} { // the last one has the most knots there may be
		var runs []Run
		for i := range long {
			c := rng.IntN(cells - 1)
			if i == long/2 {
				c = cells - 1 // which is run once
			}
			runs = append(runs, Run{[]int{c}, float64(i), 13 + float64(c) + math.Sin(float64(i)/20) + .1*float64(c+1)*rng.NormFloat64()})
		}
		m, drift := fitMeans(t, runs), newPolygon(runs, everyRuns)
		all := fit(t, []int{cells}, runs, 1, everyRuns)
		columns := cells + drift.knots - 1
		x, y := mat.NewDense(len(runs), columns, nil), mat.NewVecDense(len(runs), nil)
		for i, r := range runs {
			x.Set(i, r.Levels[0], 1)
			for k, v := range drift.row(r.Order)[1:] {
				x.Set(i, cells+k, v)
			}
			y.SetVec(i, r.Y)
		}
		var normal, inverse, half, hat mat.Dense
		normal.Mul(x.T(), x)
		if err := inverse.Inverse(&normal); err != nil {
			t.Fatal(err)
		}
		half.Mul(&inverse, x.T())
		hat.Mul(x, &half)
		var fitted mat.VecDense
		fitted.MulVec(&hat, y)
		squares, df := make([]float64, cells), make([]float64, cells)
		for i, r := range runs {
			off := r.Y - fitted.AtVec(i)
			squares[r.Levels[0]] += off * off
			df[r.Levels[0]] += 1 - hat.At(i, i)
		}
		for _, weights := range [][]float64{{1, -1, 0, 0, 0, 0, 0}, {.5, .5, -1, 0, 0, 0, 0}, {1, -1, -1, 1, 0, 0, 0}, {0, 0, 0, 0, 0, -1, 1}} {
			value, variance, spread := 0.0, 0.0, 0.0
			by := make([]float64, cells)
			for i, r := range runs {
				share := 0.0
				for c, w := range weights {
					share += w * half.At(c, i)
				}
				value += share * r.Y
				by[r.Levels[0]] += share * share
			}
			for c, s := range by {
				v, free := all.Sigma*all.Sigma, float64(all.DF)
				if c != cells-1 {
					v, free = squares[c]/df[c], df[c]
				}
				variance += s * v
				spread += s * v * s * v / free
			}
			e := m.contrast(weights)
			free := min(variance*variance/spread, float64(all.DF))
			near := func(a, b float64) bool { return math.Abs(a-b) < 1e-7 }
			if !near(e.Value, value) || !near(e.SE, math.Sqrt(variance)) || e.DF != int(free) || !near(m.Sigma, all.Sigma) || m.DF != all.DF {
				t.Errorf("%d runs, %v: %+v, want %v ± %v with %.2f degrees of freedom", long, weights, e, value, math.Sqrt(variance), free)
			}
		}
	}
}
