package targets

import (
	"errors"
	"fmt"
	"math/bits"
	"time"

	"golang.org/x/sys/unix"
)

var selectEntry = Entry{
	Name: "select",
	Doc: "One thread with non-blocking sockets and select: every call hands the kernel two sets of 1,024 bits, one for each " +
		"descriptor there can be, and gets them back changed. A service time holds all connections up.",
	Elsewhere: "what programs used before poll; Python's selectors.SelectSelector",
	Limit: "A descriptor of 1,024 or more does not fit into the sets. A connection that gets one is closed at once, and counted as " +
		"refused; some 20 descriptors are needed for other things.",
	Knobs: answers,
	Most:  1000,
	Honest: func(i Inspection, _ Spec, conns int) error {
		if i.NonBlocking != conns+1 || i.Watched > 0 {
			return fmt.Errorf("want %d sockets, non-blocking and none of them in an epoll: %s", conns+1, i)
		}
		return i.polls(threads{"pselect6": i.Threads["pselect6"], "select": 1 - i.Threads["pselect6"]})
	},
	Start: startLoop(newSelect, false),
}

// selector is the poller of select.
type selector struct {
	in, out     unix.FdSet // wanted
	most        int        // the largest descriptor so far
	ready       []unix.EpollEvent
	isIn, isOut unix.FdSet // found
}

func newSelect() (poller, error) { return &selector{most: -1}, nil }

var errTooLarge = errors.New("the descriptor is 1,024 or more")

func (p *selector) add(fd int, events uint32) error {
	if fd >= unix.FD_SETSIZE {
		return errTooLarge
	}
	p.most = max(p.most, fd)
	return p.change(fd, events)
}

func (p *selector) change(fd int, events uint32) error {
	p.forget(fd)
	if events&unix.EPOLLIN != 0 {
		p.in.Set(fd)
	}
	if events&unix.EPOLLOUT != 0 {
		p.out.Set(fd)
	}
	return nil
}

func (p *selector) forget(fd int) {
	if fd < unix.FD_SETSIZE {
		p.in.Clear(fd)
		p.out.Clear(fd)
	}
}

func (p *selector) wait(timeout int) ([]unix.EpollEvent, error) {
	p.isIn, p.isOut = p.in, p.out
	var limit *unix.Timeval
	if timeout >= 0 {
		tv := unix.NsecToTimeval(int64(timeout) * int64(time.Millisecond))
		limit = &tv
	}
	p.ready = p.ready[:0]
	if _, err := unix.Select(p.most+1, &p.isIn, &p.isOut, nil, limit); err != nil {
		return nil, err
	}
	for i := range p.isIn.Bits {
		for word := uint64(p.isIn.Bits[i] | p.isOut.Bits[i]); word != 0; word &= word - 1 {
			p.ready = append(p.ready, unix.EpollEvent{Fd: int32(i*bits.UintSize + bits.TrailingZeros64(word))})
		}
	}
	return p.ready, nil
}

func (p *selector) close() {}
