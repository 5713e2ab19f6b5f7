package proc

import (
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a part of a room as the parent has it. Its methods are safe for concurrent use.
type Process struct {
	Stdin  *os.File // closing it tells the part that it is no longer wanted
	Stdout *os.File // to be read while the part lives, or it blocks; what it wrote stays readable after its end, until Close

	name   string
	handle *os.Process // nil: it had ended when it was looked for
	errs   *stderr
	done   chan struct{}

	mu   sync.Mutex
	exit string
}

func newProcess(name string, stdin, stdout, errs *os.File) *Process {
	return &Process{Stdin: stdin, Stdout: stdout, name: name, errs: keepStderr(errs), done: make(chan struct{})}
}

// PID is the part's pid as the parent sees it; 0 if it ended before it was looked for.
func (p *Process) PID() int {
	if p.handle == nil {
		return 0
	}
	return p.handle.Pid
}

// Stderr is the end of what the part wrote to its standard error, see Tail.
func (p *Process) Stderr() string { return p.errs.String() }

// Done is closed when the part has ended, with its standard error complete.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit says how the part ended, "exit status 3", "killed by SIGKILL", or that its room did; "" while it lives.
func (p *Process) Exit() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exit
}

// end is called for the part's end and for the room's; the first one counts. Something the part started may hold its
// standard error for longer: that is not waited for.
func (p *Process) end(how string) {
	select {
	case <-p.errs.drained:
	case <-time.After(50 * time.Millisecond):
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exit == "" {
		p.exit = how
		close(p.done)
	}
}

// lives asks the kernel; the room may be gone.
func (p *Process) lives() bool {
	if p.handle == nil || p.handle.Signal(unix.Signal(0)) != nil {
		return false
	}
	return !allEnded([]int{p.PID()})
}

func (p *Process) close() {
	p.Stdin.Close() // the user may have closed it
	p.Stdout.Close()
	p.errs.close()
	if p.handle != nil {
		// A room that was killed leaves what remains of its parts to us, if we are PID 1 or a subreaper.
		unix.Wait4(p.PID(), nil, unix.WNOHANG, nil)
		p.handle.Release()
	}
}

// stderr reads a pipe to its end, so that its writer never blocks, and keeps the tail.
type stderr struct {
	Tail
	from    *os.File
	drained chan struct{}
}

func keepStderr(from *os.File) *stderr {
	s := &stderr{from: from, drained: make(chan struct{})}
	go func() {
		defer close(s.drained)
		io.Copy(&s.Tail, from) // ends with the last writer, or with close
	}()
	return s
}

func (s *stderr) close() {
	s.from.Close()
	<-s.drained
}
