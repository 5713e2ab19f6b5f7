package loadgen

import (
	"cmp"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sockbench/sockbench/internal/quiet"
	"github.com/sockbench/sockbench/wire"
)

func TestMain(m *testing.M) { os.Exit(quiet.Run(m)) }

// faulty is a server that answers and can be told to misbehave in a known way.
type faulty struct {
	framing  string // "": length
	listen   string // "": a free port of 127.0.0.1
	params   wire.Params
	accepted atomic.Int64
	l        net.Listener
	codec    wire.Codec
	hold     sync.RWMutex                      // write-locked: nobody is answered
	reply    func(n int, m *wire.Message) bool // may change the reply; false: say nothing. n counts the connection's requests from 1.
	after    func(n int, c *net.TCPConn) bool  // after each reply; false: leave
	twice    int                               // which reply is sent twice, in one piece; 0: none
	wg       sync.WaitGroup
	mu       sync.Mutex
	conns    []net.Conn
}

func serve(t testing.TB, f *faulty) string {
	t.Helper()
	fr, err := wire.Find(cmp.Or(f.framing, "length"))
	if err != nil {
		t.Fatal(err)
	}
	f.codec = fr.Server(f.params)
	network, at, _ := strings.Cut(cmp.Or(f.listen, "tcp://127.0.0.1:0"), "://")
	if f.l, err = net.Listen(network, at); err != nil {
		t.Fatal(err)
	}
	f.wg.Add(1)
	go func() {
		defer f.wg.Done()
		for {
			c, err := f.l.Accept()
			if err != nil {
				return
			}
			f.accepted.Add(1)
			f.mu.Lock()
			f.conns = append(f.conns, c)
			f.mu.Unlock()
			f.wg.Add(1)
			go f.conn(c)
		}
	}()
	t.Cleanup(func() {
		f.l.Close()
		f.mu.Lock()
		for _, c := range f.conns {
			c.Close()
		}
		f.mu.Unlock()
		f.wg.Wait()
	})
	return network + "://" + f.l.Addr().String()
}

// pass waits while everybody is held.
func (f *faulty) pass() {
	f.hold.RLock()
	defer f.hold.RUnlock()
}

func (f *faulty) conn(c net.Conn) {
	defer f.wg.Done()
	defer c.Close()
	var st wire.State
	var out wire.Frame
	var m wire.Message // it escapes: one for the connection, not one for every request
	in, buf := make([]byte, 64<<10), make([]byte, 64<<10)
	for n := 0; ; {
		k, err := c.Read(in)
		if err != nil {
			return
		}
		for b := in[:k]; len(b) > 0; {
			used, done, err := f.codec.Scan(&st, b)
			if err != nil {
				return
			}
			if b = b[used:]; !done {
				continue
			}
			n++
			f.pass()
			m = wire.Message{ID: st.Msg.ID, Op: st.Msg.Op, Size: cmp.Or(f.params.Reply, st.Msg.Reply)}
			if f.reply == nil || f.reply(n, &m) {
				out.Reset()
				f.codec.Put(&out, m)
				for out.Left() > 0 {
					b := out.Next(buf)
					if n == f.twice {
						b = append(b, b...)
					}
					k, err := c.Write(b)
					if err != nil {
						return
					}
					out.Wrote(min(k, int(out.Left())))
				}
			}
			if f.after != nil && !f.after(n, c.(*net.TCPConn)) {
				return
			}
		}
	}
}

// spec is a load that suits most tests.
func spec() Spec {
	return Spec{Workload: "rr", Framing: "length", Connections: 4, Arrivals: Arrivals{Law: "constant"}, Dispatch: "idle", Request: 64, Reply: 64,
		Write: "single", Engine: "epoll", Pace: "exact", ConnectTimeout: 1e9, RequestTimeout: 5e9, Warmup: 20e6, Duration: 200e6}
}

// drive runs one load as a load process does.
func drive(t testing.TB, s Spec, p Place, drain time.Duration) (Result, *Load) {
	t.Helper()
	if testing.Short() {
		t.Skip("sends load for a while; run without -short")
	}
	if p.Seed == 0 {
		p.Seed = 1
	}
	l, err := Connect(t.Context(), s, p)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r, err := l.Run(t.Context(), WindowFrom(s, 2*time.Millisecond, drain), nil)
	if err != nil {
		t.Fatal(err)
	}
	checkAccounts(t, r)
	return r, l
}

// checkAccounts holds for every result there can be.
func checkAccounts(t testing.TB, r Result) {
	t.Helper()
	if r.Offered != r.Completed+r.Failed+r.TimedOut+r.Unfinished {
		t.Errorf("offered %d ≠ completed %d + failed %d + timed out %d + unfinished %d", r.Offered, r.Completed, r.Failed, r.TimedOut, r.Unfinished)
	}
	if r.Response.Count != r.Offered {
		t.Errorf("response holds %d of %d offered requests", r.Response.Count, r.Offered)
	}
	if r.Service.Count != r.Completed {
		t.Errorf("service holds %d of %d completed requests", r.Service.Count, r.Completed)
	}
	if r.Lateness.Count != r.Sent || r.QueueWait.Count != r.Sent {
		t.Errorf("lateness holds %d, queue wait %d of %d sent requests", r.Lateness.Count, r.QueueWait.Count, r.Sent)
	}
	if (r.Completed < r.Offered) != (r.Response.Censored != nil) {
		t.Errorf("%d of %d completed, censored from %v", r.Completed, r.Offered, r.Response.Censored)
	}
	var inside int64
	for _, i := range r.Intervals {
		inside += i.Completed
	}
	if got := int64(r.Throughput*float64(r.Duration)/1e9 + .5); got != inside {
		t.Errorf("throughput counts %d replies, the intervals %d", got, inside)
	}
}
