// Package results is what trials leave behind: the record of one, the doubts about it, what a cell's records say
// together, and the folder they are kept in.
package results

import (
	"time"

	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/netpath"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/sockopt"
	"github.com/sockbench/sockbench/targets"
)

// Schema is the version of everything written by this package. Readers take it and older ones.
const Schema = 1

// Record is one trial, and one line of trials.jsonl. Either Metrics or Error is set.
type Record struct {
	Schema int `json:"schema"`
	plan.Trial
	Started    time.Time         `json:"started"`
	Metrics    *Metrics          `json:"metrics,omitempty"`
	Histograms map[string]string `json:"histograms,omitempty"` // by quantity ("response"): HdrHistogram V2, base64
	Error      string            `json:"error,omitempty"`
	Stage      string            `json:"stage,omitempty"` // what was being done when it failed: "start", "serve", "connect", "measure", "drain"
}

// Metrics is also what "load -o json" prints. CPU times and counts of Client, Server and Machine are of the measure
// phase; what the sockets' counters and Handled say is of the whole trial.
type Metrics struct {
	loadgen.Result
	Client  Side    `json:"client"`
	Server  Side    `json:"server,omitzero"`  // zero: not known
	Via     Side    `json:"via,omitzero"`     // what stood between them; zero: nothing
	Handled Handled `json:"handled,omitzero"` // zero: the server is not ours
	Machine Machine `json:"machine"`

	Path    netpath.Evidence `json:"path,omitzero"` // zero: there was none
	Faults  []Aftermath      `json:"faults,omitempty"`
	Sysctls netpath.Sysctls  `json:"sysctls,omitempty"` // that were asked, as they read then

	Validity []Doubt `json:"validity"`
}

// Side is one side's processes.
type Side struct {
	CPUUser     int64 `json:"cpu_user_ns"`
	CPUSystem   int64 `json:"cpu_system_ns"`
	CPUSoftirq  int64 `json:"cpu_softirq_ns"` // of the CPUs it is pinned to, whoever it was for
	CPUs        []int `json:"cpus"`           // it is pinned to; empty: none
	Voluntary   int64 `json:"voluntary_switches"`
	Involuntary int64 `json:"involuntary_switches"`
	MaxRSS      int64 `json:"max_rss_bytes"`
	PSS         int64 `json:"pss_bytes,omitempty"` // memory when the measure phase ended: of what processes share, each one's part
	Processes   int   `json:"processes,omitempty"` // then
	Threads     int   `json:"threads"`
	Files       int   `json:"open_files,omitempty"` // of the server's process nearest to its limit, when the measure phase ended
	FilesMax    int   `json:"open_files_max,omitempty"`

	sockopt.Sockets
	Net map[string]int64 `json:"net,omitempty"` // counters of its network namespace that changed in the trial, and of sockstat what there was when the measure phase ended

	Undrained string `json:"undrained,omitempty"` // why it had to be ended by force after the trial; "": it had not
	Died      string `json:"died,omitempty"`      // how its process ended before it was told to; "": it did not
}

// cpu is its own CPU time in nanoseconds.
func (s *Side) cpu() int64 { return s.CPUUser + s.CPUSystem }

// Handled is what the server says it did.
type Handled struct {
	targets.Result
	// Sockets hides the Result's own, which are the server Side's: nothing is written twice.
	Sockets struct{} `json:"sockets,omitzero"`
}

// Machine is what the machine did beside the trial, in the measure phase.
type Machine struct {
	CPUs        int    `json:"cpus"`                     // online
	Steal       int64  `json:"steal_ns"`                 // taken by the hypervisor, over all CPUs
	ForeignCPU  int64  `json:"foreign_cpu_ns"`           // busy, and neither ours nor the kernel's for us
	Idle        int64  `json:"idle_ns"`                  // over all CPUs; with keep-awake loops: next to nothing
	KeepAwake   int64  `json:"keep_awake_ns"`            // spent in the keep-awake loops
	Hiccups     int64  `json:"hiccups"`                  // pauses of a CPU while a keep-awake loop had it, which nothing here explains
	Hiccup      int64  `json:"hiccup_ns"`                // their sum
	HiccupMax   int64  `json:"hiccup_max_ns"`            // the longest
	Throttled   int64  `json:"throttled_ns"`             // by a CPU quota
	LooksLate   int64  `json:"looks_late_ns"`            // how much later than the measure phase began and ended CPU times were read, together
	Regime      string `json:"regime"`                   // records of different regimes are not compared
	Namespace   string `json:"namespace"`                // Fresh, SharedHost
	Clocksource string `json:"clocksource"`              // the kernel's
	Accounting  string `json:"cpu_accounting,omitempty"` // how the kernel attributes CPU time: "tick", "full", "irq"
}

// What Machine.Namespace says.
const (
	Fresh      = "fresh"
	SharedHost = "shared host namespace"
)

// Verdict is what a check makes of a record, worst last.
type Verdict string

const (
	OK   Verdict = "ok"
	Note Verdict = "note" // good to know
	Warn Verdict = "warn" // the numbers may mislead
	Fail Verdict = "fail" // the numbers are not what they say
)

// Rank orders verdicts: the higher, the worse.
func (v Verdict) Rank() int {
	for i, w := range []Verdict{OK, Note, Warn, Fail} {
		if v == w {
			return i
		}
	}
	return -1
}

// Doubt is one check's answer.
type Doubt struct {
	Code     string  `json:"code"`
	Verdict  Verdict `json:"verdict"`
	Evidence string  `json:"evidence"`
}

// window is the length of the measure phase in nanoseconds, at least 1.
func (m *Metrics) window() float64 { return float64(max(m.Duration, 1)) }

// inside is how many valid replies were completed inside the measure phase.
func (m *Metrics) inside() float64 { return m.Throughput * m.window() / 1e9 }
