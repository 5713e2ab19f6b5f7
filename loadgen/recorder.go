package loadgen

import (
	"fmt"
	"math"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sockbench/sockbench/results/stats"
)

// Range of what a histogram tells apart: 1 ns to 60 s, three digits.
const (
	longest     = 60_000_000_000
	digits      = 3
	intervalLen = 100_000_000
	intervalMax = 600
)

// quantity is one latency being recorded. Not concurrent: an engine owns its own; they are merged, never averaged.
type quantity struct {
	hist     *hdr.Histogram
	sum      int64
	min, max int64 // exact: the histogram knows buckets only
	clipped  int64
	censored int64 // the smallest value that is a lower bound
}

func newQuantity() quantity {
	return quantity{hist: hdr.New(1, longest, digits), min: math.MaxInt64, censored: math.MaxInt64}
}

// record counts v nanoseconds.
func (q *quantity) record(v int64) {
	q.min, q.max, q.sum = min(q.min, v), max(q.max, v), q.sum+v
	if v > longest || v < 0 {
		q.clipped++
		v = max(0, min(v, longest))
	}
	if err := q.hist.RecordValue(v); err != nil {
		q.clipped++ // out of range is excluded above; a count that is lost all the same must show
	}
}

// recordAge counts a request that is known only to have taken longer than v.
func (q *quantity) recordAge(v int64) {
	q.record(v)
	q.censored = min(q.censored, v)
}

func (q *quantity) merge(o *quantity) error {
	if dropped := q.hist.Merge(o.hist); dropped != 0 {
		return fmt.Errorf("merging histograms dropped %d values", dropped)
	}
	q.min, q.max, q.sum = min(q.min, o.min), max(q.max, o.max), q.sum+o.sum
	q.clipped += o.clipped
	q.censored = min(q.censored, o.censored)
	return nil
}

// percentile of a histogram, or nil where its count does not support it. p is a fraction.
func percentile(h *hdr.Histogram, p float64) *int64 {
	if !stats.Supported(p, h.TotalCount()) {
		return nil
	}
	v := h.ValueAtQuantile(p * 100)
	return &v
}

func (q *quantity) summary() Quantity {
	n := q.hist.TotalCount()
	if n == 0 {
		return Quantity{}
	}
	s := Quantity{
		Count: n, Min: q.min, Max: q.max, Mean: float64(q.sum) / float64(n), Clipped: q.clipped,
		P50: percentile(q.hist, .5), P90: percentile(q.hist, .9), P99: percentile(q.hist, .99),
		P999: percentile(q.hist, .999), P9999: percentile(q.hist, .9999),
	}
	for _, p := range []*int64{s.P50, s.P90, s.P99, s.P999, s.P9999} {
		if p != nil {
			*p = min(max(*p, q.min), q.max) // a bucket's edge may lie outside what was seen
		}
	}
	if q.censored != math.MaxInt64 {
		c := q.censored
		s.Censored = &c
	}
	return s
}

// outcome is how a request ended.
type outcome uint8

const (
	completed outcome = iota
	failed
	timedOut
	unfinished
)

var outcomeNames = [...]string{"completed", "failed", "timed_out", "unfinished"}

// request is the times of one request, CLOCK_MONOTONIC nanoseconds. taken and wrote are 0 until it is sent.
type request struct {
	id                     uint64
	intended, taken, wrote int64
}

// recorder counts one engine's measure phase. Not concurrent; no call allocates.
type recorder struct {
	w        Window
	response quantity
	service  quantity
	wait     quantity
	late     quantity

	connect, firstByte, closing quantity // of connections made on the way

	outcomes [4]int64 // requests
	offered  int64
	sent     int64
	notSent  int64
	lateRepl int64

	duplicated, reordered int64 // replies in datagrams

	inside int64 // completed inside the measure phase, whenever they were intended
	errors [errorKinds]int64

	interval  int64
	intervals []*hdr.Histogram

	samples []Sample
	dropped int64 // samples beyond the bound

	put [128]ended
	n   int
}

// ended is a request and when its reply was complete.
type ended struct {
	request
	at int64
}

func newRecorder(w Window, samples int) *recorder {
	r := &recorder{w: w, response: newQuantity(), service: newQuantity(), wait: newQuantity(), late: newQuantity(),
		connect: newQuantity(), firstByte: newQuantity(), closing: newQuantity()}
	length := max(w.End-w.Measure, 1)
	r.interval = max(intervalLen, (length+intervalMax-1)/intervalMax)
	for range (length + r.interval - 1) / r.interval {
		r.intervals = append(r.intervals, hdr.New(1000, longest, 2))
	}
	if samples > 0 {
		r.samples = make([]Sample, 0, samples)
	}
	return r
}

// counts says whether a request belongs to the measure phase: it does by its intended time.
func (r *recorder) counts(q *request) bool { return q.intended >= r.w.Measure && q.intended < r.w.End }

