package loadgen

import (
	"math"
	"testing"
	"time"

	"github.com/sockbench/sockbench/sockopt"
	"github.com/sockbench/sockbench/unit"
)

// Requests and replies of 68 bytes, written and read by 16 at a time: five segments and five reads each.
func TestPieces(t *testing.T) {
	each(t, func(t testing.TB, engine unit.Word) {
		for _, write := range []unit.Word{"single", "split", "cork"} {
			s := spec()
			s.Engine, s.Write, s.WriteSize, s.ReadSize, s.Connections = engine, write, 16, 16, 1
			s.Options = []sockopt.Setting{{Option: "TCP_NODELAY", Level: "on", Phase: sockopt.Fresh}}
			r, l := drive(t, s, Place{To: serve(t, &faulty{})}, time.Second)
			if r.Completed != r.Offered || r.Completed < 100 || len(r.Errors) > 0 {
				t.Fatalf("%s: completed %d of %d, errors %v", write, r.Completed, r.Offered, r.Errors)
			}
			segments := map[unit.Word]float64{"single": 5, "split": 5, "cork": 1}[write] // split behind a head of 20 bytes: 16, 4, 16, 16, 16
			tcp := l.Sockets().TCP
			if got := float64(tcp["data_segs_out"]) * 68 / float64(tcp["bytes_sent"]); math.Abs(got-segments) > .01 {
				t.Errorf("%s: %.2f segments per request, want %v", write, got, segments)
			}
			if math.Abs(r.ReadsPerMessage-5) > .05 { // a reply may be cut by the measure phase's edge
				t.Errorf("%s: %.2f reads per reply, want 5", write, r.ReadsPerMessage)
			}
		}
	})
}

// However streams and glued requests are cut, what arrives is the same.
func TestAnyPieces(t *testing.T) {
	each(t, func(t testing.TB, engine unit.Word) {
		for _, size := range []unit.Bytes{13, 1000, PieceMax} {
			for _, workload := range []string{"rr", "stream-up", "stream-down", "crr"} {
				w, err := FindWorkload(unit.Word(workload))
				if err != nil {
					t.Fatal(err)
				}
				s := spec()
				s.Pipeline = 8
				if w.Brief {
					s.Pipeline = 1
				}
				if w.Defaults != nil {
					w.Defaults(&s)
					s.Request, s.Reply, s.Pipeline = min(s.Request, 10_000), min(s.Reply, 10_000), 4
				}
				s.Workload, s.Engine, s.WriteSize, s.ReadSize, s.Duration = unit.Word(workload), engine, size, size, 100e6
				r, _ := drive(t, s, Place{To: serve(t, &faulty{})}, 2*time.Second)
				if r.Completed != r.Offered || r.Completed < 1 || len(r.Errors) > 0 {
					t.Errorf("%s by %d: completed %d of %d, errors %v", workload, size, r.Completed, r.Offered, r.Errors)
				}
				if workload == "stream-down" && r.RecvBytes > r.Reads*int64(size) {
					t.Errorf("%d bytes came in %d reads of %d", r.RecvBytes, r.Reads, size)
				}
			}
		}
	})
}
