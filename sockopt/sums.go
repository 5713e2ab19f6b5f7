package sockopt

import (
	"cmp"
	"unsafe"

	"golang.org/x/sys/unix"
)

// worstBy are the fields by which one connection is worse than another, first things first.
var worstBy = [2]string{"total_retrans", "rtt_us"}

// sums is what the last looks at sockets found: TCP_INFO added up, the worst connection kept, and what lay in the
// sockets.
type sums struct {
	tcp   [len(tcpFields)]int64
	worst TCPInfo // empty: there was none
	mem   memory
}

// look counts one socket in.
func (t *sums) look(fd int) {
	var info TCPInfo
	info.Read(fd)
	t.add(&info)
	t.mem.add(fd)
}

// add counts one connection.
func (t *sums) add(info *TCPInfo) {
	if info.Len == 0 {
		return
	}
	for i, f := range tcpFields {
		if v, ok := info.field(i); ok && f.sum {
			t.tcp[i] += v
		}
	}
	if t.worst.Len == 0 || cmp.Or(cmp.Compare(info.at(worstBy[0]), t.worst.at(worstBy[0])), cmp.Compare(info.at(worstBy[1]), t.worst.at(worstBy[1]))) > 0 {
		t.worst = *info
	}
}

// report fills in s. What this kernel does not say is in no map.
func (t *sums) report(s *Sockets) {
	s.Mem = t.mem.report()
	if t.worst.Len == 0 {
		return
	}
	s.TCP, s.Worst = map[string]int64{}, map[string]int64{}
	for i, f := range tcpFields {
		if v, ok := t.worst.field(i); ok {
			if s.Worst[f.name] = v; f.sum {
				s.TCP[f.name] = t.tcp[i]
			}
		}
	}
}

// memory is what lay in sockets when they were looked at last, by memFields.
type memory struct {
	said  [len(memFields)]bool
	value [len(memFields)]int64
}

// memFields are first those of SO_MEMINFO, in its order, then the queues. All are bytes, but for drops, which are packets;
// all are added up over sockets, but for those of which the largest is kept.
var memFields = [...]struct {
	name    string
	largest bool
}{
	{"rmem_alloc", false}, {"rcvbuf", true}, {"wmem_alloc", false}, {"sndbuf", true}, {"fwd_alloc", false}, {"wmem_queued", false},
	{"optmem", false}, {"backlog", false}, {"drops", false},
	{"recv_queue", false}, {"send_queue", false}, {"unsent_queue", false},
}

// queues are the ioctls that say how many bytes wait to be read, to be acknowledged, and to be sent: what a datagram
// socket says first is of its next datagram alone.
var queues = [...]uint{unix.SIOCINQ, unix.SIOCOUTQ, unix.SIOCOUTQNSD}

// add counts in what lies in fd.
func (m *memory) add(fd int) {
	var info [len(memFields) - len(queues)]int32
	n, errno := getsockopt(fd, unix.SOL_SOCKET, unix.SO_MEMINFO, unsafe.Pointer(&info), unsafe.Sizeof(info))
	if errno != 0 {
		n = 0
	}
	for i, v := range info[:n/4] {
		m.put(i, int64(v))
	}
	for i, queue := range queues {
		if v, err := unix.IoctlGetInt(fd, queue); err == nil {
			m.put(len(info)+i, int64(v))
		}
	}
}

func (m *memory) put(i int, v int64) {
	if m.said[i] = true; memFields[i].largest {
		m.value[i] = max(m.value[i], v)
	} else {
		m.value[i] += v
	}
}

// report is m by name; nil: nothing was said.
func (m *memory) report() map[string]int64 {
	var all map[string]int64
	for i, f := range memFields {
		if m.said[i] {
			if all == nil {
				all = map[string]int64{}
			}
			all[f.name] = m.value[i]
		}
	}
	return all
}

// mergeMemory adds what another process saw.
func mergeMemory(a, b map[string]int64) map[string]int64 {
	var m memory
	for i, f := range memFields {
		for _, from := range []map[string]int64{a, b} {
			if v, ok := from[f.name]; ok {
				m.put(i, v)
			}
		}
	}
	return m.report()
}
