package loadgen

import (
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/sockbench/sockbench/internal/quiet"
	"github.com/sockbench/sockbench/sockopt"
	"github.com/sockbench/sockbench/unit"
)

// Held connections are there as long as the load is, beside any workload, and no number is about them but their own.
func TestHold(t *testing.T) {
	each(t, func(t testing.TB, engine unit.Word) {
		for _, workload := range []unit.Word{"rr", "crr"} {
			f := &faulty{}
			s := spec()
			s.Engine, s.Workload, s.Hold, s.Rate = engine, workload, 30, 500
			s.Options = []sockopt.Setting{{Option: "TCP_NODELAY", Level: "on", Phase: sockopt.Fresh}}
			r, l := drive(t, s, Place{To: serve(t, f)}, time.Second)
			if r.Connections.Held != (Held{30, 30}) || r.Connections.Attained != 4 || r.Connections.Asked != 4 || len(r.Errors) > 0 {
				t.Errorf("%s: connections %+v, errors %v", workload, r.Connections, r.Errors)
			}
			conns := int64(4)
			if workload == "crr" {
				conns = r.Connect.Count // of the measure phase; the warm-up and one to see that somebody is there come to it
			}
			if got := f.accepted.Load(); r.Completed != 100 || got < 30+conns || workload == "rr" && (got != 34 || r.Connect.Count != 4) {
				t.Errorf("%s: completed %d of 100; %d accepted, %d connects", workload, r.Completed, got, r.Connect.Count)
			}
			if err := l.Close(); err != nil || len(l.held) != 0 {
				t.Errorf("%d are left open, %v", len(l.held), err)
			}
			for _, a := range l.Sockets().Applied {
				if workload == "rr" && a.Sockets != 4 {
					t.Errorf("options are said to be on %d sockets, want those of the load, 4", a.Sockets)
				}
			}
		}
	})
}

// A held connection that the server closes is an error of its own kind, also when it went in the middle.
func TestHeldConnectionsClosed(t *testing.T) {
	quiet.Steady(t, func(t testing.TB) {
		for _, listen := range []string{"", "unix://" + filepath.Join(t.TempDir(), "s")} {
			f := &faulty{listen: listen}
			s := spec()
			s.Hold, s.Rate = 10, 500
			to := serve(t, f)
			l, err := Connect(t.Context(), s, Place{To: to, Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			for f.accepted.Load() < 14 {
				time.Sleep(time.Millisecond)
			}
			go func() {
				time.Sleep(50 * time.Millisecond)
				f.mu.Lock()
				defer f.mu.Unlock()
				for i, c := range f.conns[:3] { // the first were held before the load's own came
					if c, ok := c.(*net.TCPConn); ok && i == 0 {
						c.SetLinger(0)
					}
					c.Close()
				}
				f.conns[3].Write([]byte("hello")) // which is no reason to count it
			}()
			r, err := l.Run(t.Context(), WindowFrom(s, 2*time.Millisecond, time.Second), nil)
			if err != nil {
				t.Fatal(err)
			}
			if r.Errors["held connection closed"] != 3 || len(r.Errors) != 1 || r.Completed != 100 || r.Connections.Held != (Held{10, 10}) {
				t.Errorf("%s: errors %v, want 3 held connections closed; %+v, completed %d of 100", to, r.Errors, r.Connections, r.Completed)
			}
		}
	})
}

// What cannot be held is missing, and none at all is an error.
func TestHoldFails(t *testing.T) {
	s := spec()
	s.Hold, s.Connections, s.ConnectTimeout = 10, 1, 100e6
	if _, err := Connect(t.Context(), s, Place{To: listening(t, 3)}); err == nil { // and one more
		t.Error("no connection is left for the load, which is no error")
	}
	f := &faulty{}
	to := serve(t, f)
	f.l.Close()
	if _, err := Connect(t.Context(), s, Place{To: to}); err == nil || kindOf(err) != errRefused {
		t.Errorf("nobody listens: %v", err)
	}
}
