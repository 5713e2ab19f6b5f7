package loadgen

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
)

// Sample is one request of the measure phase, in CLOCK_MONOTONIC nanoseconds.
type Sample struct {
	ID                          uint64
	Intended, Taken, Sent, Done int64 // Taken and Sent are 0 for a request that was never written
	outcome                     outcome
}

// WriteSamples writes one line per request, by intended time. On every line
// response = queue_wait + lateness + service; for a request that did not complete, done is when it was given up, so
// that response and its last part are lower bounds. A request that was never written has all of it as queue_wait.
func WriteSamples(w io.Writer, samples []Sample) error {
	slices.SortFunc(samples, func(a, b Sample) int { return cmp.Compare(a.Intended, b.Intended) })
	b := bufio.NewWriterSize(w, 1<<20)
	fmt.Fprintln(b, "id,intended_ns,taken_ns,sent_ns,done_ns,queue_wait_ns,lateness_ns,service_ns,response_ns,outcome")
	for _, s := range samples {
		wait, late, service := s.Taken-s.Intended, s.Sent-s.Taken, s.Done-s.Sent
		if s.Sent == 0 {
			wait, late, service = s.Done-s.Intended, 0, 0
		}
		fmt.Fprintf(b, "%d,%d,%d,%d,%d,%d,%d,%d,%d,%s\n", s.ID, s.Intended, s.Taken, s.Sent, s.Done,
			wait, late, service, s.Done-s.Intended, outcomeNames[s.outcome])
	}
	return b.Flush()
}
