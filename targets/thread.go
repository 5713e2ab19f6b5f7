package targets

import (
	"context"
	"runtime/debug"
	"sync"
)

var threadEntry = Entry{
	Name: "thread",
	Doc: "A thread of the operating system per connection, in blocking reads and writes that Go's netpoller knows nothing " +
		"of, and one that accepts. A thread ends with its connection.",
	Elsewhere: "thread per connection: Apache's worker MPM, MySQL, Java before virtual threads; Python's ThreadingTCPServer",
	Limit: "Where the system has no thread left to give, Go ends the process: see RLIMIT_NPROC and the cgroup's pids.max; " +
		"so it does at 10,000 threads, or twice the connections expected.",
	Knobs:    answers,
	Blocking: true,
	Honest:   threadPerConn,
	Start: func(ctx context.Context, s Spec, p Place) (Server, error) {
		t, err := newThreaded(s, p)
		if err != nil {
			return nil, err
		}
		return t.env.serve(ctx, t.addr, thread{t, p.Expect}), nil
	},
}

func threadPerConn(i Inspection, _ Spec, conns int) error {
	return i.blocks(threads{"read": conns, "accept4": 1})
}

// ownLimit is how many threads Go allows itself. Beside one per connection there are those that end, and those that Go
// starts where a thread blocks: 1,500 were seen with 8,000 connections.
const ownLimit = 10_000

// enoughProcs is the most that GOMAXPROCS is raised to.
//
// Note: with 8,000 connections on one CPU and GOMAXPROCS 9,000 it took three times the memory (690 MB), and served fewer
// than 3,200 of them within a second where with 66 it served about 7,000. A collection of garbage starts a worker for
// each P, and whoever looks for work looks at them all.
const enoughProcs = 66

type thread struct {
	*threaded
	expect int
}

func (m thread) run() {
	lockThread()
	if most := 2 * m.expect; most > ownLimit {
		defer debug.SetMaxThreads(debug.SetMaxThreads(most))
	}
	defer m.env.atLeast(min(m.expect+2, enoughProcs))()
	var wg sync.WaitGroup
	m.incoming(func(fd int) {
		wg.Go(func() {
			lockThread() // before it counts as accepted: a trial begins when all threads are there
			m.serve(m.env.accepted(fd), m.env.buffer(ownMax))
		})
	})
	m.release(m.listener)
	wg.Wait()
}
