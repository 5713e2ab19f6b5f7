package results

import (
	"fmt"

	"github.com/sockbench/sockbench/wire"
)

// messageBoundaries compares the messages the server counted with those that the bytes it read hold. TCP keeps no
// boundaries: a server that takes a read for a message counts wrongly as soon as messages arrive in pieces or together.
// A message cut off at the end of each connection makes no difference, nor do those that a server had read and not yet
// answered when the client left in good order: at most as many as a connection carries at one time.
func messageBoundaries(r *Record) (Doubt, bool) {
	h := r.Metrics.Handled
	whole, reads, ok := r.Arrived()
	if !ok {
		return Doubt{}, false
	}
	perRead := float64(whole) / float64(reads)
	evidence := fmt.Sprintf("%d messages in %d reads: %.2f messages per read, %.2f reads per message", whole, reads, perRead, 1/perRead)
	owed := h.Accepts
	if len(r.Metrics.Errors) == 0 {
		owed *= max(1, int64(r.Spec.Load.Pipeline))
	}
	if h.Requests-whole > h.Accepts || whole-h.Requests > owed {
		return judged(true, Fail, "the server took what it read for %d messages: %s", h.Requests, evidence)
	}
	return judged(false, Fail, "%s", evidence)
}

// Arrived is how many requests the bytes that the server read hold, whatever it took them for, and in how many reads they
// came. false: that cannot be known.
func (r *Record) Arrived() (requests, reads int64, ok bool) {
	size := requestSize(r)
	if r.Metrics == nil || r.Metrics.Handled.Reads == 0 || size == 0 {
		return 0, 0, false
	}
	return r.Metrics.Handled.Received / size, r.Metrics.Handled.Reads, true
}

// requestSize is the bytes of a request on the wire; 0: not known, or not the same for all.
func requestSize(r *Record) int64 {
	s := r.Spec.Load
	f, err := wire.Find(string(s.Framing))
	if err != nil {
		return 0
	}
	p := s.Params()
	if f.Check(p) != nil {
		return 0
	}
	if shortest, longest, _ := f.Lengths(p); shortest == longest {
		return longest
	}
	return 0
}
