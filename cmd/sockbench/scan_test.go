package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// listeners are so many on loopback, their ports ascending.
func listeners(t *testing.T, n int) (all []*net.TCPListener, ports []int) {
	t.Helper()
	for range n {
		l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		all = append(all, l)
	}
	port := func(l *net.TCPListener) int { return l.Addr().(*net.TCPAddr).Port }
	slices.SortFunc(all, func(a, b *net.TCPListener) int { return cmp.Compare(port(a), port(b)) })
	for _, l := range all {
		ports = append(ports, port(l))
	}
	return all, ports
}

// silence fills a listener's backlog, so that it answers nobody.
func silence(t *testing.T, l *net.TCPListener) {
	t.Helper()
	raw, err := l.SyscallConn()
	if err == nil {
		err = errors.Join(raw.Control(func(fd uintptr) { err = unix.Listen(int(fd), 0) }), err)
	}
	c, dialed := net.Dial("tcp", l.Addr().String())
	if err = errors.Join(err, dialed); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
}

// A scan that takes a while says so meanwhile; one that does not is silent.
func TestScan(t *testing.T) {
	all, ports := listeners(t, 4)
	all[1].Close()
	silence(t, all[2])
	args := []string{"scan", "localhost", "--ports", fmt.Sprintf("%d,%d,%d,%d", ports[0], ports[1], ports[2], ports[3]), "--connect-timeout", "3s"}
	code, stdout, stderr := here(t, append(args, "-o", "json")...)
	var s struct {
		Ports, Open, Closed, Silent, Unreachable, Untried int
		Errors                                            map[string]int
		Connect                                           struct {
			Open, Closed struct {
				Count int
				P50   *int64 `json:"p50_ns"`
				Max   int64  `json:"max_ns"`
			}
		}
		Hosts []struct {
			Host, Address                        string
			Open                                 []int
			Closed, Silent, Unreachable, Untried string
		}
	}
	if err := json.Unmarshal([]byte(stdout), &s); err != nil || code != exitFine {
		t.Fatalf("exit %d, %v, %s%s", code, err, stdout, stderr)
	}
	if s.Ports != 4 || s.Open != 2 || s.Closed != 1 || s.Silent != 1 || s.Unreachable+s.Untried != 0 || s.Errors == nil ||
		s.Connect.Open.Count != 2 || s.Connect.Open.P50 != nil || s.Connect.Open.Max <= 0 || s.Connect.Closed.Count != 1 {
		t.Errorf("%+v", s)
	}
	if len(s.Hosts) != 1 {
		t.Fatalf("%+v", s.Hosts)
	}
	if h := s.Hosts[0]; h.Host != "localhost" || h.Address != "127.0.0.1" || !slices.Equal(h.Open, []int{ports[0], ports[3]}) ||
		h.Closed != fmt.Sprint(ports[1]) || h.Silent != fmt.Sprint(ports[2]) || h.Unreachable+h.Untried != "" {
		t.Errorf("%+v", h)
	}
	if !strings.Contains(stderr, "/4] 2 open  1 closed, 0 silent, 0 unreachable") {
		t.Errorf("it says meanwhile: %q", stderr)
	}
	code, stdout, stderr = here(t, "scan", "127.0.0.1/31,[::ffff:127.0.0.1]", "--ports", fmt.Sprint(ports[0]))
	if code != exitFine || stderr != "" || !strings.Contains(stdout, fmt.Sprintf("127.0.0.0 closed: %d\n127.0.0.1 open: %d\n", ports[0], ports[0])) || !strings.Contains(stdout, "–") {
		t.Errorf("exit %d, %s%s", code, stdout, stderr)
	}
	// A broadcast address cannot be connected to, and the kernel says so.
	code, stdout, stderr = here(t, "scan", "127.255.255.255", "--ports", "1-3")
	if code != exitEnvironment || !strings.Contains(stderr, "no port could be reached") || !strings.Contains(stdout, "unreachable: 1-3") {
		t.Errorf("exit %d, %s%s", code, stdout, stderr)
	}
}

