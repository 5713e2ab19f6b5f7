// Package loadgen drives a target: workloads are small state machines, schedules say when a request is due, engines
// move the bytes, the recorder counts. Latency counts from the moment a request was meant to leave.
package loadgen

import (
	"net/netip"
	"time"

	"github.com/sockbench/sockbench/internal/clock"
	"github.com/sockbench/sockbench/results/stats"
	"github.com/sockbench/sockbench/sockopt"
	"github.com/sockbench/sockbench/unit"
	"github.com/sockbench/sockbench/wire"
)

// Spec is all a load process is told. Data; its JSON is the message to the child.
type Spec struct {
	Workload       unit.Word         `json:"workload"`
	Framing        unit.Word         `json:"framing"`
	Connections    unit.Count        `json:"connections"`
	Rate           unit.Rate         `json:"rate"`           // 0: closed loop, unless the arrivals set the rate
	Think          unit.Duration     `json:"think,omitzero"` // closed loop: from a reply to when the next request is meant to leave
	Arrivals       Arrivals          `json:"arrivals"`
	Dispatch       unit.Word         `json:"dispatch"`
	Hold           unit.Count        `json:"hold,omitzero"`    // further connections, which stay open and carry nothing
	Source         []netip.Addr      `json:"source,omitempty"` // connections come from these in turn; nil: from where the kernel chooses
	Request        unit.Bytes        `json:"request"`
	Reply          unit.Bytes        `json:"reply"`
	Compress       wire.Packing      `json:"compress,omitzero"`     // of bodies, both ways
	Compressible   unit.Share        `json:"compressible,omitzero"` // with compress: the share of a body that repeats itself
	Keys           unit.Count        `json:"keys,omitzero"`         // of framing resp: keys to ask for; 0: none, and every request is PING
	Reads          unit.Share        `json:"reads,omitzero"`        // of the requests for keys; the others set one
	Pipeline       unit.Count        `json:"pipeline,omitzero"`     // requests that a connection carries at one time; 0: 1
	Write          unit.Word         `json:"write"`
	Engine         unit.Word         `json:"engine"`
	Pace           unit.Word         `json:"pace"`
	ConnectTimeout unit.Duration     `json:"connect_timeout"`
	RequestTimeout unit.Duration     `json:"request_timeout"`       // from the intended time; 0: none
	IdleTimeout    unit.Duration     `json:"idle_timeout,omitzero"` // a connection that carried nothing for so long is closed and opened anew when it is needed; 0: it stays
	Reopen         bool              `json:"reopen,omitempty"`      // a connection that was lost is opened anew when it is needed
	Warmup         unit.Duration     `json:"warmup"`
	Duration       unit.Duration     `json:"duration"`
	Options        []sockopt.Setting `json:"options,omitempty"`
}

// Place is what only the trial knows.
type Place struct {
	To      string          `json:"to"`                // "tcp://10.0.0.5:9000"
	Seed    uint64          `json:"seed"`              // of the block: every arm sees the same arrivals
	Threads int             `json:"threads"`           // engines, one per client CPU; 0: one
	Samples int             `json:"samples,omitempty"` // most lines of the sample file; 0: none
	Trace   []time.Duration `json:"trace,omitempty"`   // what ReadTrace read
}

// Window is the trial's phases in CLOCK_MONOTONIC nanoseconds, fixed before the first request.
// Drained is the latest end of the drain: it ends before that when nothing is in flight.
type Window struct {
	Start   int64 `json:"start"`
	Measure int64 `json:"measure"`
	End     int64 `json:"end"`
	Drained int64 `json:"drained"`
	Look    int64 `json:"look,omitempty"` // from one look at the connections in the measure phase to the next; 0: there is none
}

