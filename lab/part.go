package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"time"

	"github.com/sockbench/sockbench/internal/clock"
	"github.com/sockbench/sockbench/internal/machine"
	"github.com/sockbench/sockbench/internal/proc"
	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/targets"
)

const (
	serverPart = "server"
	clientPart = "client"
	viaPart    = "via"
	pathPart   = "path"
	awakePart  = "awake"
)

// Main is called first thing in main, and in TestMain of tests that run trials: the processes of a trial are this
// binary again. In one of those it does the part's work and never returns. others are parts of other packages.
func Main(others ...map[string]func(io.Reader, io.Writer) error) {
	parts := maps.Clone(targets.Parts)
	parts[serverPart], parts[viaPart], parts[clientPart], parts[awakePart] = speak(serve), speak(serve), speak(load), machine.Awake
	parts[pathPart] = speak(carry)
	for _, more := range others {
		maps.Copy(parts, more)
	}
	proc.Main(parts)
}

// speak wraps a part's work: its error is said on the channel, where the parent expects it. A parent that has closed
// the channel no longer wants the part, which is not worth a word.
func speak(work func(*channel) error) func(io.Reader, io.Writer) error {
	return func(in io.Reader, out io.Writer) error {
		c := newChannel(in, out)
		err := work(c)
		if err == nil || errors.Is(err, io.EOF) {
			return nil
		}
		return c.send(Message{Error: err.Error()})
	}
}

// serve is the server part.
func serve(c *channel) error {
	m, err := c.receive()
	if err != nil {
		return err
	}
	if m.Serve == nil {
		return errors.New("the part was not told what to serve")
	}
	srv, err := m.Serve.start()
	if err != nil {
		return err
	}
	defer srv.Close()
	before := machine.Network()
	if err := c.send(Message{Ready: &Ready{Addr: srv.Addr()}}); err != nil {
		return err
	}
	var died <-chan struct{} // nil, and so never ready, for servers that live in this process
	mortal, dies := srv.(interface {
		Died() <-chan struct{}
		Exit() string
	})
	if dies {
		died = mortal.Died()
	}
	said := make(chan Message)
	gone := make(chan error, 1)
	go func() {
		for {
			m, err := c.receive()
			if err != nil {
				gone <- err
				return
			}
			said <- m
		}
	}()
	var used <-chan results.Side
	for {
		select {
		case err := <-gone:
			return err
		case <-died:
			return fmt.Errorf("the %s died: %s", m.Serve.what(), mortal.Exit())
		case m := <-said:
			if m.Settle > 0 {
				settle(srv, m.Settle)
				if err := c.send(Message{Ready: &Ready{}}); err != nil {
					return err
				}
				continue
			}
			if m.Window != nil {
				if s, ok := srv.(interface{ Measure(from, to int64) }); ok {
					s.Measure(m.Window.Measure, m.Window.End)
				}
				used = sample(*m.Window, srv)
				continue
			}
			if used == nil {
				return errors.New("the server part was told to finish before it was told the window")
			}
			return finish(c, srv, <-used, before)
		}
	}
}

func (s *Serve) what() string {
	if s.Via.IsZero() {
		return "target"
	}
	return "proxy in front of the target"
}

func (s *Serve) start() (targets.Server, error) {
	if s.Via.IsZero() {
		return targets.Start(context.Background(), s.Spec, s.Place)
	}
	return s.Via.Start(context.Background(), s.Place)
}

// settle waits until a server of this process has accepted so many connections: the kernel completes them before, and a
// server that is under load already may take seconds to come to the last. One that never does is measured all the same.
func settle(srv targets.Server, connections int) {
	s, ok := srv.(interface{ Accepted() int64 })
	if !ok {
		return
	}
	for end := time.Now().Add(settleTime(len(srv.PIDs()) > 0, connections)); s.Accepted() < int64(connections) && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

// finish drains the server and says what it saw.
func finish(c *channel, srv targets.Server, side results.Side, before map[string]int64) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainLimit)
	defer cancel()
	err := srv.Drain(ctx)
	if errors.Is(err, targets.ErrDied) {
		return fmt.Errorf("the target %w", err)
	}
	if err != nil { // what was measured before is as good as ever
		side.Undrained = err.Error()
	}
	r := srv.Result()
	side.Sockets = r.Sockets
	side.Net = join(machine.Changed(before, machine.Network()), side.Net)
	return c.send(Message{Done: &Done{Server: &r, Histograms: r.Histograms, Side: side, Served: r.Samples}})
}

