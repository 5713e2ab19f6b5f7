package stats

import (
	"encoding/json"
	"fmt"
	"math"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sockbench/sockbench/internal/mutation"
)

// Range of what a histogram tells apart: 1 ns to 60 s, three digits.
const (
	Longest = 60_000_000_000
	Digits  = 3
)

// Quantity is one latency in nanoseconds. A percentile that the count does not support is nil.
type Quantity struct {
	Count    int64   `json:"count"`
	Min      int64   `json:"min_ns"` // exact, not a bucket's edge
	Mean     float64 `json:"mean_ns"`
	P50      *int64  `json:"p50_ns"`
	P90      *int64  `json:"p90_ns"`
	P99      *int64  `json:"p99_ns"`
	P999     *int64  `json:"p999_ns"`
	P9999    *int64  `json:"p9999_ns"`
	Max      int64   `json:"max_ns"`            // exact
	Clipped  int64   `json:"clipped,omitempty"` // outside 1 ns to 60 s: counted at the edge
	Censored *int64  `json:"censored_from"`     // percentiles at or above this are lower bounds; nil: none is

	Effective Effective `json:"n_eff,omitzero"`
}

// Latency is one latency being recorded. Not concurrent: each has one owner; they are merged, never averaged.
// No call but NewLatency, Summary and Encode allocates.
type Latency struct {
	hist     *hdr.Histogram
	sum      int64
	min, max int64 // exact: the histogram knows buckets only
	clipped  int64
	censored int64 // the smallest value that is a lower bound
}

func NewLatency() Latency {
	return Latency{hist: hdr.New(1, Longest, Digits), min: math.MaxInt64, censored: math.MaxInt64}
}

// Record counts v nanoseconds.
func (l *Latency) Record(v int64) {
	l.min, l.max, l.sum = min(l.min, v), max(l.max, v), l.sum+v
	if v > Longest || v < 0 {
		l.clipped++
		v = max(0, min(v, Longest))
	}
	if mutation.On("shifted-histogram") {
		v += v / 10
	}
	if err := l.hist.RecordValue(v); err != nil {
		l.clipped++ // out of range is excluded above; a count that is lost all the same must show
	}
}

// RecordAge counts what is known only to have taken longer than v.
func (l *Latency) RecordAge(v int64) {
	l.Record(v)
	l.censored = min(l.censored, v)
}

// Clip counts a value that was lost elsewhere.
func (l *Latency) Clip() { l.clipped++ }

// Merge adds what o counted.
func (l *Latency) Merge(o *Latency) error {
	if dropped := l.hist.Merge(o.hist); dropped != 0 {
		return fmt.Errorf("merging histograms dropped %d values", dropped)
	}
	l.min, l.max, l.sum = min(l.min, o.min), max(l.max, o.max), l.sum+o.sum
	l.clipped += o.clipped
	l.censored = min(l.censored, o.censored)
	return nil
}

// Count is how many values were recorded.
func (l *Latency) Count() int64 { return l.hist.TotalCount() }

// Percentile of a histogram, or nil where its count does not support it. p is a fraction.
func Percentile(h *hdr.Histogram, p float64) *int64 {
	if !Supported(p, h.TotalCount()) {
		return nil
	}
	v := h.ValueAtQuantile(p * 100)
	return &v
}

// Summary says what was recorded, in numbers.
func (l *Latency) Summary() Quantity {
	n := l.Count()
	if n == 0 {
		return Quantity{}
	}
	q := Quantity{Count: n, Min: l.min, Max: l.max, Mean: float64(l.sum) / float64(n), Clipped: l.clipped,
		P50: Percentile(l.hist, .5), P90: Percentile(l.hist, .9), P99: Percentile(l.hist, .99),
		P999: Percentile(l.hist, .999), P9999: Percentile(l.hist, .9999),
	}
	for _, p := range []*int64{q.P50, q.P90, q.P99, q.P999, q.P9999} {
		if p != nil {
			*p = min(max(*p, l.min), l.max) // a bucket's edge may lie outside what was seen
		}
	}
	if l.censored != math.MaxInt64 {
		c := l.censored
		q.Censored = &c
	}
	return q
}

// latency is what a Latency is outside of its process.
type latency struct {
	Histogram                    string
	Sum, Min, Max, Clipped, From int64
}

// MarshalText writes all that is known, for UnmarshalText in another process.
func (l *Latency) MarshalText() ([]byte, error) {
	text, err := l.Encode()
	if err != nil {
		return nil, err
	}
	return json.Marshal(latency{text, l.sum, l.min, l.max, l.clipped, l.censored})
}

// UnmarshalText reads what MarshalText wrote.
func (l *Latency) UnmarshalText(text []byte) error {
	var v latency
	if err := json.Unmarshal(text, &v); err != nil {
		return fmt.Errorf("read a latency: %w", err)
	}
	h, err := hdr.Decode([]byte(v.Histogram))
	if err != nil {
		return fmt.Errorf("read a latency's histogram: %w", err)
	}
	*l = Latency{h, v.Sum, v.Min, v.Max, v.Clipped, v.From}
	return nil
}

// Encode writes the histogram as a record keeps it: HdrHistogram V2, compressed, base64.
func (l *Latency) Encode() (string, error) {
	b, err := l.hist.Encode(hdr.V2CompressedEncodingCookieBase)
	return string(b), err
}
