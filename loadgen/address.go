package loadgen

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Networks a load's connections may be of.
const (
	onTCP  = "tcp"
	onUDP  = "udp"
	onUnix = "unix"
)

// pathMax is the most bytes of a unix socket's path: sun_path, without the zero behind it.
const pathMax = len(unix.RawSockaddrUnix{}.Path) - 1

// Network is the network of an address: "tcp", "udp" or "unix". The error says what is wrong with how it is written, and
// what to write; names are not looked up.
func Network(addr string) (string, error) {
	network, _, err := cutAddress(addr)
	return network, err
}

// cutAddress takes tcp://HOST:PORT, HOST:PORT, udp://HOST:PORT or unix:///PATH apart.
func cutAddress(addr string) (network, at string, err error) {
	network, at, named := strings.Cut(addr, "://")
	if !named {
		network, at = onTCP, addr
	}
	switch network {
	case onTCP, onUDP:
		host, port, err := net.SplitHostPort(at)
		if err != nil {
			return "", "", fmt.Errorf("address %s: %w: write %s://HOST:PORT, for example %[3]s://127.0.0.1:9000 or %[3]s://[::1]:9000", addr, err, network)
		}
		if n, err := net.LookupPort(network, port); err != nil || n == 0 {
			return "", "", fmt.Errorf("address %s: port %q is no number from 1 to 65535: write %s://%s", addr, port, network, net.JoinHostPort(host, "9000"))
		}
	case onUnix:
		switch {
		case !strings.HasPrefix(at, "/") || strings.ContainsRune(at, 0):
			return "", "", fmt.Errorf("address %s: the path of a unix socket begins with a slash: write unix:///tmp/server.sock", addr)
		case len(at) > pathMax:
			return "", "", fmt.Errorf("address %s: its path has %d bytes, and that of a unix socket at most %d: choose a shorter one", addr, len(at), pathMax)
		}
	default:
		return "", "", fmt.Errorf("address %s: there is no network %q: write tcp://HOST:PORT, udp://HOST:PORT or unix:///PATH", addr, network)
	}
	return network, at, nil
}

// address is where a load connects to.
type address struct {
	network string
	family  int
	kind    int        // unix.SOCK_STREAM or unix.SOCK_DGRAM
	ip      netip.Addr // none: a unix socket
	to      rawAddr
}

// resolve reads an address and looks its host's name up. No host, or an unspecified one, is this machine.
func resolve(addr string) (address, error) {
	network, at, err := cutAddress(addr)
	if err != nil {
		return address{}, err
	}
	a := address{network: network, kind: unix.SOCK_STREAM}
	if network == onUnix {
		a.family, a.to = unix.AF_UNIX, rawPath(at)
		return a, nil
	}
	if network == onUDP {
		a.kind = unix.SOCK_DGRAM
	}
	found, err := net.ResolveTCPAddr("tcp", at) // addresses of UDP look the same
	if err != nil {
		return address{}, fmt.Errorf("address %s: %w", addr, err)
	}
	a.ip = found.AddrPort().Addr().Unmap()
	if !a.ip.IsValid() || a.ip.IsUnspecified() {
		a.ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if a.family = unix.AF_INET6; a.ip.Is4() {
		a.family = unix.AF_INET
	}
	if a.to, err = rawIP(a.ip, found.AddrPort().Port()); err != nil {
		return address{}, fmt.Errorf("address %s: %w", addr, err)
	}
	return a, nil
}

// rawAddr is an address as the kernel takes it. Made once, it is used for every connection, by any thread.
type rawAddr struct {
	any unix.RawSockaddrAny
	len uintptr
}

func rawIP(ip netip.Addr, port uint16) (r rawAddr, err error) {
	bigEndian := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, port))
	if ip.Is4() {
		*(*unix.RawSockaddrInet4)(unsafe.Pointer(&r.any)) = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: bigEndian, Addr: ip.As4()}
		r.len = unix.SizeofSockaddrInet4
		return r, nil
	}
	scope := 0
	if zone := ip.Zone(); zone != "" {
		if scope, err = strconv.Atoi(zone); err != nil {
			i, err := net.InterfaceByName(zone)
			if err != nil {
				return r, fmt.Errorf("no network interface %s here: %w", zone, err)
			}
			scope = i.Index
		}
	}
	*(*unix.RawSockaddrInet6)(unsafe.Pointer(&r.any)) = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: bigEndian, Addr: ip.As16(), Scope_id: uint32(scope)}
	r.len = unix.SizeofSockaddrInet6
	return r, nil
}

func rawPath(path string) (r rawAddr) {
	u := (*unix.RawSockaddrUnix)(unsafe.Pointer(&r.any))
	u.Family = unix.AF_UNIX
	for i := range len(path) {
		u.Path[i] = int8(path[i])
	}
	r.len = unsafe.Sizeof(*u)
	return r
}
