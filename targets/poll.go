package targets

import (
	"fmt"

	"golang.org/x/sys/unix"
)

var pollEntry = Entry{
	Name: "poll",
	Doc: "One thread with non-blocking sockets and poll: every call hands the kernel the list of all sockets, and the kernel asks " +
		"each of them. A service time holds all connections up.",
	Elsewhere: "what programs used before epoll; libevent's and curl's fallback",
	Limit:     "Each wait costs time in proportion to all connections, idle ones too.",
	Knobs:     answers,
	Honest: func(i Inspection, _ Spec, conns int) error {
		if i.NonBlocking != conns+1 || i.Watched > 0 {
			return fmt.Errorf("want %d sockets, non-blocking and none of them in an epoll: %s", conns+1, i)
		}
		return i.polls(threads{"ppoll": i.Threads["ppoll"], "poll": 1 - i.Threads["ppoll"]})
	},
	Start: startLoop(newPoll, false),
}

// poll is the poller of poll.
type poll struct {
	fds   []unix.PollFd
	where []int // descriptor → its place in fds, from 1; 0: none
	ready []unix.EpollEvent
}

func newPoll() (poller, error) { return &poll{}, nil }

// add relies on EPOLLIN and EPOLLOUT being the numbers of POLLIN and POLLOUT.
func (p *poll) add(fd int, events uint32) error {
	p.fds = append(p.fds, unix.PollFd{Fd: int32(fd), Events: int16(events)})
	for fd >= len(p.where) {
		p.where = append(p.where, make([]int, max(64, len(p.where)))...)
	}
	p.where[fd] = len(p.fds)
	return nil
}

func (p *poll) change(fd int, events uint32) error {
	p.fds[p.where[fd]-1].Events = int16(events)
	return nil
}

// forget puts the last of the list in fd's place.
func (p *poll) forget(fd int) {
	if fd >= len(p.where) || p.where[fd] == 0 {
		return
	}
	at, last := p.where[fd]-1, len(p.fds)-1
	p.fds[at] = p.fds[last]
	p.where[p.fds[at].Fd] = at + 1
	p.where[fd] = 0
	p.fds = p.fds[:last]
}

func (p *poll) wait(timeout int) ([]unix.EpollEvent, error) {
	n, err := unix.Poll(p.fds, timeout)
	p.ready = p.ready[:0]
	for i := 0; i < len(p.fds) && len(p.ready) < n; i++ {
		if f := &p.fds[i]; f.Revents != 0 {
			p.ready = append(p.ready, unix.EpollEvent{Fd: f.Fd, Events: uint32(uint16(f.Revents))})
		}
	}
	return p.ready, err
}

func (p *poll) close() {}
