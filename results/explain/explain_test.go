package explain

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/sockopt"
	"github.com/sockbench/sockbench/unit"
)

// newPlan has the cells of these knobs, "knob=level,level".
func newPlan(t *testing.T, knobs ...string) *plan.Plan {
	t.Helper()
	var factors []plan.Factor
	for _, k := range knobs {
		name, levels, _ := strings.Cut(k, "=")
		f := plan.Factor{Knob: name, Levels: strings.Split(levels, ",")}
		if name == "path" {
			f.Levels = []plan.Level{levels}
		}
		factors = append(factors, f)
	}
	p, err := plan.New("test", 1, 5, 0, unit.Duration(time.Second), factors)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func ptr(v int64) *int64 { return &v }

const ms = int64(time.Millisecond)

// fine is a record of 1 s that no rule has anything against: 16 connections, 20,000 requests, half of the CPUs used.
func fine(trial plan.Trial) *results.Record {
	m := &results.Metrics{Result: loadgen.Result{Offered: 20_000, Completed: 20_000, Scheduled: 20_000, Sent: 20_000, Replies: 20_000,
		Connections: loadgen.Connections{Asked: 16, Attained: 16, Served: 16}, Duration: 1e9, Throughput: 20_000, SentBytes: 1_280_000, RecvBytes: 1_280_000,
		Response: loadgen.Quantity{Count: 20_000, Mean: 800_000, P50: ptr(800_000), P90: ptr(900_000), P99: ptr(1 * ms), Max: 2 * ms},
		Service:  loadgen.Quantity{Count: 20_000, Mean: 800_000, P50: ptr(800_000)}, Connect: loadgen.Quantity{Count: 16, Max: ms},
		Engine: loadgen.EngineUse{Threads: 1, Idle: 6e8}}}
	side := func() results.Side {
		return results.Side{CPUUser: 1e8, CPUSystem: 3e8, CPUs: []int{0}, Voluntary: 4000, Involuntary: 100, Threads: 6, Files: 20, FilesMax: 1000,
			Net: map[string]int64{"Tcp.InSegs": 40_000}, Sockets: sockopt.Sockets{First: map[string]string{"TCP_NODELAY": "off", "TCP_CONGESTION": "cubic"},
				TCP: map[string]int64{"busy_us": 1e6, "rwnd_limited_us": 0, "data_segs_out": 20_000, "segs_out": 20_000, "bytes_sent": 1_280_000,
					"total_retrans": 0, "total_rto": 0, "dsack_dups": 0, "app_limited": 16},
				Worst: map[string]int64{"rtt_us": 50, "min_rtt_us": 20, "snd_wnd": 65536, "snd_mss": 1448, "snd_cwnd": 10}}}
	}
	m.Client, m.Server = side(), side()
	m.Handled.Requests = 20_000
	m.Machine = results.Machine{CPUs: 2, Clocksource: "tsc", Namespace: results.Fresh}
	return &results.Record{Schema: results.Schema, Trial: trial, Metrics: m}
}

func set(m map[string]int64, pairs ...any) {
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = int64(pairs[i+1].(int))
	}
}

type change = func(*results.Metrics)

func both(a, b change) change { return func(m *results.Metrics) { a(m); b(m) } }

// over is a connection at a rate over 20 ms.
func over(bytesPerSecond int64) change {
	return func(m *results.Metrics) {
		m.SentBytes = bytesPerSecond
		m.Connections.Attained, m.Connections.Served = 1, 1
		set(m.Client.Worst, "rtt_us", 20_000, "min_rtt_us", 20_000)
	}
}

func took(p50, p90, p99 int64) change {
	return func(m *results.Metrics) { m.Response.P50, m.Response.P90, m.Response.P99 = &p50, &p90, &p99 }
}

func limitedFor(us int) change {
	return func(m *results.Metrics) { m.Client.TCP["rwnd_limited_us"] = int64(us) }
}

