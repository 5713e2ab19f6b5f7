package machine

import (
	"bufio"
	"encoding/json"
	"io"
	"maps"
	"net"
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
