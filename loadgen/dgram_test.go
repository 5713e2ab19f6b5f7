package loadgen

import (
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sockbench/sockbench/unit"
	"github.com/sockbench/sockbench/wire"
)

// datagrams is a server of the length framing over udp. answer gets the n-th request of a client, from 1, and says what
// is sent back for it now.
func datagrams(t testing.TB, answer func(n int, reply []byte) [][]byte) (to string, received *atomic.Int64) {
	t.Helper()
	fr, err := wire.Find("length")
	if err != nil {
		t.Fatal(err)
	}
	codec := fr.Server(wire.Params{})
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	received = new(atomic.Int64)
	done := make(chan struct{})
	go func() {
		defer close(done)
		seen := map[string]int{}
		in, buf := make([]byte, 64<<10), make([]byte, 64<<10)
		for {
			k, from, err := c.ReadFrom(in)
			if err != nil {
				return
			}
			var st wire.State
			var out wire.Frame
			if _, whole, err := codec.Scan(&st, in[:k]); err != nil || !whole {
				t.Errorf("%d bytes are no request: %v", k, err)
				continue
			}
			received.Add(1)
			seen[from.String()]++
			codec.Put(&out, wire.Message{ID: st.Msg.ID, Size: st.Msg.Reply})
			for _, b := range answer(seen[from.String()], slices.Clone(out.Next(buf))) {
				c.WriteTo(b, from)
			}
		}
	}()
	t.Cleanup(func() { c.Close(); <-done })
	return "udp://" + c.LocalAddr().String(), received
}

func TestDatagrams(t *testing.T) {
	each(t, func(t testing.TB, engine unit.Word) {
		for _, c := range []struct {
			rate  unit.Rate
			depth unit.Count
		}{{0, 1}, {1000, 1}, {0, 4}} {
			s := spec()
			s.Engine, s.Rate, s.Pipeline, s.Framing = engine, c.rate, c.depth, "length"
			to, received := datagrams(t, func(_ int, reply []byte) [][]byte { return [][]byte{reply} })
			r, _ := drive(t, s, Place{To: to}, 250*time.Millisecond)
			if r.Completed != r.Offered || r.Completed < 100 || len(r.Errors) > 0 || r.Late+r.Duplicated+r.Reordered > 0 || received.Load() < r.Completed {
				t.Errorf("rate %v, pipeline %d: completed %d of %d, the server saw %d; errors %v", c.rate, c.depth, r.Completed, r.Offered, received.Load(), r.Errors)
			}
			if r.Connections.Served != 4 {
				t.Errorf("connections %+v", r.Connections)
			}
		}
	})
}

// Every tenth request of a client meets a fault of known kind. What is counted is what was done. Only where a fault is
// to run into the timeout is that a short one: a machine that stands still makes a request late as well.
func TestDatagramFaults(t *testing.T) {
	var kept []byte // one client, and so one reply held back at a time
	for _, c := range []struct {
		name    string
		timeout unit.Duration
		depth   unit.Count
		answer  func(n int, reply []byte) [][]byte
		wrong   func(r Result, n int64) bool // n is how many tenth requests there were, more or less one
	}{
		{"lost", 50e6, 1, func(n int, reply []byte) [][]byte {
			if n%10 == 0 {
				return nil
			}
			return [][]byte{reply}
		}, func(r Result, n int64) bool {
			return off(r.TimedOut, n) || off(r.Late+r.Duplicated+r.Reordered, 0) || len(r.Errors) > 0
		}},
		{"twice", 10e9, 1, func(n int, reply []byte) [][]byte {
			if n%10 == 0 {
				return [][]byte{reply, reply}
			}
			return [][]byte{reply}
		}, func(r Result, n int64) bool {
			return off(r.Duplicated, n) || off(r.TimedOut+r.Late+r.Reordered, 0) || len(r.Errors) > 0
		}},
		{"late", 50e6, 1, func(n int, reply []byte) [][]byte {
			switch {
			case n%10 == 0:
				kept = reply
				return nil
			case n%10 == 2 && n > 10: // its request timed out, and a newer one has been answered
				return [][]byte{kept, reply}
			}
			return [][]byte{reply}
		}, func(r Result, n int64) bool {
			return off(r.Late, n) || off(r.TimedOut, n) || off(r.Reordered, n) || r.Duplicated > 0 || len(r.Errors) > 0
		}},
		{"overtaken", 10e9, 4, func(n int, reply []byte) [][]byte {
			switch {
			case n%10 == 0:
				kept = reply
				return nil
			case n%10 == 1 && n > 10:
				return [][]byte{reply, kept}
			}
			return [][]byte{reply}
		}, func(r Result, n int64) bool {
			return off(r.Reordered, n) || off(r.TimedOut+r.Late+r.Duplicated, 0) || len(r.Errors) > 0
		}},
		{"garbage", 10e9, 1, func(n int, reply []byte) [][]byte {
			if n%10 == 0 {
				return [][]byte{[]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), reply[:20], {}, reply}
			}
			return [][]byte{reply}
		}, func(r Result, n int64) bool {
			return off(r.Errors[errorNames[errProtocol]]/3, n) || off(r.Completed, r.Offered)
		}},
		{"wrong id", 10e9, 1, func(n int, reply []byte) [][]byte {
			if n%10 == 0 {
				wrong := slices.Clone(reply)
				wrong[12] ^= 0xff
				return [][]byte{wrong, reply}
			}
			return [][]byte{reply}
		}, func(r Result, n int64) bool {
			return off(r.Errors[errorNames[errUnasked]], n) || off(r.Completed, r.Offered)
		}},
		{"wrong size", 10e9, 1, func(n int, reply []byte) [][]byte {
			if n%10 == 0 {
				reply = append(reply, 'x')
				reply[3]++
			}
			return [][]byte{reply}
		}, func(r Result, n int64) bool {
			return off(r.Errors[errorNames[errSize]], n) || off(r.Failed, n)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			each(t, func(t testing.TB, engine unit.Word) {
				s := spec()
				s.Engine, s.Connections, s.Pipeline, s.RequestTimeout, s.Warmup, s.Duration = engine, 1, c.depth, c.timeout, 0, 600e6
				to, received := datagrams(t, c.answer)
				r, _ := drive(t, s, Place{To: to}, 250*time.Millisecond)
				if n := received.Load() / 10; n < 5 || c.wrong(r, n) {
					t.Errorf("of %d requests, faults at %d: completed %d, failed %d, timed out %d, late %d, duplicated %d, reordered %d, errors %v",
						received.Load(), n, r.Completed, r.Failed, r.TimedOut, r.Late, r.Duplicated, r.Reordered, r.Errors)
				}
			})
		})
	}
}

// off says whether got is not want, give or take what the end of the run cuts, or a machine that stood still.
func off(got, want int64) bool { return got < want-3 || got > want+3 }

// Nobody is there: the network says so for each request.
func TestDatagramsRefused(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to := "udp://" + c.LocalAddr().String()
	c.Close()
	each(t, func(t testing.TB, engine unit.Word) {
		s := spec()
		s.Engine, s.Rate = engine, 500
		r, _ := drive(t, s, Place{To: to}, time.Second)
		if r.Failed != r.Offered || r.Offered != 100 || r.Errors[errorNames[errRefused]] < 100 {
			t.Errorf("failed %d of %d, errors %v", r.Failed, r.Offered, r.Errors)
		}
	})
}