func connects(longest int64, key string, n int64) change {
	return func(m *results.Metrics) { m.Connect.Max, m.Server.Net[key] = longest, n }
}

func applies(of *results.Side, name, asked, got string, c sockopt.Class, note string) {
	of.Applied = append(of.Applied, sockopt.Applied{Option: name, Asked: sockopt.Level(asked), Got: got, GotEnd: got, Class: c, Note: note, Sockets: 1})
}

// cases are every rule at its threshold: has is just on its side, hasNot just on the other, and lacks without the evidence.
var cases = []struct {
	code               string
	knobs              string
	has, hasNot, lacks change
	try                string // what the command ends its changed knob with
}{
	{"littles_law", "", func(m *results.Metrics) { m.Response.Mean = 915_300 }, func(m *results.Metrics) { m.Response.Mean = 883_000 }, func(m *results.Metrics) { m.Response.Mean, m.Unfinished = 915_300, 1 }, "verify littles-law"},
	{"open_files", "", func(m *results.Metrics) { m.Server.Files = 1000 }, func(m *results.Metrics) { m.Server.Files = 999 }, func(m *results.Metrics) { m.Server.Files, m.Server.FilesMax = 1000, 0 }, ""},
	{"no_local_port", "workload=crr", func(m *results.Metrics) { m.Errors = map[string]int64{"connect: no local port left": 1} }, func(m *results.Metrics) { m.Errors = map[string]int64{"reset": 1} }, nil, "workload=crr,rr"},
	{"accept_queue", "backlog=8", connects(950*ms, "TcpExt.ListenOverflows", 1), connects(949*ms, "TcpExt.ListenOverflows", 1), both(connects(950*ms, "x", 1), func(m *results.Metrics) { m.Server.Net = nil }), "backlog=8,4096"},
	{"accept_queue", "", connects(3000*ms, "TcpExt.ListenOverflows", 9), connects(3000*ms, "TcpExt.ListenOverflows", 0), nil, "backlog=default,4096"},
	{"syn_lost", "", connects(950*ms, "TcpExt.TCPSynRetrans", 1), connects(949*ms, "TcpExt.TCPSynRetrans", 1), func(m *results.Metrics) { m.Connect.Max, m.Client.Net, m.Server.Net = 950*ms, nil, nil }, "connect_timeout=3s,300ms"},
	{"syn_lost", "", connects(3000*ms, "TcpExt.TCPSynRetrans", 1), both(connects(3000*ms, "TcpExt.TCPSynRetrans", 1), connects(3000*ms, "TcpExt.ListenOverflows", 1)), nil, ""},
	{"udp_drops", "target=udp", func(m *results.Metrics) { m.Server.Net["Udp.RcvbufErrors"], m.TimedOut = 200, 200 }, func(m *results.Metrics) { m.Server.Net["Udp.RcvbufErrors"], m.TimedOut = 199, 199 }, func(m *results.Metrics) { m.TimedOut, m.Server.Net = 200, nil }, "server.SO_RCVBUF=default,4MiB"},
	{"option_capped", "server.SO_RCVBUF=64MiB", func(m *results.Metrics) {
		applies(&m.Server, "SO_RCVBUF", "64MiB", "8MiB", sockopt.Capped, "capped by net.core.rmem_max=4194304")
	}, func(m *results.Metrics) { applies(&m.Server, "SO_RCVBUF", "4MiB", "8MiB", sockopt.Doubled, "") }, nil, "sysctl -w net.core.rmem_max=67108864"},
	{"option_inert", "server.SO_RCVTIMEO=1s", func(m *results.Metrics) { applies(&m.Server, "SO_RCVTIMEO", "1s", "1s", sockopt.Inert, "non-blocking") },
		func(m *results.Metrics) { applies(&m.Server, "SO_RCVTIMEO", "1s", "1s", sockopt.Equal, "") }, nil, "target=epoll,thread"},
	{"fast_open", "", func(m *results.Metrics) {
		applies(&m.Client, "TCP_FASTOPEN_CONNECT", "on", "on", sockopt.Equal, "")
		m.Client.TCP["tfo"] = 0
	}, func(m *results.Metrics) {
		applies(&m.Client, "TCP_FASTOPEN_CONNECT", "on", "on", sockopt.Equal, "")
		m.Client.TCP["tfo"] = 1
	}, func(m *results.Metrics) { applies(&m.Client, "TCP_FASTOPEN_CONNECT", "on", "on", sockopt.Equal, "") }, "sysctl.net.ipv4.tcp_fastopen=default --set sysctl.net.ipv4.tcp_fastopen=3"},
	{"receive_window", "server.SO_RCVBUF=16KiB", both(over(1_638_400), limitedFor(100_001)), both(over(1_638_400), limitedFor(100_000)),
		both(over(1_638_400), func(m *results.Metrics) { delete(m.Client.TCP, "rwnd_limited_us") }), "server.SO_RCVBUF=16KiB,default"},
	{"receive_window", "", both(over(1_638_400), limitedFor(900_000)), both(over(1_638_000), limitedFor(900_000)), both(limitedFor(900_000), func(m *results.Metrics) { m.Client.Worst["snd_wnd"] = -1 }), "server.SO_RCVBUF=default,4MiB"},
	{"slow_reader", "service_time=1ms", both(over(1_638_000), limitedFor(300_001)), both(over(1_638_000), limitedFor(300_000)), nil, "service_time=1ms,0"},
	{"send_buffer", "client.SO_SNDBUF=32KiB", both(over(2_293_760), func(m *results.Metrics) { applies(&m.Client, "SO_SNDBUF", "32KiB", "64KiB", sockopt.Doubled, "") }),
		both(over(2_293_000), func(m *results.Metrics) { applies(&m.Client, "SO_SNDBUF", "32KiB", "64KiB", sockopt.Doubled, "") }), over(2_293_760), "client.SO_SNDBUF=32KiB,default"},
	{"nagle", "write=split", held40(38_020_000, 10_000), held40(38_019_999, 10_000), both(held40(44*ms, 1), func(m *results.Metrics) { m.Server.Net, m.Client.Net = nil, nil }), "client.TCP_NODELAY=default,on"},
	{"nagle", "TCP_NODELAY=off", held40(60_040_000, 10_000), held40(60_040_001, 10_000), both(held40(44*ms, 10_000), func(m *results.Metrics) { m.Client.TCP = nil }), "TCP_NODELAY=off,on"},
	{"nagle", "write=split", held40(44*ms, 10_000), held40(44*ms, 9_999), nil, ""},
	{"cork", "", took(195_020_000, 200*ms, 205*ms), took(195_019_999, 200*ms, 205*ms), both(took(200*ms, 205*ms, 205*ms), func(m *results.Metrics) { m.Client.TCP = nil }), ""},
	{"cork", "", took(200*ms, 220*ms, 230*ms), took(200*ms, 221*ms, 230*ms), nil, ""},
	{"spurious_timeout", "", again("total_rto", 1, "dsack_dups", 1, "total_retrans", 2), again("total_rto", 1, "dsack_dups", 1, "total_retrans", 3), both(again("dsack_dups", 1, "total_retrans", 1), func(m *results.Metrics) { delete(m.Client.TCP, "total_rto") }), "sysctl.net.ipv4.tcp_rto_min_us=default --set sysctl.net.ipv4.tcp_rto_min_us=1000000"},
	{"retransmission_timeout", "", both(took(ms, ms, 190_020_000), again("total_retrans", 200)), both(took(ms, ms, 190_019_999), again("total_retrans", 200)), func(m *results.Metrics) { m.Response.P99 = nil; m.Client.TCP["total_retrans"] = 200 }, "sysctl.net.ipv4.tcp_rto_min_us=default --set sysctl.net.ipv4.tcp_rto_min_us=20000"},
	{"retransmission_timeout", "", both(took(ms, ms, 210*ms), again("total_retrans", 200)), both(took(ms, ms, 210*ms), again("total_retrans", 199)), nil, ""},
	{"network_queue", "path=delay=10ms", queued(40_000), queued(39_999), both(queued(40_000), func(m *results.Metrics) { delete(m.Client.Worst, "min_rtt_us") }), "client.TCP_CONGESTION=default,bbr"},
	{"own_queue", "pipeline=64", waits(60_960_000), waits(60_959_000), both(waits(90*ms), func(m *results.Metrics) { delete(m.Client.TCP, "rwnd_limited_us") }), "client.TCP_NOTSENT_LOWAT=default,16KiB"},
	{"loss_limited", "workload=stream-up", both(over(2_000_000), again("total_retrans", 201)), both(over(2_000_000), again("total_retrans", 200)), both(over(2_000_000), func(m *results.Metrics) { delete(m.Client.TCP, "total_retrans") }), "client.TCP_CONGESTION=default,bbr"},
	{"small_segments", "write=split", busier(5e8, 30_001), busier(5e8, 30_000), both(busier(5e8, 30_001), func(m *results.Metrics) { m.Client.TCP = nil }), "write=split,single"},
	{"small_segments", "write=split", busier(5e8, 40_000), busier(499e6, 40_000), nil, ""},
	{"oversubscribed", "target=thread", crowd(32, 10*ms), crowd(31, 10*ms), both(crowd(32, 10*ms), func(m *results.Metrics) { m.Server.CPUs = nil; m.Server.CPUUser, m.Server.CPUSystem = 0, 0 }), "target=thread,epoll"},
	{"oversubscribed", "target=thread", crowd(64, 10*ms), crowd(64, 10*ms-1), nil, ""},
	{"listener_skew", "target=prefork listener=reuseport", spread(16, 6, 6, 4), spread(15, 7, 6, 4), nil, "listener=reuseport,shared"},
	{"app_limited", "path=delay=10ms", both(over(64_000), took(30*ms, 30*ms, 30*ms)), both(over(64_000), took(30_000_001, 31*ms, 31*ms)), both(took(30*ms, 30*ms, 30*ms), func(m *results.Metrics) { m.Client.Worst = nil }), "pipeline=1,8"},
	{"wake_ups", "connections=1", func(m *results.Metrics) { m.Client.Voluntary, m.Server.Voluntary = 18_000, 18_000 }, func(m *results.Metrics) { m.Client.Voluntary, m.Server.Voluntary = 18_000, 17_999 }, func(m *results.Metrics) { m.Client.Voluntary, m.Server.Voluntary, m.Server.CPUs = 18_000, 18_000, nil }, "client=0"},
	{"client_limit", "", func(m *results.Metrics) { m.Engine.Idle = 99 * ms }, func(m *results.Metrics) { m.Engine.Idle = 100 * ms }, func(m *results.Metrics) { m.Engine.Threads = 0 }, ""},
	{"server_cpu", "", func(m *results.Metrics) { m.Server.CPUUser = 500 * ms }, func(m *results.Metrics) { m.Server.CPUUser = 499 * ms }, func(m *results.Metrics) { m.Server.CPUUser, m.Server.CPUs = 500*ms, nil }, "pipeline=1,8"},
}

