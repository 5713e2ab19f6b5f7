package targets

import (
	"context"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/sockbench/sockbench/wire"
)

var sourceEntry = Entry{
	Name: "source",
	Doc: "Sends replies that nobody asked for, as fast as each connection takes them, and reads nothing: what a client's check " +
		"of replies is measured against.",
	Elsewhere: "chargen (RFC 864)",
	Limit:     "No request is ever read: a client that checks its replies finds none of them valid.",
	Knobs:     []string{"framing", "reply", "compress", "compressible", "write_size", "gomaxprocs", "options"},
	Blocking:  true,
	Teaching:  true,
	Silent:    true,
	Honest: func(i Inspection, _ Spec, conns int) error {
		return i.blocks(threads{"write": conns, "accept4": 1})
	},
	Start: func(ctx context.Context, s Spec, p Place) (Server, error) {
		t, err := newThreaded(s, p)
		if err != nil {
			return nil, err
		}
		return t.env.serve(ctx, t.addr, source{t, replies(t.env.codec, max(int64(s.Reply), naiveMin))}), nil
	},
}

// replies are as many replies of one size as fill a large write, at least one. They carry the id 0, which no request has.
func replies(codec wire.Codec, size int64) (b []byte) {
	var f wire.Frame
	for piece := make([]byte, readMax); len(b) < readMax; f.Reset() {
		codec.Put(&f, wire.Message{Size: size, Reply: size})
		for f.Left() > 0 {
			part := f.Next(piece)
			b = append(b, part...)
			f.Wrote(len(part))
		}
	}
	return slices.Clip(b)
}

type source struct {
	*threaded
	stream []byte
}

func (m source) run() {
	lockThread()
	var wg sync.WaitGroup
	m.accepts(func(s *Session) {
		wg.Go(func() {
			lockThread()
			m.send(s)
		})
	})
	m.release(m.listener)
	wg.Wait()
}

// send sends until the connection ends.
func (m source) send(s *Session) {
	for rest := m.stream; !m.stopping.Load(); {
		n, err := unix.Write(s.fd, rest[:min(len(rest), m.env.most)])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			break
		}
		s.writes++
		s.sent += int64(n)
		if rest = rest[n:]; len(rest) == 0 {
			rest = m.stream
		}
	}
	s.Closing()
	m.release(s.fd)
}

// drain is halt: there is no end that could be waited for.
func (m source) drain() { m.halt() }
