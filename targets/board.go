package targets

import (
	"encoding/json"
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// board is what all processes of a server know at any time. A server of one process has one to itself; several map the
// same memory, and each finds there what it is to be.
type board struct {
	accepts  atomic.Int64
	draws    atomic.Int64  // requests that have had a service time drawn
	from, to atomic.Int64  // only requests heard of in this time are timed; to 0: all are
	ready    atomic.Int64  // processes that serve
	samples  atomic.Int64  // slots of samples given away, and those there would have been
	order    atomic.Uint32 // what the processes are to do: a futex
	words    int64         // bytes of JSON behind the board, a job; behind it are the slots
}

// Orders.
const (
	toServe = iota
	toDrain
	toHalt
)

// Bytes of a shared board: itself and the job.
const (
	boardSize = int64(unsafe.Sizeof(board{}))
	jobMax    = 64 << 10
	slotSize  = int64(unsafe.Sizeof(Sample{}))
)

// shareBoard makes memory for a board, a job, and slots for so many samples. The caller owns fd. The memory lasts as long
// as the process: a server may be asked what it saw at any time.
func shareBoard(job any, samples int) (fd int, s shares, err error) {
	text, err := json.Marshal(job)
	if err == nil && len(text) > jobMax {
		err = fmt.Errorf("%d bytes of settings are more than %d", len(text), jobMax)
	}
	if err != nil {
		return -1, s, err
	}
	if fd, err = unix.MemfdCreate("sockbench-board", unix.MFD_CLOEXEC); err != nil {
		return -1, s, fmt.Errorf("memfd_create: %w", err)
	}
	if err = unix.Ftruncate(fd, boardSize+jobMax+int64(samples)*slotSize); err == nil {
		s, err = mapBoard(fd)
	}
	if err != nil {
		closeFD(fd)
		return -1, s, fmt.Errorf("make memory for several processes: %w", err)
	}
	copy(s.memory[boardSize:], text)
	s.board.words = int64(len(text))
	return fd, s, nil
}

// shares is a mapped board.
type shares struct {
	memory []byte
	*board
	slots []Sample
}

// mapBoard maps what shareBoard made, in another process perhaps.
func mapBoard(fd int) (s shares, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return s, err
	}
	if s.memory, err = unix.Mmap(fd, 0, int(st.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return s, err
	}
	s.board = (*board)(unsafe.Pointer(&s.memory[0]))
	if n := (st.Size - boardSize - jobMax) / slotSize; n > 0 {
		s.slots = unsafe.Slice((*Sample)(unsafe.Pointer(&s.memory[boardSize+jobMax])), n)
	}
	return s, nil
}

// job reads what shareBoard was told.
func (s shares) job(to any) error { return json.Unmarshal(s.memory[boardSize:][:s.board.words], to) }

// command tells the other processes what to do; orders only rise.
func (b *board) command(order uint32) {
	for now := b.order.Load(); now < order; now = b.order.Load() {
		if b.order.CompareAndSwap(now, order) {
			b.futex(futexWake, 1<<30)
			return
		}
	}
}

// await returns the next order, once it is another than before.
func (b *board) await(before uint32) uint32 {
	for b.order.Load() == before {
		b.futex(futexWait, before)
	}
	return b.order.Load()
}

// Operations of futex(2), between processes.
const (
	futexWait = 0
	futexWake = 1
)

// futex waits while the order is still value, or wakes so many. A wait that ends early is its caller's to repeat.
func (b *board) futex(operation int, value uint32) {
	unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&b.order)), uintptr(operation), uintptr(value), 0, 0, 0)
}
