// Package targets holds the servers under test, one file per model. What models share (options, framing, service time,
// evidence) lives once, in Env and Session, so that a model's file is its input and output strategy and nothing else.
package targets

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sockbench/sockbench/internal/machine"
	"github.com/sockbench/sockbench/results/stats"
	"github.com/sockbench/sockbench/sockopt"
	"github.com/sockbench/sockbench/unit"
	"github.com/sockbench/sockbench/wire"
)

// Ref names a target. Text: a model's name, "exec: ./server --port {port}", "addr: tcp://10.0.0.5:9000".
type Ref struct{ Model, Arg string }

func (r *Ref) UnmarshalText(text []byte) error {
	model, arg, _ := strings.Cut(strings.TrimSpace(string(text)), ":")
	v := Ref{Model: strings.TrimSpace(model), Arg: strings.TrimSpace(arg)}
	e, err := Find(v.Model)
	if err != nil {
		return err
	}
	if e.Foreign && v.Arg == "" {
		return fmt.Errorf("target %s needs an argument: %s", e.Name, e.Example)
	}
	if !e.Foreign && v.Arg != "" {
		return fmt.Errorf("target %s takes no argument %q", e.Name, v.Arg)
	}
	*r = v
	return nil
}

func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

func (r Ref) String() string {
	if r.Arg == "" {
		return r.Model
	}
	return r.Model + ": " + r.Arg
}

// Spec is all a target process is told. Data; its JSON is the message to the child.
type Spec struct {
	Target       Ref               `json:"target"`
	Framing      unit.Word         `json:"framing"`
	Request      unit.Bytes        `json:"request"` // what framings without a length of their own must know
	Reply        unit.Bytes        `json:"reply"`
	Compress     wire.Packing      `json:"compress,omitzero"`
	Compressible unit.Share        `json:"compressible,omitzero"`
	Workers      unit.Count        `json:"workers,omitzero"`  // threads of pools, a connection each, or loops or processes; 0: 8
	Listener     unit.Word         `json:"listener,omitzero"` // of Listeners; "": the first
	Service      unit.Dist         `json:"service_time"`
	WriteSize    unit.Bytes        `json:"write_size,omitzero"` // most bytes of one write, at most 64 KiB; 0: as many as there are
	ReadSize     unit.Bytes        `json:"read_size,omitzero"`  // most bytes of one read, at most 64 KiB; 0: as the model does
	Procs        unit.Count        `json:"gomaxprocs,omitzero"` // GOMAXPROCS of each of its processes; 0: as Go, or the model, chooses
	Ready        Ready             `json:"ready,omitzero"`      // of exec
	Options      []sockopt.Setting `json:"options,omitempty"`
}

// Listeners is how models with several workers let them accept: all from one listening socket, or each from one of its
// own on the same port, among which the kernel divides connections (SO_REUSEPORT), by a hash or by the CPU that handles
// their first packet. The first is the default.
var Listeners = []string{shared, reuseport, byCPU}

const (
	shared    = "shared"
	reuseport = "reuseport"
	byCPU     = "reuseport-cpu"
)

// pool is how many workers a model has that has several.
func (s Spec) pool() int {
	if s.Workers == 0 {
		return workers
	}
	return int(s.Workers)
}

// Place is what only the trial knows; it is no part of the experiment's identity.
type Place struct {
	Listen   string `json:"listen,omitempty"`   // "tcp://127.0.0.1:0", "unix:///path", "udp://…"; "": a free port of the loopback
	Expect   int    `json:"expect"`             // connections to come
	Seed     uint64 `json:"seed"`               // of the block: service times are drawn from it
	Upstream string `json:"upstream,omitempty"` // of what stands in front of a target: where that is
	Samples  int    `json:"samples,omitempty"`  // most requests of Result.Samples; 0: none
}

// Entry is one line of All.
type Entry struct {
	Name      string
	Doc       string
	Elsewhere string                                      // what it is called in other places
	Limit     string                                      // what it cannot do, by design; "" if nothing
	Example   string                                      // of a target that takes an argument
	Knobs     []string                                    // knobs of the server's side that act on it; others are refused in the plan, not ignored
	MaxConns  int                                         // connections it serves at one time, unless knob workers says otherwise; 0: no limit by design
	Most      int                                         // connections it holds; those beyond are closed at once; 0: no limit by design
	PerConn   int64                                       // bytes of memory that each connection takes, where that is more than some machines have; 0: little
	Processes bool                                        // it serves in processes besides the first
	Blocking  bool                                        // its sockets are blocking, so that SO_RCVTIMEO and SO_SNDTIMEO can act
	Busy      bool                                        // it takes a whole CPU also when there is nothing to do
	Datagrams bool                                        // each request and each reply is a datagram: it is on udp
	Teaching  bool                                        // its replies are wrong by design: it is no part of "all"
	Silent    bool                                        // of Teaching: it answers no request
	Deaf      bool                                        // of Silent: it accepts no connection
	Foreign   bool                                        // exec, addr: the server is not ours; no server options, no record of what it did
	Check     func() error                                // why it cannot work on this machine; nil: it works everywhere
	Honest    func(i Inspection, s Spec, conns int) error // whether a process with that many idle connections does what Doc says
	Start     func(ctx context.Context, s Spec, p Place) (Server, error)
}

