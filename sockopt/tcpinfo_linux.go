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
	var errno unix.Errno
	if t.Len, errno = getsockopt(fd, unix.IPPROTO_TCP, unix.TCP_INFO, unsafe.Pointer(&t.raw), unsafe.Sizeof(t.raw)); errno != 0 {
		t.Len = 0
	}
}

// getsockopt reads an option into the size bytes at buf, and says how many of them the kernel has filled.
func getsockopt(fd, level, option int, buf unsafe.Pointer, size uintptr) (int, unix.Errno) {
	n := uint32(size)
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option), uintptr(buf), uintptr(unsafe.Pointer(&n)), 0)
	return int(n), errno
}

// format is how a field lies in its bytes.
type format struct {
	size         uintptr // in bytes
	shift, width uint8   // in bits, of a part of a byte; width 0: the field is all of it
	since        uintptr // the length of the shortest TCP_INFO that has it, where its byte is older
}

var (
	u8  = format{size: 1}
	u16 = format{size: 2}
	u32 = format{size: 4}
	u64 = format{size: 8}
)

// bits is part of a byte. On little-endian machines the first of bit fields begins with the lowest bit.
func bits(shift, width uint8) format { return format{size: 1, shift: shift, width: width} }

// from is f of kernels that have the field at end, which came with it or after it.
func (f format) from(end uintptr) format {
	f.since = end
	return f
}

// tcpField is one field of TCP_INFO. sum: it is added up over connections, as what is counted or lies in a queue is, and
// so of a bit the number of connections that have it.
type tcpField struct {
	name   string
	offset uintptr
	format
	sum bool
}

var (
	layout  unix.TCPInfo
	options = unsafe.Offsetof(layout.Options)

	rates    = unsafe.Offsetof(layout.Delivery_rate) + 8  // Linux 4.9
	windowed = unsafe.Offsetof(layout.Rcv_wnd) + 4        // 6.2
	timeouts = unsafe.Offsetof(layout.Total_rto_time) + 4 // 6.7
	accurate = unsafe.Sizeof(layout)                      // 6.18
)

