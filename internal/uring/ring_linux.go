package uring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Config sizes a Ring.
type Config struct {
	Entries     int // requests prepared between two Waits, 1 to 32768; more than that cost a system call each time
	Completions int // completions of one Wait, Entries to 65536; 0: twice Entries. More than that cost a slow detour
	Buffers     int // buffers for Recv, a power of two up to 32768; 0: none
	BufferLen   int // bytes of each
	Files       int // slots for SetFiles, up to RLIMIT_NOFILE; 0: none
}

func (c Config) check() error {
	switch {
	case c.Entries < 1 || c.Entries > 32768:
		return fmt.Errorf("%d entries: want 1 to 32768", c.Entries)
	case c.Completions != 0 && (c.Completions < c.Entries || c.Completions > 65536):
		return fmt.Errorf("%d completions: want %d to 65536", c.Completions, c.Entries)
	case c.Buffers < 0 || c.Buffers > 32768 || c.Buffers&(c.Buffers-1) != 0:
		return fmt.Errorf("%d buffers: want a power of two up to 32768", c.Buffers)
	case c.Buffers > 0 && c.BufferLen < 1:
		return fmt.Errorf("buffers of %d bytes", c.BufferLen)
	case c.Files < 0:
		return fmt.Errorf("%d files", c.Files)
	}
	return nil
}

// Ring is a pair of queues shared with the kernel: requests one way, completions the other. It is of one thread, see the
// package. After an error of Wait it is good for Close only.
type Ring struct {
	fd      int
	without []string
	mem     [][]byte // all that is mapped

	sqHead, sqTail, sqFlags *uint32 // shared with the kernel, as are cqHead and cqTail
	sqes                    []sqe
	tail                    uint32 // requests prepared, ever
	spare                   sqe    // takes the requests of a ring that failed
	err                     error

	cqHead, cqTail *uint32
	cqes           []Completion
	head           uint32 // completions taken, ever
	ready          uint32 // completions known to be there, ever
	overflows      int

	bufs     []buf // shared with the kernel, as is bufMem
	bufMem   []byte
	bufLen   int
	bufTail  uint16 // buffers handed to the kernel, ever
	bufShown uint16 // of these, what the kernel knows of

	arg *waitArg
}

const needed = setupCQSize | setupSubmitAll | setupSingleIssuer | setupTaskrunFlag

// option is a setup flag to do without where the kernel is too old for it, newest first.
type option struct {
	name          string
	flag, instead uint32
}

var options = []option{
	{"NO_SQARRAY (Linux 6.6)", setupNoSQArray, 0},
	{"DEFER_TASKRUN (Linux 6.1)", setupDeferTaskrun, setupCoopTaskrun},
}

// Open makes a ring of the calling thread. An error that is errors.ErrUnsupported means that the kernel is too old or was
// built without io_uring; fs.ErrPermission, that it is forbidden here. Both say what to do.
func Open(c Config) (*Ring, error) { return open(c, needed, options) }

func open(c Config, flags uint32, options []option) (*Ring, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("io_uring: %w", err)
	}
	if c.Completions == 0 {
		c.Completions = 2 * c.Entries
	}
	r := &Ring{}
	p, err := r.setup(c, flags, options)
	if err != nil {
		return nil, err
	}
	if err = r.share(p); err == nil && c.Buffers > 0 {
		err = r.provide(c.Buffers, c.BufferLen)
	}
	if err == nil && c.Files > 0 {
		err = r.register(registerFiles2, unsafe.Pointer(&filesReg{count: uint32(c.Files), flags: registerSparse}), unsafe.Sizeof(filesReg{}))
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// setup asks for all options, and for one less each time the kernel does not know one.
func (r *Ring) setup(c Config, flags uint32, options []option) (*params, error) {
	for i := 0; ; i++ {
		p := &params{sqEntries: uint32(c.Entries), cqEntries: uint32(c.Completions), flags: flags}
		for k, o := range options {
			if k < i {
				p.flags |= o.instead
			} else {
				p.flags |= o.flag
			}
		}
		fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(c.Entries), uintptr(unsafe.Pointer(p)), 0)
		switch {
		case errno == 0:
			r.fd = int(fd)
			return p, nil
		case errno != unix.EINVAL || i == len(options):
			return nil, refused("setup", errno)
		}
		r.without = append(r.without, options[i].name)
	}
}

