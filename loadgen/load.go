package loadgen

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/results/stats"
	"github.com/sockbench/sockbench/sockopt"
	"github.com/sockbench/sockbench/wire"
)

// Check says everything that is wrong with s, before the first packet.
func (s *Spec) Check() error {
	var errs []error
	bad := func(err error) { errs = append(errs, err) }
	if _, err := FindWorkload(s.Workload); err != nil {
		bad(err)
	}
	if _, err := findEngine(s.Engine); err != nil {
		bad(err)
	}
	bad(oneOf("write", s.Write, Writes))
	bad(oneOf("pace", s.Pace, Paces))
	bad(oneOf("dispatch", s.Dispatch, Dispatches))
	if _, _, err := s.Arrivals.find(); err != nil {
		bad(err)
	} else if mean, sets := s.Arrivals.SetsRate(); sets && s.Rate != 0 && s.Rate != mean {
		bad(fmt.Errorf("arrivals %s set the rate themselves: rate %s cannot be asked for beside them", s.Arrivals, s.Rate))
	}
	for _, c := range s.Clashes() {
		bad(errors.New(c.Says))
	}
	if f, err := wire.Find(string(s.Framing)); err != nil {
		bad(err)
	} else {
		bad(f.Check(s.Params()))
	}
	for _, c := range []struct {
		ok   bool
		says string
	}{
		{s.Connections >= 1, "connections must be at least 1"},
		{s.Connections <= 1_000_000 && s.Hold <= 1_000_000, "connections and hold must be at most 1000000"},
		{s.Duration > 0, "duration must be longer than 0"},
		{s.ConnectTimeout > 0, "connect_timeout must be longer than 0"},
		{s.Pipeline <= MaxPipeline, "pipeline must be at most 1024"},
	} {
		if !c.ok {
			bad(errors.New(c.says))
		}
	}
	return errors.Join(errs...)
}

// Params is what the framing is told.
func (s *Spec) Params() wire.Params {
	return wire.Params{Request: int64(s.Request), Reply: int64(s.Reply), Keys: int64(s.Keys), Reads: float64(s.Reads),
		Packing: s.Compress, Compressible: float64(s.Compressible)}
}

// Load is a connected load: Connect, Run once, Close. Not concurrent.
type Load struct {
	spec     Spec
	place    Place
	workload *Workload
	engine   *EngineKind
	cpus     int   // that engines may use
	crew     *crew // of an engine that has tasks
	framing  *wire.Framing
	codec    wire.Codec
	matched  bool
	tally    *sockopt.Tally
	dial     dialer
	held     []int // connections that are only to be there
	samples  []Sample
	dropped  int64
}

// Connect opens the connections of s. Fewer than asked is no error (Result says so); none at all is.
func Connect(ctx context.Context, s Spec, p Place) (*Load, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	if err := s.CheckFiles(); err != nil {
		return nil, err
	}
	to, err := resolve(p.To)
	if err != nil {
		return nil, err
	}
	if c := s.ClashesOn(to.network); len(c) > 0 {
		return nil, fmt.Errorf("address %s: %s", p.To, c[0].Says)
	}
	f, err := wire.Find(string(s.Framing))
	if err != nil {
		return nil, err
	}
	params := s.Params()
	params.Seed = p.Seed
	l := &Load{spec: s, framing: f, codec: f.Client(params), matched: f.Matched(params), tally: sockopt.NewTally(s.Options)}
	if l.workload, err = FindWorkload(s.Workload); err != nil {
		return nil, err
	}
	if l.engine, err = findEngine(s.Engine); err != nil {
		return nil, err
	}
	if l.engine.check != nil {
		if err := l.engine.check(); err != nil {
			return nil, fmt.Errorf("engine %s: %w", l.engine.Name, err)
		}
	}
	l.cpus = max(p.Threads, 1)
	if p.Threads = min(l.cpus, int(s.Connections)); l.engine.Tasks {
		p.Threads = 1
	}
	l.place = p
	l.dial = dialer{address: to, dgram: to.network == onUDP, blocks: l.engine.Threads, timeout: int64(s.ConnectTimeout), tally: l.tally, connect: stats.NewLatency()}
	if err := l.dial.sources.open(&to, s.Source, l.tally); err != nil {
		return nil, fmt.Errorf("connect %s: %w", p.To, err)
	}
	connections := int(s.Connections)
	if l.workload.Brief {
		connections = 1 // to see whether somebody is there
	}
	if err = l.openHeld(ctx); err == nil {
		err = l.dial.dial(ctx, connections)
	}
	if err == nil && len(l.dial.fds) == 0 {
		err = fmt.Errorf("none of %d connections came about: %w", connections, l.dial.last)
	}
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("connect %s: %w", p.To, err)
	}
	if l.workload.Brief {
		l.closeOwn()
		l.dial.connect, l.dial.fds = stats.NewLatency(), slices.Repeat([]int{-1}, int(s.Connections))
	}
	if l.engine.Tasks {
		l.crew = newCrew(len(l.dial.fds), l.engine.Threads)
	}
	return l, nil
}

