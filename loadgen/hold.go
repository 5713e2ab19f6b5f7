package loadgen

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

// Held says what became of the connections that were opened before the load's own and carry nothing.
type Held struct {
	Asked    int `json:"asked"`
	Attained int `json:"attained"`
}

// openHeld opens the connections that are only to be there. Their options are set and not read back, so that what a
// load says of its sockets is about those that carry something.
func (l *Load) openHeld(ctx context.Context) error {
	if l.spec.Hold == 0 {
		return nil
	}
	l.dial.quiet = true
	err := l.dial.dial(ctx, int(l.spec.Hold))
	l.dial.quiet = false
	l.held, l.dial.fds = l.dial.fds, nil
	if err == nil && len(l.held) == 0 {
		err = fmt.Errorf("none of %d connections to hold came about: %w", l.spec.Hold, l.dial.last)
	}
	return err
}

// lostHeld is how many of the held connections the server has closed. To be asked when all has been measured.
func (l *Load) lostHeld() (n int64, err error) {
	fds := make([]unix.PollFd, len(l.held))
	for i, fd := range l.held {
		fds[i] = unix.PollFd{Fd: int32(fd), Events: unix.POLLRDHUP}
	}
	for len(fds) > 0 {
		if _, err = unix.Poll(fds, 0); err != unix.EINTR {
			break
		}
	}
	for _, p := range fds {
		if p.Revents != 0 {
			n++
		}
	}
	return n, err
}

func (l *Load) closeHeld() {
	for _, fd := range l.held {
		unix.Close(fd)
	}
	l.held = nil
}

// Total is how many connections there are at one time.
func (s *Spec) Total() int { return int(s.Connections) + int(s.Hold) }
