package targets

import (
	"sync"
	"time"

	"github.com/sockbench/sockbench/internal/clock"
	"github.com/sockbench/sockbench/results/stats"
	"github.com/sockbench/sockbench/unit"
)

// timedEvery is of how many reads, or waits of an event loop, one is timed, with all requests that came of it: a prime,
// so that no period of the load is met at the same place each time. Where the service time is slow or more, every one is,
// which costs less than a hundredth of it.
const (
	timedEvery = 61
	slow       = 100 * time.Microsecond
)

// timing holds how long requests waited inside the server and were worked on. Safe for concurrent use.
type timing struct {
	every int
	*board

	mu             sync.Mutex
	queue, service stats.Latency
}

func newTiming(service unit.Dist, b *board) *timing {
	every := timedEvery
	if time.Duration(service.Mean) >= slow {
		every = 1
	}
	return &timing{every: every, board: b, queue: stats.NewLatency(), service: stats.NewLatency()}
}

// hear counts one wait of an event loop that has returned, and says when that was if it is timed; 0: it is not.
func (t *timing) hear(waits *int) int64 {
	if *waits++; t == nil || *waits < t.every {
		return 0
	}
	*waits = 0
	return clock.Now()
}

// note counts a request that the server heard of at heard.
func (t *timing) note(heard, began, ended int64) {
	if to := t.to.Load(); to != 0 && (heard < t.from.Load() || heard >= to) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue.Record(began - heard)
	t.service.Record(ended - began)
}

// report puts what was counted into r.
func (t *timing) report(r *Result) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	r.Waiting, r.Service, r.Histograms = t.queue.Summary(), t.service.Summary(), map[string]string{}
	for name, l := range map[string]*stats.Latency{QueueHistogram: &t.queue, ServiceHistogram: &t.service} {
		if text, err := l.Encode(); err == nil && l.Count() > 0 { // into memory: it cannot fail
			r.Histograms[name] = text
		}
	}
}
