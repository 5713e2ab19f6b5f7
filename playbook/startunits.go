package playbook

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/clock"
	"github.com/sockbench/sockbench/internal/machine"
	"github.com/sockbench/sockbench/internal/proc"
)

// Parts are the processes of playbooks that measure by themselves, for lab.Main.
var Parts = map[string]func(io.Reader, io.Writer) error{
	startPart: measureStarts,
	unitPart:  beUnit,
}

const (
	startPart = "start-cost"
	unitPart  = "start-cost-unit"
)

// startOrder is what a measuring process is told: one kind of unit, in a process that has done nothing before.
type startOrder struct {
	Kind   string `json:"kind"`
	Cycles int    `json:"cycles"` // units started one after another, each of which ends at once
	Keep   int    `json:"keep"`   // units started together and kept
}

// startSample is what it answers, times in nanoseconds.
type startSample struct {
	First   []int64 `json:"first"` // of each cycle, from the start to when the unit ran
	Ended   []int64 `json:"ended"` // … to when its starter knew that it had ended
	Burst   int64   `json:"burst"` // from the first start of those kept to when all had run
	Keep    int     `json:"keep"`
	Kept    kept    `json:"kept"` // what they took together
	Starter int64   `json:"starter_rss_bytes"`
	Foreign int64   `json:"foreign_cpu_ns"` // used by others meanwhile
	Span    int64   `json:"span_ns"`
}

// kept is memory in bytes.
type kept struct {
	PSS    int64 `json:"pss"`           // user memory; what processes share counts once
	RSS    int64 `json:"rss"`           // user memory; what processes share counts in each
	Tables int64 `json:"page_tables"`   // of user memory
	Stacks int64 `json:"kernel_stacks"` // of the whole machine: /proc has them for nothing less
}

// unit is a kind of thing that a server can start for each connection.
type unit struct {
	name string
	// cycle starts one that ends at once; ok is false where this one does not count.
	cycle func() (first, ended int64, ok bool, err error)
	// hold starts n that stay until release, and says when the last of them ran.
	hold func(n int) (pids []int, ran int64, release func() error, err error)
}

var units = []unit{
	{"goroutine", cycleGoroutine, holdGoroutines},
	{"thread", cycleThread, holdThreads},
	{"fork", cycleFork, holdForks},
	{"re-exec", cycleProcess, holdProcesses},
}

// measureStarts is the measuring process.
func measureStarts(in io.Reader, out io.Writer) error {
	var o startOrder
	if err := json.NewDecoder(in).Decode(&o); err != nil {
		return err
	}
	for _, u := range units {
		if u.name == o.Kind {
			s, err := u.measure(o)
			if err != nil {
				return fmt.Errorf("%s: %w", u.name, err)
			}
			return json.NewEncoder(out).Encode(s)
		}
	}
	return fmt.Errorf("no kind %q", o.Kind)
}

func (u unit) measure(o startOrder) (s startSample, err error) {
	before, err := machine.Read()
	if err != nil {
		return s, err
	}
	runtime.GC()
	debug.FreeOSMemory() // what the start of this process left behind is not to be filled by the units
	empty, err := memory(nil)
	if err != nil {
		return s, err
	}
	s.Keep, s.Starter = o.Keep, empty.RSS
	began := clock.Now()
	pids, ran, release, err := u.hold(o.Keep)
	if err != nil {
		return s, err
	}
	s.Burst = ran - began
	full, err := memory(pids)
	if err = errors.Join(err, release()); err != nil {
		return s, err
	}
	s.Kept = kept{PSS: full.PSS - empty.PSS, RSS: full.RSS - empty.RSS, Tables: full.Tables - empty.Tables, Stacks: full.Stacks - empty.Stacks}
	for range o.Cycles {
		began := clock.Now()
		first, ended, ok, err := u.cycle()
		if err != nil {
			return s, err
		}
		if ok {
			s.First, s.Ended = append(s.First, first-began), append(s.Ended, ended-began)
		}
	}
	after, err := machine.Read()
	if err != nil {
		return s, err
	}
	used, err := proc.SelfUsage()
	s.Span = after.At - before.At
	s.Foreign = max(0, after.Busy-before.Busy-int64(used.User+used.System))
	return s, err
}

