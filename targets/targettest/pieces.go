package targettest

import (
	"runtime"
	"testing"

	"github.com/sockbench/sockbench/targets"
	"github.com/sockbench/sockbench/unit"
	"github.com/sockbench/sockbench/wire"
)

// pieces: a request and a reply of 68 bytes, by 16 at a time, take five reads and five writes; large ones and glued ones
// come through in whatever pieces.
func pieces(t testing.TB, e *targets.Entry) {
	srv := start(t, e, targets.Spec{WriteSize: 16, ReadSize: 16}, targets.Place{})
	c := dial(t, srv)
	for range 3 {
		c.ask(1)
		c.replies(1)
	}
	c.hangUp()
	stop(t, srv)
	if r := srv.Result(); r.Requests != 3 || r.Reads != 15 || r.Writes != 15 || r.Protocol != 0 {
		t.Errorf("by 16 bytes, 3 requests of 68: %+v", r)
	}
	for _, size := range []int64{1000, 64 << 10} {
		srv := start(t, e, targets.Spec{WriteSize: 1000, ReadSize: 1000}, targets.Place{})
		c := dialAs(t, srv, "length", wire.Params{Request: 100_000, Reply: size})
		c.ask(3)
		c.replies(3)
		c.hangUp()
		stop(t, srv)
		if r := srv.Result(); r.Requests != 3 || r.Reads < 300 || r.Writes < 3*(size+4)/1000 || r.Received > r.Reads*1000 || r.Sent > r.Writes*1000 {
			t.Errorf("by 1000 bytes, replies of %d: %+v", size, r)
		}
	}
}

// procs: GOMAXPROCS is what was asked for, in every process that serves.
func procs(t testing.TB, e *targets.Entry) {
	before := runtime.GOMAXPROCS(0)
	for _, asked := range []int{before + 1, before + 2} {
		srv := start(t, e, targets.Spec{Procs: unit.Count(asked)}, targets.Place{})
		if !e.Datagrams && !e.Silent {
			c := dial(t, srv)
			c.ask(1)
			c.replies(1)
			c.hangUp()
		}
		stop(t, srv)
		if r := srv.Result(); r.Procs != asked || runtime.GOMAXPROCS(0) != before {
			t.Errorf("GOMAXPROCS is %d, asked for %d; afterwards it is %d and was %d", r.Procs, asked, runtime.GOMAXPROCS(0), before)
		}
	}
}
