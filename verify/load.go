package verify

import (
	"fmt"
	"strings"
	"time"

	"github.com/sockbench/sockbench/results"
)

// fields are the knobs of a text in which spaces part them.
func fields(knobs string) []string { return strings.Fields(knobs) }

var overload = Test{
	Name:   "overload",
	Proves: "Beyond its capacity a server does what it can; the rest is a backlog, and none of it counts as throughput, though the drain completes it.",
	Formula: "1250 requests per second of 1 ms of work: throughput = 1/(service + what is done beside it); offered = replies + backlog; " +
		"the last request waits for all before it: longest response = length · (rate/throughput − 1)",
	Reference: "arithmetic; the utilisation law",
	Quick:     true,
	Trials: []Trial{{Duration: time.Second,
		Knobs: fields("target=epoll service_time=1ms connections=4 rate=1250 arrivals=constant")}},
	Judge: func(r []*results.Record) []Line {
		m := r[0].Metrics
		const second, rate = 1e9, 1250
		capacity := second / m.Handled.Service.Mean
		longest := second * (rate/m.Throughput - 1)
		cpu := float64(m.Server.CPUUser + m.Server.CPUSystem)
		return []Line{
			same("offered", m.Offered, rate),
			same("completed in the end", m.Completed, rate),
			within("throughput", "1/s", m.Throughput, capacity, .8*capacity, 1.003*capacity),
			within("throughput is not the rate", "1/s", m.Throughput, 1000, 700, 1003),
			same("replies and backlog", m.Replies+m.BacklogEnd, m.Offered),
			within("longest response", "ns", float64(m.Response.Max), longest, .9*longest, 1.3*longest),
			within("mean response", "ns", m.Response.Mean, longest/2, .8*longest/2, 1.3*longest/2),
			within("CPU time of a server that is never idle", "ns", cpu, second, .8*second, 1.02*second),
		}
	},
}

var cpuTime = Test{
	Name:   "cpu-time",
	Proves: "The CPU time of each side is what its work takes; both together, and the keep-awake loops, take no more than the machine has.",
	Formula: "a server that works for S at each request uses between n·S and n·(S + 0.6 ms), for waking up too; a client that is busy all the time uses all the time; " +
		"client + server + keep-awake + others = CPUs × length",
	Reference: "getrusage(2); proc_pid_stat(5)",
	Quick:     true,
	Counts:    true,
	Trials: []Trial{
		{Warmup: 100 * time.Millisecond, Duration: 600 * time.Millisecond, Knobs: fields("target=epoll service_time=1ms connections=16 rate=600 arrivals=constant")},
		{Warmup: 100 * time.Millisecond, Duration: 500 * time.Millisecond, Knobs: fields("target=reactors connections=64 pipeline=16 workers=1")},
		{Warmup: 100 * time.Millisecond, Duration: 400 * time.Millisecond, Knobs: fields("target=prefork workers=2 service_time=1ms connections=16 rate=600 arrivals=constant")},
	},
	Judge: func(r []*results.Record) (lines []Line) {
		for _, c := range []struct {
			name string
			r    *results.Record
		}{{"one process", r[0]}, {"several processes", r[2]}} {
			m := c.r.Metrics
			used, n := float64(m.Server.CPUUser+m.Server.CPUSystem), float64(m.Replies)
			lines = append(lines, within(c.name+": CPU time of the server", "ns", used, n*1e6, n*.97e6, n*1.6e6))
		}
		for i, rec := range r {
			m := rec.Metrics
			window := float64(m.Duration)
			client, server := float64(m.Client.CPUUser+m.Client.CPUSystem), float64(m.Server.CPUUser+m.Server.CPUSystem)
			busy := window - float64(m.Engine.Idle)/float64(max(m.Engine.Threads, 1))
			name := fmt.Sprintf("trial %d: ", i+1)
			lines = append(lines, within(name+"CPU time of the client, of what its engine was not idle", "ns", client, busy, .95*busy-2e6, 1.05*busy+20e6+.15e6*float64(m.Sent)))
			if m.Machine.KeepAwake == 0 || m.Machine.CPUs != len(m.Client.CPUs)+len(m.Server.CPUs) {
				continue // some CPU may have been idle, and nobody counted
			}
			all := float64(m.Machine.CPUs) * window
			others := float64(m.Machine.ForeignCPU + m.Machine.Steal)
			lines = append(lines, about(name+"CPU time of all", "ns", client+server+float64(m.Machine.KeepAwake)+others, all, .05))
		}
		m := r[1].Metrics
		busy, window := float64(m.Client.CPUUser+m.Client.CPUSystem), float64(m.Duration)
		return append(lines, within("CPU time of a client that never rests", "ns", busy+float64(m.Machine.ForeignCPU+m.Machine.Steal), window, .85*window, 1.5*window))
	},
}

var resources = Test{
	Name:      "resources",
	Proves:    "Threads, processes, files and memory in the record are those that the server's design takes.",
	Formula:   "thread: a thread and a file for each of 64 connections; prefork: the workers and the process that started them",
	Reference: "proc_pid_status(5)",
	Quick:     true,
	Counts:    true,
	Trials: []Trial{
		{Duration: 100 * time.Millisecond, Knobs: fields("target=thread connections=64")},
		{Duration: 100 * time.Millisecond, Knobs: fields("target=prefork workers=4 connections=8")},
	},
	Judge: func(r []*results.Record) []Line {
		thread, prefork := r[0].Metrics.Server, r[1].Metrics.Server
		return []Line{
			within("thread: threads", "", float64(thread.Threads), 65, 65, 65+60),
			within("thread: open files", "", float64(thread.Files), 65, 65, 65+60),
			same("thread: processes", thread.Processes, 1),
			within("thread: Pss", "B", float64(thread.PSS), float64(thread.MaxRSS), 1<<20, float64(thread.MaxRSS)),
			same("prefork: processes", prefork.Processes, 5),
			within("prefork: Pss", "B", float64(prefork.PSS), 32<<20, 2<<20, 256<<20),
		}
	},
}