// held40 is a request in two segments that is held, and so many delayed acknowledgements.
func held40(p50, acks int64) change {
	return both(took(p50, p50+ms, p50+ms), func(m *results.Metrics) {
		m.Client.TCP["data_segs_out"], m.Server.Net["TcpExt.DelayedACKs"] = 38_000, acks
	})
}

func again(pairs ...any) change { return func(m *results.Metrics) { set(m.Client.TCP, pairs...) } }

// queued is a stream of 2 MB/s over 20 ms with that RTT.
func queued(rtt int64) change {
	return both(over(2_000_000), func(m *results.Metrics) { m.Client.Worst["rtt_us"] = rtt })
}

// waits is 3,200,000 bytes per second over 20 ms, each request taking so long.
func waits(ns int64) change {
	return both(over(3_200_000), func(m *results.Metrics) { m.Service.P50 = &ns })
}

func busier(serverCPU int64, segments int64) change {
	return func(m *results.Metrics) {
		m.Server.CPUUser, m.Server.CPUSystem, m.Client.TCP["data_segs_out"] = serverCPU/2, serverCPU/2, segments
	}
}

func crowd(threads int, p99 int64) change {
	return both(took(5*ms, 8*ms, p99), func(m *results.Metrics) { m.Server.Threads, m.Server.Voluntary = threads, 18_000 })
}

