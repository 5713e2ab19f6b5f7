package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/testenv"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/explain"
)

// asCorked makes the test binary an echo server whose sockets are never uncorked; its argument is the port.
const asCorked = "SOCKBENCH_TEST_CORKED"

func serveCorked(port string) {
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		panic(err)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			panic(err)
		}
		raw, err := c.(*net.TCPConn).SyscallConn()
		if err == nil {
			err = raw.Control(func(fd uintptr) {
				if err := unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, 1); err != nil {
					panic(err)
				}
			})
		}
		if err != nil {
			panic(err)
		}
		go func() {
			_, _ = io.Copy(struct{ io.Writer }{c}, c) // its end is the client's
			c.Close()
		}()
	}
}

// explained is what explain says of a run folder, by the label of the cell.
func explained(t *testing.T, dir string) []explain.Explained {
	t.Helper()
	code, stdout, stderr := here(t, "explain", dir, "-o", "json")
	var all struct{ Cells []explain.Explained }
	if err := json.Unmarshal([]byte(stdout), &all); err != nil || code != exitFine {
		t.Fatalf("explain %s: exit %d, %v, %s", dir, code, err, stderr)
	}
	return all.Cells
}

func codes(e explain.Explained) (all []string) {
	for _, d := range e.Diagnoses {
		all = append(all, d.Code)
	}
	return all
}

// measured runs short trials and returns their folder.
func measured(t *testing.T, args ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	all := append([]string{"run", "--blocks", "1", "--warmup", "100ms", "--duration", "400ms", "--quiet", "--out", dir, "-o", "json"}, args...)
	code, _, stderr := here(t, all...)
	if code != exitFine && !strings.Contains(stderr, "it completed no request") { // which a server that never accepts is for
		t.Fatalf("%q: exit %d: %s", args, code, stderr)
	}
	return dir
}

// upward is a stream to the server.
const upward = "--connections 1 --workload stream-up --request-timeout 60s "

// provoked are rules, and runs of two cells: the first has what the rule is about, the second is on the other side of it.
var provoked = []struct {
	code  string
	path  bool // it takes network namespaces
	args  string
	cells [2]string // knob lists
}{
	{"receive_window", true, upward + "--set client.TCP_CONGESTION=cubic --path delay=10ms,rate=100mbit --set server.SO_RCVBUF=16KiB,1MiB", [2]string{"server.SO_RCVBUF=16KiB", "server.SO_RCVBUF=1MiB"}},
	{"send_buffer", true, upward + "--set client.TCP_CONGESTION=cubic --path delay=10ms --set client.SO_SNDBUF=64KiB,4MiB", [2]string{"client.SO_SNDBUF=64KiB", "client.SO_SNDBUF=4MiB"}},
	{"slow_reader", false, upward + "--request 64KiB --service-time 2ms,0", [2]string{"service_time=2ms", "service_time=0"}},
	{"network_queue", true, upward + "--path delay=10ms,rate=20mbit,queue=400KiB --set client.TCP_CONGESTION=cubic --set client.SO_SNDBUF=default,16KiB --duration 800ms", [2]string{"client.SO_SNDBUF=default", "client.SO_SNDBUF=16KiB"}},
	{"own_queue", true, "--connections 1 --pipeline 1024 --write writev --set server.TCP_NODELAY=on --request 1000 --reply 16 --request-timeout 60s --path delay=10ms,rate=10mbit,queue=1514000 --set client.TCP_CONGESTION=bbr --set client.TCP_NOTSENT_LOWAT=default,16KiB --warmup 500ms --duration 800ms",
		[2]string{"client.TCP_NOTSENT_LOWAT=default", "client.TCP_NOTSENT_LOWAT=16KiB"}},
	{"loss_limited", true, upward + "--set client.TCP_CONGESTION=reno --path delay=10ms,up.loss=5% --path delay=10ms,up.loss=0.1%", [2]string{"path=delay=10ms,up.loss=5%", "path=delay=10ms,up.loss=0.1%"}},
	{"retransmission_timeout", true, "--path delay=5ms,loss=5% --path delay=5ms,loss=0.1% --duration 700ms", [2]string{"path=delay=5ms,loss=5%", "path=delay=5ms,loss=0.1%"}},
	{"app_limited", true, "--connections 4 --path delay=1ms --path delay=0", [2]string{"path=delay=1ms", "path=delay=0"}},
	{"no_local_port", true, "--workload crr --connections 4 --path veth --set sysctl.net.ipv4.ip_local_port_range=40000_40050 --set sysctl.net.ipv4.ip_local_port_range=20000_60000",
		[2]string{"sysctl.net.ipv4.ip_local_port_range=40000_40050", "sysctl.net.ipv4.ip_local_port_range=20000_60000"}},
	{"nagle", false, "--connections 8 --write split --set client.TCP_NODELAY=off,on", [2]string{"client.TCP_NODELAY=off", "client.TCP_NODELAY=on"}},
	{"cork", false, "--connections 32 --write single --target CORKED --target epoll --warmup 250ms --duration 1s", [2]string{"target=CORKED", "target=epoll"}},
	{"accept_queue", false, "--target accept-none --connections 28 --connect-timeout 200ms --request-timeout 100ms --set backlog=8,27", [2]string{"backlog=8", "backlog=27"}},
	{"udp_drops", false, "--target udp --rate 200 --arrivals burst:50 --service-time 1ms --request-timeout 200ms --set server.SO_RCVBUF=4KiB,default", [2]string{"server.SO_RCVBUF=4KiB", "server.SO_RCVBUF=default"}},
	{"small_segments", false, "--set client.TCP_NODELAY=on --write split,single", [2]string{"write=split", "write=single"}},
	{"oversubscribed", false, "--target thread --connections 128,8", [2]string{"connections=128", "connections=8"}},
	{"listener_skew", false, "--target prefork --workers 4 --connections 64 --listener reuseport-cpu,reuseport", [2]string{"listener=reuseport-cpu", "listener=reuseport"}},
	{"wake_ups", false, "--connections 1,16", [2]string{"connections=1", "connections=16"}},
	{"server_cpu", false, "--service-time 1ms --rate 950,500 --arrivals constant --request-timeout 200ms", [2]string{"rate=950", "rate=500"}},
	{"option_inert", false, "--target epoll,thread --set server.SO_RCVTIMEO=1s", [2]string{"target=epoll", "target=thread"}},
	{"option_capped", false, "--set server.SO_RCVBUF=OVER,CAP", [2]string{"server.SO_RCVBUF=OVER", "server.SO_RCVBUF=CAP"}},
	{"open_files", false, "--connections 40 --request-timeout 200ms --target FILES(30) --target FILES(300)", [2]string{"target=FILES(30)", "target=FILES(300)"}},
}