// networks are those it can be on, the usual one first.
func (e *Entry) networks() []string {
	if e.Datagrams {
		return overDatagrams
	}
	return overStreams
}

// Network is the usual one of its servers: "tcp" or "udp".
func (e *Entry) Network() string { return e.networks()[0] }

// Serves is how many connections the entry's server serves at one time when it is started with s; 0: no limit by design.
func (e *Entry) Serves(s Spec) int {
	if e.MaxConns > 0 && slices.Contains(e.Knobs, "workers") {
		return s.pool()
	}
	return e.MaxConns
}

// Server is a live target. Start has returned: it accepts.
type Server interface {
	Addr() string                    // "tcp://127.0.0.1:41234", "unix:///path", "udp://127.0.0.1:41234"
	PIDs() []int                     // whose CPU and memory count; empty: this process's alone
	Drain(ctx context.Context) error // stop accepting, finish what was received, FIN; returns when threads and descriptors are gone
	Close() error                    // at once; twice is fine; waits
	Result() Result                  // complete after Drain or Close
}

// Result is the server's side of a trial.
type Result struct {
	Accepts  int64   `json:"accepts"`
	Refused  int64   `json:"refused,omitempty"`           // of those, closed at once for want of room
	Spread   []int64 `json:"accepts_by_worker,omitempty"` // where several accept
	Requests int64   `json:"requests"`                    // complete ones; of naive: reads
	Reads    int64   `json:"reads"`                       // reads that returned bytes
	Writes   int64   `json:"writes"`                      // writes that took bytes
	Sent     int64   `json:"bytes_sent"`
	Received int64   `json:"bytes_received"`
	Protocol int64   `json:"protocol_errors"`      // connections closed because of what they sent; datagrams dropped for it
	Procs    int     `json:"gomaxprocs,omitempty"` // of the processes that serve, as their Go runtime said; 0: none of ours does
	Queue    Queue   `json:"queue,omitzero"`       // of pool

	// Of all requests where the service time is 100 us or more, else of one in about 61, and of the measure phase where there is one.
	Waiting stats.Quantity `json:"waiting,omitzero"` // from when the wait or the read that told of the request returned to when its service began
	Service stats.Quantity `json:"service,omitzero"` // from then to when its service was over

	MessagesPerRead float64 `json:"messages_per_read"` // requests ÷ reads
	ReadsPerMessage float64 `json:"reads_per_message"`

	Sockets sockopt.Sockets `json:"sockets"`
	// Histograms of Waiting and Service, as the record keeps them.
	Histograms map[string]string `json:"-"`
	Samples    []Sample          `json:"-"` // the first requests handled, as many as Place asked for; after Drain or Close
	Dropped    int64             `json:"-"` // how many more there were
}

// ratios fills in what the counts say.
func (r *Result) ratios() {
	if r.Reads > 0 && r.Requests > 0 {
		r.MessagesPerRead = float64(r.Requests) / float64(r.Reads)
		r.ReadsPerMessage = 1 / r.MessagesPerRead
	}
}

// add counts what another process saw. Histograms, and what is computed of them and of the counts, are not its business.
func (r *Result) add(o Result) {
	r.Accepts += o.Accepts
	r.Refused += o.Refused
	r.Requests += o.Requests
	r.Reads += o.Reads
	r.Writes += o.Writes
	r.Sent += o.Sent
	r.Received += o.Received
	r.Protocol += o.Protocol
}

// Names of the Result's histograms.
const (
	QueueHistogram   = "server_queue"
	ServiceHistogram = "server_service"
)

// Find returns the model of that name.
func Find(name string) (*Entry, error) {
	names := make([]string, len(All))
	for i := range All {
		if All[i].Name == name {
			return &All[i], nil
		}
		names[i] = All[i].Name
	}
	return nil, fmt.Errorf("no target %q: choose one of %s", name, strings.Join(names, ", "))
}

// Check says what is wrong with s and p, as far as that can be told without starting anything.
func Check(s Spec, p Place) error {
	e, err := Find(s.Target.Model)
	if err != nil || e.Foreign {
		return err
	}
	p.Samples = 0
	_, err = newEnv(s, p, e.networks())
	return err
}

// Start starts the target that s names.
func Start(ctx context.Context, s Spec, p Place) (Server, error) {
	e, err := Find(s.Target.Model)
	if err != nil {
		return nil, err
	}
	if err := e.Fits(); err != nil {
		return nil, err
	}
	if need := e.PerConn * int64(p.Expect); need > 0 {
		if free, err := machine.MemoryAvailable(); err == nil && need > free {
			return nil, fmt.Errorf("target %s takes about %d MB for each connection, %d MB for %d; %d MB are free: use fewer connections",
				e.Name, e.PerConn>>20, need>>20, p.Expect, free>>20)
		}
	}
	return e.Start(ctx, s, p)
}

// Fits says why the target cannot work on this machine; nil: it can.
func (e *Entry) Fits() error {
	if e.Check != nil {
		if err := e.Check(); err != nil {
			return fmt.Errorf("target %s cannot work here: %w", e.Name, err)
		}
	}
	return nil
}
