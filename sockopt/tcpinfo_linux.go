package sockopt

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TCPInfo is getsockopt(TCP_INFO) of any kernel's length: a field past Len is absent, which is not the same as zero.
type TCPInfo struct {
	Len int
	raw [512]byte
}

// Read fills t from fd. A descriptor that is no TCP socket leaves it empty.
func (t *TCPInfo) Read(fd int) {
	n := uint32(len(t.raw))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_INFO,
		uintptr(unsafe.Pointer(&t.raw)), uintptr(unsafe.Pointer(&n)), 0)
	if t.Len = int(n); errno != 0 {
		t.Len = 0
	}
}

var layout unix.TCPInfo

// tcpFields are the fields that are kept, by where they stand. sum: a counter, which may be added up over connections.
var tcpFields = [...]struct {
	name   string
	offset uintptr
	size   uintptr
	sum    bool
}{
	{"rtt_us", unsafe.Offsetof(layout.Rtt), 4, false},
	{"rttvar_us", unsafe.Offsetof(layout.Rttvar), 4, false},
	{"min_rtt_us", unsafe.Offsetof(layout.Min_rtt), 4, false},
	{"snd_cwnd", unsafe.Offsetof(layout.Snd_cwnd), 4, false},
	{"snd_mss", unsafe.Offsetof(layout.Snd_mss), 4, false},
	{"rcv_mss", unsafe.Offsetof(layout.Rcv_mss), 4, false},
	{"snd_wnd", unsafe.Offsetof(layout.Snd_wnd), 4, false},
	{"rcv_wnd", unsafe.Offsetof(layout.Rcv_wnd), 4, false},
	{"total_retrans", unsafe.Offsetof(layout.Total_retrans), 4, true},
	{"segs_out", unsafe.Offsetof(layout.Segs_out), 4, true},
	{"segs_in", unsafe.Offsetof(layout.Segs_in), 4, true},
	{"data_segs_out", unsafe.Offsetof(layout.Data_segs_out), 4, true},
	{"data_segs_in", unsafe.Offsetof(layout.Data_segs_in), 4, true},
	{"bytes_sent", unsafe.Offsetof(layout.Bytes_sent), 8, true},
	{"bytes_retrans", unsafe.Offsetof(layout.Bytes_retrans), 8, true},
	{"bytes_received", unsafe.Offsetof(layout.Bytes_received), 8, true},
	{"busy_us", unsafe.Offsetof(layout.Busy_time), 8, true},
	{"snd_wscale", unsafe.Offsetof(layout.Options) + 1, lowHalf, false},
	{"rcv_wscale", unsafe.Offsetof(layout.Options) + 1, highHalf, false},
	{"rwnd_limited_us", unsafe.Offsetof(layout.Rwnd_limited), 8, true},
	{"sndbuf_limited_us", unsafe.Offsetof(layout.Sndbuf_limited), 8, true},
}

// Sizes of what is half a byte, which the bit fields of little-endian machines begin with the low one of.
const (
	lowHalf  = 1
	highHalf = 2
)

// worstBy are the fields by which one connection is worse than another, first things first.
var worstBy = [2]int{8, 0}

// field is the value of tcpFields[i], and whether this kernel has it.
func (t *TCPInfo) field(i int) (int64, bool) {
	f := tcpFields[i]
	if int(f.offset+f.size) > t.Len {
		return 0, false
	}
	switch at := t.raw[f.offset:]; f.size {
	case lowHalf:
		return int64(at[0] & 15), true
	case highHalf:
		return int64(at[0] >> 4), true
	case 8:
		return int64(binary.NativeEndian.Uint64(at)), true
	default:
		return int64(binary.NativeEndian.Uint32(at)), true
	}
}

// at is field with absent as -1, which compares below everything measured.
func (t *TCPInfo) at(i int) int64 {
	if v, ok := t.field(i); ok {
		return v
	}
	return -1
}

func listen(fd, n int) error { return unix.Listen(fd, n) }
