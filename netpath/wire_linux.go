package netpath

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// wire is a packet socket on one of the middle's interfaces, and where frames from it are put.
type wire struct {
	fd       int
	heads    [batch]mmsghdr
	pieces   [batch]unix.Iovec
	controls [batch][64]byte
	frames   [batch][frameMax]byte

	outHeads  [batch]mmsghdr
	outPieces [batch]unix.Iovec
}

// mmsghdr is what recvmmsg and sendmmsg take a list of.
type mmsghdr struct {
	unix.Msghdr
	bytes uint32
}

// openWire opens a packet socket on an interface of this network namespace. It sees IPv4 alone: no stray frame takes a
// draw that was another's.
func openWire(index int) (*wire, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	w := &wire{fd: fd}
	for _, o := range []struct {
		what          string
		level, option int
		value         int
	}{
		{"PACKET_VNET_HDR", unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1},
		{"PACKET_IGNORE_OUTGOING", unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1},
		{"PACKET_QDISC_BYPASS", unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1},
		{"SO_TIMESTAMPNS", unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1},
		{"SO_RCVBUF", unix.SOL_SOCKET, unix.SO_RCVBUF, 64 << 20}, // as much as net.core.rmem_max lets it have; what does not fit is counted
		{"SO_SNDBUF", unix.SOL_SOCKET, unix.SO_SNDBUF, 64 << 20},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.option, o.value); err != nil {
			unix.Close(fd)
			return nil, fmt.Errorf("set %s of a packet socket: %w", o.what, err)
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_IP), Ifindex: index}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("bind a packet socket: %w", err)
	}
	for i := range w.heads {
		w.pieces[i].Base = &w.frames[i][0]
		w.pieces[i].SetLen(frameMax)
		w.heads[i].Iov = &w.pieces[i]
		w.heads[i].SetIovlen(1)
		w.heads[i].Control = &w.controls[i][0]
		w.outHeads[i].Iov = &w.outPieces[i]
		w.outHeads[i].SetIovlen(1)
	}
	return w, nil
}

func networkOrder(v uint16) uint16 { return v<<8 | v>>8 }

// dropped asks how many frames the kernel dropped before they could be taken from a packet socket.
func dropped(fd int) int64 {
	s, err := unix.GetsockoptTpacketStats(fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0
	}
	return int64(s.Drops)
}
