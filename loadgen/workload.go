package loadgen

import (
	"fmt"
	"strings"

	"github.com/sockbench/sockbench/unit"
)

// Event is what happened to a connection.
type Event uint8

const (
	Due       Event = iota // a unit of work was given to it
	Connected              // its connect succeeded
	Reply                  // a whole, valid reply arrived
	EOF                    // the peer closed
	Failed                 // the connection broke, or the peer broke the protocol
)

// Step is what the engine is to do next with a connection.
type Step uint8

const (
	Await    Step = iota // nothing: wait for the next event
	Send                 // write a request
	Complete             // the unit is done and valid
	Fail                 // the unit is lost
)

// Workload is one entry of Workloads: a state machine over one connection. One unit of offered work runs from Due to
// Complete or Fail and is counted once. On is called on the engine's thread: it must not allocate, block or read a clock.
type Workload struct {
	Name, Doc string
	Unit      string // what is counted
	On        func(Event) Step
}

// Workloads lists what a load can do.
var Workloads = []Workload{
	{Name: "rr", Doc: "request and reply over connections that stay open", Unit: "request", On: rr},
}

func rr(e Event) Step {
	switch e {
	case Due:
		return Send
	case Reply:
		return Complete
	case EOF, Failed:
		return Fail
	}
	return Await
}

// Words a load's knobs may take. The first of each is the default.
var (
	Writes     = []string{"single", "split", "writev", "cork"} // in the order of manner
	Engines    = []string{"epoll"}
	Paces      = []string{"exact", "cheap"}
	Dispatches = []string{"idle", "sticky"}
)

// oneOf says whether word stands in list.
func oneOf(knob string, word unit.Word, list []string) error {
	for _, w := range list {
		if w == string(word) {
			return nil
		}
	}
	return fmt.Errorf("no %s %q: choose one of %s", knob, word, strings.Join(list, ", "))
}

func findWorkload(name unit.Word) (*Workload, error) {
	names := make([]string, len(Workloads))
	for i := range Workloads {
		if names[i] = Workloads[i].Name; names[i] == string(name) {
			return &Workloads[i], nil
		}
	}
	return nil, oneOf("workload", name, names)
}