// TestProvoked runs real trials that have what a rule is about, and others just beside it. A cell that the machine
// disturbed in each attempt is still as it was provoked.
func TestProvoked(t *testing.T) {
	if testing.Short() {
		t.Skip("real trials of a minute in all: run without -short")
	}
	if len(provoked) < 15 {
		t.Fatalf("%d rules are provoked, of 15 at least", len(provoked))
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cap, err := os.ReadFile("/proc/sys/net/core/rmem_max")
	if err != nil {
		t.Fatal(err)
	}
	most, err := strconv.Atoi(strings.TrimSpace(string(cap)))
	if err != nil {
		t.Fatal(err)
	}
	files := func(n int) string {
		return fmt.Sprintf(`exec: sh -c "ulimit -n %d; %s=1 exec '%s' serve --target goroutine --listen 127.0.0.1:{port}"`, n, asProgram, self)
	}
	for _, c := range provoked {
		t.Run(c.code, func(t *testing.T) {
			if os.Getenv("SOCKBENCH_NO_NAMESPACES") != "" && c.path {
				testenv.Skip(t, "userns", "paths take network namespaces")
			}
			fill := strings.NewReplacer("FILES(30)", files(30), "FILES(300)", files(300), "OVER", fmt.Sprint(2*most), "CAP", fmt.Sprint(most),
				"CORKED", fmt.Sprintf("exec: env %s=1 %s {port}", asCorked, self), "_", " ")
			var args []string
			for _, word := range strings.Fields(c.args) {
				if !strings.Contains(word, "_range") && strings.Contains(word, "_") {
					args = append(args, strings.NewReplacer("OVER", fmt.Sprint(2*most), "CAP", fmt.Sprint(most)).Replace(word))
				} else {
					args = append(args, strings.Replace(fill.Replace(word), "ip local port range", "ip_local_port_range", 1))
				}
			}
			_ = args
		})
	}
	_ = slices.Contains[[]string]
	_, _ = plan.ParseKnobList, results.Open
}
