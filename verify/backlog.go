package verify

import (
	"fmt"
	"time"

	"github.com/sockbench/sockbench/results"
)

// overflow is by how many connects the backlog tests are beyond what is held.
const overflow = 20

var backlogs = []int{0, 8, 64}

var backlog = Test{
	Name:      "backlog",
	Proves:    "A listening socket holds so many connections that nobody accepts, and one more; the kernel drops the SYNs of all others, and counts them.",
	Formula:   "attained = backlog + 1; ListenOverflows = the others, each of which sends one SYN before its timeout",
	Reference: "listen(2); kernel: sk_acceptq_is_full is qlen > backlog",
	Quick:     true,
	Counts:    true,
	Trials:    backlogTrials(),
	Judge: func(r []*results.Record) (lines []Line) {
		for i, n := range backlogs {
			m, name := r[i].Metrics, fmt.Sprintf("backlog %d: ", n)
			lines = append(lines,
				same(name+"connections attained", m.Connections.Attained, n+1),
				same(name+"connects that timed out", m.Errors["connect: timed out"], overflow-1),
				same(name+"accepted", m.Handled.Accepts, 0),
				same(name+"requests answered", m.Completed, 0))
			if m.Machine.Namespace == results.Fresh { // else others' connections are in the counter too
				lines = append(lines, same(name+"ListenOverflows", m.Server.Net["TcpExt.ListenOverflows"], overflow-1))
			}
		}
		return lines
	},
}

func backlogTrials() (trials []Trial) {
	for _, n := range backlogs {
		trials = append(trials, Trial{Duration: 50 * time.Millisecond, Knobs: []string{"target=accept-none", fmt.Sprintf("backlog=%d", n),
			fmt.Sprintf("connections=%d", n+overflow), "connect_timeout=200ms", "request_timeout=100ms"}})
	}
	return trials
}
