package loadgen

import (
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/quiet"
	"github.com/sockbench/sockbench/internal/testenv"
	"github.com/sockbench/sockbench/sockopt"
)

const inNamespace = "SOCKBENCH_TEST_OWN_NETWORK"

// ownNetwork runs the calling test again in a network namespace of its own, with loopback up, and says whether this is
// that run. Its local ports are those from 50000 on.
func ownNetwork(t testing.TB) bool {
	t.Helper()
	if os.Getenv(inNamespace) == "" {
		cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), inNamespace+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
		if id := os.Getuid(); id != 0 {
			cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: id, Size: 1}}
		}
		out, err := cmd.CombinedOutput()
		if err != nil && cmd.Process == nil {
			testenv.Skip(t, "userns", "this machine gives no network namespace: "+err.Error())
		}
		if err != nil || strings.Contains(string(out), "--- SKIP") {
			t.Errorf("in a network namespace: %v\n%s", err, out)
		}
		return false
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		t.Fatal(err)
	}
	setLocalPorts(t, "50000 60999")
	return true
}

func setLocalPorts(t testing.TB, ports string) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte(ports), 0); err != nil {
		t.Fatal(err)
	}
}

// from is how many of a load's connections come from which address.
func from(t testing.TB, l *Load) map[string]int {
	t.Helper()
	n := map[string]int{}
	for _, fd := range l.dial.fds {
		at, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		n[endpoint(at).Addr().String()]++
	}
	return n
}

// The server being on loopback, connections come from several of its addresses when one does not have the ports: a
// quarter of them each, before it takes long to find one; and where somebody else has them all, none.
func TestPortsRunOut(t *testing.T) {
	if !ownNetwork(t) {
		return
	}
	for to, want := range map[string]map[string]int{
		listening(t, 200): {"127.0.0.1": 10, "127.0.0.3": 10, "127.0.0.4": 10, "127.0.0.5": 5},
		echo(t):           {"127.0.0.3": 10, "127.0.0.4": 10, "127.0.0.5": 10, "127.0.0.6": 5}, // the kernel's choice is of a port that nobody has at all
	} {
		setLocalPorts(t, "40000 40039")
		s := spec()
		s.Connections, s.Source = 40, []netip.Addr{netip.MustParseAddr("127.0.0.2")}
		other, err := Connect(t.Context(), s, Place{To: to})
		if err != nil {
			t.Fatal(err)
		}
		s.Connections, s.Source = 35, nil
		l, err := Connect(t.Context(), s, Place{To: to})
		if err != nil {
			t.Fatal(err)
		}
		got := from(t, l)
		if !maps.Equal(got, want) || l.dial.errors != [errorKinds]int64{} {
			t.Errorf("%s: connections come from %v, errors %v; want %v", to, got, l.dial.errors, want)
		}
		if a := l.Sockets().Applied; len(a) != 1 || a[0].Option != bindWithoutPort || a[0].Class != sockopt.ByModel {
			t.Errorf("%s: what was done about it is not listed: %+v", to, a)
		}
		l.Close()
		other.Close()
		setLocalPorts(t, "50000 60999")
	}
}

// The sources named are all there are: it is said what happened.
func TestNamedSourcesRunOut(t *testing.T) {
	if !ownNetwork(t) {
		return
	}
	to := listening(t, 200)
	setLocalPorts(t, "40000 40009")
	s := spec()
	s.Connections, s.Source = 35, []netip.Addr{netip.MustParseAddr("127.0.0.9"), netip.MustParseAddr("127.0.0.8")}
	l, err := Connect(t.Context(), s, Place{To: to})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got := from(t, l); got["127.0.0.9"] != 10 || got["127.0.0.8"] != 10 || l.dial.errors[errNoPort] != 15 {
		t.Errorf("connections come from %v, errors %v; want 10 from each, and 15 without a port", got, l.dial.errors)
	}
}

// A connection for each request leaves ports behind that cannot be used for a while. It goes on all the same.
func TestPortsRunOutOnTheWay(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		if !ownNetwork(t) {
			return
		}
		to := serve(t, &faulty{})
		setLocalPorts(t, "40000 40079")
		s := spec()
		s.Workload, s.Rate, s.Connections, s.Duration = "crr", 2000, 8, 500e6
		r, _ := drive(t, s, Place{To: to}, time.Minute)
		if r.Completed != 1000 || len(r.Errors) > 0 {
			t.Errorf("completed %d of %d requests over connections of their own with 80 ports, errors %v", r.Completed, r.Offered, r.Errors)
		}
	})
}

func TestSources(t *testing.T) {
	s := spec()
	s.Connections, s.Source = 10, []netip.Addr{netip.MustParseAddr("127.0.0.3"), netip.MustParseAddr("127.0.0.5")}
	l, err := Connect(t.Context(), s, Place{To: listening(t, 200)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got := from(t, l); len(got) != 2 || got["127.0.0.3"] != 5 || got["127.0.0.5"] != 5 {
		t.Errorf("connections come from %v", got)
	}
	for source, says := range map[string]string{
		"203.0.113.7": "source 203.0.113.7: cannot assign requested address: it is no address of this machine",
		"::1":         "source ::1: it cannot reach 127.0.0.1, one being of IPv4 and the other of IPv6",
	} {
		s.Source = []netip.Addr{netip.MustParseAddr(source)}
		if _, err := Connect(t.Context(), s, Place{To: listening(t, 200)}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("source %s: %v; want %q", source, err, says)
		}
	}
}
