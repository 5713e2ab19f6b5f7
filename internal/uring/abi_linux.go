package uring

// The kernel's interface, include/uapi/linux/io_uring.h, as far as it is used here. golang.org/x/sys/unix has the
// numbers of the system calls only.

const (
	setupCQSize       = 1 << 3
	setupSubmitAll    = 1 << 7  // 5.18
	setupCoopTaskrun  = 1 << 8  // 5.19
	setupTaskrunFlag  = 1 << 9  // 5.19
	setupSingleIssuer = 1 << 12 // 6.0
	setupDeferTaskrun = 1 << 13 // 6.1
	setupNoSQArray    = 1 << 16 // 6.6

	offsetRings = 0
	offsetSQEs  = 0x10000000

	sqCQOverflow = 1 << 1
	sqTaskrun    = 1 << 2

	enterGetEvents = 1 << 0
	enterExtArg    = 1 << 3

	unregisterFiles     = 3
	registerFilesUpdate = 6
	registerProbe       = 8
	registerFiles2      = 13
	registerPbufRing    = 22
	registerSyncCancel  = 24
	registerSparse      = 1 << 0

	opPollAdd     = 6
	opAccept      = 13
	opAsyncCancel = 14
	opSend        = 26
	opRecv        = 27

	sqeFixedFile      = 1 << 0
	sqeBufferSelect   = 1 << 5
	sqeCQESkipSuccess = 1 << 6

	recvMultishot   = 1 << 1 // in ioprio
	acceptMultishot = 1 << 0 // in ioprio

	cancelAll     = 1 << 0
	cancelFD      = 1 << 1
	cancelAny     = 1 << 2
	cancelFDFixed = 1 << 3

	cqeBuffer = 1 << 0 // the buffer's number is in the upper 16 bits
	cqeMore   = 1 << 1
)

type params struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFD uint32
	_                                                                      [3]uint32

	sq struct {
		head, tail, mask, entries, flags, dropped, array, _ uint32
		_                                                   uint64
	}
	cq struct {
		head, tail, mask, entries, overflow, cqes, flags, _ uint32
		_                                                   uint64
	}
}

// sqe is a request.
type sqe struct {
	opcode, flags uint8
	ioprio        uint16
	fd            int32
	off, addr     uint64
	len, opFlags  uint32
	data          uint64
	bufGroup      uint16
	_             uint16
	_             uint32
	_             [2]uint64
}

// waitArg is a getevents_arg with the time it points at.
type waitArg struct {
	sigmask           uint64
	sigmaskSize, _    uint32
	ts                uint64
	seconds, nanosecs int64
}

const waitArgLen = 24 // without the time

// buf is an entry of the ring of provided buffers. The first one's last field is the tail of that ring.
type buf struct {
	addr     uint64
	len      uint32
	id, tail uint16
}

type bufReg struct {
	addr    uint64
	entries uint32
	_       [2]uint16
	_       [3]uint64
}

type filesReg struct {
	count, flags uint32
	_            [3]uint64
}

type filesUpdate struct {
	offset, _ uint32
	fds       uint64
}

type syncCancel struct {
	addr              uint64
	fd                int32
	flags             uint32
	seconds, nanosecs int64
	_                 [4]uint64
}

type probe struct {
	_   [2]uint64
	ops [256]struct {
		_, _  uint8
		flags uint16 // 1: supported
		_     uint32
	}
}
