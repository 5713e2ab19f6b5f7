package targets

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Networks a server may be on.
const (
	onTCP  = "tcp"
	onUDP  = "udp"
	onUnix = "unix"
)

// What an Entry's servers can be on, the usual network first.
var (
	overStreams   = []string{onTCP, onUnix}
	overDatagrams = []string{onUDP}
)

// forms is how addresses are written.
var forms = map[string]string{onTCP: "tcp://host:port", onUDP: "udp://host:port", onUnix: "unix:///path"}

// pathMax is the most bytes the kernel takes for a socket's path: sun_path, without the zero behind it.
const pathMax = len(unix.RawSockaddrUnix{}.Path) - 1

// endpoint splits "tcp://host:port", "udp://host:port" or "unix:///path", as far as they are among the given networks.
func endpoint(text string, networks ...string) (network, rest string, err error) {
	network, rest, ok := strings.Cut(text, "://")
	if !ok {
		return "", "", fmt.Errorf("%q names no network: write %s://%s", text, networks[0], text)
	}
	if !slices.Contains(networks, network) {
		var write []string
		for _, n := range networks {
			write = append(write, forms[n])
		}
		return "", "", fmt.Errorf("%q: no network %q here: write %s", text, network, strings.Join(write, " or "))
	}
	if network == onUnix {
		return network, rest, checkPath(text, rest)
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		return "", "", fmt.Errorf("%q: %w: write %s", text, err, forms[network])
	}
	if host == "" {
		return "", "", fmt.Errorf("%q names no host: write %[2]s://127.0.0.1:%[3]s, or %[2]s://0.0.0.0:%[3]s for every address", text, network, port)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", "", fmt.Errorf("%q: port %q is not a number from 0 to 65535", text, port)
	}
	return network, rest, nil
}

func checkPath(text, path string) error {
	switch {
	case !strings.HasPrefix(path, "/") || strings.ContainsRune(path, 0):
		return fmt.Errorf("%q: the path of a unix socket begins with a slash: write unix:///tmp/server.sock", text)
	case len(path) > pathMax:
		return fmt.Errorf("%q: the path has %d bytes, and that of a unix socket at most %d: choose a shorter one", text, len(path), pathMax)
	}
	return nil
}

// address is where a server is.
type address struct {
	network string
	port    netip.AddrPort // of TCP and UDP
	path    string         // of a unix socket
}

// parseAddress reads what a server is told; names are looked up.
func parseAddress(text string, networks ...string) (address, error) {
	network, rest, err := endpoint(text, networks...)
	if err != nil {
		return address{}, fmt.Errorf("listen: %w", err)
	}
	if network == onUnix {
		return address{network: network, path: rest}, nil
	}
	at, err := net.ResolveTCPAddr("tcp", rest) // addresses of UDP look the same
	if err != nil {
		return address{}, fmt.Errorf("listen %s: %w", text, err)
	}
	port := at.AddrPort()
	return address{network: network, port: netip.AddrPortFrom(port.Addr().Unmap(), port.Port())}, nil
}

func (a address) String() string { return a.network + "://" + a.within() }

// within is the address inside its network.
func (a address) within() string {
	if a.network == onUnix {
		return a.path
	}
	return a.port.String()
}

func (a address) sockaddr() (family int, to unix.Sockaddr) {
	switch ip := a.port.Addr(); {
	case a.network == onUnix:
		return unix.AF_UNIX, &unix.SockaddrUnix{Name: a.path}
	case ip.Is4():
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(a.port.Port()), Addr: ip.As4()}
	default:
		return unix.AF_INET6, &unix.SockaddrInet6{Port: int(a.port.Port()), Addr: ip.As16()}
	}
}

// of is a with the port that the kernel gave fd.
func (a address) of(fd int) (address, error) {
	at, err := unix.Getsockname(fd)
	if err != nil {
		return a, err
	}
	switch at := at.(type) {
	case *unix.SockaddrInet4:
		a.port = netip.AddrPortFrom(a.port.Addr(), uint16(at.Port))
	case *unix.SockaddrInet6:
		a.port = netip.AddrPortFrom(a.port.Addr(), uint16(at.Port))
	}
	return a, nil
}

// claim makes way for a unix socket: it removes what a server that has died left behind, and nothing else.
func (a address) claim() error {
	var st unix.Stat_t
	if a.network != onUnix || unix.Lstat(a.path, &st) != nil { // what is wrong there, bind says
		return nil
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return errors.New("there is a file that is no socket: choose another path, or remove it")
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer closeFD(fd)
	if _, to := a.sockaddr(); unix.Connect(fd, to) != unix.ECONNREFUSED {
		return unix.EADDRINUSE
	}
	if err := unix.Unlink(a.path); err != nil {
		return fmt.Errorf("remove the socket that an earlier server left there: %w", err)
	}
	return nil
}
