package loadgen

import (
	"fmt"
	"strings"

	"github.com/sockbench/sockbench/unit"
)

// Workload is one entry of Workloads: what a unit of offered work is. It is counted once, when its reply is complete.
//
// A workload was a state machine once, called for each event of a connection. All there are differ in the fields below,
// which cost nothing to ask.
type Workload struct {
	Name, Doc string
	Unit      string      // what is counted
	Brief     bool        // every unit has a connection of its own: opened, used once, closed
	Arrived   bool        // bytes sent are those that have arrived, and not those that were written
	Stream    bool        // bytes flow all the time: both sides look at their connections now and then
	Defaults  func(*Spec) // what the workload is with nothing else named; nil: as rr
}

// Workloads lists what a load can do. The first is the default.
var Workloads = []Workload{
	{Name: "rr", Unit: "request", Doc: "request and reply over connections that stay open"},
	{Name: "crr", Unit: "connection", Brief: true, Doc: "connect, request, reply, close: every request has a connection of its own"},
	{Name: "stream-up", Unit: "block", Arrived: true, Stream: true, Defaults: bulk(block, 16),
		Doc: "1 MiB blocks to the server, each acknowledged by a small reply, many under way"},
	{Name: "stream-down", Unit: "block", Stream: true, Defaults: bulk(16, block),
		Doc: "1 MiB blocks from the server, each asked for by a small request, many under way"},
}

const (
	block       = 1 << 20
	outstanding = 64 // blocks, per connection
)

// bulk makes a workload of streams: blocks in one direction, small messages in the other, and no timeout, because how
// long a block takes is what the others leave it.
func bulk(request, reply unit.Bytes) func(*Spec) {
	return func(s *Spec) {
		s.Request, s.Reply, s.Pipeline, s.RequestTimeout = request, reply, outstanding, 0
	}
}

// Words a load's knobs may take. The first of each is the default.
var (
	Writes     = []string{"single", "split", "writev", "cork"} // in the order of manner
	Paces      = []string{"exact", "cheap"}
	Dispatches = []string{"idle", "sticky"}
)

// Engines lists the ways to drive sockets. The first is the default.
var Engines = []EngineKind{epollKind, uringKind, netKind, blockKind}

// EngineNames are the names of Engines.
func EngineNames() []string {
	names := make([]string, len(Engines))
	for i := range Engines {
		names[i] = Engines[i].Name
	}
	return names
}

// Tasks says whether the engine of that name has a goroutine or thread per connection.
func Tasks(engine unit.Word) bool {
	e, err := findEngine(engine)
	return err == nil && e.Tasks
}

func findEngine(name unit.Word) (*EngineKind, error) {
	for i := range Engines {
		if Engines[i].Name == string(name) {
			return &Engines[i], nil
		}
	}
	return nil, oneOf("engine", name, EngineNames())
}

// oneOf says whether word stands in list.
func oneOf(knob string, word unit.Word, list []string) error {
	for _, w := range list {
		if w == string(word) {
			return nil
		}
	}
	return fmt.Errorf("no %s %q: choose one of %s", knob, word, strings.Join(list, ", "))
}

// FindWorkload returns the workload of that name.
func FindWorkload(name unit.Word) (*Workload, error) {
	names := make([]string, len(Workloads))
	for i := range Workloads {
		if names[i] = Workloads[i].Name; names[i] == string(name) {
			return &Workloads[i], nil
		}
	}
	return nil, oneOf("workload", name, names)
}
