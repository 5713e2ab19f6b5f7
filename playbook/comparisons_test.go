package playbook

import (
	"slices"
	"strings"
	"testing"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

func TestJudgeModels(t *testing.T) {
	// costs says what CPU time a thread takes for each request, in microseconds, where an event loop takes 10.
	costs := func(one, many int64) func(plan.Cell) *results.Metrics {
		return func(c plan.Cell) *results.Metrics {
			cpu := int64(10)
			if c["target"] == "thread" {
				if cpu = many; c["connections"] == "1" {
					cpu = one
				}
			}
			m := served(1000, 1000)
			m.Server.CPUUser, m.Server.PSS = 1000*1000*cpu, 1<<20
			m.Connections.Asked, m.Connections.Served = 100, 50
			if c["connections"] == "8000" {
				m.Server.PSS += 8000 << 10
			}
			return m
		}
	}
	judge(t, modelsByConnections, []judgement{
		{"as expected", 6, costs(10, 30), HoldsIf, "64 connections are busy, or 1000 connections are busy, or 8000 connections are busy",
			[]string{"If 1 connection is busy: server_cpu_per_request 10.0us against 10.0us", "epoll 1.02kB", "epoll 50.0%", "thread 1.00k, 1.00k, 1.00k, 1.00k"}},
		{"always", 6, costs(20, 30), Holds, "", []string{"2 times (95% interval"}},
		{"never", 6, costs(10, 10), Refuted, "", []string{"less than the 1.25 times claimed"}},
	})
}

func TestJudgePool(t *testing.T) {
	// grows says what each step of workers multiplies the throughput by.
	grows := func(waiting, computing float64) func(plan.Cell) *results.Metrics {
		return func(c plan.Cell) *results.Metrics {
			rate, by := 900., computing
			if c["service_time"] != "1ms" {
				by = waiting
			}
			for range slices.Index([]string{"1", "4", "16", "64"}, c["workers"]) {
				rate *= by
			}
			return served(rate, int64(64e9/rate))
		}
	}
	judge(t, poolSize, []judgement{
		{"as expected", 6, grows(3.9, 1), HoldsIf, "handlers wait, and workers are 4 and not 1, or handlers wait, and workers are 16 and not 4, or handlers wait, and workers are 64 and not 16",
			[]string{"and was 64, the median of 48 trials", "71.1ms of 1 worker", "(here 1 CPU)"}},
		{"a machine of many CPUs", 6, grows(4, 4), Holds, "", nil},
		{"no use", 6, grows(1, 1), Refuted, "", nil},
	})
}

func TestJudgeReuseport(t *testing.T) {
	serves := func(cpus int, crr, rr float64) func(plan.Cell) *results.Metrics {
		return func(c plan.Cell) *results.Metrics {
			rate := 1000.
			spread := []int64{16, 16, 16, 16}
			if c["listener"] == "reuseport" {
				spread = []int64{24, 16, 16, 8}
				if rate *= rr; c["workload"] == "crr" {
					rate *= crr / rr
				}
			}
			m := served(rate, 1000)
			m.Server.CPUs = slices.Repeat([]int{0}, cpus)
			m.Handled.Spread = spread
			return m
		}
	}
	judge(t, reuseportOrShared, []judgement{
		{"many CPUs", 6, serves(8, 1.5, 1), HoldsIf, "every request has a connection of its own", []string{"the process with most had 1.5 times its fair part with listener=reuseport (median of 6 trials)", "had 1 times its fair part with listener=shared"}},
		{"many CPUs, both", 6, serves(4, 1.5, 1.5), Holds, "", nil},
		{"many CPUs, neither", 6, serves(4, .9, 1), Refuted, "", nil},
		{"too few CPUs", 6, serves(1, 1.5, 1.5), NotShown, "", []string{"Withheld: the server had 1 CPU"}},
		{"too few CPUs, the other way", 6, serves(3, .5, 1), NotShown, "", []string{"Withheld: the server had 3 CPUs", "It takes 4 CPUs"}},
	})
	if reuseportHere([]int{0, 1, 2, 3, 4, 5, 6}) != nil {
		t.Error("seven CPUs are too few")
	}
	checkHere(t, reuseportOrShared, []int{0, 1, 2, 3, 4, 5, 6, 8}, plan.Cell{"cpus": "server=0-3;client=4-6,8", "workers": "4"})
}

// checkHere tests that a playbook's plan can be what it is to be on a machine with these CPUs.
func checkHere(t *testing.T, b Playbook, cpus []int, want plan.Cell) {
	t.Helper()
	p, err := plan.Parse(b.Name, []byte(b.Plan))
	if err != nil {
		t.Fatal(err)
	}
	if p, err = p.With(plan.Changes{Knobs: b.Here(cpus)}); err != nil {
		t.Fatal(err)
	}
	for _, c := range p.Cells() {
		if !c.Has(want) {
			t.Errorf("%s: %s, want %s", b.Name, c, want)
		}
	}
}

func TestJudgeProxy(t *testing.T) {
	adds := func(near, far int64) func(plan.Cell) *results.Metrics {
		return func(c plan.Cell) *results.Metrics {
			p50, by := int64(10_000), near
			if c["path"] != "none" {
				p50, by = 10_000_000, far
			}
			if c["via"] == "none" {
				return served(1e9/float64(p50), p50)
			}
			m := served(1e9/float64(p50+by), p50+by)
			m.Via.CPUUser = 1e9 / 2
			return m
		}
	}
	judge(t, proxyHop, []judgement{
		{"as expected", 6, adds(20_000, 100_000), HoldsIf, "it is on a loopback, one request at a time, or it is on a loopback, 64 connections",
			[]string{"If it is on a loopback, one request at a time, the proxy adds 20.0us to the median response", "If it is over a network of 10 ms, 64 connections, the proxy adds 100us"}},
		{"costly", 6, adds(20_000, 10_000_000), Holds, "", nil},
		{"it costs nothing", 6, adds(100, 100), Refuted, "", nil},
	})
}

func TestJudgeTimeouts(t *testing.T) {
	// The short patience gives up so many of 1,000 requests on a path that loses frames, and the long one so many.
	gives := func(short, long, sooner int64) func(plan.Cell) *results.Metrics {
		return func(c plan.Cell) *results.Metrics {
			m := served(1000, 1000)
			m.Duration = 2e9
			lost := map[string]int64{"150ms": short, "1s": long}[c["request_timeout"]]
			switch c["variant"] {
			case "lossy":
				m.TimedOut, m.Completed = lost, m.Completed-lost
			case "dead":
				m.TimedOut, m.Completed = 500, 500
				after := int64(1000e6)
				if c["request_timeout"] == "150ms" {
					after /= sooner
				}
				m.Faults = []results.Aftermath{{Fault: "blackout@500ms", Noticed: 1, First: &after, Trials: 1}}
			}
			return m
		}
	}
	judge(t, timeoutsUnderLoss, []judgement{
		{"as expected", 6, gives(60, 1, 6), Holds, "", []string{"errors 6.00% against 0.10%", "360 of 6.00k requests were given up with request_timeout=150ms, and 6 of 6.00k requests", "0 of 6.00k requests were given up with request_timeout=150ms"}},
		{"the long one gives up nothing", 6, gives(60, 0, 6), Holds, "", []string{"and 0 of 6.00k requests"}},
		{"no false alarm", 6, gives(1, 1, 6), HoldsIf, "the path dies", nil},
		{"nothing is noticed sooner", 6, gives(1, 1, 1), Refuted, "", nil},
	})
}

func TestJudgeSynBurst(t *testing.T) {
	const usual, second = int64(5e6), int64(1010e6)
	takes := func(longest map[string]int64) func(plan.Cell) *results.Metrics {
		return func(c plan.Cell) *results.Metrics {
			m := served(64, 1000)
			m.Response.Max = longest[c["backlog"]]
			if m.Response.Max >= int64(retried) {
				m.Server.Net = map[string]int64{overflow: 50}
			}
			return m
		}
	}
	cases := []judgement{
		{"as expected", 6, takes(map[string]int64{"8": 3 * second, "32": second, "128": usual}), Holds, "",
			[]string{"backlog=8: the longest reply took 3.03s, the longest connect 0, 300 SYNs and ends of handshakes were dropped", "384 of 384 clients were served"}},
		{"it accepts fast", 6, takes(map[string]int64{"8": second, "32": usual, "128": usual}), HoldsIf, "the backlog is 8", []string{"32 (in 0 of 6 trials somebody waited that long)"}},
		{"all fit", 6, takes(map[string]int64{"8": usual, "32": usual, "128": usual}), Refuted, "", nil},
		{"room for all, and late", 6, takes(map[string]int64{"8": second, "32": second, "128": second}), Refuted, "", []string{"With room for all (backlog=128) somebody waited a second or more in 6 of 6 trials"}},
	}
	judge(t, synBurst, cases)
}

func TestJudgeThreads(t *testing.T) {
	serves := func(cpus int, computing, waiting float64) func(plan.Cell) *results.Metrics {
		return func(c plan.Cell) *results.Metrics {
			rate := 190.
			if c["variant"] == "processes" {
				if rate *= waiting; c["service_time"] == "5ms" {
					rate *= computing / waiting
				}
			}
			m := served(rate, 1000)
			m.Server.CPUs = slices.Repeat([]int{0}, cpus)
			return m
		}
	}
	judge(t, threadsOrProcesses, []judgement{
		{"as expected", 6, serves(2, 1.9, 1), HoldsIf, "handlers compute", []string{"served 190 requests per second, processes of Python 361"}},
		{"both", 6, serves(2, 1.9, 1.9), Holds, "", nil},
		{"no lock", 6, serves(2, 1, 1), Refuted, "", nil},
		{"one CPU", 6, serves(1, 1, 1), NotShown, "", []string{"Withheld: the server had 1 CPU"}},
	})
	checkHere(t, threadsOrProcesses, []int{2, 5, 7}, plan.Cell{"cpus": "server=2,5;client=2,5"})
	if firstTwo([]int{3}) != nil {
		t.Error("one CPU is not two")
	}
	if _, script, _ := strings.Cut(threadsPlan, "'"); strings.ContainsAny(handlersServer, "'{") || !strings.HasPrefix(script, "exec(") {
		t.Error("a quote would end the script in the plan, and a brace would be a knob's")
	}
}