// Attained is the number of connections that exist.
func (l *Load) Attained() int { return len(l.dial.fds) }

// Run offers the load of one window and returns what came of it; the window must not have begun. edge, if not nil, is
// called on an engine's thread when the measure phase begins (true) and ends (false): it must be short.
// When ctx ends, Run returns early with an error; what was counted is lost.
func (l *Load) Run(ctx context.Context, w Window, edge func(begins bool)) (Result, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // everything is allocated before the window begins
	engines := make([]*engine, l.place.Threads)
	for i := range engines {
		e, err := l.newEngine(i, w)
		if err != nil {
			return Result{}, err
		}
		defer e.mover.close()
		engines[i] = e
	}
	engines[0].onEdge = edge
	finished, looked := make(chan struct{}), make(chan struct{})
	defer func() { close(finished); <-looked }()
	go func() { defer close(looked); w.Looks(finished, l.tally.Look) }()
	go func() {
		select {
		case <-ctx.Done():
			for _, e := range engines {
				e.mover.stop()
			}
		case <-finished:
		}
	}()
	var wg sync.WaitGroup
	errs := make([]error, len(engines))
	for i, e := range engines {
		wg.Add(1)
		go func() { defer wg.Done(); errs[i] = e.mover.run() }()
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return Result{}, err
	}
	if err := errors.Join(errs...); err != nil {
		return Result{}, err
	}
	return l.result(engines)
}

// result merges what the engines recorded.
func (l *Load) result(engines []*engine) (Result, error) {
	rec := engines[0].rec
	for _, e := range engines[1:] {
		if err := rec.merge(e.rec); err != nil {
			return Result{}, err
		}
	}
	if err := rec.connect.Merge(&l.dial.connect); err != nil {
		return Result{}, err
	}
	for k, n := range l.dial.errors {
		rec.errors[k] += n
	}
	var err error
	if rec.errors[errHeldClosed], err = l.lostHeld(); err != nil {
		return Result{}, fmt.Errorf("look at the held connections: %w", err)
	}
	r, err := rec.result()
	if err != nil {
		return r, err
	}
	r.Connections = Connections{Asked: int(l.spec.Connections), Attained: len(l.dial.fds), MinCompleted: -1,
		Held: Held{Asked: int(l.spec.Hold), Attained: len(l.held)}}
	for _, e := range engines {
		r.BacklogEnd += e.backlog
		r.SentBytes += e.sentIn
		r.RecvBytes += e.recvIn
		r.Reads += e.readsIn
		r.Engine.Threads += e.threads
		r.Engine.Idle += e.idle
		r.Engine.Spin += e.spin
		for i := 0; i < len(e.conns); i += e.depth {
			n := e.done(i)
			if n > 0 {
				r.Connections.Served++
			}
			if r.Connections.MinCompleted < 0 || n < r.Connections.MinCompleted {
				r.Connections.MinCompleted = n
			}
		}
	}
	if r.Connections.Attained < r.Connections.Asked {
		r.Connections.MinCompleted = 0
	}
	r.Ratios()
	l.samples, l.dropped = rec.samples, rec.dropped
	return r, nil
}

// Samples are the requests of the measure phase, at most Place.Samples of them; dropped is how many more there were.
func (l *Load) Samples() (s []Sample, dropped int64) { return l.samples, l.dropped }

// Close takes the last look at the sockets and closes them. Twice is fine.
func (l *Load) Close() error {
	if l.crew != nil {
		l.crew.dismiss()
	}
	l.closeOwn()
	l.closeHeld()
	return nil
}

// closeOwn closes all but the held connections.
func (l *Load) closeOwn() {
	for _, fd := range l.dial.fds {
		if fd >= 0 {
			l.closeConn(fd)
		}
	}
	l.dial.fds = nil
}

func (l *Load) closeConn(fd int) {
	l.tally.Closing(fd)
	unix.Close(fd)
}

// Sockets says what became of the options and connections. Complete after Close.
func (l *Load) Sockets() sockopt.Sockets { return l.tally.Report() }

// schedule is the shard's part of the asked arrivals, or nil in a closed loop.
func (l *Load) schedule(shard int, w Window) Schedule {
	_, law, err := l.spec.Arrivals.find()
	if !l.spec.OpenLoop() || err != nil { // they were checked by Connect
		return nil
	}
	return law.schedule(Demand{Rate: l.spec.Rate, Length: time.Duration(w.End - w.Start), Seed: l.place.Seed, Shard: shard, Of: l.place.Threads,
		Trace: l.place.Trace})
}
