package machine

import (
	"bufio"
	"encoding/json"
	"io"
	"maps"
	"net"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/clock"
)

// Burning a known time shows as busy, within the kernel's steps.
func TestSnapshot(t *testing.T) {
	before, err := Read()
	if err != nil {
		t.Fatal(err)
	}
	var u0, u1 unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &u0)
	for begin := clock.Now(); clock.Now()-begin < 200e6; {
	}
	unix.Getrusage(unix.RUSAGE_SELF, &u1)
	after, err := Read()
	if err != nil {
		t.Fatal(err)
	}
	burnt := u1.Utime.Nano() + u1.Stime.Nano() - u0.Utime.Nano() - u0.Stime.Nano()
	if busy := after.Busy - before.Busy; busy < burnt-3*tick {
		t.Errorf("%v were burnt, the machine was busy for %v", time.Duration(burnt), time.Duration(busy))
	}
	if len(after.Softirq) == 0 || Online() != len(after.Softirq) || after.At <= before.At {
		t.Errorf("%+v", after)
	}
}

func TestFingerprint(t *testing.T) {
	f := Fingerprint()
	for _, key := range []string{"kernel", "go", "cpus", "clocksource", "somaxconn"} {
		if f[key] == "" {
			t.Errorf("no %s in %v", key, f)
		}
	}
	if q := Quota(); q < 0 {
		t.Errorf("a quota of %v CPUs", q)
	}
	if cpus, err := Allowed(); err != nil || len(cpus) == 0 {
		t.Errorf("allowed CPUs %v, %v", cpus, err)
	}
}

// One connection moves the counters of connections, and Changed leaves out what did not move.
func TestNetwork(t *testing.T) {
	before := Network()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	d := Changed(before, Network())
	if d["Tcp.ActiveOpens"] < 1 || d["Tcp.PassiveOpens"] < 1 {
		t.Errorf("a connection changed %v", d)
	}
	for k, v := range d {
		if v == 0 {
			t.Errorf("%s did not change and is listed", k)
		}
	}
}

func TestPausesAreCutToTheSpan(t *testing.T) {
	var l loop
	for i := range int64(2000) { // far more than is kept
		l.add(pause{i * 100, i*100 + 50})
	}
	var p Pauses
	l.report(Span{199_525, 199_825}, &p)
	if p.Count != 4 || p.Sum != 25+50+50+25 || p.Max != 50 {
		t.Errorf("%+v", p)
	}
	if len(l.pauses) > 512 {
		t.Errorf("%d pauses are kept", len(l.pauses))
	}
}

// What others had of a gap is no standstill; what the loop was charged for and did not see is.
func TestStood(t *testing.T) {
	for _, c := range []struct{ charged, from int64 }{{2e6, 8e6}, {10e6, 5e6}, {0, 10e6}, {-1e3, 10_001_000}} {
		if p := stood(5e6, 10e6, c.charged); p != (pause{c.from, 10e6}) {
			t.Errorf("charged %d ns of the time from 5 to 10 ms: it stood still in %v, want from %d", c.charged, p, c.from)
		}
	}
}

// Values may be negative; a line that is not what it seems is left out.
func TestCounters(t *testing.T) {
	m := map[string]int64{}
	counters("Tcp: MaxConn CurrEstab\nTcp: -1 7\nIcmp: InMsgs\nIcmp: 3\nUdp: One Two\nUdp: 1\nTcpExt: ListenOverflows\nTcpExt: 5\n", m)
	if want := map[string]int64{"Tcp.MaxConn": -1, "Tcp.CurrEstab": 7, "TcpExt.ListenOverflows": 5}; !maps.Equal(m, want) {
		t.Errorf("%v, want %v", m, want)
	}
	if d := Changed(map[string]int64{"Tcp.MaxConn": -1, "Tcp.CurrEstab": 9}, m); !maps.Equal(d, map[string]int64{"Tcp.CurrEstab": -2, "TcpExt.ListenOverflows": 5}) {
		t.Errorf("%v changed", d)
	}
}

// A socket that listens is in use until it is closed.
func TestSockstat(t *testing.T) {
	before := Sockstat()
	for _, key := range []string{"sockstat.TCP.inuse", "sockstat.TCP.tw", "sockstat.TCP.alloc", "sockstat.TCP.mem", "sockstat.UDP.inuse"} {
		if _, ok := before[key]; !ok {
			t.Errorf("no %s in %v", key, before)
		}
	}
	const many = 100 // others come and go meanwhile
	for range many {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	if n := Sockstat()["sockstat.TCP.inuse"] - before["sockstat.TCP.inuse"]; n < many/2 || n > 2*many {
		t.Errorf("%d sockets more listen, and %d more are in use", many, n)
	}
}

// A loop that hardly gets its CPU, because a program computes there, takes that for no standstill. The loop ends with
// the process, so this test is the last but one.
func TestOthersAreNoPause(t *testing.T) {
	cpus, err := Allowed()
	if err != nil {
		t.Fatal(err)
	}
	var l loop
	ready := make(chan error)
	go l.run(cpus[0], ready)
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	const busy = 300 * time.Millisecond
	var s Span
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		var set unix.CPUSet
		set.Set(cpus[0])
		err := unix.SchedSetaffinity(0, &set)
		for s.From = clock.Now(); clock.Now()-s.From < int64(busy); {
		}
		s.To = clock.Now()
		done <- err // its thread ends with it
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond) // in which the loop sees the gap's end
	var p Pauses
	if l.report(s, &p); p.Sum > int64(busy)/4 {
		t.Errorf("of %v in which another program had the CPU, %+v are taken for pauses of the machine", busy, p)
	}
}

// The keep-awake loops burn the CPUs at idle priority, answer, and end with their input.
// The loops themselves end with the process, so this test is the last.
func TestAwake(t *testing.T) {
	in, ask := io.Pipe()
	hear, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- Awake(in, out) }()
	answers := bufio.NewScanner(hear)
	if !answers.Scan() || answers.Text() != "true" {
		t.Fatalf("it began with %q", answers.Text())
	}
	if err := json.NewEncoder(ask).Encode(Span{0, 1 << 62}); err != nil {
		t.Fatal(err)
	}
	var p Pauses
	if !answers.Scan() {
		t.Fatal("no answer")
	}
	if err := json.Unmarshal(answers.Bytes(), &p); err != nil || p.Sum < 0 || p.Max > p.Sum {
		t.Errorf("%v, %+v", err, p)
	}
	ask.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
