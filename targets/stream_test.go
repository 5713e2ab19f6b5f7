package targets

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/sockbench/sockbench/wire"
)

// spy notes the messages that a session takes in.
type spy struct {
	wire.Codec
	got *[]wire.Message
}

func (c spy) Scan(st *wire.State, b []byte) (used int, done bool, err error) {
	if used, done, err = c.Codec.Scan(st, b); done {
		*c.got = append(*c.got, st.Msg)
	}
	return used, done, err
}

// taken is what a session makes of a stream.
type taken struct {
	messages []wire.Message
	broken   bool
	replies  int64 // bytes
}

// take feeds a session of its own the stream in reads of the given lengths, over and over; naive: as that model does.
func take(t testing.TB, framing string, p wire.Params, stream []byte, reads []byte, naive bool) (got taken) {
	t.Helper()
	s, _ := pair(t, framing, p, 0)
	if naive {
		s.env.codec = oneRead{s.env.codec, p.Reply}
	}
	s.env.codec = spy{s.env.codec, &got.messages}
	for i := 0; len(stream) > 0 && s.Err() == nil; i++ {
		n := len(stream)
		if len(reads) > 0 {
			n = 1 + int(reads[i%len(reads)])
		}
		n = min(n, len(stream), readMax)
		got.replies += flow(s, stream[:n], 1<<20)
		stream = stream[n:]
	}
	got.broken = s.Err() != nil
	s.Closing()
	return got
}

// TCP has no messages: however a stream is glued together or cut, the same messages come out of it.
func TestAnyFragmentation(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, framing := range []string{"line", "length"} {
		for _, p := range []wire.Params{{Request: 16, Reply: 16}, {Request: 64, Reply: 1000}, {Request: 5000, Reply: 64}} {
			_, stream := pair(t, framing, p, 50)
			whole := take(t, framing, p, stream, nil, false)
			if len(whole.messages) != 50 || whole.broken {
				t.Fatalf("%s %+v: %d messages of 50, broken %v", framing, p, len(whole.messages), whole.broken)
			}
			for range 100 {
				reads := make([]byte, 1+rng.IntN(20))
				most := 1 + rng.IntN(256)
				for i := range reads {
					reads[i] = byte(rng.IntN(most))
				}
				if got := take(t, framing, p, stream, reads, false); !reflect.DeepEqual(got, whole) {
					t.Fatalf("%s %+v in reads of %v, each and one: %d messages, %d bytes of replies, broken %v; want %d, %d",
						framing, p, reads, len(got.messages), got.replies, got.broken, len(whole.messages), whole.replies)
				}
			}
		}
	}
}

// The same holds for streams that are wrong, up to where they are.
func FuzzAnyFragmentation(f *testing.F) {
	p := wire.Params{Request: 64, Reply: 64}
	for i, framing := range []string{"line", "length"} {
		_, stream := pair(f, framing, p, 3)
		f.Add(stream, []byte{0}, i == 1)
		f.Add(append(stream, 0xff, 0xff, 0xff, 0xff), []byte{18, 0, 2}, i == 1)
		f.Add(stream[:100], []byte{66, 67, 68}, i == 1)
	}
	f.Fuzz(func(t *testing.T, stream, reads []byte, length bool) {
		framing := "line"
		if length {
			framing = "length"
		}
		if len(stream) > 4096 {
			return // each 20 bytes of it may ask for 16 MiB
		}
		whole := take(t, framing, p, stream, nil, false)
		if got := take(t, framing, p, stream, reads, false); !reflect.DeepEqual(got, whole) {
			t.Errorf("%s in reads of %v, each and one: %+v, want %+v", framing, reads, got, whole)
		}
	})
}

// Who takes a read for a message miscounts as soon as the stream is not cut where the messages end.
func TestNaiveMiscounts(t *testing.T) {
	p := wire.Params{Request: 60, Reply: 64}
	for _, framing := range []string{"line", "length"} {
		_, stream := pair(t, framing, p, 12)
		one := len(stream) / 12
		for _, c := range []struct {
			read, want int
		}{
			{one, 12},     // by luck
			{2 * one, 6},  // glued
			{one / 2, 24}, // in two pieces
			{20, 12 * one / 20},
		} {
			t.Run(fmt.Sprintf("%s in reads of %d", framing, c.read), func(t *testing.T) {
				reads := []byte{byte(c.read - 1)}
				naive := take(t, framing, p, stream, reads, true)
				if n := len(naive.messages); n < c.want || n > c.want+1 || naive.broken {
					t.Errorf("naive takes 12 messages for %d, broken %v; want about %d", n, naive.broken, c.want)
				}
				if n := len(take(t, framing, p, stream, reads, false).messages); n != 12 {
					t.Errorf("a session takes 12 messages for %d", n)
				}
			})
		}
	}
}