// sample measures what a server uses in the measure phase: this process, or those that it names if there are any.
func sample(w loadgen.Window, srv targets.Server) <-chan results.Side {
	out := make(chan results.Side, 1)
	pids, look := srv.PIDs, func(int64) {}
	if s, ok := srv.(interface{ Look(at int64) }); ok {
		look = s.Look
	}
	go func() {
		clock.Sleep(w.Measure)
		began, u0, err := usage(pids)
		w.Looks(nil, look)
		clock.Sleep(w.End)
		ended, u1, err1 := usage(pids)
		all := pids()
		if len(all) == 0 {
			all = []int{os.Getpid()}
		}
		open, most := proc.Files(append(all, os.Getpid()))
		if err = errors.Join(err, err1); err != nil {
			out <- results.Side{}
			return
		}
		// A busy scheduler wakes this goroutine some milliseconds late: what was used in the time between the two
		// looks is scaled to the window. Where that is mostly another time, nothing is said.
		scale := float64(w.End-w.Measure) / float64(max(ended-began, 1))
		if scale > 1.25 || scale < 0.8 {
			scale = 0
		}
		s := side(u0, u1, scale)
		s.Files, s.FilesMax, s.PSS, s.Processes = open, most, proc.PSS(all), len(all)
		s.Net = machine.Sockstat()
		out <- s
	}()
	return out
}

func usage(pids func() []int) (at int64, u proc.Usage, err error) {
	if p := pids(); len(p) > 0 {
		return clock.Now(), proc.TreeUsage(p), nil
	}
	u, err = proc.SelfUsage()
	return clock.Now(), u, err
}

// side is the difference of two usages, scaled.
func side(u0, u1 proc.Usage, scale float64) results.Side {
	return results.Side{
		CPUUser:     int64(float64(u1.User-u0.User) * scale),
		CPUSystem:   int64(float64(u1.System-u0.System) * scale),
		Voluntary:   int64(float64(u1.Voluntary-u0.Voluntary) * scale),
		Involuntary: int64(float64(u1.Involuntary-u0.Involuntary) * scale),
		MaxRSS:      u1.MaxRSS,
		Threads:     u1.Threads,
	}
}

// load is the client part.
func load(c *channel) error {
	m, err := c.receive()
	if err != nil {
		return err
	}
	if m.Load == nil {
		return errors.New("the client part was not told what to load")
	}
	before := machine.Network()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	windows := make(chan loadgen.Window, 1)
	go func() {
		for {
			m, err := c.receive()
			if err != nil {
				cancel(err)
				return
			}
			if m.Window != nil {
				windows <- *m.Window
			}
		}
	}()
	l, err := loadgen.Connect(ctx, m.Load.Spec, m.Load.Place)
	if err != nil {
		return err
	}
	defer l.Close()
	if err := c.send(Message{Ready: &Ready{Attained: l.Attained()}}); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case w := <-windows:
		r, s, err := Drive(ctx, l, w)
		if err != nil {
			return err
		}
		s.Net = join(machine.Changed(before, machine.Network()), s.Net)
		requests, _ := l.Samples()
		return c.send(Message{Done: &Done{Client: &r, Histograms: r.Histograms, Side: s, Requests: requests}})
	}
}

// Drive runs a connected load through w, closes it, and says what it measured and what this process used.
func Drive(ctx context.Context, l *loadgen.Load, w loadgen.Window) (loadgen.Result, results.Side, error) {
	var u [2]proc.Usage
	var failed error
	r, err := l.Run(ctx, w, func(begins bool) {
		k := 1
		if begins {
			k = 0
		}
		var err error
		if u[k], err = proc.SelfUsage(); err != nil {
			failed = err
		}
	})
	if err = errors.Join(err, failed); err != nil {
		return r, results.Side{}, err
	}
	s := side(u[0], u[1], 1)
	s.PSS, s.Processes, s.Net = proc.PSS([]int{os.Getpid()}), 1, machine.Sockstat() // with its connections still open
	if err := l.Close(); err != nil {
		return r, s, err
	}
	s.Sockets = l.Sockets()
	return r, s, nil
}

// join is both of what two maps hold.
func join(a, b map[string]int64) map[string]int64 {
	maps.Copy(a, b)
	return a
}

// settleTime is how long a server may take to accept its clients before they have anything to ask. One that starts a
// process for each takes some milliseconds of CPU for it.
func settleTime(processes bool, connections int) time.Duration {
	limit := 3 * time.Second
	if processes {
		limit += time.Duration(connections) * 20 * time.Millisecond
	}
	return limit
}

// drainLimit is how long a server may take to finish once its clients are gone.
const drainLimit = 3 * time.Second
