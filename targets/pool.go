package targets

import (
	"context"
	"fmt"
	"sync"

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
		}
		return t.env.serve(ctx, t.addr, m), nil
	},
}

const (
	workers    = 8     // of Spec.Workers 0
	workersMax = 9_000 // Go ends a process of 10,000 threads
	queueMax   = 1024
)

type pool struct {
	*threaded
	workers int
	queue   chan waiting

	toldMu sync.Mutex
	told   Queue
}

// waiting is a connection in the queue.
type waiting struct {
	*Session
	since int64
}

// Queue is how long connections waited for a worker, from accept; most wait next to nothing while workers are free.
type Queue struct {
	High  int   `json:"high"`  // most that waited at one time
	Count int64 `json:"count"` // connections that a worker took
	Sum   int64 `json:"sum_ns"`
	Max   int64 `json:"max_ns"`
}

func (m *pool) run() {
	lockThread()
	defer m.env.atLeast(m.workers + 2)()
	var wg sync.WaitGroup
	for range m.workers {
		wg.Go(m.work)
	}
	m.accepts(func(s *Session) {
		m.queue <- waiting{s, clock.Now()}
		m.toldMu.Lock()
		m.told.High = max(m.told.High, len(m.queue))
		m.toldMu.Unlock()
	})
	m.release(m.listener)
	close(m.queue)
	wg.Wait()
	m.env.mu.Lock()
	defer m.env.mu.Unlock()
	m.env.total.Queue = m.told
}

// work serves what is in the queue. After a stop that is still every connection accepted.
func (m *pool) work() {
	lockThread()
	buf := m.env.buffer(readMax)
	for w := range m.queue {
		m.waited(clock.Now() - w.since)
		m.serve(w.Session, buf)
	}
}

func (m *pool) waited(ns int64) {
	m.toldMu.Lock()
	defer m.toldMu.Unlock()
	m.told.Count++
	m.told.Sum += ns
	m.told.Max = max(m.told.Max, ns)
}
