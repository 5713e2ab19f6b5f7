package wire

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// render writes the frame through buffers of the given size, as an engine whose writes are cut short would.
func render(f *Frame, room, step int) []byte {
	var out []byte
	buf := make([]byte, room)
	for f.Left() > 0 {
		b := f.Next(buf)
		b = b[:min(len(b), step)]
		out = append(out, b...)
		f.Wrote(len(b))
	}
	return out
}

// carrier is a framing with what it asks for.
type carrier struct {
	*Framing
	name    string
	params  Params
	carries int64 // 1: requests hold so many bytes as they are told to, 0: none
}

func carriers() (all []carrier) {
	for i := range All {
		f, p := &All[i], Params{Request: 64, Reply: 64}
		if f.Kinds == nil {
			all = append(all, carrier{f, f.Name, p, 1})
			continue
		}
		all = append(all, carrier{f, f.Name + " PING", p, 0})
		p.Keys, p.Reads = 1000, 1
		all = append(all, carrier{f, f.Name + " GET", p, 0})
		p.Reads = 0
		all = append(all, carrier{f, f.Name + " SET", p, 1})
	}
	return all
}

func sizes(f *Framing) []int64 {
	return []int64{f.Min, f.Min + 1, f.Min + 7, 64, 1000, 64<<10 - 1, 64 << 10, 64<<10 + 20, 200_000}
}

// Any gluing and any fragmentation of a stream gives the same messages.
func TestFragments(t *testing.T) {
	for i, c := range carriers() {
		fr := c.Framing
		t.Run(c.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, uint64(i)))
			for _, size := range sizes(fr) {
				p := c.params
				p.Request, p.Reply = size, 64
				client, server := fr.Client(p), fr.Server(p)
				var stream []byte
				var f Frame
				for id := range uint64(5) {
					f.Reset()
					client.Put(&f, Message{ID: id + 1, Size: size, Reply: 64})
					want := f.Len()
					wrote := render(&f, 1+rng.IntN(70_000), 1+rng.IntN(100_000))
					if int64(len(wrote)) != want {
						t.Fatalf("size %d: wrote %d bytes, Len says %d", size, len(wrote), want)
					}
					stream = append(stream, wrote...)
				}
				for _, most := range []int{1, 3, 19, 1500, len(stream)} {
					if most == 1 && size > 1000 {
						continue
					}
					var st State
					var got []Message
					for rest := stream; len(rest) > 0; {
						piece := rest[:min(len(rest), 1+rng.IntN(most))]
						for len(piece) > 0 {
							used, done, err := server.Scan(&st, piece)
							if err != nil {
								t.Fatal(err)
							}
							if !done && used != len(piece) {
								t.Fatalf("size %d: %d of %d bytes used and no message", size, used, len(piece))
							}
							piece, rest = piece[used:], rest[used:]
							if done {
								got = append(got, st.Msg)
							}
						}
					}
					if len(got) != 5 || st.Partial() {
						t.Fatalf("size %d in pieces of up to %d: %d messages, partial %v", size, most, len(got), st.Partial())
					}
					for k, m := range got {
						if m.Size != size*c.carries || m.Reply != 64 || fr.Matched(p) && m.ID != uint64(k+1) {
							t.Fatalf("size %d: message %d is %+v", size, k, m)
						}
					}
				}
			}
		})
	}
}

func TestFrameNextIsWholeWhenItFits(t *testing.T) {
	buf := make([]byte, 64<<10)
	for _, c := range carriers() {
		var f Frame
		c.Client(c.params).Put(&f, Message{ID: 9, Size: 64, Reply: 64})
		if n := int64(len(f.Next(buf))); n != f.Len() {
			t.Errorf("%s: Next gives %d of %d bytes", c.name, n, f.Len())
		}
		if cut := f.Cut(); cut <= 0 || cut >= f.Len() {
			t.Errorf("%s: Cut is %d of %d", c.name, cut, f.Len())
		}
	}
}

// A request goes there and its reply comes back, without an allocation.
func TestNoAllocation(t *testing.T) {
	buf := make([]byte, 64<<10)
	for _, c := range carriers() {
		client, server := c.Client(c.params), c.Server(c.params)
		var request, reply Frame
		var in, back State
		id := uint64(0)
		move := func(from, to Codec, f *Frame, st *State, m Message) {
			f.Reset()
			from.Put(f, m)
			out := f.Next(buf)
			f.Wrote(len(out))
			if used, done, err := to.Scan(st, out); used != len(out) || !done || err != nil {
				t.Fatal(c.name, used, done, err)
			}
		}
		if n := testing.AllocsPerRun(1000, func() {
			id++
			move(client, server, &request, &in, Message{ID: id, Size: 64, Reply: 64})
			m := in.Msg
			move(server, client, &reply, &back, Message{ID: m.ID, Op: m.Op, Size: m.Reply, Reply: m.Reply})
		}); n != 0 {
			t.Errorf("%s: %v allocations per message", c.name, n)
		}
		if m := back.Msg; m.Error || m.Last || c.Matched(c.params) && m.ID != id || m.Size != 64 && !(c.Theirs && m.Size == 0) {
			t.Errorf("%s: the last reply is %+v", c.name, m)
		}
	}
}

