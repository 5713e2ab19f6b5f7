package netpath

import (
	"math"
	"math/rand/v2"

	"github.com/sockbench/sockbench/internal/mutation"
	"github.com/sockbench/sockbench/results/stats"
)

// shaper decides what becomes of each frame of one direction, and when: a function of the frames' times and lengths and
// of the seed, which reads no clock. Times are nanoseconds of CLOCK_MONOTONIC. No call allocates.
//
// The bottleneck is a virtual clock: free is when it has sent all that it took. A frame arriving at t that takes w to
// send leaves it at max(t, free) + w, and what waits for it then is (free − t) × rate bytes.
type shaper struct {
	delay, jitter            int64
	nsPerByte                float64 // 0: no bottleneck
	room                     float64 // bytes
	loss, reorder, duplicate float64
	draws                    *rand.Rand
	faults                   []outage

	free     float64 // the bottleneck's clock
	last     int64   // when the latest frame in the line leaves, which no later one does before
	measured bool    // it is the measure phase
	stats    DirStats
	waited   stats.Latency // for the bottleneck
}

// outage is a fault on the clock. A reset is not its business.
type outage struct {
	from, to int64
	loss     float64 // of a burst; 1 for a blackout
	stall    bool
}

// fate is what becomes of a frame.
type fate struct {
	copies int   // 0: it is lost
	leaves int64 // when it, or its copies, come out
	skips  bool  // it does not wait for those before it
}

func newShaper(s Spec, d Dir, seed, stream uint64) *shaper {
	sh := &shaper{
		delay: int64(d.Delay), jitter: int64(d.Jitter), room: float64(s.Room(d)),
		loss: float64(d.Loss), reorder: float64(d.Reorder), duplicate: float64(d.Duplicate),
		draws: rand.New(rand.NewPCG(seed, stream)), stats: DirStats{Room: int64(s.Room(d))}, waited: stats.NewLatency(),
	}
	if mutation.On("half-delay") {
		sh.delay /= 2
	}
	if d.Rate > 0 {
		sh.nsPerByte = 8e9 / float64(d.Rate)
	}
	return sh
}

// befall sets the faults of a trial whose measure phase begins at start.
func (s *shaper) befall(faults Faults, start int64) {
	s.faults = nil
	for _, f := range faults {
		o := outage{from: start + int64(f.At), to: start + int64(f.At) + int64(f.For), stall: f.Kind == Stall}
		if f.For == 0 {
			o.to = math.MaxInt64
		}
		switch f.Kind {
		case Blackout:
			o.loss = 1
		case LossBurst:
			o.loss = float64(f.Loss)
		case Reset:
			continue
		}
		s.faults = append(s.faults, o)
	}
}

// at is the outage that lasts at t; nil: none.
func (s *shaper) at(t int64) *outage {
	for i := range s.faults {
		if o := &s.faults[i]; t >= o.from && t < o.to {
			return o
		}
	}
	return nil
}

// arrive takes a frame of n bytes that arrives at t. Every frame uses the same number of draws, whatever becomes of it:
// what happens to one does not change the luck of the next.
func (s *shaper) arrive(t int64, n int) fate {
	lost, jumps, twice, where := s.draws.Float64(), s.draws.Float64(), s.draws.Float64(), s.draws.Float64()
	s.stats.Frames++
	s.stats.Bytes += int64(n)
	out := t
	if s.nsPerByte > 0 {
		now := float64(t)
		waits := max(s.free-now, 0)
		waiting := waits / s.nsPerByte
		if waiting+float64(n) > s.room {
			s.stats.QueueDrops++
			return fate{}
		}
		if s.measured {
			s.waited.Record(int64(waits))
			s.stats.QueueMax = max(s.stats.QueueMax, int64(waiting)+int64(n))
		}
		s.free = now + waits + float64(n)*s.nsPerByte
		out = int64(s.free)
	}
	o := s.at(t)
	switch {
	case o != nil && !o.stall && lost < o.loss:
		s.stats.FaultDrops++
		return fate{}
	case (o == nil || o.stall) && lost < s.loss:
		s.stats.Lost++
		return fate{}
	}
	f := fate{copies: 1, leaves: out + s.delay}
	if s.jitter > 0 {
		f.leaves += int64((2*where - 1) * float64(s.jitter))
	}
	if jumps < s.reorder {
		s.stats.Reordered++
		f.leaves, f.skips = out, true
	}
	if stalled := s.at(f.leaves); stalled != nil && stalled.stall {
		f.leaves = stalled.to
	}
	if !f.skips {
		f.leaves = max(f.leaves, s.last)
		s.last = f.leaves
	}
	if twice < s.duplicate {
		s.stats.Duplicated++
		f.copies = 2
	}
	return f
}
