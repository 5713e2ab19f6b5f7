package targets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/proc"
	"github.com/sockbench/sockbench/results/stats"
)

// family is what models of several processes share. Each process is this binary again, with a socket handed to it; it is
// an ordinary server there, follows the orders on the board, and says what it saw when it ends.
//
// One thread of the parent starts them all and waits for them: they die with it, whatever ends it.
type family struct {
	env    *Env
	board  int      // its memory
	said   *os.File // the parent's end of what they speak through, …
	speak  int      // … and theirs
	heard  chan struct{}
	gone   chan struct{} // one has ended unasked
	how    string        // that was
	killer *time.Timer
	used   time.Duration // CPU time of those that are left, when killer last looked; 0: one has ended since

	mu   sync.Mutex
	pids []int // not waited for yet
	all  []int // in the order of their start
	by   map[int]Result
}

// Descriptors of a process of a family, after the standard ones.
const (
	handedFD = 3 + iota
	boardFD
	speakFD
)

// job is what every process of a family is told.
type job struct {
	Model  string
	Spec   Spec
	Place  Place // Listen: where the parent does
	Failed map[string]unix.Errno
}

// report is what a process says when it ends.
type report struct {
	PID            int
	Result         Result
	Queue, Service *stats.Latency
	Error          string
}

// Bytes of one report, and what those that wait to be read may take: a process waits until its own has been.
const reportMax = 128 << 10

// Limits on what a family waits for.
const (
	startLimit = 10 * time.Second // until all its processes serve
	haltLimit  = time.Second      // in which, told to end at once, none does and they do nothing for it, until they are killed
)

// newFamily prepares a family whose parent, env, listens at addr.
func newFamily(env *Env, s Spec, p Place, addr string) (*family, error) {
	f := &family{env: env, board: -1, speak: -1, heard: make(chan struct{}), gone: make(chan struct{}), by: map[int]Result{}}
	p.Listen = addr
	fd, shared, err := shareBoard(job{s.Target.Model, s, p, env.sockets.Failed()}, p.Samples)
	if err != nil {
		return nil, err
	}
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		closeFD(fd)
		return nil, fmt.Errorf("socketpair: %w", err)
	}
	f.board, f.speak, f.said = fd, ends[1], os.NewFile(uintptr(ends[0]), "reports")
	env.board, env.samples = shared.board, newSampler(shared.board, shared.slots)
	return f, nil
}

// open starts to listen to the processes; end ends it.
func (f *family) open() {
	go func() {
		defer close(f.heard)
		defer f.said.Close()
		buf := make([]byte, reportMax)
		for {
			n, err := f.said.Read(buf)
			if err != nil || n == 0 {
				return // the last that could speak is gone
			}
			var r report
			err = json.Unmarshal(buf[:n], &r)
			if err == nil && r.Error != "" {
				err = errors.New(r.Error)
			}
			if err == nil {
				err = f.count(r)
			}
			if err != nil {
				f.died(fmt.Sprintf("process %d: %v", r.PID, err))
			}
		}
	}()
}

// count adds what a process saw.
func (f *family) count(r report) error {
	f.mu.Lock()
	f.by[r.PID] = r.Result
	f.mu.Unlock()
	e := f.env
	e.times.mu.Lock()
	err := errors.Join(e.times.queue.Merge(r.Queue), e.times.service.Merge(r.Service))
	e.times.mu.Unlock()
	e.procs.Store(int64(r.Result.Procs))
	e.mu.Lock()
	defer e.mu.Unlock()
	e.total.add(r.Result)
	e.others.Merge(r.Result.Sockets)
	return err
}

// start starts a process and hands it a socket; the caller keeps its own descriptor. All calls come from one thread.
func (f *family) start(fd int) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	pid, err := proc.Fork(familyPart, []uintptr{null.Fd(), null.Fd(), uintptr(unix.Stderr), uintptr(fd), uintptr(f.board), uintptr(f.speak)})
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pids, f.all = append(f.pids, pid), append(f.all, pid)
	return nil
}