// Result is the client's side of the measure phase, in the workload's units.
// Requests are counted by their intended time: Offered = Completed + Failed + TimedOut + Unfinished.
type Result struct {
	Offered    int64 `json:"offered"`
	Completed  int64 `json:"completed"`
	Failed     int64 `json:"failed"`
	TimedOut   int64 `json:"timed_out"`
	Unfinished int64 `json:"unfinished"` // incomplete when the drain ended

	Scheduled  int64 `json:"scheduled"`   // what the drawn schedule holds; closed loop: Offered
	Sent       int64 `json:"sent"`        // of the offered ones, how many were written
	BacklogEnd int64 `json:"backlog_end"` // due and incomplete when the measure phase ended
	NotSent    int64 `json:"not_sent"`    // timed out before they were written
	Late       int64 `json:"late"`        // replies after their request had timed out
	Duplicated int64 `json:"duplicated"`
	Reordered  int64 `json:"reordered"`

	Errors      map[string]int64 `json:"errors"` // by kind: what happened to connections and replies
	Connections Connections      `json:"connections"`
	Duration    int64            `json:"duration_ns"`
	Throughput  float64          `json:"throughput"` // valid replies completed inside the measure phase / its length, per second
	SentBytes   int64            `json:"bytes_sent"` // written inside the measure phase
	RecvBytes   int64            `json:"bytes_received"`

	Replies         int64   `json:"replies"`           // valid ones completed inside the measure phase
	Reads           int64   `json:"reads"`             // of the client, that returned bytes, inside the measure phase
	MessagesPerRead float64 `json:"messages_per_read"` // replies ÷ reads
	ReadsPerMessage float64 `json:"reads_per_message"`

	Response  Quantity `json:"response"`   // every offered request; what never completed enters at its age
	Service   Quantity `json:"service"`    // completed ones: reply complete − write began
	QueueWait Quantity `json:"queue_wait"` // sent ones: waited for a free connection
	Lateness  Quantity `json:"lateness"`   // sent ones: the generator's own error
	Connect   Quantity `json:"connect"`
	FirstByte Quantity `json:"first_byte,omitzero"` // of workload crr: from the write of the request to the first byte back
	Close     Quantity `json:"close,omitzero"`      // of workload crr: from the last byte, and our FIN, to the peer's FIN

	// The first 1,000 times the client learned that something is wrong, from the measure phase's beginning to the drain's end.
	Troubles []Trouble `json:"troubles,omitempty"`

	Interval  int64      `json:"interval_ns"` // 100 ms, or longer where there would be more than 600
	Intervals []Interval `json:"intervals"`

	Engine EngineUse `json:"engine"`

	// Histograms by quantity ("response", …): HdrHistogram V2, compressed, base64. The record keeps them beside the metrics.
	Histograms map[string]string `json:"-"`
}

// Ratios fills in what the counts of replies and reads say.
func (r *Result) Ratios() {
	if r.Replies > 0 && r.Reads > 0 {
		r.MessagesPerRead = float64(r.Replies) / float64(r.Reads)
		r.ReadsPerMessage = 1 / r.MessagesPerRead
	}
}

// Connections says how many there were and how evenly they were served.
type Connections struct {
	Asked        int   `json:"asked"`
	Attained     int   `json:"attained"`
	Served       int   `json:"served"`        // completed at least one request in the measure phase
	MinCompleted int64 `json:"min_completed"` // of the connection that completed fewest
	Held         Held  `json:"held,omitzero"` // beside them
}

// Quantity is one latency in nanoseconds.
type Quantity = stats.Quantity

// Interval is a slice of the measure phase, by completion time.
type Interval struct {
	Completed int64  `json:"completed"`
	P50       *int64 `json:"p50_ns"`
	P99       *int64 `json:"p99_ns"`
}

// Trouble is a moment in which the client learned that something is wrong.
type Trouble struct {
	At   int64  `json:"at_ns"` // since the measure phase began
	Kind string `json:"kind"`  // a key of Errors, or "request: timed out"
}

// EngineUse is where the engines' time went in the measure phase, summed over threads.
type EngineUse struct {
	Threads int   `json:"threads"`
	Idle    int64 `json:"idle_ns"` // asleep in the kernel
	Spin    int64 `json:"spin_ns"` // polling for the next due send, with nothing to do
}

// Streams are looked at every 100 ms, or less often where there would be more than 100 looks.
const (
	lookEvery = int64(100 * time.Millisecond)
	looksMax  = 100
)

// WindowFrom lays the phases of s out from now + lead on; the drain lasts at most drain.
func WindowFrom(s Spec, lead, drain time.Duration) Window {
	start := clock.Now() + int64(lead)
	w := Window{Start: start, Measure: start + int64(s.Warmup)}
	w.End = w.Measure + int64(s.Duration)
	w.Drained = w.End + int64(drain)
	if k, err := FindWorkload(s.Workload); err == nil && k.Stream {
		w.Look = max(lookEvery, (int64(s.Duration)+looksMax-1)/looksMax)
	}
	return w
}

// Looks calls look when the connections are to be looked at, with the nanoseconds since the measure phase began, and
// returns after the last look or when stop is closed. A look whose time has passed when its turn comes is left out.
func (w *Window) Looks(stop <-chan struct{}, look func(at int64)) {
	if w.Look <= 0 {
		return
	}
	for at := w.Measure; at < w.End; at += w.Look {
		wait := at - clock.Now()
		if wait < -w.Look/2 {
			continue
		}
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(wait)):
			look(clock.Now() - w.Measure)
		}
	}
}
