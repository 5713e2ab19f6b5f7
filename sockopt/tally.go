package sockopt

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// Sockets is what one side's connections looked like.
type Sockets struct {
	Applied []Applied        `json:"applied"`
	First   Reading          `json:"first_socket,omitempty"` // every option of the table on the side's first connection, named or not
	TCP     map[string]int64 `json:"tcp,omitempty"`          // of TCP_INFO, added up over all connections at their last look: counters for their whole lives, queues, and how many have a bit
	Worst   map[string]int64 `json:"worst,omitempty"`        // all of TCP_INFO, of the connection with most retransmits, then the longest RTT
	Mem     map[string]int64 `json:"mem,omitempty"`          // memory, drops and queues of all sockets at their last look, by memFields
	Samples []Sample         `json:"samples,omitempty"`      // of streams: their connections in the measure phase, by time
}

// Reading is what a socket's options read, by name. Records share it: never changed.
type Reading map[string]string

// Tally gathers what became of one side's sockets: options set phase by phase and read back, TCP_INFO summed, the
// worst connection kept, the first ones looked at now and then. It lives here because targets and loadgen both need it
// and never import each other. Safe for concurrent use. Whoever owns a descriptor calls, in this order: Fresh, then
// Listen (listeners) or Opened and Closing (connections). What could not be set is in the report; Listen alone fails.
type Tally struct {
	settings []Setting
	rearm    []Setting // of phase EachRead

	mu      sync.Mutex
	failed  map[string]error // by option, while it was set on a fresh or listening socket
	model   []Applied
	open    map[int][]Applied
	watched []int // of open, those that a Look is at, in the order of their opening
	closed  map[Applied]int
	first   map[string]string
	sums    sums
	samples []Sample
	limits  []Applied // options of listening sockets
}

// NewTally returns a Tally for sockets that are to have these settings. The slice is not modified.
func NewTally(settings []Setting) *Tally {
	t := &Tally{settings: settings, failed: map[string]error{}, open: map[int][]Applied{}, closed: map[Applied]int{}}
	for _, s := range settings {
		if s.Phase&EachRead != 0 {
			t.rearm = append(t.rearm, s)
		}
	}
	return t
}

// ByModel lists an option that the model or engine itself sets on its sockets because it must.
func (t *Tally) ByModel(option, level, why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.model = append(t.model, Applied{Option: option, Asked: Level(level), Got: level, GotEnd: level, Class: ByModel, Note: why})
}

// Asks says whether the option is among the settings.
func (t *Tally) Asks(option string) bool {
	return slices.ContainsFunc(t.settings, func(s Setting) bool { return s.Option == option })
}

// ofListener says whether what s sets is the listening socket's own.
func (s Setting) ofListener() bool {
	o, ok := Find(s.Option)
	return ok && o.Listener
}

// set applies the settings of one phase.
func (t *Tally) set(fd int, now Phase) {
	for _, s := range t.settings {
		if s.Phase&now == 0 {
			continue
		}
		if err := s.apply(fd); err != nil {
			t.mu.Lock()
			if t.failed[s.Option] == nil {
				t.failed[s.Option] = err
			}
			t.mu.Unlock()
		}
	}
}

// Fresh sets what is to be set before bind, listen or connect.
func (t *Tally) Fresh(fd int) { t.set(fd, Fresh) }

// Listen calls listen(2) on fd with the asked backlog, or net.core.somaxconn, and sets the options of that phase.
func (t *Tally) Listen(fd int) error {
	if !t.Asks(backlog) {
		if err := listen(fd, somaxconn()); err != nil {
			return fmt.Errorf("listen: %w", err)
		}
	}
	t.set(fd, Listen)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.failed[backlog]; err != nil {
		return err
	}
	for _, s := range t.settings {
		if !s.ofListener() {
			continue
		}
		a := readBack(fd, s, t.failed[s.Option], false)
		if s.Option == backlog && a.Class == Unsupported {
			a.Class, a.Error, a.Note = Unknown, "", "listen took it; a unix socket does not say what it made of it"
		}
		a.GotEnd, a.Sockets = a.Got, 1
		t.limits = append(t.limits, a)
	}
	return nil
}

// Opened sets the options of the established phase on a connected or accepted socket and reads all of them back.
func (t *Tally) Opened(fd int) {
	t.set(fd, Established|EachRead)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.first == nil {
		t.first = ReadAll(fd)
	}
	var as []Applied
	if len(t.settings) > 0 {
		blocked := nonblocking(fd)
		for _, s := range t.settings {
			if !s.ofListener() {
				as = append(as, readBack(fd, s, t.failed[s.Option], blocked))
			}
		}
	}
	t.open[fd] = as
	if len(t.watched) < watchMax {
		t.watched = append(t.watched, fd)
	}
}

