package loadgen

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sockbench/sockbench/internal/quiet"
	"github.com/sockbench/sockbench/unit"
)

// saying is a server that answers the n-th request of a connection, from 1, with what say gives it; hang: and then closes.
// Requests end in an empty line, as those of http without a body do.
func saying(t testing.TB, say func(n int) (reply string, hang bool)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				in, asked := make([]byte, 64<<10), ""
				for n := 1; ; {
					k, err := c.Read(in)
					if err != nil {
						return
					}
					asked += string(in[:k])
					for {
						_, rest, whole := strings.Cut(asked, "\r\n\r\n")
						if !whole {
							break
						}
						asked = rest
						reply, hang := say(n)
						if _, err := c.Write([]byte(reply)); err != nil || hang {
							return
						}
						n++
					}
				}
			}()
		}
	}()
	return "tcp://" + l.Addr().String()
}

func getting(engine unit.Word) Spec {
	s := spec()
	s.Engine, s.Framing, s.Request, s.Connections, s.Warmup = engine, "http", 0, 2, 0
	return s
}

const fine = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

// Replies of a foreign server are of any size, and in any number of pieces; those with a bad status have failed, and
// their connection goes on.
func TestErrorReplies(t *testing.T) {
	each(t, func(t testing.TB, engine unit.Word) {
		for _, depth := range []unit.Count{1, 4} {
			to := saying(t, func(n int) (string, bool) {
				switch {
				case n%10 == 0:
					return "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy", false
				case n%10 == 1:
					return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", false
				}
				return fine, false
			})
			s := getting(engine)
			s.Pipeline = depth
			r, _ := drive(t, s, Place{To: to}, time.Second)
			n := r.Errors[errorNames[errReply]]
			if len(r.Errors) != 1 || r.Failed != n || n < 10 || off(n*9, r.Completed) && off(n, r.Completed/9) || r.Connections.Served != 2 || r.Connect.Count != 2 {
				t.Errorf("pipeline %d: completed %d, failed %d, errors %v, %d connects", depth, r.Completed, r.Failed, r.Errors, r.Connect.Count)
			}
		}
	})
}

// A server that says Connection: close with every tenth reply, and does: nothing fails that was answered, and the
// connection is opened anew. What was asked behind that reply has failed.
func TestConnectionClose(t *testing.T) {
	engines(t, func(t *testing.T, engine unit.Word) {
		for _, c := range []struct {
			depth unit.Count
			rate  unit.Rate
			work  unit.Word
		}{{1, 0, "rr"}, {1, 2000, "rr"}, {4, 0, "rr"}, {1, 0, "crr"}} {
			t.Run(fmt.Sprint(c), func(t *testing.T) {
				quiet.Steady(t, func(t testing.TB) {
					to := saying(t, func(n int) (string, bool) {
						if n%10 == 0 || c.work == "crr" {
							return strings.Replace(fine, "\r\n", "\r\nConnection: close\r\n", 1), true
						}
						return fine, false
					})
					s := getting(engine)
					s.Pipeline, s.Rate, s.Workload = c.depth, c.rate, c.work
					r, _ := drive(t, s, Place{To: to}, time.Second)
					closed, reset := r.Errors[errorNames[errEOF]], r.Errors[errorNames[errReset]] // by a close with requests unread
					switch {
					case r.Completed < 100, r.Completed+r.Failed != r.Offered, c.depth == 1 && (r.Failed > 0 || len(r.Errors) > 0):
						t.Errorf("completed %d, failed %d of %d, errors %v", r.Completed, r.Failed, r.Offered, r.Errors)
					case c.depth > 1 && (r.Failed < closed || r.Failed > 3*closed+4*reset || closed < 5 || reset > closed/10 || len(r.Errors) > 2):
						t.Errorf("completed %d, failed %d, errors %v", r.Completed, r.Failed, r.Errors)
					case c.work == "rr" && (r.Connect.Count-2 > r.Completed/10+3 || r.Connect.Count < r.Completed*7/100): // what is answered late, after the window, counts without its connect
						t.Errorf("%d completed, ten on a connection, over %d connections", r.Completed, r.Connect.Count)
					}
				})
			})
		}
	})
}

// A server that ends connections without a word, or says what is no HTTP: counted, and the load goes on with new ones.
func TestBrokenReplies(t *testing.T) {
	each(t, func(t testing.TB, engine unit.Word) {
		for reply, kind := range map[string]errorKind{
			"": errEOF, "HTTP/1.1 200 OK\r\nContent-Le": errEOF, "HTTP/1.1 200 OK\r\n\r\n": errProtocol, "+PONG\r\n": errProtocol, fine + fine: errUnasked,
		} {
			to := saying(t, func(n int) (string, bool) {
				if n == 10 {
					return reply, true
				}
				return fine, false
			})
			r, _ := drive(t, getting(engine), Place{To: to}, time.Second)
			bad := r.Errors[errorNames[kind]] + r.Errors[errorNames[errReset]] // of a request that meets a closed socket
			if r.Errors[errorNames[kind]] == 0 || int(bad) < 5 || off(bad, r.Connect.Count-2) || r.Completed < 50 || r.Failed == 0 {
				t.Errorf("%.30q: completed %d, failed %d, errors %v, %d connects", reply, r.Completed, r.Failed, r.Errors, r.Connect.Count)
			}
		}
	})
}
