package loadgen

import (
	"fmt"
	"net/netip"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/sockopt"
)

// sources are the addresses that connections come from. Safe for concurrent use.
type sources struct {
	from  []rawAddr // the zero rawAddr: the kernel chooses
	named bool      // connections take them in turn; else the next is for when the ports of one have run out
	at    atomic.Uint32
}

// open finds the sources for a load toward to: the ones named, or the kernel's choice, and towards 127.0.0.0/8 after
// that the other addresses of loopback, each with ports of its own.
func (s *sources) open(to *address, named []netip.Addr, tally *sockopt.Tally) error {
	s.from = make([]rawAddr, 1)
	if to.ip.Is4() && to.ip.IsLoopback() {
		for i := byte(2); i < 255; i++ {
			raw, _ := rawIP(netip.AddrFrom4([4]byte{127, 0, 0, i}), 0) // an error is about a zone
			s.from = append(s.from, raw)
		}
	}
	if len(named) == 0 {
		return nil
	}
	s.from, s.named = nil, true
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
	tally.ByModel(bindWithoutPort, "on", "a source is named, and the port is chosen when the connection's other end is known")
	return nil
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

// bindSource gives a socket its source. The port is left to connect, so that one port serves many connections as long as
// their other ends differ.
func bindSource(fd int, from *rawAddr) error {
	if from.len == 0 {
		return nil
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return err
	}
	if errno := bind(fd, from); errno != 0 {
		return errno
	}
	return nil
}

// take returns the source for the next connection, and its number for exhausted.
func (s *sources) take() (*rawAddr, uint32) {
	at := s.at.Load()
	if s.named {
		at = s.at.Add(1) - 1
	}
	return &s.from[at%uint32(len(s.from))], at
}

// exhausted says that source number at has no port left, and whether it was the first to run out.
func (s *sources) exhausted(at uint32) bool {
	return !s.named && s.at.CompareAndSwap(at, at+1) && at == 0
}
