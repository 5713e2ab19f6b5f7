package targets

import (
	"math"
	"testing"
	"time"

	"github.com/sockbench/sockbench/unit"
	"github.com/sockbench/sockbench/wire"
)

// pair is a session on no socket, and requests to feed it.
func pair(t testing.TB, framing string, p wire.Params, n int) (*Session, []byte) {
	t.Helper()
	e, err := newEnv(Spec{Framing: unit.Word(framing), Request: unit.Bytes(p.Request), Reply: unit.Bytes(p.Reply),
		Compress: p.Packing, Compressible: unit.Share(p.Compressible)}, Place{}, overStreams)
	if err != nil {
		t.Fatal(err)
	}
	f, err := wire.Find(framing)
	if err != nil {
		t.Fatal(err)
	}
	e.times = newTiming(unit.Dist{}, e.board)
	c := f.Client(p)
	var frame wire.Frame
	var in []byte
	buf := make([]byte, 1<<20)
	for id := range n {
		frame.Reset()
		c.Put(&frame, wire.Message{ID: uint64(id), Size: p.Request, Reply: p.Reply})
		in = append(in, frame.Next(buf)...)
	}
	return e.accepted(-1), in
}

// flow feeds b and takes all output in writes of at most step bytes; it returns how many bytes came.
func flow(s *Session, b []byte, step int) (sent int64) {
	s.Feed(b)
	for out := s.Out(); len(out) > 0; out = s.Out() {
		n := min(len(out), step)
		s.Wrote(n)
		sent += int64(n)
	}
	return sent
}

func TestSessionDoesNotAllocate(t *testing.T) {
	for i := range wire.All {
		for _, c := range []struct {
			reply int64
			n     int
		}{{64, 1}, {64, 100}, {100_000, 1}, {100_000, 20}} {
			p := wire.Params{Request: 64, Reply: c.reply}
			s, in := pair(t, wire.All[i].Name, p, c.n)
			if n := testing.AllocsPerRun(200, func() { flow(s, in, 50_000) }); n != 0 {
				t.Errorf("%s, %d requests for %d bytes: %v allocations", wire.All[i].Name, c.n, c.reply, n)
			}
		}
	}
}

// Neither does one that decompresses and compresses; it counts the requests in it, and gives its buffers back.
func TestSessionOfCompressed(t *testing.T) {
	for _, kind := range []string{"gzip", "zstd"} {
		p := wire.Params{Request: 5000, Reply: 9000, Packing: wire.Packing{Kind: kind, Level: 1}, Compressible: .9}
		s, in := pair(t, "length", p, 10)
		whole := flow(s, in, 50_000)
		if s.requests != 10 || s.err != nil || whole < 10*900 || whole > 10*3000 || s.out != nil || s.hold != nil {
			t.Errorf("%s: %d requests, error %v, %d bytes of replies; buffers held %v %v", kind, s.requests, s.err, whole, s.out != nil, s.hold != nil)
		}
		if n := testing.AllocsPerRun(100, func() { flow(s, in, 50_000) }); n != 0 {
			t.Errorf("%s: %v allocations", kind, n)
		}
	}
}

// Between requests a session holds no buffer; while it has output it holds two at most, and Out never gives more than one.
func TestSessionHolds(t *testing.T) {
	for _, c := range []struct {
		reply int64
		n     int
		step  int
	}{{64, 1, 1 << 20}, {64, 900, 7}, {1000, 500, 999}, {64<<10 - 4, 3, 65536}, {1 << 20, 2, 30_000}, {wire.MaxFrame, 1, 1 << 20}} {
		s, in := pair(t, "length", wire.Params{Request: 64, Reply: c.reply}, c.n)
		s.Feed(in)
		var sent int64
		for out := s.Out(); len(out) > 0; out = s.Out() {
			if len(out) > outMax || len(s.rest) > len(in) {
				t.Fatalf("%+v: %d bytes out, %d put aside", c, len(out), len(s.rest))
			}
			n := min(len(out), c.step)
			s.Wrote(n)
			sent += int64(n)
		}
		if want := int64(c.n) * (c.reply + 4); sent != want || s.out != nil || s.hold != nil || s.requests != int64(c.n) {
			t.Errorf("%+v: %d bytes, want %d; %d requests; buffers held %v %v", c, sent, want, s.requests, s.out != nil, s.hold != nil)
		}
	}
}

// A frame of 64 KiB and its head go in one write: cut in two, its last bytes could wait for a delayed acknowledgement.
func TestSessionWritesOnce(t *testing.T) {
	s, in := pair(t, "length", wire.Params{Request: 64, Reply: 64 << 10}, 1)
	if flow(s, in, 1<<20); s.writes != 1 {
		t.Errorf("%d writes", s.writes)
	}
}

func TestDraw(t *testing.T) {
	draws := func(text string, seed uint64) (ds []float64, mean float64) {
		var d unit.Dist
		if err := d.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		e, err := newEnv(Spec{Service: d}, Place{Seed: seed}, overStreams)
		if err != nil {
			t.Fatal(err)
		}
		for range 400 {
			v := float64(e.draw())
			ds = append(ds, v)
			mean += v / 400
		}
		return ds, mean
	}
	exp, mean := draws("exp:50us", 7)
	if want := float64(50 * time.Microsecond); math.Abs(mean/want-1) > 0.15 {
		t.Errorf("mean of 400 draws is %v, want %v within 15 %%", mean, want)
	}
	below := 0
	for _, v := range exp {
		if v < float64(50*time.Microsecond) {
			below++
		}
	}
	if below < 220 || below > 285 { // 1 − 1/e is 63 %
		t.Errorf("%d of 400 are below the mean", below)
	}
	if again, _ := draws("exp:50us", 7); again[399] != exp[399] {
		t.Error("the same seed draws differently")
	}
	if other, _ := draws("exp:50us", 8); other[0] == exp[0] {
		t.Error("another seed draws the same")
	}
	if _, mean := draws("sleep:5ms", 7); mean != float64(5*time.Millisecond) {
		t.Errorf("a fixed service time has mean %v", mean)
	}
}

func BenchmarkSession(b *testing.B) {
	for i := range wire.All {
		b.Run(wire.All[i].Name, func(b *testing.B) {
			s, in := pair(b, wire.All[i].Name, wire.Params{Request: 64, Reply: 64}, 1)
			b.ReportAllocs()
			for b.Loop() {
				flow(s, in, 1<<20)
			}
		})
	}
	b.Run("pipelined", func(b *testing.B) {
		s, in := pair(b, "length", wire.Params{Request: 64, Reply: 64}, 100)
		b.ReportAllocs()
		for b.Loop() {
			flow(s, in, 1<<20)
		}
	})
}
