package targets

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/clock"
	"github.com/sockbench/sockbench/sockopt"
	"github.com/sockbench/sockbench/unit"
	"github.com/sockbench/sockbench/wire"
)

// ProcsMax is the most that GOMAXPROCS may be asked to be: each of so many has caches of its own.
const ProcsMax = 1024

const (
	readMax = 64 << 10              // most bytes one read takes, …
	ownMax  = 16 << 10              // … and where each connection has a buffer of its own
	retry   = 10 * time.Millisecond // wait before accept is tried again when descriptors or memory have run out
	slice   = 20 * time.Millisecond // most time a service asleep takes to notice that the server is being closed
	gap     = 10 * time.Microsecond // between two looks at the clock by a thread that computes: longer, and it did not run
	nowhere = "://127.0.0.1:0"      // what an empty Place.Listen means, behind the network
	usual   = unit.Word("length")   // what an empty Spec.Framing means
)

// answers are the knobs that act on every model which answers requests.
var answers = []string{"framing", "request", "reply", "compress", "compressible", "service_time", "write_size", "read_size", "gomaxprocs", "options"}

// Env is what every model shares: addresses, options, framing, service time, counters. Safe for concurrent use.
type Env struct {
	at      address     // where it listens, once it does
	fixed   bool        // on a port that was named
	apart   bool        // each worker accepts from a socket of its own
	steered bool        // among which connections are divided by CPU
	file    unix.Stat_t // of a unix socket's file
	codec   wire.Codec
	sockets *sockopt.Tally
	rearms  bool
	service unit.Dist
	nap     func(time.Duration) // how a service that sleeps does it; may return early
	halted  atomic.Bool         // Close was called: nobody works or sleeps on
	most    int                 // bytes of one write
	read    int                 // bytes of one read; 0: as the model does
	asked   int                 // GOMAXPROCS; 0: as Go, or the model, chooses
	procs   atomic.Int64        // GOMAXPROCS of those that serve
	samples *sampler
	times   *timing // nil: nothing is timed
	seed    uint64
	*board

	mu     sync.Mutex
	total  Result          // without Sockets; of sessions that have ended, and every accept
	others sockopt.Sockets // of other processes
}

// newEnv checks what s and p ask for, of a server on one of the networks.
func newEnv(s Spec, p Place, networks []string) (*Env, error) {
	if s.Framing == "" {
		s.Framing = usual
	}
	f, err := wire.Find(string(s.Framing))
	if err != nil {
		return nil, err
	}
	sizes := wire.Params{Request: int64(s.Request), Reply: int64(s.Reply), Packing: s.Compress, Compressible: float64(s.Compressible)}
	if !f.Chooses || s.Compress != (wire.Packing{}) {
		check := f.Check
		if networks[0] == onUDP {
			check = f.CheckDatagram
		}
		if err := check(sizes); err != nil {
			return nil, err
		}
	}
	if s.pool() > workersMax {
		return nil, fmt.Errorf("workers %d are too many: at most %d", s.Workers, workersMax)
	}
	if s.Procs > ProcsMax {
		return nil, fmt.Errorf("gomaxprocs %d are too many: at most %d", s.Procs, ProcsMax)
	}
	if s.WriteSize > readMax || s.ReadSize > readMax {
		return nil, fmt.Errorf("write_size %s, read_size %s: one call moves at most 64KiB here", s.WriteSize, s.ReadSize)
	}
	if s.Listener != "" && !slices.Contains(Listeners, string(s.Listener)) {
		return nil, fmt.Errorf("no listener %q: choose one of %s", s.Listener, strings.Join(Listeners, ", "))
	}
	if p.Listen == "" {
		p.Listen = networks[0] + nowhere
	}
	at, err := parseAddress(p.Listen, networks...)
	if err != nil {
		return nil, err
	}
	if at.network != onTCP && s.Listener != "" && s.Listener != shared {
		return nil, fmt.Errorf("listen %s: listener=%s is for TCP: SO_REUSEPORT divides nothing there; leave it out", at, s.Listener)
	}
	for _, o := range s.Options {
		if err := o.Fits(at.network, sockopt.Server); err != nil {
			return nil, fmt.Errorf("listen %s: %w", at, err)
		}
	}
	e := &Env{
		at:      at,
		fixed:   at.network == onTCP && at.port.Port() != 0,
		apart:   s.Listener == reuseport || s.Listener == byCPU,
		steered: s.Listener == byCPU,
		codec:   f.Server(sizes),
		sockets: sockopt.NewTally(s.Options),
		service: s.Service,
		most:    cmp.Or(int(s.WriteSize), math.MaxInt),
		read:    int(s.ReadSize),
		asked:   int(s.Procs),
		nap:     threadNap,
		seed:    p.Seed,
		board:   new(board),
	}
	e.samples = newSampler(e.board, make([]Sample, p.Samples))
	e.rearms = e.sockets.Rearms()
	return e, nil
}

