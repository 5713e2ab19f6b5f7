package doctor

import (
	"os/exec"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/sockbench/sockbench/internal/machine"
	"github.com/sockbench/sockbench/results"
)

// stat is /proc/PID/stat of a process that started at 99 and used so many ticks in user and system mode.
func stat(name, user, system, start string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte("12 (" + name + ") R 1 1 1 0 -1 4194304 1 0 0 0 " + user + " " + system + " 0 0 20 0 1 0 " + start + " 1000 100 18446744073709551615")}
}

// Half a CPU of a process with a name made to mislead is found, and a pid that came again is not charged for the first.
func TestForeign(t *testing.T) {
	before := processes(fstest.MapFS{"proc/12/stat": stat("a) R 1 (b", "100", "0", "99"), "proc/13/stat": stat("old", "5000", "0", "1"), "proc/15/stat": stat("self", "0", "0", "1"), "proc/16/stat": {Data: []byte("junk")}, "proc/x": {}})
	after := processes(fstest.MapFS{"proc/12/stat": stat("a) R 1 (b", "130", "20", "99"), "proc/13/stat": stat("new", "2", "1", "800"), "proc/15/stat": stat("self", "90", "0", "1"), "proc/14/stat": stat("idle", "0", "0", "3")})
	who := uses(before, after, 1e9, 15)
	if want := []use{{12, "a) R 1 (b", .5}, {13, "new", .03}}; !slices.Equal(who, want) {
		t.Fatalf("%v, want %v", who, want)
	}
	at := func(busy, steal time.Duration, at int64) machine.Snapshot {
		return machine.Snapshot{At: at, Busy: int64(busy), Steal: int64(steal), Softirq: make([]int64, 2)}
	}
	s := span{at(0, 0, 0), at(740*time.Millisecond, 0, 1e9), 10 * time.Millisecond}
	l := judgeForeign(s, who)
	l.says(t, results.Warn, "0.73 of 2 CPUs in 1.00s", "a) R 1 (b (pid 12) 0.50", "new (pid 13) 0.03", "0.20 by what is not visible", "top -p 12,13")
	if l.Figures["foreign_cpus"] != .73 {
		t.Errorf("%v", l.Figures)
	}
	s.after.Busy = int64(100 * time.Millisecond)
	judgeForeign(s, nil).says(t, results.OK, "0.09 of 2 CPUs")

	judgeSteal(span{at(0, 0, 0), at(0, 50*time.Millisecond, 1e9), 0}, "tails").says(t, results.Warn, "5.00% of a CPU in 1.00s")
	judgeSteal(span{at(0, 0, 0), at(0, 10*time.Millisecond, 1e9), 0}, "tails").says(t, results.OK)
	lines, err := steal(t.Context(), &exam{})
	if err != nil {
		t.Fatal(err)
	}
	lines[0].says(t, results.Note, "not visible")
}

// A program that computes is found by its pid and its name.
func TestForeignProcess(t *testing.T) {
	busy := exec.Command("sh", "-c", "i=0; while [ $i -lt 50000000 ]; do i=$((i+1)); done") // a minute or so
	if err := busy.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = busy.Process.Kill() // it may have ended
		_ = busy.Wait()         // by the kill
	}()
	h, err := thisHost()
	if err != nil {
		t.Fatal(err)
	}
	for range 100 { // a machine with much to do may leave it waiting
		before := processes(h.tree)
		time.Sleep(200 * time.Millisecond)
		for _, u := range uses(before, processes(h.tree), 200e6, 0) {
			if u.pid == busy.Process.Pid {
				if u.name != "sh" || u.cpus > 2 {
					t.Errorf("%+v", u)
				}
				return
			}
		}
	}
	t.Errorf("process %d computes, and is not found", busy.Process.Pid)
}