// tcpFields are all fields of the 280 bytes of Linux 6.18, in their order, but for two that no kernel since 4.15 fills
// (fackets, last_ack_sent) and the last 4 bytes, which mean one thing in one kernel and another in the next.
var tcpFields = [...]tcpField{
	{"state", unsafe.Offsetof(layout.State), u8, false},
	{"ca_state", unsafe.Offsetof(layout.Ca_state), u8, false},
	{"retransmits", unsafe.Offsetof(layout.Retransmits), u8, false},
	{"probes", unsafe.Offsetof(layout.Probes), u8, false},
	{"backoff", unsafe.Offsetof(layout.Backoff), u8, false},
	{"timestamps", options, bits(0, 1), true},
	{"sack", options, bits(1, 1), true},
	{"wscale", options, bits(2, 1), true},
	{"ecn", options, bits(3, 1), true},
	{"ecn_seen", options, bits(4, 1), true},
	{"tfo", options, bits(5, 1), true},
	{"usec_ts", options, bits(6, 1).from(timeouts), true},
	{"tfo_child", options, bits(7, 1).from(accurate), true},
	{"snd_wscale", options + 1, bits(0, 4), false},
	{"rcv_wscale", options + 1, bits(4, 4), false},
	{"app_limited", options + 2, bits(0, 1).from(rates), true},
	{"fastopen_client_fail", options + 2, bits(1, 2).from(windowed), false},
	{"rto_us", unsafe.Offsetof(layout.Rto), u32, false},
	{"ato_us", unsafe.Offsetof(layout.Ato), u32, false},
	{"snd_mss", unsafe.Offsetof(layout.Snd_mss), u32, false},
	{"rcv_mss", unsafe.Offsetof(layout.Rcv_mss), u32, false},
	{"unacked", unsafe.Offsetof(layout.Unacked), u32, true},
	{"sacked", unsafe.Offsetof(layout.Sacked), u32, true},
	{"lost", unsafe.Offsetof(layout.Lost), u32, true},
	{"retrans", unsafe.Offsetof(layout.Retrans), u32, true},
	{"last_data_sent_ms", unsafe.Offsetof(layout.Last_data_sent), u32, false},
	{"last_data_recv_ms", unsafe.Offsetof(layout.Last_data_recv), u32, false},
	{"last_ack_recv_ms", unsafe.Offsetof(layout.Last_ack_recv), u32, false},
	{"pmtu", unsafe.Offsetof(layout.Pmtu), u32, false},
	{"rcv_ssthresh", unsafe.Offsetof(layout.Rcv_ssthresh), u32, false},
	{"rtt_us", unsafe.Offsetof(layout.Rtt), u32, false},
	{"rttvar_us", unsafe.Offsetof(layout.Rttvar), u32, false},
	{"snd_ssthresh", unsafe.Offsetof(layout.Snd_ssthresh), u32, false},
	{"snd_cwnd", unsafe.Offsetof(layout.Snd_cwnd), u32, false},
	{"advmss", unsafe.Offsetof(layout.Advmss), u32, false},
	{"reordering", unsafe.Offsetof(layout.Reordering), u32, false},
	{"rcv_rtt_us", unsafe.Offsetof(layout.Rcv_rtt), u32, false},
	{"rcv_space", unsafe.Offsetof(layout.Rcv_space), u32, false},
	{"total_retrans", unsafe.Offsetof(layout.Total_retrans), u32, true},
	{"pacing_rate", unsafe.Offsetof(layout.Pacing_rate), u64, false},
	{"max_pacing_rate", unsafe.Offsetof(layout.Max_pacing_rate), u64, false},
	{"bytes_acked", unsafe.Offsetof(layout.Bytes_acked), u64, true},
	{"bytes_received", unsafe.Offsetof(layout.Bytes_received), u64, true},
	{"segs_out", unsafe.Offsetof(layout.Segs_out), u32, true},
	{"segs_in", unsafe.Offsetof(layout.Segs_in), u32, true},
	{"notsent_bytes", unsafe.Offsetof(layout.Notsent_bytes), u32, true},
	{"min_rtt_us", unsafe.Offsetof(layout.Min_rtt), u32, false},
	{"data_segs_in", unsafe.Offsetof(layout.Data_segs_in), u32, true},
	{"data_segs_out", unsafe.Offsetof(layout.Data_segs_out), u32, true},
	{"delivery_rate", unsafe.Offsetof(layout.Delivery_rate), u64, false},
	{"busy_us", unsafe.Offsetof(layout.Busy_time), u64, true},
	{"rwnd_limited_us", unsafe.Offsetof(layout.Rwnd_limited), u64, true},
	{"sndbuf_limited_us", unsafe.Offsetof(layout.Sndbuf_limited), u64, true},
	{"delivered", unsafe.Offsetof(layout.Delivered), u32, true},
	{"delivered_ce", unsafe.Offsetof(layout.Delivered_ce), u32, true},
	{"bytes_sent", unsafe.Offsetof(layout.Bytes_sent), u64, true},
	{"bytes_retrans", unsafe.Offsetof(layout.Bytes_retrans), u64, true},
	{"dsack_dups", unsafe.Offsetof(layout.Dsack_dups), u32, true},
	{"reord_seen", unsafe.Offsetof(layout.Reord_seen), u32, true},
	{"rcv_ooopack", unsafe.Offsetof(layout.Rcv_ooopack), u32, true},
	{"snd_wnd", unsafe.Offsetof(layout.Snd_wnd), u32, false},
	{"rcv_wnd", unsafe.Offsetof(layout.Rcv_wnd), u32, false},
	{"rehash", unsafe.Offsetof(layout.Rehash), u32, true},
	{"total_rto", unsafe.Offsetof(layout.Total_rto), u16, true},
	{"total_rto_recoveries", unsafe.Offsetof(layout.Total_rto_recoveries), u16, true},
	{"total_rto_time_ms", unsafe.Offsetof(layout.Total_rto_time), u32, true},
	{"received_ce", unsafe.Offsetof(layout.Received_ce), u32, true},
	{"delivered_e1_bytes", unsafe.Offsetof(layout.Delivered_e1_bytes), u32, true},
	{"delivered_e0_bytes", unsafe.Offsetof(layout.Delivered_e0_bytes), u32, true},
	{"delivered_ce_bytes", unsafe.Offsetof(layout.Delivered_ce_bytes), u32, true},
	{"received_e1_bytes", unsafe.Offsetof(layout.Received_e1_bytes), u32, true},
	{"received_e0_bytes", unsafe.Offsetof(layout.Received_e0_bytes), u32, true},
	{"received_ce_bytes", unsafe.Offsetof(layout.Received_ce_bytes), u32, true},
}

// tcpNumber is each field's place in tcpFields.
var tcpNumber = func() map[string]int {
	m := map[string]int{}
	for i, f := range tcpFields {
		m[f.name] = i
	}
	return m
}()

// field is the value of tcpFields[i], and whether there is one: this kernel has the field, and it is not all ones, by
// which the kernel says that there is no limit (max_pacing_rate) or no measurement yet (min_rtt_us).
func (t *TCPInfo) field(i int) (int64, bool) {
	f := &tcpFields[i]
	if t.Len < int(max(f.offset+f.size, f.since)) {
		return 0, false
	}
	switch at := t.raw[f.offset:]; f.size {
	case 8:
		v := binary.NativeEndian.Uint64(at)
		return int64(v), v+1 != 0
	case 4:
		v := binary.NativeEndian.Uint32(at)
		return int64(v), v+1 != 0
	case 2:
		return int64(binary.NativeEndian.Uint16(at)), true
	}
	v := t.raw[f.offset]
	if f.width > 0 {
		v = v >> f.shift & (1<<f.width - 1)
	}
	return int64(v), true
}

// at is the field of that name, with absent as -1, which compares below everything measured.
func (t *TCPInfo) at(name string) int64 {
	if i, ok := tcpNumber[name]; ok {
		if v, ok := t.field(i); ok {
			return v
		}
	}
	return -1
}

func listen(fd, n int) error { return unix.Listen(fd, n) }