// share maps the queues.
func (r *Ring) share(p *params) error {
	size := int(p.cq.cqes + p.cqEntries*uint32(unsafe.Sizeof(Completion{})))
	if p.flags&setupNoSQArray == 0 {
		size = max(size, int(p.sq.array+p.sqEntries*4))
	}
	rings, err := r.mmap(r.fd, offsetRings, size, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	sqes, err := r.mmap(r.fd, offsetSQEs, int(p.sqEntries)*int(unsafe.Sizeof(sqe{})), unix.MAP_SHARED)
	if err != nil {
		return err
	}
	arg, err := r.Memory(int(unsafe.Sizeof(waitArg{})))
	if err != nil {
		return err
	}
	at := func(offset uint32) unsafe.Pointer { return unsafe.Pointer(&rings[offset]) }
	r.sqHead, r.sqTail, r.sqFlags = (*uint32)(at(p.sq.head)), (*uint32)(at(p.sq.tail)), (*uint32)(at(p.sq.flags))
	r.cqHead, r.cqTail = (*uint32)(at(p.cq.head)), (*uint32)(at(p.cq.tail))
	r.sqes = unsafe.Slice((*sqe)(unsafe.Pointer(&sqes[0])), p.sqEntries)
	r.cqes = unsafe.Slice((*Completion)(at(p.cq.cqes)), p.cqEntries)
	if p.flags&setupNoSQArray == 0 { // the kernel looks entries up in an array: each is at its own place, for ever
		for i := range unsafe.Slice((*uint32)(at(p.sq.array)), p.sqEntries) {
			*(*uint32)(at(p.sq.array + 4*uint32(i))) = uint32(i)
		}
	}
	r.arg = (*waitArg)(unsafe.Pointer(&arg[0]))
	r.arg.ts = address(arg[unsafe.Offsetof(r.arg.seconds):])
	return nil
}

// Memory returns n bytes, all zero, that are not Go's: the kernel may read and write them while requests are out. They
// are gone when Close returns.
func (r *Ring) Memory(n int) ([]byte, error) {
	return r.mmap(-1, 0, n, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
}

// mmap maps n bytes that live as long as the ring, all of them in memory at once: no fault later.
func (r *Ring) mmap(fd int, offset int64, n, flags int) ([]byte, error) {
	b, err := unix.Mmap(fd, offset, n, unix.PROT_READ|unix.PROT_WRITE, flags|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("io_uring: map %d bytes: %w", n, err)
	}
	r.mem = append(r.mem, b)
	return b, nil
}

// address is where b is, for the kernel. It keeps nothing alive: b is of a mapping.
func address(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

func (r *Ring) register(op int, arg unsafe.Pointer, n uintptr) error {
	if _, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), uintptr(op), uintptr(arg), n, 0, 0); errno != 0 {
		return refused("register", errno)
	}
	return nil
}

// Without names what the kernel is too old for, and the ring does without: it works, but costs more.
func (r *Ring) Without() []string { return r.without }

// SetFiles puts descriptors into the slots from first on; -1 empties a slot. A slot keeps its file open beside the
// descriptor, until it is emptied or the ring is closed.
func (r *Ring) SetFiles(first int, fds []int32) error {
	b, err := unix.Mmap(-1, 0, 4*len(fds)+4, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("io_uring: map: %w", err)
	}
	defer unix.Munmap(b)
	for i, fd := range fds {
		binary.NativeEndian.PutUint32(b[4*i:], uint32(fd))
	}
	return r.register(registerFilesUpdate, unsafe.Pointer(&filesUpdate{offset: uint32(first), fds: address(b)}), uintptr(len(fds)))
}

// Wait submits what was prepared, and waits until min completions are there or timeout nanoseconds have passed; a
// negative timeout has no end, and with 0 it does not wait. It may return sooner. All is one system call; with timeout 0
// there is none where nothing was prepared and the kernel says that it has nothing.
func (r *Ring) Wait(min int, timeout int64) error {
	work := atomic.LoadUint32(r.sqFlags) & (sqCQOverflow | sqTaskrun)
	if work&sqCQOverflow != 0 { // the call below fetches what did not fit
		r.overflows++
	}
	if timeout == 0 {
		if min = 0; work == 0 && r.tail == atomic.LoadUint32(r.sqHead) {
			return r.err
		}
	}
	flags, arg, argLen := uintptr(enterGetEvents), unsafe.Pointer(nil), uintptr(0)
	if timeout > 0 {
		flags, arg, argLen = enterGetEvents|enterExtArg, unsafe.Pointer(r.arg), waitArgLen
		r.arg.seconds, r.arg.nanosecs = timeout/1e9, timeout%1e9
	}
	return r.enter(uintptr(min), flags, arg, argLen)
}

// enter is io_uring_enter, called again for what it left over. With min 0 it does not tell the Go scheduler, because the
// kernel does not wait.
func (r *Ring) enter(min, flags uintptr, arg unsafe.Pointer, argLen uintptr) error {
	for r.err == nil {
		r.show()
		pending := uintptr(r.tail - atomic.LoadUint32(r.sqHead))
		var n uintptr
		var errno unix.Errno
		if min == 0 {
			n, _, errno = unix.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), pending, min, flags, uintptr(arg), argLen)
		} else {
			n, _, errno = unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), pending, min, flags, uintptr(arg), argLen)
		}
		switch {
		case errno == 0 && n < pending && n > 0: // it stopped short, and did not wait
			continue
		case errno == 0 && n < pending:
			errno = unix.EAGAIN
		case errno == 0, errno == unix.ETIME, errno == unix.EINTR, errno == unix.EBUSY: // busy: the completions are to be taken first
			return nil
		}
		r.err = refused("enter", errno)
	}
	return r.err
}

