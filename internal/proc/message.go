package proc

import "syscall"

// order is what the parent tells the room, once, on its control pipe; then the pipe stays open as long as the room is
// wanted.
type order struct {
	Mode  mode
	Ends  int
	Parts []Part
}

// What a room does before it starts its parts, and what of it the machine may refuse.
const (
	stageClone = "clone"
	stageProc  = "mount /proc"
	stageLo    = "bring lo up"
	stageEnds  = "make network namespaces"
	stageSelf  = "prepare the room process" // what is never refused
)

// event is what the room tells the parent: Refused, Failed or Started once, then an Ended for every part.
type event struct {
	Refused string        `json:",omitempty"` // the stage
	Errno   syscall.Errno `json:",omitempty"`
	Failed  string        `json:",omitempty"` // what could not be done for the parts
	Started []int         `json:",omitempty"` // the parts' pids as the room sees them
	Ended   *ended        `json:",omitempty"`
}

type ended struct {
	Part   int
	Status syscall.WaitStatus
}

// The room's descriptors besides its standard ones.
const (
	eventsFD = 3
	partsFD  = 4 // three for each part, its standard input, output and error
)