// memory is what this process and the given ones take now.
func memory(pids []int) (k kept, err error) {
	for _, p := range append([]string{"self"}, decimal(pids)...) {
		for _, f := range []struct {
			file, field string
			to          *int64
		}{{"smaps_rollup", "Pss", &k.PSS}, {"smaps_rollup", "Rss", &k.RSS}, {"status", "VmPTE", &k.Tables}} {
			n, err := kilobytes("/proc/"+p+"/"+f.file, f.field)
			if err != nil {
				return k, err
			}
			*f.to += n
		}
	}
	k.Stacks, err = kilobytes("/proc/meminfo", "KernelStack")
	return k, err
}

func decimal(pids []int) (names []string) {
	for _, pid := range pids {
		names = append(names, strconv.Itoa(pid))
	}
	return names
}

// kilobytes reads a line "Pss:  12 kB", as bytes.
func kilobytes(file, field string) (int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("%s has no %s", file, field)
}

func cycleGoroutine() (first, ended int64, ok bool, err error) {
	ran := make(chan int64)
	go func() { ran <- clock.Now() }()
	first = <-ran
	return first, clock.Now(), true, nil
}

func holdGoroutines(n int) ([]int, int64, func() error, error) {
	return holdRoutines(n, func() {})
}

// holdRoutines keeps goroutines that have called begin.
func holdRoutines(n int, begin func()) ([]int, int64, func() error, error) {
	ran, stay, gone := make(chan struct{}, n), make(chan struct{}), make(chan struct{}, n)
	for range n {
		go func() {
			begin()
			ran <- struct{}{}
			<-stay
			gone <- struct{}{}
		}()
	}
	wait := func(c chan struct{}) {
		for range n {
			<-c
		}
	}
	wait(ran)
	return nil, clock.Now(), func() error {
		close(stay)
		wait(gone)
		return nil
	}, nil
}

// cycleThread starts a goroutine that takes a thread for itself and ends with it. The starter has a thread of its own, as
// one that blocks in accept: from any other, Go would run the new goroutine on the starter's thread, and look for
// another one for the starter later.
func cycleThread() (first, ended int64, ok bool, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	type begun struct {
		at  int64
		tid int
	}
	ran := make(chan begun)
	go func() {
		runtime.LockOSThread()
		ran <- begun{clock.Now(), unix.Gettid()}
	}()
	b := <-ran
	if b.tid == os.Getpid() {
		return 0, 0, false, nil // Go parks a process's first thread instead of ending it
	}
	for unix.Tgkill(os.Getpid(), b.tid, 0) == nil {
		if _, _, e := syscall.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0); e != 0 {
			return 0, 0, false, e
		}
	}
	return b.at, clock.Now(), true, nil
}

func holdThreads(n int) ([]int, int64, func() error, error) {
	return holdRoutines(n, runtime.LockOSThread)
}

// fork makes a copy of this process, as servers in C do it for each connection, with a plain clone. The copy has one
// thread, in the middle of a program of many: it may do nothing that needs the Go runtime, and does nothing but make
// system calls: says in stamp when it ran, then ends, or stays until it is killed. No signal handler of Go's may run in
// it, and none in its parent meanwhile: the caller has blocked all signals. Nosplit, as the check for a larger stack
// is a place where the runtime may stop the copy, for ever.
//
// Note: package syscall's own BeforeFork, reached by linkname, does no more than block the signals and forbid that check;
// a helper built by gcc would copy another, much smaller process.
//
//go:nosplit
//go:noinline
//go:norace
func fork(stamp *unix.Timespec, stay bool) (pid uintptr, err syscall.Errno) {
	pid, _, err = syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if err != 0 || pid != 0 {
		return pid, err
	}
	syscall.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_MONOTONIC, uintptr(unsafe.Pointer(stamp)), 0)
	if stay {
		syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0)
		for {
			syscall.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
		}
	}
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
}

