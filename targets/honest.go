package targets

import (
	"fmt"
	"slices"
)

// blocks demands a model of threads in blocking calls: of the calls that wait for a socket there are just those wanted.
func (i Inspection) blocks(want threads) error {
	if i.NonBlocking > 0 {
		return fmt.Errorf("not all sockets are blocking: %s", i)
	}
	if i.Watched > 0 {
		return fmt.Errorf("%d sockets are watched by epoll: %s", i.Watched, i)
	}
	return i.waits(want)
}

// polls demands a model of non-blocking sockets, and nothing but what is wanted waiting for them.
func (i Inspection) polls(want threads) error {
	if i.Blocking > 0 {
		return fmt.Errorf("not all sockets are non-blocking: %s", i)
	}
	return i.waits(want)
}

// waits demands that just so many threads are in calls that wait for sockets.
func (i Inspection) waits(want threads) error {
	if i.Rings > 0 {
		return fmt.Errorf("io_uring is in use: %s", i)
	}
	if n := i.Threads["unknown"]; n > 0 {
		return fmt.Errorf("%w what %d threads are in: %s", ErrUnknown, n, i.Doubt)
	}
	for _, name := range slices.Concat(onSocket, onMany) {
		if i.Threads[name] != want[name] {
			return fmt.Errorf("%d threads are in %s, want %d: %s", i.Threads[name], name, want[name], i)
		}
	}
	return nil
}
