package doctor

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sockbench/sockbench/internal/machine"
	"github.com/sockbench/sockbench/internal/proc"
	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/results"
)

// span is the machine's counters at both ends of a time in which this process and its children used Ours.
type span struct {
	before, after machine.Snapshot
	ours          time.Duration
}

func (s span) long() int64 { return s.after.At - s.before.At }

// begin starts a span; what it returns ends it.
func begin() (func() (span, error), error) {
	own, err := proc.SelfUsage()
	if err != nil {
		return nil, err
	}
	before, err := machine.Read()
	if err != nil {
		return nil, err
	}
	return func() (span, error) {
		after, err := machine.Read()
		if err != nil {
			return span{}, err
		}
		used, err := proc.SelfUsage()
		return span{before, after, used.User + used.System - own.User - own.System}, err
	}, nil
}

// process is one of the others.
type process struct {
	name  string
	start string // when it started: a pid comes again
	ticks int64  // of CPU time, of all its threads
}

// tick is the unit of CPU times in /proc.
const tick = 10 * time.Millisecond

// processes are all that this process can see, by pid.
func processes(tree fs.FS) map[int]process {
	all := map[int]process{}
	list, err := fs.ReadDir(tree, "proc")
	if err != nil {
		return all
	}
	for _, entry := range list {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		text, err := fs.ReadFile(tree, fmt.Sprintf("proc/%d/stat", pid))
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(text), "(")
		end := strings.LastIndex(rest, ")") // a name may hold any of these letters
		if end < 0 {
			continue
		}
		f := strings.Fields(rest[end+1:])
		if len(f) < 20 {
			continue
		}
		user, err1 := strconv.ParseInt(f[11], 10, 64)
		system, err2 := strconv.ParseInt(f[12], 10, 64)
		if err1 == nil && err2 == nil {
			all[pid] = process{rest[:end], f[19], user + system}
		}
	}
	return all
}

// use is what a process used, in CPUs.
type use struct {
	pid  int
	name string
	cpus float64
}

// uses compares two lists of processes that are long nanoseconds apart: who used most comes first.
func uses(before, after map[int]process, long int64, self int) (all []use) {
	for pid, p := range after {
		ticks := p.ticks
		if old, ok := before[pid]; ok && old.start == p.start {
			ticks -= old.ticks
		}
		if ticks > 0 && pid != self {
			all = append(all, use{pid, p.name, float64(ticks) * float64(tick) / float64(long)})
		}
	}
	slices.SortFunc(all, func(a, b use) int { return cmp.Or(cmp.Compare(b.cpus, a.cpus), cmp.Compare(a.pid, b.pid)) })
	return all
}

// foreign looks at who else uses the machine, while nothing of ours does.
func foreign(ctx context.Context, e *exam) ([]Line, error) {
	end, err := begin()
	if err != nil {
		return []Line{hidden("CPU time of other programs", foreignDisturbs, err)}, nil
	}
	before := processes(e.tree)
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-time.After(time.Second):
	}
	after := processes(e.tree)
	s, err := end()
	if err != nil {
		return []Line{hidden("CPU time of other programs", foreignDisturbs, err)}, nil
	}
	return []Line{judgeForeign(s, uses(before, after, s.long(), os.Getpid()))}, nil
}

const foreignDisturbs = "everything: a trial in which others use more than a tenth of a CPU is marked, and run again"

func judgeForeign(s span, who []use) Line {
	long := s.long()
	foreign := max(0, s.after.Busy-s.before.Busy-int64(s.ours))
	d, _ := judge("foreign_cpu", results.Metrics{Result: lasting(long), Machine: results.Machine{ForeignCPU: foreign}})
	l := Line{Looked: "CPU time of other programs", Verdict: d.Verdict, Disturbs: foreignDisturbs,
		Figures:  map[string]float64{"foreign_cpus": float64(foreign) / float64(long), "span_ns": float64(long)},
		Measured: fmt.Sprintf("%.2f of %s in %s, in the kernel's steps of 10 ms", float64(foreign)/float64(long), term.Count(len(s.after.Softirq), "CPU"), term.Duration(float64(long)))}
	var named, pids []string
	seen := 0.0
	for _, u := range who {
		if seen += u.cpus; len(named) < 5 {
			named = append(named, fmt.Sprintf("%s (pid %d) %.2f", u.name, u.pid, u.cpus))
			pids = append(pids, strconv.Itoa(u.pid))
		}
	}
	if len(named) > 0 {
		l.Measured += ": " + strings.Join(named, ", ")
	}
	if rest := float64(foreign)/float64(long) - seen; rest > .1 {
		l.Measured += fmt.Sprintf("; %.2f by what is not visible from here: interrupts, programs that have ended, other containers", rest)
	}
	if d.Verdict != results.OK {
		l.Fix = "wait until they are done"
		if len(pids) > 0 {
			l.Fix += ": top -p " + strings.Join(pids, ",")
		}
	}
	return l
}

// steal judges what the hypervisor took while the keep-awake loops wanted all CPUs: an idle machine has nothing stolen.
func steal(_ context.Context, e *exam) ([]Line, error) {
	const disturbs = "tails, and throughput by as much: nothing on this machine can give it back"
	s := e.awake
	if s.long() <= 0 {
		return []Line{{Looked: "CPU time stolen by the hypervisor", Measured: "not visible: the keep-awake loops do not run here, and an idle CPU has nothing stolen", Verdict: results.Note, Disturbs: disturbs}}, nil
	}
	return []Line{judgeSteal(s, disturbs)}, nil
}

func judgeSteal(s span, disturbs string) Line {
	stolen := s.after.Steal - s.before.Steal
	d, _ := judge("steal", results.Metrics{Result: lasting(s.long()), Machine: results.Machine{Steal: stolen}})
	l := Line{Looked: "CPU time stolen by the hypervisor", Verdict: d.Verdict, Disturbs: disturbs,
		Measured: fmt.Sprintf("%s in %s, with all CPUs kept busy, in the kernel's steps of 10 ms", d.Evidence, term.Duration(float64(s.long()))),
		Figures:  map[string]float64{"steal_ns": float64(stolen), "span_ns": float64(s.long())}}
	if d.Verdict != results.OK {
		l.Fix = "measure at another time, or on a machine with CPUs of its own"
	}
	return l
}