// show tells the kernel of all that was done since it was called last. Nothing of it can be of use to the kernel before
// it is called.
func (r *Ring) show() {
	atomic.StoreUint32(r.sqTail, r.tail)
	atomic.StoreUint32(r.cqHead, r.head)
	if r.bufShown != r.bufTail {
		r.showBuffers()
	}
}

// Overflows is how many Waits found that completions had not fit into the queue. None is lost, but they end the Recvs
// and Accepts they belong to, and took time: Config.Completions is too small.
func (r *Ring) Overflows() int { return r.overflows }

// Close cancels the requests that are out, waits for none of their completions, empties the slots and gives all memory
// back. Twice is fine. Descriptors remain open.
func (r *Ring) Close() error {
	if r.mem == nil && r.fd == 0 {
		return nil
	}
	var errs []error
	if r.arg != nil {
		// Without these three the kernel would do it some time after Close, in the background: until then sockets would
		// be open, and memory that is no longer ours in use.
		cancel := syncCancel{flags: cancelAll | cancelAny, seconds: -1, nanosecs: -1}
		errs = append(errs, r.clear(registerSyncCancel, unsafe.Pointer(&cancel), 1), r.clear(unregisterFiles, nil, 0))
		r.tail = *r.sqHead // what was not submitted shall not be
		var c Completion
		for r.Wait(0, 0) == nil && r.Next(&c) { // the kernel ends some twenty at a time
			for r.Next(&c) {
			}
		}
	}
	errs = append(errs, unix.Close(r.fd))
	for _, b := range r.mem {
		errs = append(errs, unix.Munmap(b))
	}
	*r = Ring{}
	return errors.Join(errs...)
}

// clear is a register of which nothing may be left to do.
func (r *Ring) clear(op int, arg unsafe.Pointer, n uintptr) error {
	err := r.register(op, arg, n)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENXIO) {
		return nil
	}
	return err
}
