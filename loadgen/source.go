package loadgen

import (
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/sockopt"
)

// sources are the addresses that connections come from. Safe for concurrent use.
type sources struct {
	from  []rawAddr // the zero rawAddr: the kernel chooses
	share uint32    // connections that come from one before the next has its turn
	n     atomic.Uint32
	note  func() // called when a socket is given its source
}

// open finds the sources for a load toward to: the ones named, each in turn, or the kernel's choice. Towards 127.0.0.0/8
// the kernel's choice is for as many connections as it can find ports for quickly; then come those from 127.0.0.2 and so
// on, each with ports of its own.
// Note: the kernel looks at the ports of one parity first. With half of the 28,232 in TIME_WAIT each connect looked at all
// of these: without net.ipv4.tcp_tw_reuse 25,000 connections a second became 500, with it 13,700.
func (s *sources) open(to *address, named []netip.Addr, tally *sockopt.Tally) error {
	why := "a source is named, and the port is chosen when the connection's other end is known"
	if s.from, s.share = make([]rawAddr, 1), 1; len(named) > 0 {
		s.from = nil
	} else if to.ip.Is4() && to.ip.IsLoopback() {
		why = "more connections than one address has ports for: they come from several addresses of loopback"
		s.share = max(1, localPorts()/4)
		for i := byte(2); i < 255; i++ {
			raw, _ := rawIP(netip.AddrFrom4([4]byte{127, 0, 0, i}), 0) // an error is about a zone
			s.from = append(s.from, raw)
		}
	}
	s.note = sync.OnceFunc(func() { tally.ByModel(bindWithoutPort, "on", why) })
	for _, ip := range named {
		raw, err := rawIP(ip.Unmap(), 0)
		if err == nil && ip.Unmap().Is4() != to.ip.Is4() {
			err = fmt.Errorf("it cannot reach %s, one being of IPv4 and the other of IPv6: name an address of the same kind", to.ip)
		}
		if err == nil {
			err = own(to, &raw)
		}
		if err != nil {
			return fmt.Errorf("source %s: %w", ip, err)
		}
		s.from = append(s.from, raw)
	}
	return nil
}

// localPorts is how many ports the kernel chooses from.
func localPorts() uint32 {
	var low, high uint32
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err == nil {
		_, err = fmt.Sscan(string(text), &low, &high)
	}
	if err != nil || high < low {
		return 28232 // the kernel's default
	}
	return high - low + 1
}

// own says whether a source is an address of this machine.
func own(to *address, raw *rawAddr) error {
	fd, err := unix.Socket(to.family, to.kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if errno := bind(fd, raw); errno != 0 {
		return fmt.Errorf("%w: it is no address of this machine: name one that ip addr shows where the load runs", errno)
	}
	return nil
}

const bindWithoutPort = "IP_BIND_ADDRESS_NO_PORT"

// bind gives a socket its source. The port is left to connect, so that one port serves many connections as long as their
// other ends differ.
func (s *sources) bind(fd int, from *rawAddr) error {
	if from.len == 0 {
		return nil
	}
	s.note()
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return err
	}
	if errno := bind(fd, from); errno != 0 {
		return errno
	}
	return nil
}

// take returns the source for the next connection, and that connection's number.
func (s *sources) take() (*rawAddr, uint32) {
	n := s.n.Add(1) - 1
	return &s.from[n/s.share%uint32(len(s.from))], n
}

// exhausted says that the source of connection n has no port left: the next one has its turn at once.
func (s *sources) exhausted(n uint32) {
	for turn := n / s.share; ; {
		now := s.n.Load()
		if now/s.share != turn || s.n.CompareAndSwap(now, (turn+1)*s.share) {
			return
		}
	}
}
