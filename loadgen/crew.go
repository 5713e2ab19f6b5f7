package loadgen

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// crew is the goroutines or threads of an engine that has one per connection. They are there before the window begins:
// to start 8,000 threads takes half a second.
type crew struct {
	threads bool
	work    func(i int) // what member i is to do when it is roused for the first time; nil: leave
	members []member
	wg      sync.WaitGroup
	procs   int // GOMAXPROCS before
}

type member struct {
	told chan struct{} // of a goroutine
	flag flag          // of a thread
}

// newCrew starts n members, each at rest.
func newCrew(n int, threads bool) *crew {
	c := &crew{threads: threads, members: make([]member, n)}
	if threads { // one that comes out of a blocking call must find a processor of Go's free
		c.procs = runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), n+2))
	}
	var started sync.WaitGroup
	var there atomic.Int64
	started.Add(1)
	for i := range c.members {
		c.members[i].told = make(chan struct{}, 1)
		c.wg.Go(func() {
			if threads {
				runtime.LockOSThread()
			}
			if there.Add(1) == int64(n) {
				started.Done()
			}
			if c.rest(i); c.work != nil {
				c.work(i)
			}
		})
	}
	started.Wait()
	return c
}

// rouse tells member i that there is something to do.
func (c *crew) rouse(i int) {
	if c.threads {
		c.members[i].flag.raise()
		return
	}
	select {
	case c.members[i].told <- struct{}{}:
	default: // it has been told before
	}
}

// rest waits until member i is roused.
func (c *crew) rest(i int) {
	if c.threads {
		c.members[i].flag.wait()
	} else {
		<-c.members[i].told
	}
}

// dismiss rouses all members and waits until they have left. Twice is fine.
func (c *crew) dismiss() {
	for i := range c.members {
		c.rouse(i)
	}
	c.wg.Wait()
	if c.members = nil; c.procs > 0 {
		runtime.GOMAXPROCS(c.procs)
		c.procs = 0
	}
}
