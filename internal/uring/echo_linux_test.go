package uring

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// echo is a server of one ring: it sends what it received out of the buffer it came in.
type echo struct {
	r       *Ring
	conns   map[uint32]*echoConn
	starved []*echoConn // their receive ended for want of buffers
	ended   int

	accepted, noBuffers int
}

type echoConn struct {
	fd    File
	out   []Completion // received, not yet sent back; the first is being sent
	atEnd bool
}

const (
	accepting = iota << 32
	receiving
	sending
)

// run serves until n connections have come and gone.
func (e *echo) run(t *testing.T, listener File, n int) {
	e.r.Accept(listener, accepting)
	for e.ended < n {
		wait(t, e.r, 1, 10*second)
		var c Completion
		for e.r.Next(&c) {
			e.handle(t, listener, c)
		}
	}
}

func (e *echo) handle(t *testing.T, listener File, c Completion) {
	k := e.conns[uint32(c.Data)]
	switch c.Data >> 32 << 32 {
	case accepting:
		if c.Err() != nil {
			t.Fatal(c.Err())
		}
		e.accepted++
		if err := unix.SetsockoptInt(int(c.Res), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			t.Fatal(err)
		}
		e.conns[uint32(c.Res)] = &echoConn{fd: File(c.Res)}
		e.r.Recv(File(c.Res), receiving|uint64(c.Res))
		if !c.More() {
			e.r.Accept(listener, accepting)
		}
	case receiving:
		switch {
		case c.Err() == unix.ENOBUFS:
			e.noBuffers++
			e.starved = append(e.starved, k)
		case c.Err() != nil:
			t.Fatal(c.Err())
		case c.Res == 0:
			e.r.Recycle(&c)
			k.atEnd = true
		default:
			if k.out = append(k.out, c); len(k.out) == 1 {
				e.send(k)
			}
			if !c.More() {
				e.r.Recv(k.fd, receiving|uint64(k.fd))
			}
		}
	case sending:
		if int(c.Res) != len(e.r.Buffer(&k.out[0])) {
			t.Fatalf("sent %d of %d: %v", c.Res, len(e.r.Buffer(&k.out[0])), c.Err())
		}
		e.r.Recycle(&k.out[0])
		if k.out = k.out[1:]; len(k.out) > 0 {
			e.send(k)
		}
		for _, k := range e.starved {
			e.r.Recv(k.fd, receiving|uint64(k.fd))
		}
		e.starved = e.starved[:0]
	}
	if k != nil && k.atEnd && len(k.out) == 0 {
		k.atEnd = false
		unix.Close(int(k.fd))
		e.ended++
	}
}

func (e *echo) send(k *echoConn) { e.r.Send(k.fd, e.r.Buffer(&k.out[0]), sending|uint64(k.fd)) }

// Thousands of messages on 64 connections come back as they were, on a kernel of today and on ones that lack something,
// with buffers enough and with so few that they run out.
func TestEcho(t *testing.T) {
	const conns, messages = 64, 60
	for lacks := range len(options) + 1 {
		for _, buffers := range []int{1024, 4} {
			t.Run(fmt.Sprintf("lacks %d, %d buffers", lacks, buffers), func(t *testing.T) {
				r := openRing(t, Config{Entries: 8})
				r.Close()
				r, err := open(Config{Entries: 256, Buffers: buffers, BufferLen: 512}, needed|setupOf(options[:lacks]), options[lacks:])
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				listener, addr := listen(t)
				var clients sync.WaitGroup
				for i := range conns {
					f := dial(t, addr)
					clients.Go(func() { converse(t, f, uint64(i), messages) })
				}
				e := &echo{r: r, conns: map[uint32]*echoConn{}}
				e.run(t, listener, conns)
				clients.Wait()
				if e.accepted != conns {
					t.Errorf("%d accepted", e.accepted)
				}
				if (e.noBuffers > 0) != (buffers < conns) {
					t.Errorf("%d times no buffers", e.noBuffers)
				}
			})
		}
	}
}

// setupOf is the flags that stand in for options.
func setupOf(options []option) (flags uint32) {
	for _, o := range options {
		flags |= o.instead
	}
	return flags
}

// converse sends messages of many sizes and expects each of them back, then ends the stream and expects its end.
func converse(t *testing.T, f File, seed uint64, messages int) {
	defer unix.Shutdown(int(f), unix.SHUT_RDWR) // so that the server ends, too, when this fails
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range messages {
		out := make([]byte, 1+random.IntN(1<<random.IntN(13)))
		for k := range out {
			out[k] = byte(random.Uint32())
		}
		in := make([]byte, len(out))
		err := full(unix.Write, f, out)
		if err == nil {
			err = full(unix.Read, f, in)
		}
		if err != nil || !bytes.Equal(in, out) {
			t.Errorf("connection %d, message %d, %d bytes: same %v, %v", seed, i, len(out), bytes.Equal(in, out), err)
			return
		}
	}
	unix.Shutdown(int(f), unix.SHUT_WR)
	if err := full(unix.Read, f, make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("connection %d: want the end of the stream: %v", seed, err)
	}
}
