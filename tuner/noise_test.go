package tuner

import (
	"encoding/csv"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/sockbench/sockbench/results/stats"
)

// recorded is the noise of real trials in which nothing varied, by batches of trials one after the other: of throughput
// and p99, by how much the logarithm of each differs from the median of all.
func recorded(t *testing.T) (batches [][][2]float64) {
	t.Helper()
	f, err := os.Open("testdata/noise.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var middle [2]float64
	for column := range middle {
		var all []float64
		for _, row := range rows[1:] {
			all = append(all, ln(t, row[column+1]))
		}
		slices.Sort(all)
		middle[column] = stats.Median(all)
	}
	last := ""
	for _, row := range rows[1:] {
		if row[0] != last {
			batches, last = append(batches, nil), row[0]
		}
		b := &batches[len(batches)-1]
		*b = append(*b, [2]float64{ln(t, row[1]) - middle[0], ln(t, row[2]) - middle[1]})
	}
	return batches
}

func ln(t *testing.T, text string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return math.Log(v)
}