func spread(n ...int64) change { return func(m *results.Metrics) { m.Handled.Spread = n } }

// diagnose is what the rules say of a cell of so many records, changed.
func diagnose(t *testing.T, knobs string, changes ...change) []Diagnosis {
	t.Helper()
	fields := strings.Fields(knobs)
	if !strings.Contains(knobs, "target=") {
		fields = append(fields, "target=epoll")
	}
	p := newPlan(t, fields...)
	c := Case{Plan: p, Cell: p.Cells()[0]}
	for i, f := range changes {
		r := fine(p.Block(i, 0)[0])
		if f != nil {
			f(r.Metrics)
		}
		c.Records = append(c.Records, r)
	}
	return c.Diagnoses()
}

func find(all []Diagnosis, code string) *Diagnosis {
	i := slices.IndexFunc(all, func(d Diagnosis) bool { return d.Code == code })
	if i < 0 {
		return nil
	}
	return &all[i]
}

func TestRules(t *testing.T) {
	tested := map[string]bool{}
	for _, c := range cases {
		tested[c.code] = true
		d := find(diagnose(t, c.knobs, c.has), c.code)
		if d == nil {
			t.Errorf("%s (%s): what is on its side of the threshold is not recognised", c.code, c.knobs)
			continue
		}
		if d.Diagnosis == "" || d.Evidence == "" || len(d.Figures) == 0 || d.Strength <= 0 || !strings.Contains(d.Try, c.try) {
			t.Errorf("%s: %+v, want a command with %s", c.code, d, c.try)
		}
		if _, err := json.Marshal(d); err != nil {
			t.Errorf("%s: %v", c.code, err)
		}
		for name, f := range map[string]change{"just under the threshold": c.hasNot, "without evidence": c.lacks} {
			if d := find(diagnose(t, c.knobs, f), c.code); d != nil {
				t.Errorf("%s (%s) fires %s: %s", c.code, c.knobs, name, d.Evidence)
			}
		}
	}
	for _, r := range Rules {
		if !tested[r.Code] {
			t.Errorf("rule %s has no test", r.Code)
		}
	}
}

