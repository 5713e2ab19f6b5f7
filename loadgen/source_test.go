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

	"github.com/sockbench/sockbench/sockopt"
)

const inNamespace = "SOCKBENCH_TEST_OWN_NETWORK"

// ownNetwork runs the calling test again in a network namespace of its own, with loopback up, and says whether this is
// that run. Its local ports are those from 50000 on.
func ownNetwork(t *testing.T) bool {
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
			if os.Getenv("SOCKBENCH_TEST_REQUIRE") != "" {
				t.Fatal(err)
			}
			t.Skipf("this machine gives no network namespace: %v", err)
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
	localPorts(t, "50000 60999")
	return true
}

func localPorts(t *testing.T, ports string) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte(ports), 0); err != nil {
		t.Fatal(err)
	}
}

// from is how many of a load's connections come from which address.
func from(t *testing.T, l *Load) map[string]int {
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

// Where the ports of an address run out, and the server is on loopback, connections come from its next address.
func TestPortsRunOut(t *testing.T) {
	if !ownNetwork(t) {
		return
	}
	servers := []string{listening(t, 200), echo(t)}
	localPorts(t, "40000 40009")
	for _, to := range servers {
		s := spec()
		s.Connections = 35
		l, err := Connect(t.Context(), s, Place{To: to})
		if err != nil {
			t.Fatal(err)
		}
		got := from(t, l)
		if !maps.Equal(got, map[string]int{"127.0.0.1": 10, "127.0.0.2": 10, "127.0.0.3": 10, "127.0.0.4": 5}) || l.dial.errors != [errorKinds]int64{} {
			t.Errorf("%s: connections come from %v, errors %v; want 10 from each", to, got, l.dial.errors)
		}
		if a := l.Sockets().Applied; len(a) != 1 || a[0].Option != bindWithoutPort || a[0].Class != sockopt.ByModel {
			t.Errorf("%s: what was done about it is not listed: %+v", to, a)
		}
		l.Close()
	}

	// A server elsewhere has no such way out: it is said what happened.
	s := spec()
	s.Connections, s.Source = 35, []netip.Addr{netip.MustParseAddr("127.0.0.9"), netip.MustParseAddr("127.0.0.8")}
	l, err := Connect(t.Context(), s, Place{To: servers[0]})
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
	if !ownNetwork(t) {
		return
	}
	to := serve(t, &faulty{})
	localPorts(t, "40000 40199")
	s := spec()
	s.Workload, s.Rate, s.Connections, s.Duration = "crr", 5000, 8, 500e6
	r, l := drive(t, s, Place{To: to}, time.Second)
	if r.Completed != 2500 || len(r.Errors) > 0 {
		t.Errorf("completed %d of %d requests over connections of their own with 200 ports, errors %v", r.Completed, r.Offered, r.Errors)
	}
	if n := l.dial.sources.at.Load(); n < 5 {
		t.Errorf("the ports of %d addresses ran out: this test shows nothing", n)
	}
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