// forks starts n copies and gives their stamps, which they share with this process.
func forks(n int, stay bool) (pids []int, stamps []unix.Timespec, free func() error, err error) {
	shared, err := unix.Mmap(-1, 0, n*int(unsafe.Sizeof(unix.Timespec{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("mmap: %w", err)
	}
	stamps = unsafe.Slice((*unix.Timespec)(unsafe.Pointer(&shared[0])), n)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, before unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	for i := range n {
		if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &before); err != nil {
			return pids, nil, nil, fmt.Errorf("block signals: %w", err)
		}
		pid, errno := fork(&stamps[i], stay)
		if err := unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil); err != nil {
			return pids, nil, nil, fmt.Errorf("unblock signals: %w", err)
		}
		if errno != 0 {
			return pids, nil, nil, fmt.Errorf("clone: %w", errno)
		}
		pids = append(pids, int(pid))
	}
	return pids, stamps, func() error { return unix.Munmap(shared) }, nil
}

func cycleFork() (first, ended int64, ok bool, err error) {
	pids, stamps, free, err := forks(1, false)
	if err != nil {
		return 0, 0, false, err
	}
	err = await(pids[0])
	ended, first = clock.Now(), stamps[0].Nano()
	return first, ended, true, errors.Join(err, free())
}

func holdForks(n int) (pids []int, ran int64, release func() error, err error) {
	pids, stamps, free, err := forks(n, true)
	if err != nil {
		return nil, 0, nil, err // this process ends of it, and its copies with it
	}
	for i := range stamps {
		for stamps[i].Nano() == 0 {
			time.Sleep(50 * time.Microsecond)
		}
	}
	time.Sleep(50 * time.Microsecond) // the last may have been half written
	for i := range stamps {
		ran = max(ran, stamps[i].Nano())
	}
	return pids, ran, func() error {
		var errs []error
		for _, pid := range pids {
			errs = append(errs, unix.Kill(pid, unix.SIGKILL), await(pid))
		}
		return errors.Join(append(errs, free())...)
	}, nil
}

// await waits for the end of a child.
func await(pid int) error {
	for {
		if _, err := unix.Wait4(pid, nil, 0, nil); err != unix.EINTR {
			return err
		}
	}
}

// beUnit is this binary, run again: it says when it came to be, and ends when it is no longer wanted.
func beUnit(in io.Reader, out io.Writer) error {
	if err := json.NewEncoder(out).Encode(clock.Now()); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, in)
	return err
}

// process is this binary, run again.
type process struct {
	pid        int
	said, stay *os.File // its standard output and, nil if it is to end at once, input
}

func startProcess(stay bool) (p process, err error) {
	var in, out *os.File // the process's own ends
	defer func() {
		for _, f := range []*os.File{in, out} {
			if f != nil {
				f.Close()
			}
		}
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.said, out, err = os.Pipe(); err != nil {
		return p, err
	}
	if stay {
		in, p.stay, err = os.Pipe()
	} else {
		in, err = os.Open(os.DevNull)
	}
	if err != nil {
		return p, err
	}
	runtime.LockOSThread() // it dies with the thread, which lasts as long as this process
	defer runtime.UnlockOSThread()
	p.pid, err = proc.Fork(unitPart, []uintptr{in.Fd(), out.Fd(), os.Stderr.Fd()})
	return p, err
}

func (p process) close() (err error) {
	for _, f := range []*os.File{p.said, p.stay} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

// began is when it came to be, as it says itself.
func (p process) began() (at int64, err error) {
	return at, json.NewDecoder(p.said).Decode(&at)
}

func cycleProcess() (first, ended int64, ok bool, err error) {
	p, err := startProcess(false)
	if err != nil {
		return 0, 0, false, err
	}
	first, said := p.began()
	waited := await(p.pid)
	ended = clock.Now()
	return first, ended, true, errors.Join(said, waited, p.close())
}

func holdProcesses(n int) (pids []int, ran int64, release func() error, err error) {
	var all []process
	for range n {
		p, err := startProcess(true)
		if err != nil {
			return nil, 0, nil, err // this process ends of it, and so do those that read from it
		}
		all, pids = append(all, p), append(pids, p.pid)
	}
	for _, p := range all {
		at, err := p.began()
		if err != nil {
			return nil, 0, nil, err
		}
		ran = max(ran, at)
	}
	return pids, ran, func() error {
		var errs []error
		for _, p := range all {
			errs = append(errs, p.close(), await(p.pid))
		}
		return errors.Join(errs...)
	}, nil
}
