package loadgen

import (
	"cmp"
	"fmt"
	"slices"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sockbench/sockbench/internal/mutation"
	"github.com/sockbench/sockbench/results/stats"
)

const (
	longest     = stats.Longest
	intervalLen = 100_000_000
	intervalMax = 600
)

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
	response stats.Latency
	service  stats.Latency
	wait     stats.Latency
	late     stats.Latency

	connect, firstByte, closing stats.Latency // of connections made on the way

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

	troubles []trouble // the first of them

	samples []Sample
	dropped int64 // samples beyond the bound

	put [128]ended
	n   int
}

// trouble is a Trouble before it is told; kind errorKinds is a request that timed out.
type trouble struct {
	at   int64
	kind errorKind
}

// TroublesMax is how many Troubles a Result holds.
const TroublesMax = 1000

// trouble notes that something was wrong at a time.
func (r *recorder) trouble(at int64, kind errorKind) {
	if at >= r.w.Measure && len(r.troubles) < cap(r.troubles) {
		r.troubles = append(r.troubles, trouble{at - r.w.Measure, kind})
	}
}

// ended is a request and when its reply was complete.
type ended struct {
	request
	at int64
}

func newRecorder(w Window, samples int) *recorder {
	r := &recorder{w: w, response: stats.NewLatency(), service: stats.NewLatency(), wait: stats.NewLatency(), late: stats.NewLatency(),
		connect: stats.NewLatency(), firstByte: stats.NewLatency(), closing: stats.NewLatency()}
	length := max(w.End-w.Measure, 1)
	r.interval = max(intervalLen, (length+intervalMax-1)/intervalMax)
	for range (length + r.interval - 1) / r.interval {
		r.intervals = append(r.intervals, hdr.New(1000, longest, 2))
	}
	r.troubles = make([]trouble, 0, TroublesMax)
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
				r.response.Clip()
			}
		}
		if !r.counts(q) {
			continue
		}
		r.offered++
		r.outcomes[completed]++
		r.wrote(q)
		if mutation.On("actual-send") {
			q.intended = q.wrote
		}
		r.response.Record(now - q.intended)
		r.service.Record(now - q.wrote)
		r.sample(q, now, completed)
	}
	r.n = 0
}

// wrote counts a request that was written, whatever came of it.
func (r *recorder) wrote(q *request) {
	r.sent++
	if mutation.On("hidden-lateness") {
		q.taken = q.wrote
	}
	r.wait.Record(q.taken - q.intended)
	r.late.Record(q.wrote - q.taken)
}

// giveUp is called for a request that will have no valid reply; now − intended is what is known of its response time.
func (r *recorder) giveUp(q *request, now int64, o outcome) {
	if o == timedOut {
		r.trouble(now, errorKinds)
	}
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
	if o == timedOut && mutation.On("dropped-timeouts") {
		return
	}
	r.response.RecordAge(now - q.intended)
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
	for _, q := range [][2]*stats.Latency{{&r.response, &o.response}, {&r.service, &o.service}, {&r.wait, &o.wait}, {&r.late, &o.late},
		{&r.connect, &o.connect}, {&r.firstByte, &o.firstByte}, {&r.closing, &o.closing}} {
		if err := q[0].Merge(q[1]); err != nil {
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
	r.troubles = append(r.troubles, o.troubles...)
	r.samples = append(r.samples, o.samples...)
	r.dropped += o.dropped
	return nil
}

// result is the recorder's part of a Result.
func (r *recorder) result() (Result, error) {
	if mutation.On("counted-drain") {
		r.inside = r.outcomes[completed]
	}
	res := Result{
		Offered: r.offered, Completed: r.outcomes[completed], Failed: r.outcomes[failed], TimedOut: r.outcomes[timedOut], Unfinished: r.outcomes[unfinished],
		Scheduled: r.offered, Sent: r.sent, NotSent: r.notSent, Late: r.lateRepl, Duplicated: r.duplicated, Reordered: r.reordered,
		Replies: r.inside, Duration: r.w.End - r.w.Measure, Throughput: float64(r.inside) * 1e9 / float64(max(r.w.End-r.w.Measure, 1)),
		Response: r.response.Summary(), Service: r.service.Summary(), QueueWait: r.wait.Summary(), Lateness: r.late.Summary(),
		Connect: r.connect.Summary(), FirstByte: r.firstByte.Summary(), Close: r.closing.Summary(),
		Errors: map[string]int64{}, Interval: r.interval, Histograms: map[string]string{},
	}
	for k, n := range r.errors {
		if n > 0 {
			res.Errors[errorNames[k]] = n
		}
	}
	slices.SortFunc(r.troubles, func(a, b trouble) int { return cmp.Compare(a.at, b.at) })
	for _, t := range r.troubles[:min(len(r.troubles), TroublesMax)] {
		kind := requestTimeout
		if t.kind < errorKinds {
			kind = errorNames[t.kind]
		}
		res.Troubles = append(res.Troubles, Trouble{t.at, kind})
	}
	res.Response.Effective = stats.NewEffective(res.Response.Count, r.intervals)
	for _, h := range r.intervals {
		res.Intervals = append(res.Intervals, Interval{Completed: h.TotalCount(), P50: stats.Percentile(h, .5), P99: stats.Percentile(h, .99)})
	}
	for name, q := range map[string]*stats.Latency{"response": &r.response, "service": &r.service, "queue_wait": &r.wait, "lateness": &r.late,
		"connect": &r.connect, "first_byte": &r.firstByte, "close": &r.closing} {
		if q.Count() == 0 && (name == "connect" || name == "first_byte" || name == "close") {
			continue
		}
		text, err := q.Encode()
		if err != nil {
			return res, fmt.Errorf("encode the %s histogram: %w", name, err)
		}
		res.Histograms[name] = text
	}
	return res, nil
}