func TestRefused(t *testing.T) {
	server := length.Server(Params{})
	for _, c := range []struct{ in, says string }{
		{"\x00\x00\x00\x0f", "between"},
		{"\xff\xff\xff\xff", "between"},
		{"GET / HTTP/1.1\r\n\r\n", "between"},
		{"\x00\x00\x00\x10\x09\x00\x00\x00\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00\x01", "operation 9"},
		{"\x00\x00\x00\x10\x00\x00\x00\x00\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x01", "wanted reply"},
		{"\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01", "wanted reply"},
	} {
		var st State
		if _, done, err := server.Scan(&st, []byte(c.in)); done || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: done %v, error %v; want one that says %q", c.in, done, err, c.says)
		}
	}
	long := line.Server(Params{Request: 10, Reply: 10})
	var st State
	block := bytes.Repeat([]byte("x"), 1<<20)
	var err error
	for range 17 {
		if _, _, err = long.Scan(&st, block); err != nil {
			break
		}
	}
	if err == nil {
		t.Error("a line of 17 MiB was accepted")
	}
	for i := range All {
		f := &All[i]
		if err := f.Check(Params{Request: f.Min - 1, Reply: 64}); err == nil || !strings.Contains(err.Error(), "request") {
			t.Errorf("%s: request too small: %v", f.Name, err)
		}
		if err := f.Check(Params{Request: 64, Reply: MaxFrame + 1}); err == nil || !strings.Contains(err.Error(), "reply") {
			t.Errorf("%s: reply too large: %v", f.Name, err)
		}
	}
}

// A scanner fed anything at all neither panics nor claims more than it was given, and never stops making progress.
func FuzzScan(f *testing.F) {
	for _, c := range texts {
		if len(c.in) < 1000 { // long ones take the fuzzer's time and teach it nothing
			f.Add([]byte(c.in), uint8(4))
		}
	}
	f.Add([]byte("\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00\x01abc\n"), uint8(3))
	f.Fuzz(func(t *testing.T, b []byte, step uint8) {
		for i := range All {
			p := Params{Request: 24, Reply: 24}
			for _, c := range []Codec{All[i].Server(p), All[i].Client(p)} {
				want := scanAll(t, c, b, len(b))
				if got := scanAll(t, c, b, int(step)+1); got != want {
					t.Fatalf("%s, in pieces of %d: %s, and in one: %s", All[i].Name, int(step)+1, got, want)
				}
			}
		}
	})
}

// scanAll says what a scanner makes of b in pieces of so many bytes.
func scanAll(t *testing.T, c Codec, b []byte, step int) string {
	var st State
	var all strings.Builder
	for rest := b; len(rest) > 0; {
		piece := rest[:min(len(rest), step)]
		used, done, err := c.Scan(&st, piece)
		if err != nil {
			return all.String() + "error" // which one may depend on how much was there to be looked at
		}
		if used < 0 || used > len(piece) || used == 0 || !done && used < len(piece) {
			t.Fatalf("%T: used %d of %d, done %v", c, used, len(piece), done)
		}
		if rest = rest[used:]; done {
			fmt.Fprintf(&all, "%+v ", st.Msg)
		}
	}
	return fmt.Sprintf("%s, partial %v", &all, st.Partial())
}

func BenchmarkScan(b *testing.B) {
	buf := make([]byte, 64<<10)
	for _, c := range carriers() {
		b.Run(c.name, func(b *testing.B) {
			client, server := c.Client(c.params), c.Server(c.params)
			var f Frame
			var st State
			for b.Loop() {
				f.Reset()
				client.Put(&f, Message{ID: 1, Size: 64, Reply: 64})
				if _, done, _ := server.Scan(&st, f.Next(buf)); !done {
					b.Fatal("no message")
				}
			}
		})
	}
}

// A datagram is one message, whole: anything more or less is none.
func TestDatagram(t *testing.T) {
	for i := range All {
		f := &All[i]
		p := Params{Request: 64, Reply: 64}
		if f.Streams {
			if err := f.CheckDatagram(p); err == nil || !strings.Contains(err.Error(), "stream") {
				t.Errorf("%s over datagrams: %v", f.Name, err)
			}
			continue
		}
		var frame Frame
		f.Client(p).Put(&frame, Message{ID: 7, Size: 64, Reply: 64})
		whole := bytes.Clone(frame.Next(make([]byte, 100)))
		st := State{got: 9} // a leftover, which is not to matter
		if err := ScanDatagram(f.Server(p), &st, whole); err != nil || st.Msg.Size != 64 || f.Matched(p) && st.Msg.ID != 7 {
			t.Errorf("%s: %v, %+v", f.Name, err, st.Msg)
		}
		for _, bad := range [][]byte{nil, whole[:1], whole[:len(whole)-1], append(bytes.Clone(whole), 'x'), append(bytes.Clone(whole), whole...)} {
			if err := ScanDatagram(f.Server(p), &st, bad); err == nil {
				t.Errorf("%s: %d bytes pass for a message of %d", f.Name, len(bad), len(whole))
			}
		}
		most := MaxDatagram - frame.Len() + 64
		for _, c := range []struct {
			p    Params
			says string
		}{
			{Params{Request: most, Reply: most}, ""}, {Params{Request: f.Min - 1, Reply: 64}, "too small"},
			{Params{Request: most + 1, Reply: 64}, "request"}, {Params{Request: 64, Reply: most + 1}, "reply"},
		} {
			if err := f.CheckDatagram(c.p); c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("%s: %+v: %v, want %q", f.Name, c.p, err, c.says)
			}
		}
	}
}
