package targets_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sockbench/sockbench/targets"
)

// On a real connection: five requests glued together, and one in two pieces, are six to thread. To naive they are three,
// and what it counted shows one message per read, always.
func TestNaiveLive(t *testing.T) {
	for model, want := range map[string]int64{"thread": 6, "naive": 3} {
		spec := targets.Spec{Target: targets.Ref{Model: model}, Framing: "line", Request: 64, Reply: 64}
		srv, err := targets.Start(t.Context(), spec, targets.Place{Expect: 1})
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.DialTimeout("tcp", strings.TrimPrefix(srv.Addr(), "tcp://"), 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		request := strings.Repeat("x", 63) + "\n"
		for _, piece := range []string{strings.Repeat(request, 5), request[:30], request[30:]} {
			if _, err := c.Write([]byte(piece)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond) // so that each is a read of its own
		}
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if err := srv.Drain(context.Background()); err != nil {
			t.Error(err)
		}
		r := srv.Result()
		if n := strings.Count(string(b), "\n"); int64(n) != want || r.Requests != want || r.Reads != 3 {
			t.Errorf("%s: %d replies, %d requests, %d reads; want %d, %d, 3", model, n, r.Requests, r.Reads, want, want)
		}
	}
}
