package lab

import (
	"context"
	"errors"
	"fmt"

	"github.com/sockbench/sockbench/internal/proc"
	"github.com/sockbench/sockbench/netpath"
	"github.com/sockbench/sockbench/plan"
)

// Where the parts of a trial with a path are, as proc.Part.End has it. The path's own process is in the room's namespace,
// the middle.
const (
	clientEnd = 1
	serverEnd = 2
	pathEnds  = 2
)

// Carry is what a path part is told: what lies between the ends, and how the kernel is set in them.
type Carry struct {
	Path    netpath.Spec    `json:"path,omitzero"`
	Seed    uint64          `json:"seed"`
	Faults  netpath.Faults  `json:"faults,omitempty"`
	Sysctls netpath.Sysctls `json:"sysctls,omitempty"`
}

// needsPath says whether a trial has a path part.
func needsPath(s plan.Spec) bool { return !s.Path.IsZero() || len(s.Sysctls) > 0 }

// carry is the path part.
func carry(c *channel) error {
	m, err := c.receive()
	if err != nil {
		return err
	}
	if m.Carry == nil {
		return errors.New("the part was not told what path to make")
	}
	order := *m.Carry
	var ends []int
	if !order.Path.IsZero() {
		ends = []int{proc.EndsFD, proc.EndsFD + 1}
	}
	set, err := netpath.Tune(order.Sysctls, ends...)
	if err != nil {
		return err
	}
	var path *netpath.Path
	if len(ends) > 0 {
		if path, err = netpath.Open(order.Path, order.Seed, ends[0], ends[1]); err != nil {
			return err
		}
		defer path.Close()
	}
	if err := c.send(Message{Ready: &Ready{}}); err != nil {
		return err
	}
	for {
		m, err := c.receive()
		switch {
		case err != nil:
			return err
		case m.Window != nil && path != nil:
			err = path.Measure(m.Window.Measure, m.Window.End, order.Faults)
		case m.Finish:
			done := Done{Sysctls: set}
			if path != nil {
				if done.Path, err = path.Close(); err != nil {
					return err
				}
			}
			return c.send(Message{Done: &done})
		}
		if err != nil {
			return err
		}
	}
}

// lay makes the network of a trial that has one of its own.
func (p *party) lay(ctx context.Context, room *proc.Room, s plan.Spec, seed uint64) error {
	if i := room.Isolation(); !i.Network {
		return &stageError{"start", fmt.Errorf("a path and sysctls take network namespaces, and this machine gives none: %s", i.Why)}
	}
	if err := p.send(Message{Carry: &Carry{s.Path, seed, s.Faults, s.Sysctls}}); err != nil {
		return &stageError{"start", err}
	}
	_, err := p.await(ctx, "start", slack)
	return err
}
