package targets

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"github.com/sockbench/sockbench/internal/clock"
)

// Sample is one request that a server handled, in CLOCK_MONOTONIC nanoseconds.
type Sample struct {
	ID       uint64 // 0 where the framing carries none
	Received int64  // the read that completed it had returned
	Began    int64  // its service began: that of another request from the same read may have been first
	Ended    int64  // its service was over; its reply was about to be written
}

// WriteSamples writes one line per request, in the order of arrival.
func WriteSamples(w io.Writer, samples []Sample) error {
	slices.SortFunc(samples, func(a, b Sample) int {
		return cmp.Or(cmp.Compare(a.Received, b.Received), cmp.Compare(a.Began, b.Began))
	})
	b := bufio.NewWriterSize(w, 1<<20)
	fmt.Fprintln(b, "id,received_ns,began_ns,ended_ns")
	for _, s := range samples {
		fmt.Fprintf(b, "%d,%d,%d,%d\n", s.ID, s.Received, s.Began, s.Ended)
	}
	return b.Flush()
}

// sampler keeps the first requests a server handled. nil: none. Safe for concurrent use, by several processes too: each
// request has a slot of its own. Nothing is allocated while serving.
type sampler struct {
	slots []Sample
	taken *atomic.Int64 // slots given away, and those there would have been
}

func newSampler(b *board, slots []Sample) *sampler {
	if len(slots) == 0 {
		return nil
	}
	return &sampler{slots, &b.samples}
}

// now is the time where it will be noted.
func (s *sampler) now() int64 {
	if s == nil {
		return 0
	}
	return clock.Now()
}

// note keeps a request.
func (s *sampler) note(r Sample) {
	if s == nil {
		return
	}
	if i := s.taken.Add(1) - 1; i < int64(len(s.slots)) {
		s.slots[i] = r
	}
}

// all is what was kept, and how many more there were. Not while requests are handled.
func (s *sampler) all() (kept []Sample, dropped int64) {
	if s == nil {
		return nil, 0
	}
	n := s.taken.Load()
	held := min(n, int64(len(s.slots)))
	return s.slots[:held], n - held
}