// Ctrl-C ends a scan with 130, and what is known is shown.
func TestScanIsInterrupted(t *testing.T) {
	all, ports := listeners(t, 3)
	silence(t, all[2])
	c := program(t, "scan", "127.0.0.1", "--ports", fmt.Sprintf("%d,%d,%d", ports[0], ports[1], ports[2]), "--connections", "1", "--connect-timeout", "1h")
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	conn, err := all[1].Accept() // one after the other: the first port is known
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err = c.Wait()
	if c.ProcessState.ExitCode() != exitInterrupted || !strings.Contains(stdout.String(), fmt.Sprintf("127.0.0.1 open: %d", ports[0])) ||
		!strings.Contains(stdout.String(), "not tried: ") || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("%v (%v): %s%s", err, c.ProcessState.Sys().(syscall.WaitStatus), stdout.String(), stderr.String())
	}
}

func TestPorts(t *testing.T) {
	for in, want := range map[string]string{"80": "80", "1-3": "1-3", "22, 80,79-81,1 - 2": "1-2,22,79-81", "65535,1": "1,65535", "1-65535": "1-65535", "7,7": "7"} {
		var p portsFlag
		if err := p.Set(in); err != nil || p.String() != want {
			t.Errorf("%q reads as %s, %v; want %s", in, p, err, want)
		}
	}
	for in, says := range map[string]string{"0": "0 is no port", "70000": "70000 is no port", "9-3": "write 3-9", "x": `"x" is no port`, "": `"" is no port`,
		"1,": `"" is no port`, "-5": `"" is no port`, "1-2-3": `"2-3" is no port`, "0-5": "0 is no port", "1.5": "is no port", "99999999999999999999": "is no port"} {
		var p portsFlag
		if err := p.Set(in); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q reads as %s, error %v; want one that says %q", in, p, err, says)
		}
	}
}

func TestHosts(t *testing.T) {
	for _, c := range []struct {
		in    string
		yes   bool
		count int
		first string
		last  string
	}{
		{"127.0.0.1", false, 1, "127.0.0.1", "127.0.0.1"}, {"[::1], 10.0.0.1", false, 2, "::1", "10.0.0.1"}, {"::1", false, 1, "::1", "::1"},
		{"10.0.0.9/30", false, 4, "10.0.0.8", "10.0.0.11"}, {"10.0.0.1,10.0.0.0/30,10.0.0.1", false, 4, "10.0.0.1", "10.0.0.3"},
		{"10.1.0.0/24", false, 256, "10.1.0.0", "10.1.0.255"}, {"10.1.0.0/16", true, 65536, "10.1.0.0", "10.1.255.255"},
		{"fd00::/120", false, 256, "fd00::", "fd00::ff"}, {"255.255.255.254/31", false, 2, "255.255.255.254", "255.255.255.255"}, {"localhost", false, 1, "127.0.0.1", "127.0.0.1"},
	} {
		hosts, err := parseHosts(t.Context(), c.in, 100, c.yes)
		if err != nil || len(hosts) != c.count || hosts[0].addr.String() != c.first || hosts[len(hosts)-1].addr.String() != c.last {
			t.Errorf("%s is %d hosts, %v", c.in, len(hosts), err)
		}
	}
	for in, says := range map[string]string{"10.1.0.0/23": "512 hosts", "10.0.0.0/24,10.0.1.0": "257 hosts", "10.0.0.0/8": "in parts", "::/0,::/0": "in parts",
		"": "is no host", "127.0.0.1:80": "behind --ports", "tcp://127.0.0.1": "is no host", "10.0.0.0/33": "is no host", "[::1": "is no host", "[localhost]": "is no host", "fe80::1%lo": "zone"} {
		if hosts, err := parseHosts(t.Context(), in, 100, false); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q is %v, error %v; want one that says %q", in, hosts, err, says)
		}
	}
}
