package lab

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/quiet"
)

// A server cannot have used more CPU time than there was, however late it would have looked at the clock itself: with
// thousands of threads it gets to it when the measure phase is over.
func TestServerCPUIsThatOfTheWindow(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		if testing.Short() {
			t.Skip("starts 3,000 threads; run without -short")
		}
		const threads = 3000
		if most := mostThreads(t); most < threads+1000 {
			t.Skipf("it takes %d threads, and this machine allows %d: RLIMIT_NPROC, or the cgroup's pids.max", threads, most)
		}
		var l Lab
		defer l.Close()
		const T = 500 * time.Millisecond
		m := run(t, &l, 200*time.Millisecond, T, "target", "thread", "connections", fmt.Sprint(threads)).Metrics
		cpus := max(len(m.Server.CPUs), 1)
		if used := time.Duration(m.Server.CPUUser + m.Server.CPUSystem); used < T/4 || used > time.Duration(cpus)*T*11/10 {
			t.Errorf("a server that is never idle used %v of %d CPUs in %v", used, cpus, T)
		}
	})
}

// A request that is computed for 200 us cannot take less CPU time. A look at each of a thousand threads takes longer than
// the measure phase: CPU time that is read after it is another's.
func TestServerCPUOfManyThreads(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		if testing.Short() {
			t.Skip("starts 1,000 threads; run without -short")
		}
		var l Lab
		defer l.Close()
		for range 4 {
			m := run(t, &l, 100*time.Millisecond, 300*time.Millisecond, "target", "thread", "connections", "1000", "service_time", "200us").Metrics
			used, least := time.Duration(m.Server.CPUUser+m.Server.CPUSystem), time.Duration(m.Completed)*200*time.Microsecond
			if used < least/2 { // requests that began before the window and ended in it
				t.Errorf("%d requests took %v of CPU time together, and each at least 200us", m.Completed, used)
			}
		}
	})
}

// mostThreads is how many this user may have.
func mostThreads(t testing.TB) uint64 {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &limit); err != nil {
		t.Fatal(err)
	}
	most := limit.Cur
	if text, err := os.ReadFile("/sys/fs/cgroup/pids.max"); err == nil {
		if n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil {
			most = min(most, n)
		}
	}
	return most
}

// A dead target ends the trial.
func TestTargetKilled(t *testing.T) {
	var l Lab
	defer l.Close()
	l.Started = func(pids map[string]int) {
		go func() {
			time.Sleep(200 * time.Millisecond)
			if err := syscall.Kill(pids[serverPart], syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		}()
	}
	began := time.Now()
	r, err := l.Run(t.Context(), trials(t, 0, 20*time.Second)[0])
	if err != nil {
		t.Fatal(err)
	}
	if r.Error == "" || r.Stage != "measure" || r.Metrics != nil {
		t.Errorf("stage %q, error %q, metrics %v", r.Stage, r.Error, r.Metrics != nil)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v to notice", took)
	}
	t.Log(r.Error)
}