// complete is called when a valid reply is complete. What it says is put down here and counted by settle, many at a
// time: a histogram is five arrays far apart, and after every system call the memory they lie in is far away again.
func (r *recorder) complete(q *request, now int64) {
	r.put[r.n] = ended{*q, now}
	if r.n++; r.n == len(r.put) {
		r.settle()
	}
}

// settle counts what complete has put down.
func (r *recorder) settle() {
	for i := range r.put[:r.n] {
		q, now := &r.put[i].request, r.put[i].at
		if now >= r.w.Measure && now < r.w.End {
			r.inside++
			h := r.intervals[(now-r.w.Measure)/r.interval]
			if err := h.RecordValue(min(now-q.intended, longest)); err != nil {
				r.response.clipped++
			}
		}
		if !r.counts(q) {
			continue
		}
		r.offered++
		r.outcomes[completed]++
		r.wrote(q)
		r.response.record(now - q.intended)
		r.service.record(now - q.wrote)
		r.sample(q, now, completed)
	}
	r.n = 0
}

// wrote counts a request that was written, whatever came of it.
func (r *recorder) wrote(q *request) {
	r.sent++
	r.wait.record(q.taken - q.intended)
	r.late.record(q.wrote - q.taken)
}

// giveUp is called for a request that will have no valid reply; now − intended is what is known of its response time.
func (r *recorder) giveUp(q *request, now int64, o outcome) {
	if !r.counts(q) {
		return
	}
	r.offered++
	r.outcomes[o]++
	switch {
	case q.wrote != 0:
		r.wrote(q)
	case o == timedOut:
		r.notSent++
	}
	r.response.recordAge(now - q.intended)
	r.sample(q, now, o)
}

func (r *recorder) sample(q *request, now int64, o outcome) {
	if r.samples == nil {
		return
	}
	if len(r.samples) == cap(r.samples) {
		r.dropped++
		return
	}
	r.samples = append(r.samples, Sample{ID: q.id, Intended: q.intended, Taken: q.taken, Sent: q.wrote, Done: now, outcome: o})
}

// merge adds another engine's counts.
func (r *recorder) merge(o *recorder) error {
	for _, q := range [][2]*quantity{{&r.response, &o.response}, {&r.service, &o.service}, {&r.wait, &o.wait}, {&r.late, &o.late},
		{&r.connect, &o.connect}, {&r.firstByte, &o.firstByte}, {&r.closing, &o.closing}} {
		if err := q[0].merge(q[1]); err != nil {
			return err
		}
	}
	for i, h := range o.intervals {
		if dropped := r.intervals[i].Merge(h); dropped != 0 {
			return fmt.Errorf("merging interval %d dropped %d values", i, dropped)
		}
	}
	for i, n := range o.outcomes {
		r.outcomes[i] += n
	}
	for i, n := range o.errors {
		r.errors[i] += n
	}
	r.offered += o.offered
	r.sent += o.sent
	r.notSent += o.notSent
	r.lateRepl += o.lateRepl
	r.duplicated += o.duplicated
	r.reordered += o.reordered
	r.inside += o.inside
	r.samples = append(r.samples, o.samples...)
	r.dropped += o.dropped
	return nil
}

// result is the recorder's part of a Result.
func (r *recorder) result() (Result, error) {
	res := Result{
		Offered: r.offered, Completed: r.outcomes[completed], Failed: r.outcomes[failed], TimedOut: r.outcomes[timedOut], Unfinished: r.outcomes[unfinished],
		Scheduled: r.offered, Sent: r.sent, NotSent: r.notSent, Late: r.lateRepl, Duplicated: r.duplicated, Reordered: r.reordered,
		Duration: r.w.End - r.w.Measure, Throughput: float64(r.inside) * 1e9 / float64(max(r.w.End-r.w.Measure, 1)),
		Response: r.response.summary(), Service: r.service.summary(), QueueWait: r.wait.summary(), Lateness: r.late.summary(),
		Connect: r.connect.summary(), FirstByte: r.firstByte.summary(), Close: r.closing.summary(),
		Errors: map[string]int64{}, Interval: r.interval, Histograms: map[string]string{},
	}
	for k, n := range r.errors {
		if n > 0 {
			res.Errors[errorNames[k]] = n
		}
	}
	for _, h := range r.intervals {
		res.Intervals = append(res.Intervals, Interval{Completed: h.TotalCount(), P50: percentile(h, .5), P99: percentile(h, .99)})
	}
	for name, q := range map[string]*quantity{"response": &r.response, "service": &r.service, "queue_wait": &r.wait, "lateness": &r.late,
		"connect": &r.connect, "first_byte": &r.firstByte, "close": &r.closing} {
		if q.hist.TotalCount() == 0 && (name == "connect" || name == "first_byte" || name == "close") {
			continue
		}
		text, err := encode(q.hist)
		if err != nil {
			return res, fmt.Errorf("encode the %s histogram: %w", name, err)
		}
		res.Histograms[name] = text
	}
	return res, nil
}

func encode(h *hdr.Histogram) (string, error) {
	b, err := h.Encode(hdr.V2CompressedEncodingCookieBase)
	return string(b), err
}
