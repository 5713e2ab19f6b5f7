package netpath

import "github.com/sockbench/sockbench/results/stats"

// Evidence is what a path says of itself after a trial. Counts are of the whole trial, from the first connect; times, the
// queue's high water and CPU are of the measure phase.
type Evidence struct {
	Backend string `json:"backend"`
	Path    string `json:"path"` // with every number written out
	Seed    uint64 `json:"seed"`

	Up   DirStats `json:"up"`
	Down DirStats `json:"down"`

	// Of the link alone.
	Lateness stats.Quantity `json:"lateness"`              // from when a frame was due to when it was put on the wire
	Missed   int64          `json:"missed_frames"`         // that the kernel dropped because the link did not take them in time
	Overflow int64          `json:"overflowed_frames"`     // that found no memory in the link
	Refused  int64          `json:"refused_frames"`        // that the kernel did not take back
	CPU      int64          `json:"cpu_ns"`                // of the link
	Busy     float64        `json:"busy"`                  // share of one CPU
	Slow     bool           `json:"timer_slack,omitempty"` // its timers are coarse: the machine did not let it have fine ones
}

// DirStats is one direction. The kernel's backends know frames, bytes and queue drops only.
type DirStats struct {
	Frames     int64          `json:"frames"` // that came in
	Bytes      int64          `json:"bytes"`  // of them, with the Ethernet header
	Lost       int64          `json:"lost"`   // by the path's own loss
	QueueDrops int64          `json:"queue_drops"`
	FaultDrops int64          `json:"fault_drops"`
	Duplicated int64          `json:"duplicated"`
	Reordered  int64          `json:"reordered"`
	Resets     int64          `json:"resets"`          // connections that a fault made the path forget, and reset
	Room       int64          `json:"queue_bytes"`     // what the bottleneck's queue holds; 0: there is no bottleneck
	QueueMax   int64          `json:"queue_max_bytes"` // most that waited, the frame just come included
	QueueDelay stats.Quantity `json:"queue_delay"`     // how long frames waited for the bottleneck
}
