package targets

import (
	"sync"

	"golang.org/x/sys/unix"
)

// bell is an eventfd that wakes the thread of a server out of its wait for sockets. The zero bell is not open yet.
// ring may be called from anywhere, also after close.
type bell struct {
	mu   sync.Mutex
	open bool
	fd   int
}

func (b *bell) make() (err error) {
	b.fd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	b.open = err == nil
	return err
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open {
		one := [8]byte{1} // any number but 0 wakes, in either byte order
		unix.Write(b.fd, one[:])
	}
}

// heard silences it until it is rung again.
func (b *bell) heard() {
	var count [8]byte
	unix.Read(b.fd, count[:]) // why it was rung, flags say
}

func (b *bell) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open {
		closeFD(b.fd)
		b.open = false
	}
}
