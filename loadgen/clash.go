package loadgen

import (
	"fmt"
	"slices"

	"github.com/sockbench/sockbench/sockopt"
	"github.com/sockbench/sockbench/unit"
	"github.com/sockbench/sockbench/wire"
)

// MaxPipeline is the most requests that a connection carries at one time.
const MaxPipeline = 1024

// deferConnect is the option that lets connect wait for the first write.
const deferConnect = "TCP_FASTOPEN_CONNECT"

// PieceMax is the most bytes that one write or read may be asked to move.
const PieceMax = 64 << 10

// inKernel is how much two sockets surely hold between two programs of which neither reads, in bytes.
const inKernel = 16 << 10

// Clash is what cannot be although each part of it could: the knobs it is about, and a sentence that names the fix.
type Clash struct {
	Knobs []string
	Says  string
}

// Clashes lists what s asks for that cannot be, or would not act.
func (s *Spec) Clashes() (clashes []Clash) {
	clash := func(says string, knobs ...string) { clashes = append(clashes, Clash{knobs, says}) }
	request, reply := s.lengths()
	if s.Write == "split" && request == 1 {
		clash("one byte cannot be split: make request 2 or more", "write", "request")
	}
	if s.Think > 0 && s.OpenLoop() {
		clash("think acts in a closed loop only: leave it out, or the rate", "rate", "arrivals", "think")
	}
	if s.Hold > 0 && slices.ContainsFunc(s.Options, func(o sockopt.Setting) bool { return o.Option == deferConnect && o.Level == "on" }) {
		clash("its connections begin with their first write, and those of hold never write: leave hold out", deferConnect, "client."+deferConnect, "hold")
	}
	if w, err := FindWorkload(s.Workload); err == nil && w.Brief {
		if s.Pipeline > 1 {
			clash("each connection carries one request and is closed: leave pipeline out", "workload", "pipeline")
		}
		if s.IdleTimeout > 0 {
			clash("no connection is ever idle: leave idle_timeout out", "workload", "idle_timeout")
		}
	}
	if s.PerConnection > 0 {
		if s.Workload != "rr" {
			clash("only rr has connections that carry several requests, one after the other: leave requests_per_connection out", "workload", "requests_per_connection")
		} else if s.Pipeline > 1 {
			clash("behind the last request of a connection others would be under way on it: leave pipeline out, or requests_per_connection", "pipeline", "requests_per_connection")
		}
	}
	for _, size := range []struct {
		knob string
		unit.Bytes
	}{{"write_size", s.WriteSize}, {"read_size", s.ReadSize}} {
		if size.Bytes > PieceMax {
			clash(fmt.Sprintf("one call moves at most 64KiB here: make %s smaller, or leave it out", size.knob), size.knob)
		}
	}
	if e, err := findEngine(s.Engine); err == nil && e.Tasks && s.Pipeline > 1 {
		if s.OpenLoop() {
			clash(fmt.Sprintf("engine %s writes and reads in turn, and cannot send what falls due while it waits for a reply: leave pipeline out, or write engine=epoll", s.Engine),
				"engine", "rate", "arrivals", "pipeline")
		} else if int64(s.Pipeline)*min(request, reply) > inKernel {
			clash(fmt.Sprintf("engine %s writes and reads in turn: with so much under way both ways, client and server could wait for each other for ever; make pipeline, request or reply smaller, or write engine=epoll", s.Engine),
				"engine", "pipeline", "request", "reply")
		}
	}
	return clashes
}

// lengths are the bytes of the longest request and of a reply of ours; 0: there is no such framing, or no such size.
func (s *Spec) lengths() (request, reply int64) {
	f, err := wire.Find(string(s.Framing))
	if err != nil || f.Check(s.Params()) != nil {
		return 0, 0
	}
	_, request, reply = f.Lengths(s.Params())
	return request, reply
}

// ClashesOn lists what s asks for that cannot act on connections of the network "tcp", "udp" or "unix".
func (s *Spec) ClashesOn(network string) (clashes []Clash) {
	for _, o := range s.Options {
		if err := o.Fits(network, sockopt.Client); err != nil {
			clashes = append(clashes, Clash{[]string{o.Option, "client." + o.Option}, err.Error()})
		}
	}
	if len(s.Source) > 0 && network == onUnix {
		clashes = append(clashes, Clash{[]string{"source"}, "connections of unix come from no address: leave source out"})
	}
	if s.Write == "cork" && network == onUnix {
		clashes = append(clashes, Clash{[]string{"write"}, "TCP_CORK holds back what is written to TCP, and this is unix: write split, writev or single"})
	}
	if network == onUDP {
		clashes = append(clashes, s.clashesOnUDP()...)
	}
	return clashes
}

func (s *Spec) clashesOnUDP() (clashes []Clash) {
	clash := func(says string, knobs ...string) { clashes = append(clashes, Clash{knobs, says}) }
	if w, err := FindWorkload(s.Workload); err == nil && w.Brief {
		clash("udp knows no connections, which could be opened and closed: write workload=rr", "workload")
	}
	if s.Write == "split" || s.Write == "cork" {
		clash("each write of udp is a datagram of its own, and half a request is none: write single or writev", "write")
	}
	if s.IdleTimeout > 0 {
		clash("udp knows no connections, which could be opened anew: leave idle_timeout out", "idle_timeout")
	}
	if s.PerConnection > 0 {
		clash("udp knows no connections, which could be closed behind a request: leave requests_per_connection out", "requests_per_connection")
	}
	if s.WriteSize > 0 {
		clash("each write of udp is a datagram of its own, and part of a request is none: leave write_size out", "write_size")
	}
	if s.ReadSize > 0 {
		clash("of a datagram the rest is lost that one read does not take: leave read_size out", "read_size")
	}
	if s.Hold > 0 {
		clash("udp knows no connections, which a server could hold: leave hold out", "hold")
	}
	f, err := wire.Find(string(s.Framing))
	if err != nil {
		return clashes
	}
	p := s.Params()
	if f.Streams {
		clash(f.CheckDatagram(p).Error(), "framing")
	} else if !f.Matched(p) {
		clash("udp loses replies, and without an id none can be told from another: write framing=length, or framing=fixed with requests and replies of 8 bytes or more", "framing", "request", "reply")
	} else if err := f.CheckDatagram(p); err != nil && f.Check(p) == nil {
		clash(err.Error(), "framing", "request", "reply", "compress")
	}
	return clashes
}
