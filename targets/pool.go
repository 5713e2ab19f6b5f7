package targets

import (
	"context"
	"fmt"
	"sync"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sockbench/sockbench/internal/clock"
)

var poolEntry = Entry{
	Name: "pool",
	Doc: "One thread accepts and puts connections in a queue of at most 1,024; each of a fixed number of workers, threads with " +
		"blocking sockets, takes one, serves it until its client is done, and takes the next.",
	Elsewhere: "thread pool, producer and consumers: Java's fixed ExecutorService, Python's ThreadPoolExecutor",
	Limit:     "It serves as many connections at a time as it has workers. Others are accepted and wait in its queue, unserved.",
	Knobs:     append([]string{"workers"}, answers...),
	MaxConns:  workers,
	Blocking:  true,
	Honest: func(i Inspection, s Spec, conns int) error {
		busy := min(conns, s.pool())
		if idle := s.pool() - busy; i.Threads["futex"] < idle {
			return fmt.Errorf("%d threads in futex, want at least the %d idle workers", i.Threads["futex"], idle)
		}
		return i.blocks(threads{"read": busy, "accept4": 1})
	},
	Start: func(ctx context.Context, s Spec, p Place) (Server, error) {
		t, err := newThreaded(s, p)
		if err != nil {
			return nil, err
		}
		m := &pool{
			threaded: t, workers: s.pool(), queue: make(chan waiting, queueMax),
			waits: hdrhistogram.New(1, waitMax, 3),
		}
		return t.env.serve(ctx, t.addr, m), nil
	},
}

const (
	workers    = 8     // of Spec.Workers 0
	workersMax = 9_000 // Go ends a process of 10,000 threads
	queueMax   = 1024
	waitMax    = 60e9 // ns
)

type pool struct {
	*threaded
	workers int
	queue   chan waiting
	high    int // most connections in queue

	waitMu sync.Mutex
	waits  *hdrhistogram.Histogram // ns
}

// waiting is a connection in the queue.
type waiting struct {
	*Session
	since int64
}

// Queue is how long connections waited for a worker, from accept; most wait next to nothing while workers are free.
type Queue struct {
	High  int   `json:"high"` // most that waited at one time
	Count int64 `json:"count"`
	Mean  int64 `json:"mean_ns"`
	P50   int64 `json:"p50_ns"`
	P99   int64 `json:"p99_ns"`
	Max   int64 `json:"max_ns"`
}

func (m *pool) run() {
	lockThread()
	defer atLeast(m.workers + 2)()
	var wg sync.WaitGroup
	for range m.workers {
		wg.Go(m.work)
	}
	m.accepts(func(s *Session) {
		m.queue <- waiting{s, clock.Now()}
		m.high = max(m.high, len(m.queue))
	})
	m.release(m.listener)
	close(m.queue)
	wg.Wait()
	m.env.mu.Lock()
	defer m.env.mu.Unlock()
	m.env.total.Queue = Queue{
		High: m.high, Count: m.waits.TotalCount(), Mean: int64(m.waits.Mean()),
		P50: m.waits.ValueAtQuantile(50), P99: m.waits.ValueAtQuantile(99), Max: m.waits.Max(),
	}
}

// work serves what is in the queue. After a stop that is still every connection accepted.
func (m *pool) work() {
	lockThread()
	buf := make([]byte, readMax)
	for w := range m.queue {
		m.waited(clock.Now() - w.since)
		m.serve(w.Session, buf)
	}
}

func (m *pool) waited(ns int64) {
	m.waitMu.Lock()
	defer m.waitMu.Unlock()
	_ = m.waits.RecordValue(min(ns, waitMax)) // within its range it cannot fail
}
