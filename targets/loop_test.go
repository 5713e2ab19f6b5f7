package targets_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/internal/testenv"
	"github.com/sockbench/sockbench/targets"
	"github.com/sockbench/sockbench/unit"
)

// ask sends c an eight-byte request of framing fixed and says whether it was answered.
func ask(c net.Conn) error {
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if _, err := c.Write(make([]byte, 8)); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 8))
	return err
}

// serveFixed starts a model with messages of eight bytes.
func serveFixed(t *testing.T, s targets.Spec) (srv targets.Server, dial func() net.Conn) {
	t.Helper()
	s.Framing, s.Request, s.Reply = "fixed", 8, 8
	srv, err := targets.Start(t.Context(), s, targets.Place{Expect: 16})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	return srv, func() net.Conn {
		c, err := net.DialTimeout("tcp", strings.TrimPrefix(srv.Addr(), "tcp://"), 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
}

// select serves connections whose descriptors are below 1,024 and closes the others at once, which it counts.
func TestSelectRefuses(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur < 1600 {
		testenv.Skip(t, "descriptors", "there must be descriptors of 1,024 and more")
	}
	srv, dial := serveFixed(t, targets.Spec{Target: targets.Ref{Model: "select"}})
	var served, refused int64
	for range 600 { // of whose descriptors this process has both ends
		switch err := ask(dial()); {
		case err == nil && refused > 0:
			t.Fatal("a connection was served after one was refused")
		case err == nil:
			served++
		case errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE):
			refused++
		default:
			t.Fatal(err)
		}
	}
	srv.Close()
	if r := srv.Result(); served < 400 || refused == 0 || r.Refused != refused || r.Requests != served {
		t.Errorf("%d served, %d refused; result %+v", served, refused, r)
	}
}

// However the loops of reactors accept, all connections are served and each loop gets some of them, but where a filter
// says which.
func TestReactorsAccept(t *testing.T) {
	for _, listener := range targets.Listeners {
		const workers, conns = 4, 200
		srv, dial := serveFixed(t, targets.Spec{Target: targets.Ref{Model: "reactors"}, Workers: workers, Listener: unit.Word(listener)})
		for range conns {
			if err := ask(dial()); err != nil {
				t.Fatalf("listener=%s: %v", listener, err)
			}
		}
		srv.Close()
		r := srv.Result()
		busy, sum := 0, int64(0)
		for _, n := range r.Spread {
			if sum += n; n > 0 {
				busy++
			}
		}
		if sum != conns || r.Requests != conns || len(r.Spread) != workers || listener == "reuseport" && busy != workers {
			t.Errorf("listener=%s: result %+v", listener, r)
		}
		listed := false
		for _, o := range r.Sockets.Applied {
			listed = listed || o.Option == "SO_REUSEPORT"
		}
		if listed != (listener != "shared") {
			t.Errorf("listener=%s: options %+v", listener, r.Sockets.Applied)
		}
	}
}