// buffer is what a model reads into, whose reads otherwise take up to usual bytes.
func (e *Env) buffer(usual int) []byte { return make([]byte, cmp.Or(e.read, usual)) }

// lockThread ties the calling goroutine to its thread, for good: the thread ends with it. Its timers are then precise.
func lockThread() {
	runtime.LockOSThread()
	// Where a sandbox forbids it timers are 50 us late, which does not make the server a wrong one.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
}

// threadNap holds the thread. A signal, the Go runtime's own among them, ends it early.
func threadNap(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &ts, nil)
}

// handle serves the request that a read returning at received completed, and of which the server heard at heard; 0: it
// is not timed.
func (e *Env) handle(id uint64, received, heard int64) {
	if heard == 0 && e.samples == nil {
		e.work()
		return
	}
	began := clock.Now()
	e.work()
	ended := clock.Now()
	if heard != 0 {
		e.times.note(heard, began, ended)
	}
	e.samples.note(Sample{id, received, began, ended})
}

// work spends one request's service time: computing, or asleep.
func (e *Env) work() {
	if e.service.Mean == 0 {
		return
	}
	left := e.draw()
	now := clock.Now()
	for until := now + int64(left); now < until && !e.halted.Load(); {
		if e.service.Sleep {
			e.nap(min(time.Duration(until-now), slice))
		}
		before := now
		if now = clock.Now(); !e.service.Sleep && now-before > int64(gap) {
			until += now - before // another thread had the CPU: time that is no work of ours
		}
	}
}

// draw is the next request's service time: a function of the seed and of how many were drawn before, so that with the
// same seed the n-th request has the same service time whatever the model, also where several processes draw.
func (e *Env) draw() time.Duration {
	if !e.service.Exponential {
		return time.Duration(e.service.Mean)
	}
	source := rand.NewPCG(e.seed, uint64(e.draws.Add(1)))
	u := float64(source.Uint64()>>11+1) / (1 << 53) // in (0, 1]
	return time.Duration(-math.Log(u) * float64(e.service.Mean))
}

// refused counts a connection that was closed at once.
func (e *Env) refused() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.total.Refused++
}

// result is what happened so far; sessions that are still open are not in it.
func (e *Env) result() Result {
	e.mu.Lock()
	r, others := e.total, e.others
	e.mu.Unlock()
	r.Procs = int(e.procs.Load())
	r.Sockets = e.sockets.Report()
	r.Sockets.Merge(others)
	return r
}

// passing says that accept may be tried again at once; after any other error it would fail the same way.
func passing(err error) bool {
	return errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ECONNABORTED)
}

// discard sends FIN and throws away what has arrived unasked: closing a socket with unread input would send RST, which
// destroys replies on their way. After the shutdown reads do not wait, not even on a blocking socket.
func discard(fd int, buf []byte) {
	if unix.Shutdown(fd, unix.SHUT_RDWR) != nil {
		return // the peer has gone already
	}
	for range 64 { // a peer that never stops sending is not to hold us
		if n, err := unix.Read(fd, buf); n <= 0 && err != unix.EINTR {
			return
		}
	}
}

// closeFD closes a descriptor that the caller owns. The other errors of close leave it closed too.
func closeFD(fd int) {
	if err := unix.Close(fd); err == unix.EBADF {
		panic(fmt.Sprintf("targets: descriptor %d was closed by someone else", fd))
	}
}
