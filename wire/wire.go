// Package wire is how requests and replies look in a byte stream.
//
// A framing is one entry of All. Each side of a connection holds one Codec (what the framing is), one State for what
// it reads, and one Frame for what it writes. None of them allocates per message.
package wire

import (
	"fmt"
	"math"
	"strings"
)

// MaxFrame is the largest message, in bytes, that any framing reads or writes.
const MaxFrame = 16 << 20

// Message is what one request or reply says.
type Message struct {
	ID    uint64 // 0 where the protocol has none: replies then match in order
	Size  int64  // bytes, as the framing counts them (see Framing)
	Reply int64  // in requests: the wanted size of the reply, or NoReply
	Op    uint8  // what is asked for, in numbers of the framing's own; the reply is given the same
	Error bool   // in replies: the server says that it did not do what was asked
	Last  bool   // no other message is to follow in this direction: the connection ends behind the reply
}

// NoReply is the wanted size of a reply that is not wanted.
const NoReply = -1

// State is the parse state of one direction of one connection. Zero: at a message boundary.
// It holds no body, unless it is compressed: a 16 MiB message costs what an empty one does.
type State struct {
	Msg  Message // valid when Scan reports done, until the next Scan
	head [headMax]byte
	got  int64 // bytes of the current message already seen
	text

	packed *[]byte // a compressed body that comes in pieces; nil: none
}

// headMax is the longest head that any framing must see whole before it knows the message.
const headMax = 20

// Partial reports whether part of a message has been read: an EOF now cuts it short.
func (st *State) Partial() bool { return st.got > 0 }

// Codec is one side of one framing. It is immutable after Framing.Client or Framing.Server and may be shared.
type Codec interface {
	// Put lays m out in f, which must be empty.
	Put(f *Frame, m Message)
	// Scan consumes b, any fragment of the stream, and keeps no reference to it. It stops behind the first complete
	// message (done); used < len(b) only then. An error means that the peer broke the protocol.
	Scan(st *State, b []byte) (used int, done bool, err error)
}

// Framing is one entry of All.
type Framing struct {
	Name, Doc string
	Min       int64                  // the smallest size of a message
	Matched   func(Params) bool      // replies carry the id of their request
	Chooses   bool                   // the request says how long the reply is to be; else both sides are told
	Bare      bool                   // requests are of 0 bytes unless another size is named
	Theirs    bool                   // replies are as long as the server makes them, and any length is right
	Streams   bool                   // it takes a stream: no datagram carries it
	Anew      bool                   // a connection that the peer has ended is opened anew when it is next needed
	Client    func(Params) Codec     // writes requests, scans replies; the sizes have passed Check
	Server    func(Params) Codec     // scans requests, writes replies
	Kinds     func(Params) []Message // requests of every length there is; nil: all are alike
}

// Params are the sizes both sides agree on, counted as the framing counts them, and what framing resp asks for.
type Params struct {
	Request, Reply int64
	Packing        Packing // of bodies; zero: none
	Compressible   float64 // with Packing: the share of a body that repeats itself
	Keys           int64   // how many there are; 0: none is asked for
	Reads          float64 // share of requests that read a key; the others set one
	Seed           uint64  // what keys are drawn from, beside the id of the request
}

// All lists the framings.
var All = []Framing{length, line, fixed, http, resp}

// Lengths are those of the shortest and the longest request, and of the longest reply that a server of ours gives, head
// and all.
func (f *Framing) Lengths(p Params) (shortest, longest, reply int64) {
	kinds := []Message{{Size: p.Request, Reply: p.Reply}}
	if f.Kinds != nil {
		kinds = f.Kinds(p)
	}
	shortest = math.MaxInt64
	client, server := f.Client(p), f.Server(p)
	for _, m := range kinds {
		var there, back Frame
		client.Put(&there, m)
		server.Put(&back, Message{Op: m.Op, Size: p.Reply, Reply: p.Reply})
		shortest, longest, reply = min(shortest, there.Len()), max(longest, there.Len()), max(reply, back.Len())
	}
	return shortest, longest, reply
}

// Find returns the framing of that name.
func Find(name string) (*Framing, error) {
	names := make([]string, len(All))
	for i := range All {
		if All[i].Name == name {
			return &All[i], nil
		}
		names[i] = All[i].Name
	}
	return nil, fmt.Errorf("no framing %q: choose one of %s", name, strings.Join(names, ", "))
}

// Check says whether the framing can carry messages of these sizes.
func (f *Framing) Check(p Params) error {
	for _, s := range []struct {
		knob string
		size int64
	}{{"request", p.Request}, {"reply", p.Reply}} {
		if s.size < f.Min {
			return fmt.Errorf("%s %d is too small: with framing %s it is at least %d bytes", s.knob, s.size, f.Name, f.Min)
		}
		if s.size > MaxFrame {
			return fmt.Errorf("%s %d is too large: at most %d bytes (16MiB)", s.knob, s.size, MaxFrame)
		}
	}
	if p.Keys > MaxKeys {
		return fmt.Errorf("keys %d are too many: at most %d", p.Keys, int64(MaxKeys))
	}
	return f.checkPacking(p)
}
