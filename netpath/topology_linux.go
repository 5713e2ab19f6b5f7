package netpath

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The two ends: of 198.18.0.0/15, which RFC 2544 keeps for measurements of networks.
var (
	ClientAddr = netip.MustParseAddr("198.18.0.1")
	ServerAddr = netip.MustParseAddr("198.18.0.2")
)

const (
	prefixLen = 15
	endName   = "path0" // the interface in each end's namespace
)

// end is one end's namespace.
type end struct {
	name string
	ns   int
	addr netip.Addr
	mac  net.HardwareAddr
}

func ends(client, server int) [2]end {
	return [2]end{
		{"client", client, ClientAddr, net.HardwareAddr{2, 0, 0, 0, 0, 1}},
		{"server", server, ServerAddr, net.HardwareAddr{2, 0, 0, 0, 0, 2}},
	}
}

// within runs f in a network namespace, on a thread that ends with it.
func within(ns int, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked
		if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter a network namespace: %w", err)
			return
		}
		done <- f()
	}()
	return <-done
}

// build connects the ends to this namespace, the middle, and returns the indexes of the middle's interfaces that lead to
// the client and to the server.
func build(s Spec, all [2]end) (client, server int, err error) {
	quiet := func() error { return put("net.ipv6.conf.default.disable_ipv6", "1") } // no frame that nobody asked for
	if err := quiet(); err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, 0, err
	}
	var index [2]int
	for i, e := range all {
		if err := within(e.ns, quiet); err != nil && !errors.Is(err, os.ErrNotExist) {
			return 0, 0, err
		}
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU = e.name, s.mtu()
		v := &netlink.Veth{LinkAttrs: attrs, PeerName: endName, PeerHardwareAddr: e.mac, PeerNamespace: netlink.NsFd(e.ns), PeerMTU: uint32(s.mtu())}
		if err := netlink.LinkAdd(v); err != nil {
			return 0, 0, fmt.Errorf("make the %s's wire: %w", e.name, err)
		}
		l, err := netlink.LinkByName(e.name)
		if err != nil {
			return 0, 0, fmt.Errorf("find the %s's wire: %w", e.name, err)
		}
		index[i] = l.Attrs().Index
		if err := up(l); err != nil {
			return 0, 0, err
		}
	}
	for i, e := range all {
		peer := all[1-i]
		if err := within(e.ns, func() error { return e.join(peer) }); err != nil {
			return 0, 0, fmt.Errorf("the %s's end: %w", e.name, err)
		}
	}
	for i, e := range all { // the first frames vanish on an interface that is up but not yet running
		if err := errors.Join(running(e.name), within(e.ns, func() error { return running(endName) })); err != nil {
			return 0, 0, fmt.Errorf("the %s's wire: %w", all[i].name, err)
		}
	}
	return index[0], index[1], nil
}

// join gives an end its address, and the other end's, for good: nobody asks who has it.
func (e end) join(peer end) error {
	l, err := netlink.LinkByName(endName)
	if err != nil {
		return err
	}
	mask := net.CIDRMask(prefixLen, 32)
	if err := netlink.AddrAdd(l, &netlink.Addr{IPNet: &net.IPNet{IP: e.addr.AsSlice(), Mask: mask}}); err != nil {
		return fmt.Errorf("give it an address: %w", err)
	}
	if err := up(l); err != nil {
		return err
	}
	err = netlink.NeighAdd(&netlink.Neigh{LinkIndex: l.Attrs().Index, Family: unix.AF_INET, State: netlink.NUD_PERMANENT,
		IP: peer.addr.AsSlice(), HardwareAddr: peer.mac})
	if err != nil {
		return fmt.Errorf("tell it its neighbour: %w", err)
	}
	return nil
}

// up brings an interface of this namespace up, with frames as they are on a wire: nobody may cut or join segments.
func up(l netlink.Link) error {
	if err := plainFrames(l.Attrs().Name); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(l); err != nil {
		return fmt.Errorf("bring %s up: %w", l.Attrs().Name, err)
	}
	return nil
}

// upLimit is how long an interface may take until it runs.
const upLimit = 2 * time.Second

func running(name string) error {
	for end := time.Now().Add(upLimit); ; time.Sleep(200 * time.Microsecond) {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if l.Attrs().OperState == netlink.OperUp {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s is not running after %s, but %s", name, upLimit, l.Attrs().OperState)
		}
	}
}

// Commands of SIOCETHTOOL that switch an offload.
var offloads = []struct {
	name    string
	command uint32
}{{"tcp-segmentation-offload", 0x1f}, {"generic-segmentation-offload", 0x24}, {"generic-receive-offload", 0x2c}}

// plainFrames switches off what would make frames larger than the wire's.
func plainFrames(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for _, o := range offloads {
		value := struct{ command, on uint32 }{o.command, 0}
		request := struct {
			name [unix.IFNAMSIZ]byte
			data unsafe.Pointer
			_    [16]byte // the kernel's union is larger than a pointer
		}{data: unsafe.Pointer(&value)}
		copy(request.name[:unix.IFNAMSIZ-1], name)
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
			return fmt.Errorf("switch off %s of %s: %w", o.name, name, errno)
		}
	}
	return nil
}

// put sets a sysctl of the calling thread's network namespace.
func put(name, value string) error {
	if err := os.WriteFile(sysctlFile(name), []byte(value), 0o644); err != nil {
		return fmt.Errorf("set sysctl %s=%s: %w", name, value, err)
	}
	return nil
}
