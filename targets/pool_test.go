package targets_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sockbench/sockbench/targets"
	"github.com/sockbench/sockbench/unit"
)

// A pool of two serves two connections; the third waits in the queue until one of them is done, which the result shows.
func TestPoolQueue(t *testing.T) {
	for model, queued := range map[string]bool{"pool": true, "pool-leader": false} {
		spec := targets.Spec{Target: targets.Ref{Model: model}, Framing: "fixed", Request: 8, Reply: 8, Workers: 2}
		e, err := targets.Find(model)
		if err != nil {
			t.Fatal(err)
		}
		if n := e.Serves(spec); n != 2 || e.Serves(targets.Spec{}) != e.MaxConns {
			t.Errorf("%s serves %d, or %d of %d", model, n, e.Serves(targets.Spec{}), e.MaxConns)
		}
		srv, err := targets.Start(t.Context(), spec, targets.Place{})
		if err != nil {
			t.Fatal(err)
		}
		var conns []net.Conn
		for range 3 {
			c, err := net.DialTimeout("tcp", strings.TrimPrefix(srv.Addr(), "tcp://"), 5*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Write(make([]byte, 8)); err != nil {
				t.Fatal(err)
			}
			conns = append(conns, c)
			time.Sleep(20 * time.Millisecond)
		}
		answered := func(c net.Conn, within time.Duration) bool {
			if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
				t.Fatal(err)
			}
			_, err := io.ReadFull(c, make([]byte, 8))
			return err == nil
		}
		if !answered(conns[0], 5*time.Second) || !answered(conns[1], 5*time.Second) || answered(conns[2], 50*time.Millisecond) {
			t.Errorf("%s: not just the first two connections are served", model)
		}
		conns[0].Close()
		if !answered(conns[2], 5*time.Second) {
			t.Errorf("%s: the third connection is not served when the first is done", model)
		}
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		q := srv.Result().Queue
		if queued && (q.High != 1 || q.Count != 3 || q.Max < int64(40*time.Millisecond) || q.Sum < q.Max || q.Sum-q.Max > int64(40*time.Millisecond)) {
			t.Errorf("queue %+v", q)
		}
		if !queued && q != (targets.Queue{}) {
			t.Errorf("%s has a queue: %+v", model, q)
		}
	}
	s := targets.Spec{Target: targets.Ref{Model: "pool"}, Workers: unit.Count(1 << 20)}
	if _, err := targets.Start(t.Context(), s, targets.Place{}); err == nil || !strings.Contains(err.Error(), "at most 9000") {
		t.Errorf("a million workers: %v", err)
	}
}