// reap takes note of processes that have ended, and says whether any is left. It waits for one to end where wait says
// so. It is called by the thread that started them.
func (f *family) reap(wait bool) (left bool) {
	flags := unix.WNOTHREAD
	if !wait {
		flags |= unix.WNOHANG
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, flags, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return err == nil
		}
		f.mu.Lock()
		f.pids = slices.DeleteFunc(f.pids, func(p int) bool { return p == pid })
		if f.used = 0; f.killer != nil {
			f.killer.Reset(haltLimit)
		}
		f.mu.Unlock()
		switch {
		case status.Signaled():
			f.died(fmt.Sprintf("process %d was killed by %s", pid, unix.SignalName(status.Signal())))
		case status.ExitStatus() != 0:
			f.died(fmt.Sprintf("process %d ended with exit status %d", pid, status.ExitStatus()))
		}
		if wait {
			return true
		}
	}
}

// died notes the first process that ended as it should not.
func (f *family) died(how string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.how == "" && f.env.order.Load() < toHalt {
		f.how = how
		close(f.gone)
	}
}

// end waits for all processes, which were told to end, and for their reports.
func (f *family) end() {
	for f.reap(true) {
	}
	f.mu.Lock()
	if f.killer != nil {
		f.killer.Stop()
	}
	f.mu.Unlock()
	closeFD(f.speak)
	<-f.heard
	closeFD(f.board)
}

// drain and halt are what a model's do, as far as processes are concerned.
func (f *family) drain() { f.env.command(toDrain) }

func (f *family) halt() {
	f.env.command(toHalt)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.killer == nil { // for one that is stopped, say
		f.killer = time.AfterFunc(haltLimit, f.kill)
	}
}

// kill kills those that are left, unless they are about to end. On a busy machine hundreds that share few CPUs come to
// their end all together, seconds later, with what they have to say.
func (f *family) kill() {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.used
	f.used = 0
	for _, pid := range f.pids {
		user, system := proc.CPUOf(pid)
		f.used += user + system
	}
	if f.used-before > haltLimit/100 {
		f.killer.Reset(haltLimit)
		return
	}
	for _, pid := range f.pids { // a number cannot come round in the moment between its end and reap's note of it
		unix.Kill(pid, unix.SIGKILL)
	}
}

// Died is closed when a process has ended as it should not.
func (f *family) Died() <-chan struct{} { return f.gone }

// Exit says which, and how.
func (f *family) Exit() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.how
}

func (f *family) processes() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.pids)
}

// spread is how many connections each process accepted, in the order of their start.
func (f *family) spread() (accepts []int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, pid := range f.all {
		accepts = append(accepts, f.by[pid].Accepts)
	}
	return accepts
}

// The part of a process of a family; whoever calls proc.Main names it there.
const familyPart = "member"

// Parts are the processes that servers are made of, for proc.Main.
var Parts = map[string]func(io.Reader, io.Writer) error{familyPart: func(io.Reader, io.Writer) error { return serveMember() }}

// members makes the server of a process of a family, by model. The process owns the socket it was handed.
var members = map[string]func(e *Env, fd int) (model, error){}

func init() {
	members[preforkEntry.Name] = preforkMember
	members[forkEntry.Name] = forkMember
}

// serveMember is the work of a process of a family.
func serveMember() error {
	shared, err := mapBoard(boardFD)
	if err != nil {
		return fmt.Errorf("map the board: %w", err)
	}
	r := report{PID: os.Getpid()}
	srv, env, err := startMember(shared)
	if err != nil {
		r.Error = err.Error()
	} else {
		shared.ready.Add(1)
		go func() {
			for order := shared.await(toServe); ; order = shared.await(order) {
				if order == toHalt {
					srv.Close()
					return
				}
				srv.m.drain()
			}
		}()
		<-srv.done
		r.Result = srv.Result()
		r.Queue, r.Service = &env.times.queue, &env.times.service
	}
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if len(text) > reportMax {
		return fmt.Errorf("a report of %d bytes is more than %d", len(text), reportMax)
	}
	_, err = unix.Write(speakFD, text)
	return err
}

func startMember(shared shares) (*server, *Env, error) {
	var j job
	if err := shared.job(&j); err != nil {
		return nil, nil, fmt.Errorf("read the settings: %w", err)
	}
	env, err := newEnv(j.Spec, j.Place, overStreams)
	if err != nil {
		return nil, nil, err
	}
	env.board, env.samples = shared.board, newSampler(shared.board, shared.slots)
	env.sockets.Inherit(j.Failed)
	m, err := members[j.Model](env, handedFD)
	if err != nil {
		return nil, nil, err
	}
	return env.serve(context.Background(), j.Place.Listen, m).(*server), env, nil
}
