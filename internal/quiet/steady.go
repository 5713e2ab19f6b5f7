package quiet

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	tries      = 8
	patience   = 2 * time.Minute
	standstill = 5 * time.Millisecond // a quarter of the shortest timeout of a test
)

// Steady runs f, which supposes a machine that does not stand still: on another, what arrives in time and what does not
// is the machine's doing. A failure counts, unless this process was not run for 5 ms or more meanwhile. Then f is tried
// again, eight times at most and not after two minutes. What f cleans up is cleaned up after each try.
func Steady(t testing.TB, f func(t testing.TB)) {
	t.Helper()
	steady(t, longestPause, f)
}

func steady(t testing.TB, longestPause func(func()) time.Duration, f func(t testing.TB)) {
	t.Helper()
	began := time.Now()
	for try := 1; ; try++ {
		a := &attempt{TB: t}
		pause := longestPause(func() { a.run(f) })
		if !a.Failed() {
			return
		}
		said := strings.Join(a.said, "\n")
		if pause < standstill || try == tries || time.Since(began) > patience {
			t.Fatalf("try %d, longest pause %v:\n%s", try, pause, said)
		}
		t.Logf("try %d does not count, since nothing was run for %v:\n%s", try, pause, said)
	}
}

// longestPause is how much longer than asked for a sleep of a millisecond took at worst while f ran. It allocates nothing
// meanwhile: some tests count allocations.
func longestPause(f func()) (pause time.Duration) {
	var ended atomic.Bool
	began, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		last := time.Now()
		close(began)
		for !ended.Load() {
			time.Sleep(time.Millisecond)
			now := time.Now()
			pause, last = max(pause, now.Sub(last)-time.Millisecond), now
		}
	}()
	<-began
	defer func() { ended.Store(true); <-done }()
	f()
	return
}

// attempt is a test that keeps its failures to itself. Its methods are safe for concurrent use, as a test's are.
type attempt struct {
	testing.TB
	mu       sync.Mutex
	failed   bool
	said     []string
	cleanups []func()
}

type givenUp struct{}

func (a *attempt) run(f func(testing.TB)) {
	defer func() {
		if r := recover(); r != nil && r != (givenUp{}) {
			panic(r)
		}
	}()
	defer func() {
		for _, f := range a.cleanups {
			defer f() // the last one first, as a test's
		}
	}()
	f(a)
}

func (a *attempt) say(failed bool, text string) {
	_, file, line, _ := runtime.Caller(2)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failed = a.failed || failed
	a.said = append(a.said, fmt.Sprintf("%s:%d: %s", filepath.Base(file), line, strings.TrimSuffix(text, "\n")))
}

func (a *attempt) Helper()                       {}
func (a *attempt) Log(of ...any)                 { a.say(false, fmt.Sprintln(of...)) }
func (a *attempt) Logf(form string, of ...any)   { a.say(false, fmt.Sprintf(form, of...)) }
func (a *attempt) Error(of ...any)               { a.say(true, fmt.Sprintln(of...)) }
func (a *attempt) Errorf(form string, of ...any) { a.say(true, fmt.Sprintf(form, of...)) }
func (a *attempt) Fatal(of ...any)               { a.say(true, fmt.Sprintln(of...)); panic(givenUp{}) }
func (a *attempt) Fatalf(form string, of ...any) {
	a.say(true, fmt.Sprintf(form, of...))
	panic(givenUp{})
}
func (a *attempt) Fail()    { a.say(true, "failed") }
func (a *attempt) FailNow() { a.say(true, "failed"); panic(givenUp{}) }
func (a *attempt) Cleanup(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cleanups = append(a.cleanups, f)
}
func (a *attempt) Failed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failed
}