// Again is Opened for one of so many connections that looking at each would take longer than they live: its options of
// the established phase are set, and nothing is read back.
func (t *Tally) Again(fd int) { t.set(fd, Established|EachRead) }

// Rearms says whether AfterRead has anything to do.
func (t *Tally) Rearms() bool { return len(t.rearm) > 0 }

// AfterRead sets again what does not stick. Call it after every read, if Rearms.
func (t *Tally) AfterRead(fd int) { t.set(fd, EachRead) }

// Closing takes the last look at a socket before it is closed. A socket that was never Opened is passed over, so that
// every path that closes may call it.
func (t *Tally) Closing(fd int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	as, opened := t.open[fd]
	if !opened {
		return
	}
	t.sums.look(fd)
	delete(t.open, fd)
	t.watched = slices.DeleteFunc(t.watched, func(w int) bool { return w == fd })
	for _, a := range as {
		t.closed[lastLook(fd, a)]++
	}
}

// lastLook is a with what the option reads now.
func lastLook(fd int, a Applied) Applied {
	if o, ok := Find(a.Option); ok {
		if got, err := o.get(fd); err == nil {
			a.GotEnd = o.text(got)
		}
	}
	return a
}

// Failed is what could not be set on fresh and listening sockets, for Inherit.
func (t *Tally) Failed() map[string]unix.Errno {
	t.mu.Lock()
	defer t.mu.Unlock()
	failed := map[string]unix.Errno{}
	for option, err := range t.failed {
		if no := unix.Errno(0); errors.As(err, &no) {
			failed[option] = no
		}
	}
	return failed
}

// Inherit says what could not be set on the socket that this Tally's connections will be accepted from, in another process.
func (t *Tally) Inherit(failed map[string]unix.Errno) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for option, no := range failed {
		t.failed[option] = no
	}
}

// Merge adds what another process saw of the same server. Samples, which are of moments, stay those of s.
func (s *Sockets) Merge(o Sockets) {
	counts := map[Applied]int{}
	proven := map[string]bool{}
	for _, a := range slices.Concat(s.Applied, o.Applied) {
		proven[a.Option] = proven[a.Option] || a.Sockets > 0
		n := a.Sockets
		a.Sockets = 0
		counts[a] += n
	}
	s.Applied = nil
	for a, n := range counts {
		if a.Error != "" && n == 0 && proven[a.Option] {
			continue // where there was no socket to prove it on
		}
		a.Sockets = n
		s.Applied = append(s.Applied, a)
	}
	sortApplied(s.Applied)
	if s.First == nil {
		s.First = o.First
	}
	s.Mem = mergeMemory(s.Mem, o.Mem)
	if o.TCP == nil {
		return
	}
	if s.TCP == nil {
		s.TCP, s.Worst = map[string]int64{}, o.Worst
	}
	for name, n := range o.TCP {
		s.TCP[name] += n
	}
	if cmp.Or(cmp.Compare(o.Worst[worstBy[0]], s.Worst[worstBy[0]]), cmp.Compare(o.Worst[worstBy[1]], s.Worst[worstBy[1]])) > 0 {
		s.Worst = o.Worst
	}
}

// sortApplied puts an option's commonest outcome first.
func sortApplied(all []Applied) {
	slices.SortFunc(all, func(a, b Applied) int {
		return cmp.Or(cmp.Compare(a.Option, b.Option), cmp.Compare(b.Sockets, a.Sockets), cmp.Compare(a.Got, b.Got), cmp.Compare(a.GotEnd, b.GotEnd))
	})
}

// Report says what was seen so far, sockets still open included.
func (t *Tally) Report() Sockets {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Sockets{Applied: slices.Concat(t.model, t.limits), First: t.first, Samples: slices.Clone(t.samples)}
	counts, sums := maps.Clone(t.closed), t.sums
	for fd, as := range t.open {
		sums.look(fd)
		for _, a := range as {
			counts[lastLook(fd, a)]++
		}
	}
	for a, n := range counts {
		a.Sockets = n
		s.Applied = append(s.Applied, a)
	}
	sortApplied(s.Applied)
	if len(s.Applied) == len(t.model) { // set, and never a socket to prove it on
		for _, x := range t.settings {
			if err := t.failed[x.Option]; err != nil {
				s.Applied = append(s.Applied, Applied{Option: x.Option, Asked: x.Level, Class: classOf(err), Error: err.Error()})
			}
		}
	}
	sums.report(&s)
	return s
}

// ReadAll reads every option of the table that a connection has, by its own name. Options this kernel does not know are
// left out.
func ReadAll(fd int) map[string]string {
	m := map[string]string{}
	for i := range All {
		if o := &All[i]; o.Listener || o.ReadNum != 0 || o.Reads == ReadsNot || o.Refuse != "" {
			continue
		}
		if got, err := All[i].get(fd); err == nil {
			m[All[i].Name] = All[i].text(got)
		}
	}
	return m
}