// What holds nothing, and what is fine, is diagnosed by no rule; Nagle's cure in force is not Nagle.
func TestSilence(t *testing.T) {
	for _, knobs := range []string{"", "rate=20000", "path=delay=10ms", "target=udp", "workload=stream-up", "target=thread"} {
		if all := diagnose(t, knobs, nil); len(all) > 0 {
			t.Errorf("%s: %+v", knobs, all)
		}
		if all := diagnose(t, knobs, func(m *results.Metrics) { *m = results.Metrics{} }); len(all) > 0 {
			t.Errorf("%s, nothing known: %+v", knobs, all)
		}
	}
	cured := both(held40(44*ms, 20_000), func(m *results.Metrics) { m.Client.First["TCP_NODELAY"] = "on" })
	if find(diagnose(t, "", cured), "nagle") != nil {
		t.Error("Nagle is off, and blamed")
	}
}

// One bad trial does not diagnose, a disturbed one is not asked, and the figures are of the median.
func TestMajority(t *testing.T) {
	bad := func(us int) change { return both(over(1_638_400), limitedFor(us)) }
	if all := diagnose(t, "", bad(900_000), nil, bad(900_000), nil); find(all, "receive_window") != nil {
		t.Error("half of the trials are no majority")
	}
	d := find(diagnose(t, "", bad(900_000), nil, bad(500_000), bad(200_000)), "receive_window")
	if d == nil || d.Trials != 3 || d.Figures[0].Value != .5 {
		t.Errorf("%+v", d)
	}
	disturbed := both(bad(900_000), func(m *results.Metrics) { m.Machine.Throttled = 1 })
	if all := diagnose(t, "", disturbed, disturbed, nil); find(all, "receive_window") != nil {
		t.Error("disturbed trials diagnose")
	}
	if all := diagnose(t, "", disturbed); find(all, "receive_window") == nil {
		t.Error("where all trials are disturbed, they are what there is")
	}
}

