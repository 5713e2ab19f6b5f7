package loadgen

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/sockbench/sockbench/unit"
	"github.com/sockbench/sockbench/wire"
)

// streamUp is a load of blocks to the server, written by so many bytes.
func streamUp(t testing.TB, writeSize unit.Bytes) Spec {
	t.Helper()
	w, err := FindWorkload("stream-up")
	if err != nil {
		t.Fatal(err)
	}
	s := spec()
	w.Defaults(&s)
	s.Workload, s.Connections, s.WriteSize, s.Duration = "stream-up", 1, writeSize, 100e6
	return s
}

// Where the socket always has room, a connection still writes no more than its turn, and goes on where it was.
func TestTurn(t *testing.T) {
	cases := []struct {
		name    string
		request unit.Bytes
		bytes   int64 // of one turn
		armed   int   // how often it was made to wait for writability
	}{
		{"within a request", block, turn * 12, 1},
		{"between two", 16, turn * 10, 0}, // of 20 bytes, in two writes
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := streamUp(t, 12)
			s.Request = c.request
			l, err := Connect(t.Context(), s, Place{To: serve(t, &faulty{}), Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			e, err := l.newEngine(0, WindowFrom(s, 0, time.Second))
			if err != nil {
				t.Fatal(err)
			}
			defer e.mover.close()
			everTaking, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer everTaking.Close()
			o := &e.mover.(*epoll).output
			armed := 0
			o.arm = func(i int32, on bool) {
				if o.conns[i].armed = on; on {
					armed++
				}
			}
			o.conns[0].fd = int32(everTaking.Fd())
			for e.n > 0 {
				e.start(e.takeFree(), e.w.Start)
			}
			const turns = 2 // in which the small requests are all written
			for k := range int64(turns) {
				e.todo = e.todo[:0]
				o.flush(0)
				if want := (k + 1) * c.bytes; e.sent != want {
					t.Fatalf("%d bytes went in turn %d and before, want %d", e.sent, k+1, want)
				}
				if waits := len(e.todo) > 0; waits == o.conns[0].armed {
					t.Fatalf("after turn %d to be written: %v, waits for writability: %v; want one of them", k+1, waits, o.conns[0].armed)
				}
			}
			if armed != c.armed {
				t.Errorf("waited for writability %d times, want %d", armed, c.armed)
			}
		})
	}
}

// Tiny writes to a server that reads as fast as they come: the measure phase begins and ends in their midst.
func TestClockWhileWriting(t *testing.T) {
	each(t, func(t testing.TB, engine unit.Word) {
		s := streamUp(t, 64)
		s.Engine = engine
		r, _ := drive(t, s, Place{To: serve(t, &faulty{})}, 50*time.Millisecond)
		if len(r.Errors) > 0 {
			t.Errorf("errors %v", r.Errors)
		}
		if r.SentBytes == 0 {
			t.Error("nothing arrived inside the measure phase")
		}
	})
}

// watched is a lane that notes how many bytes had been counted at each write.
type watched struct {
	lane
	sent  *int64
	noted []int64
}

func (w *watched) write([]byte) error {
	w.noted = append(w.noted, *w.sent)
	return nil
}

// A block that takes long to write counts as it goes, and not when all of it has gone.
func TestTasksCountPieces(t *testing.T) {
	framing, err := wire.Find("length")
	if err != nil {
		t.Fatal(err)
	}
	var f wire.Frame
	framing.Client(wire.Params{}).Put(&f, wire.Message{Size: 40})
	e := &tasks{engine: &engine{most: 20}}
	w := &watched{sent: &e.sent}
	if err := e.writeAll(w, -1, &f, make([]byte, 20)); err != nil {
		t.Fatal(err)
	}
	if want := []int64{0, 20, 40}; !slices.Equal(w.noted, want) || e.sent != f.Len() {
		t.Errorf("counted %v before each write, %d in the end; want %v, %d", w.noted, e.sent, want, f.Len())
	}
}
