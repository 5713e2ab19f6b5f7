package targettest

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/sockopt"
	"github.com/sockbench/sockbench/targets"
)

// noReply: whatever is asked, no reply carries a request's id; and what the server counts is what it did.
func noReply(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{}, targets.Place{})
	c := dial(t, srv)
	c.ask(3)
	if err := c.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	got, err := io.Copy(io.Discard, c)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection ended: %v", err)
	}
	c.hangUp()
	stop(t, srv)
	r := srv.Result()
	switch sends := e.Name == "source"; {
	case sends && (got < 1<<20 || r.Sent < got || r.Requests != 0 || r.Received != 0):
		t.Errorf("%d bytes came; result %+v", got, r)
	case !sends && (got != 0 || r.Sent != 0):
		t.Errorf("%d bytes came; result %+v", got, r)
	case e.Name == "sink" && (r.Requests != 3 || r.Received != 3*68):
		t.Errorf("of 3 requests of 68 bytes it took %d, of %d bytes", r.Requests, r.Received)
	}
	if accepts := r.Accepts > 0; accepts == e.Deaf {
		t.Errorf("it accepted %d connections", r.Accepts)
	}
}

// silentOptions: those of the listening socket are in force there; those of accepted sockets, where there are any.
func silentOptions(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{Options: []sockopt.Setting{option(t, "backlog", "7"), option(t, "SO_RCVBUF", "16KiB")}}, targets.Place{})
	l := listening(t, srv)
	for name, want := range map[string]string{"backlog": "7", "SO_RCVBUF": "32KiB"} {
		o, _ := sockopt.Find(name)
		if got, err := o.Get(l); got != want || err != nil {
			t.Errorf("%s of the listening socket is %s (%v), want %s", name, got, err, want)
		}
	}
	c := dial(t, srv)
	if !e.Deaf {
		eventually(t, patience, func() (bool, string) {
			return srv.(interface{ Accepted() int64 }).Accepted() > 0, "the connection is not accepted"
		})
		o, _ := sockopt.Find("SO_RCVBUF")
		if got, err := o.Get(accepted(t, srv, c)); got != "32KiB" || err != nil {
			t.Errorf("SO_RCVBUF of an accepted socket is %s (%v), want 32KiB", got, err)
		}
	}
	c.hangUp()
	stop(t, srv)
	for _, a := range srv.Result().Sockets.Applied {
		if !a.Class.Acts() {
			t.Errorf("reported %+v", a)
		}
	}
}

// silentDrain: with nothing to finish a drain is immediate, also while a client sends or does not read, and nobody
// listens any more.
func silentDrain(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{}, targets.Place{})
	c := dial(t, srv)
	c.ask(3)
	time.Sleep(20 * time.Millisecond)
	began := time.Now()
	drained(t, srv, drain(t, srv, patience))
	if took := time.Since(began); took > time.Second {
		t.Errorf("the drain took %v", took)
	}
	c.gone()
}

// silentClose: Close returns at once whatever the server is waiting in, and the end of Start's context is a Close.
func silentClose(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{}, targets.Place{})
	c := dial(t, srv)
	c.ask(1)
	time.Sleep(20 * time.Millisecond)
	within(t, time.Second, "Close", func() { srv.Close() })
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := connectTo(fd, srv); err != unix.ECONNREFUSED {
		t.Errorf("connecting after Close: %v", err)
	}
	cancels(t, e)
}
