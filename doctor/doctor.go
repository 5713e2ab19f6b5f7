// Package doctor looks at a machine before anything is measured on it: what would disturb a measurement or cap what is
// set, how small an effect can be seen here, and what helps. It changes nothing.
//
// A subject is one file and one line of All.
package doctor

import (
	"context"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/sockbench/sockbench/internal/machine"
	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/lab"
	"github.com/sockbench/sockbench/results"
)

// Line is one thing that was looked at.
type Line struct {
	Check    string             `json:"check"` // of All: it stays the same
	Looked   string             `json:"looked_at"`
	Measured string             `json:"measured"` // with the unit and the count behind it
	Verdict  results.Verdict    `json:"verdict"`
	Disturbs string             `json:"disturbs"`          // what it would disturb, were it bad
	Fix      string             `json:"fix,omitempty"`     // a command, or in words where there is none; "": nothing is to be mended
	Figures  map[string]float64 `json:"figures,omitempty"` // what Measured says, for programs; names end in the unit
}

// Check is one subject.
type Check struct {
	Name string
	Time time.Duration // about how long it takes
	Slow bool          // the quick set is without it
	look func(context.Context, *exam) ([]Line, error)
}

// All lists the checks, in the order in which they are made: foreign CPU first, while nothing of ours runs.
var All = []Check{
	{Name: "foreign", Time: time.Second, look: foreign},
	{Name: "waits", Time: 2500 * time.Millisecond, look: waits},
	{Name: "steal", look: steal},
	{Name: "clock", look: pure(clockSource)},
	{Name: "cpus", look: pure(cpus)},
	{Name: "quota", look: pure(quota)},
	{Name: "frequency", look: pure(frequency)},
	{Name: "kernel", look: pure(kernel)},
	{Name: "isolation", Time: 200 * time.Millisecond, look: isolation},
	{Name: "sysctls", look: pure(sysctls)},
	{Name: "files", look: pure(files)},
	{Name: "ports", look: pure(ports)},
	{Name: "effect", Time: seriesTime, Slow: true, look: effects},
}

// host is what is read, but for what is measured.
type host struct {
	tree    fs.FS   // of the whole machine, from its root
	allowed []int   // CPUs that this process may use
	parent  int     // pid of the process that started this one
	open    int     // files that this process has open
	clock   float64 // nanoseconds that a reading of the clock takes

	inside map[string]string // sysctls as they are in the network namespace of a trial; nil: it has none of its own
}

// pure is a check that only reads the host.
func pure(look func(*host) []Line) func(context.Context, *exam) ([]Line, error) {
	return func(_ context.Context, e *exam) ([]Line, error) { return look(&e.host), nil }
}

// exam is an examination under way.
type exam struct {
	host
	lab   *lab.Lab
	tell  func(what, result string)
	awake span // while the keep-awake loops had all CPUs; zero: they do not run here
}

// Examine makes the checks, those that take long only if asked to. What cannot be read or measured is a line that says
// why; an error means that ctx ended.
func Examine(ctx context.Context, l *lab.Lab, quick bool, progress *term.Progress) ([]Line, error) {
	chosen := slices.DeleteFunc(slices.Clone(All), func(c Check) bool { return quick && c.Slow })
	total := time.Second
	for _, c := range chosen {
		total += c.Time
	}
	progress.Start(int(total.Seconds()), 0, time.Second) // a step is a second
	defer progress.Close()
	began := time.Now()
	e := exam{lab: l, tell: func(what, result string) {
		progress.Reach(int(time.Since(began).Seconds()), time.Second, what, result)
	}}
	var err error
	if e.host, err = thisHost(); err != nil {
		return nil, err
	}
	var lines []Line
	for _, c := range chosen {
		found, err := c.look(ctx, &e)
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		if err != nil {
			found = append(found, Line{Looked: c.Name, Measured: "could not be measured: " + err.Error(), Verdict: results.Warn, Disturbs: "not known"})
		}
		for i := range found {
			found[i].Check = c.Name
		}
		lines = append(lines, found...)
		if c.Time > 0 {
			e.tell(c.Name, string(worst(found)))
		}
	}
	return lines, nil
}

func thisHost() (host, error) {
	h := host{tree: os.DirFS("/"), parent: os.Getppid(), clock: clockCost()}
	var err error
	if h.allowed, err = machine.Allowed(); err != nil {
		return h, err
	}
	if list, err := os.ReadDir("/proc/self/fd"); err == nil { // else: not visible, and none are counted
		h.open = len(list)
	}
	return h, nil
}

// judge asks the check of records of that code, so that a machine is held to what its trials will be held to.
func judge(code string, m results.Metrics) (results.Doubt, bool) {
	i := slices.IndexFunc(results.Checks, func(c results.Check) bool { return c.Code == code })
	return results.Checks[i].Test(&results.Record{Metrics: &m})
}

// ranks orders verdicts.
var ranks = []results.Verdict{results.OK, results.Note, results.Warn, results.Fail}

// worst verdict of lines; OK of none.
func worst(lines []Line) results.Verdict {
	at := 0
	for _, l := range lines {
		at = max(at, slices.Index(ranks, l.Verdict))
	}
	return ranks[at]
}

// graded is the first of note and warn that is true, warn first.
func graded(warn, note bool) results.Verdict {
	switch {
	case warn:
		return results.Warn
	case note:
		return results.Note
	}
	return results.OK
}