// The command has the old level beside the new one, whatever names it, and only where the target can do it.
func TestTry(t *testing.T) {
	for _, c := range []struct{ knobs, want string }{
		{"TCP_NODELAY=off connections=4", "--set TCP_NODELAY=off,on --set connections=4"},
		{"client.TCP_NODELAY=off", "--set client.TCP_NODELAY=off,on"},
		{"connections=4", "--set connections=4 --set target=epoll --set client.TCP_NODELAY=default,on"},
		{"path=delay=10ms", "--set path=delay=10ms"},
	} {
		d := find(diagnose(t, c.knobs, held40(44*ms, 20_000)), "nagle")
		if d == nil || !strings.Contains(d.Try, c.want) || !strings.HasPrefix(d.Try, "sockbench run ") || !strings.HasSuffix(d.Try, "--blocks 5 --warmup 0 --duration 1s") {
			t.Errorf("%s: %+v, want %s", c.knobs, d, c.want)
		}
	}
	variants, err := newPlan(t, "target=epoll").With(plan.Changes{Variants: []plan.Variant{{Name: "old", Knobs: plan.Cell{"TCP_NODELAY": "off", "write": "split"}}, {Name: "new", Knobs: plan.Cell{"write": "single"}}}})
	if err != nil {
		t.Fatal(err)
	}
	old := Case{Plan: variants, Cell: variants.Cells()[0]}
	if try := old.try(cure{knob: "TCP_NODELAY", side: "client", to: "on"}); !strings.Contains(try, "--set target=epoll --set TCP_NODELAY=off,on --set write=split --blocks") {
		t.Errorf("a variant's knobs are its cell's: %q", try)
	}
	p := newPlan(t, "target=addr: tcp://127.0.0.1:9")
	c := Case{Plan: p, Cell: p.Cells()[0]}
	if try := c.try(cure{knob: "SO_RCVBUF", side: "server", to: "default"}); try != "" {
		t.Errorf("a server that is not ours has no option of ours: %s", try)
	}
}

