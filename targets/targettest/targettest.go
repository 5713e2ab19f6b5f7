// Package targettest is the conformance suite: what every server model must do, whatever it is made of.
package targettest

import (
	"context"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/sockbench/sockbench/internal/quiet"
	"github.com/sockbench/sockbench/internal/testenv"
	"github.com/sockbench/sockbench/targets"
	"github.com/sockbench/sockbench/unit"
)

// patience bounds every wait for something that must happen.
const patience = 10 * time.Second

// Run tests the model of that name. Subtests do not run in parallel: they look at the whole process.
func Run(t *testing.T, name string) {
	e, err := targets.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Fits(); err != nil {
		testenv.Skip(t, name, err.Error())
	}
	cases := streams
	switch {
	case e.Datagrams:
		cases = datagrams
	case e.Silent:
		cases = silent
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.bounds && e.Teaching {
				t.Skip("its mistake is to take a read for a request")
			}
			quiet.Steady(t, func(t testing.TB) {
				noLeaks(t)
				c.test(t, e)
			})
		})
	}
}

type check struct {
	name   string
	test   func(testing.TB, *targets.Entry)
	bounds bool // it takes a server that finds where a request ends
}

// What a model must do that serves connections, and …
var streams = []check{
	{"Echo", echo, true}, {"Pipelined", pipelined, true}, {"Fragments", fragments, true}, {"Sink", sink, true},
	{"Pieces", pieces, true}, {"Procs", procs, false}, {"OtherClients", otherClients, true}, {"NoAllocation", noAllocation, false}, {"HalfClose", halfClose, true}, {"Reset", reset, false},
	{"Garbage", garbage, true}, {"GarbageEndsInOrder", garbageFin, true}, {"Oversized", oversized, true},
	{"SlowReader", slowReader, true}, {"SlowReaderOfSmallReplies", slowReaderSmall, true}, {"Connections", connections, false},
	{"ManyConnections", manyConnections, false}, {"Soak", soak, true},
	{"OutOfDescriptors", outOfDescriptors, false},
	{"ServiceTime", serviceTime, false}, {"NoReplyWaitsForTheNext", noReplyWaits, true}, {"Samples", samples, true},
	{"DrainInFlight", drainInFlight, false}, {"DrainReceived", drainReceived, true}, {"DrainIdle", drainIdle, false},
	{"DrainUnderLoad", drainUnderLoad, true}, {"DrainTooLong", drainTooLong, false}, {"DrainRefuses", drainRefuses, false}, {"Close", closes, false},
	{"Cancel", cancels, false}, {"Threads", threads, false},
	{"KernelDefaults", kernelDefaults, false}, {"Options", options, true}, {"IdleTimeout", idleTimeout, false},
	{"FixedPort", fixedPort, false}, {"IPv6", ipv6, false}, {"Unix", unixSocket, false}, {"UnixPaths", unixPaths, false},
}

// … what one must that answers nobody, and …
var silent = []check{
	{"NoReply", noReply, false}, {"Procs", procs, false}, {"SilentOptions", silentOptions, false}, {"SilentDrain", silentDrain, false}, {"SilentClose", silentClose, false},
}

// … what one must that serves datagrams.
var datagrams = []check{
	{"Echo", echo, true}, {"Sink", sink, true}, {"NoAllocation", noAllocation, false}, {"Clients", udpClients, true},
	{"Procs", procs, false},
	{"Garbage", udpGarbage, true}, {"Batches", udpBatches, true}, {"Flood", udpFlood, true},
	{"ServiceTime", serviceTime, false}, {"NoReplyWaitsForTheNext", noReplyWaits, true}, {"Samples", samples, true},
	{"DrainReceived", udpDrain, true}, {"DrainUnderLoad", udpDrainUnderLoad, true}, {"DrainTooLong", udpDrainTooLong, false},
	{"Close", closes, false}, {"Cancel", cancels, false}, {"Threads", threads, false},
	{"KernelDefaults", udpKernelDefaults, false}, {"Options", udpOptions, false}, {"Refused", udpRefused, false},
	{"FixedPort", udpFixedPort, false}, {"IPv6", ipv6, false},
}

// start starts e and closes it at the end of the test. Zero fields of s and p have usual values.
func start(t testing.TB, e *targets.Entry, s targets.Spec, p targets.Place) targets.Server {
	t.Helper()
	s.Target.Model = e.Name
	if s.Framing == "" {
		s.Framing = "length"
	}
	if s.Request == 0 {
		s.Request, s.Reply = 64, 64
	}
	p.Expect = max(p.Expect, 16)
	srv, err := targets.Start(context.Background(), s, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, srv) })
	return srv
}

// others are srv's processes besides this one.
func others(srv targets.Server) []int {
	return slices.DeleteFunc(srv.PIDs(), func(pid int) bool { return pid == os.Getpid() })
}

// stop closes srv, twice, which must not take long.
func stop(t testing.TB, srv targets.Server) {
	t.Helper()
	within(t, 10*time.Second, "Close", func() {
		for range 2 {
			if err := srv.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
	})
}

// within fails the test, with every stack, if f takes longer than limit.
func within(t testing.TB, limit time.Duration, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(limit):
		stacks := make([]byte, 64<<10)
		t.Fatalf("%s takes longer than %v\n%s", what, limit, stacks[:runtime.Stack(stacks, true)])
	}
}

// eventually waits until f says that all is well; what describes what was seen last.
func eventually(t testing.TB, limit time.Duration, f func() (ok bool, what string)) {
	t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(2 * time.Millisecond) {
		ok, what := f()
		if ok {
			return
		}
		if time.Now().After(end) {
			t.Error(what)
			return
		}
	}
}

// noLeaks compares the process before and after the test. It must be called before anything else registers a cleanup.
func noLeaks(t testing.TB) {
	fds, routines := count(t, "/proc/self/fd"), runtime.NumGoroutine()
	t.Cleanup(func() {
		eventually(t, patience, func() (bool, string) {
			now := count(t, "/proc/self/fd")
			return now <= fds, "descriptors leaked"
		})
		eventually(t, patience, func() (bool, string) {
			return runtime.NumGoroutine() <= routines, "goroutines leaked"
		})
	})
}

// count is the number of entries of a directory of /proc.
func count(t testing.TB, dir string) int {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// dist reads a service time.
func dist(t testing.TB, text string) (d unit.Dist) {
	t.Helper()
	if err := d.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return d
}
