package sockopt

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// lacks says why an option with condition c cannot act on fd, "" if it can, or if that cannot be told.
func lacks(fd int, c Condition) string {
	switch c {
	case NAPI:
		kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
		if _, unconnected := unix.Getpeername(fd); err != nil || unconnected != nil || kind != unix.SOCK_STREAM {
			return "" // a socket knows after its first packet, and one of UDP may have had none
		}
		if id, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_INCOMING_NAPI_ID); err == nil && id == 0 {
			return "its packets do not come from a device that could be polled: SO_INCOMING_NAPI_ID is 0"
		}
	case FairQueue:
		if found, err := hasQdisc("fq"); err == nil && !found {
			return "no network device here has the queueing discipline fq, which keeps packets back until their time"
		}
	case FastOpenClient:
		return lacksBit("net.ipv4.tcp_fastopen", 1, "clients")
	case FastOpenServer:
		return lacksBit("net.ipv4.tcp_fastopen", 2, "servers")
	case IPv4:
		if at, err := unix.Getsockname(fd); err == nil {
			if six, ok := at.(*unix.SockaddrInet6); ok && !netip.AddrFrom16(six.Addr).Is4In6() {
				return "the connection is of IPv6, whose packets have another field for it (IPV6_TCLASS)"
			}
		}
	}
	return ""
}

// lacksBit looks for a bit of a sysctl of this network namespace.
func lacksBit(sysctl string, bit int, whose string) string {
	b, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(sysctl, ".", "/"))
	if err != nil {
		return ""
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || n&bit != 0 {
		return ""
	}
	return fmt.Sprintf("%s=%d lacks bit %d, that of %s: write sysctl.%s=%d", sysctl, n, bit, whose, sysctl, n|3)
}

// hasQdisc says whether any network device of this namespace has a queueing discipline of that kind.
func hasQdisc(kind string) (bool, error) {
	all, err := netlink.QdiscList(nil)
	return slices.ContainsFunc(all, func(q netlink.Qdisc) bool { return q.Type() == kind }), err
}