func TestSelect(t *testing.T) {
	p := newPlan(t, "target=epoll,thread", "TCP_NODELAY=off,on")
	for _, c := range []struct {
		list  string
		cells int
		says  string
	}{
		{"target=epoll", 2, ""}, {"TCP_NODELAY=on,target=thread", 1, ""}, {"TCP_NODELAY=default", 0, "it has off, on"},
		{"target=epol", 0, "epoll"}, {"tagret=epoll", 0, "did you mean target"}, {"connections=4", 0, "did not name the knob connections"}, {"epoll", 0, "write for example target=epoll"},
	} {
		wanted, err := Select(p, []string{c.list})
		if c.says == "" {
			if n := len(Cells(p, nil, wanted)); err != nil || n != c.cells {
				t.Errorf("%s: %v, %d cells", c.list, err, n)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %s", c.list, err, c.says)
		}
	}
}

// Evidence that differs in three of four pairs has moved; what differs less, or is missing, has not.
func TestMoved(t *testing.T) {
	p := newPlan(t, "target=epoll", "write=split,single")
	var records []results.Record
	for b := range 4 {
		for _, trial := range p.Block(b, 0) {
			r := fine(trial)
			if trial.Cell["write"] == "split" {
				r.Metrics.Client.TCP["data_segs_out"] = 40_000
				if b > 0 {
					r.Metrics.Server.CPUUser *= 3
				}
				if b > 1 {
					r.Metrics.Client.CPUUser *= 3
				}
			} else {
				delete(r.Metrics.Client.Worst, "snd_wnd")
			}
			records = append(records, *r)
		}
	}
	f := results.Finding{Cells: []plan.Cell{{"target": "epoll", "write": "single"}, {"target": "epoll", "write": "split"}}}
	from, to := pairs(f, records)
	if len(from) != 4 || from[0].Cell["write"] != "split" || from[3].Block != to[3].Block {
		t.Fatalf("%d pairs", len(from))
	}
	got := map[string]string{}
	for _, s := range Moved(from, to) {
		got[s.Name] = s.String()
	}
	if want := map[string]string{"client segments per request": "client segments per request 2 → 1",
		"server CPU per request": "server CPU per request 30.0us → 20.0us"}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if why := Why(f, records); !strings.Contains(why, "2 → 1; ") && !strings.Contains(why, "; client segments") {
		t.Errorf("%q", why)
	}
}

// The reason of a small effect is as small: a tenth more CPU time is named for a tenth less throughput, and for nothing else.
func TestWhyOfASmallEffect(t *testing.T) {
	p := newPlan(t, "target=epoll", "write=split,single")
	var records []results.Record
	for b := range 10 {
		for _, trial := range p.Block(b, 0) {
			r := fine(trial)
			if trial.Cell["write"] == "split" {
				r.Metrics.Server.CPUUser, r.Metrics.Server.CPUSystem = r.Metrics.Server.CPUUser*11/10, r.Metrics.Server.CPUSystem*11/10
			}
			records = append(records, *r)
		}
	}
	f := results.Finding{Cells: []plan.Cell{{"target": "epoll", "write": "split"}, {"target": "epoll", "write": "single"}}}
	for ratio, want := range map[float64]string{.9: "server CPU per request 20.0us → 22.0us", .5: "", 0: ""} {
		f.Effect.Ratio = ratio
		if why := Why(f, records); why != want {
			t.Errorf("of a ratio of %v: %q, want %q", ratio, why, want)
		}
	}
}

func TestTop(t *testing.T) {
	problem, limit := Diagnosis{Code: "nagle"}, Diagnosis{Code: "server_cpu", Limit: true}
	var cells []Explained
	for _, label := range []string{"a", "b", "c", "d"} {
		cells = append(cells, Explained{Label: label, Diagnoses: []Diagnosis{limit, problem}})
	}
	if lines := Top(append(cells, Explained{Diagnoses: []Diagnosis{limit}})); len(lines) != 1 || !strings.HasSuffix(lines[0], "(a; b; c; and in 1 more cell)") {
		t.Errorf("%q", lines)
	}
}

func TestRulesAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/explain.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range Rules {
		if line := "| `" + r.Code + "` | " + r.Doc + " | " + r.Needs + " |\n"; seen[r.Code] || !strings.Contains(string(doc), line) {
			t.Errorf("docs/explain.md does not say: %s", line)
		}
		seen[r.Code] = true
	}
	if n := strings.Count(string(doc), "\n| `"); n != len(Rules) {
		t.Errorf("docs/explain.md has %d rules, there are %d", n, len(Rules))
	}
}
