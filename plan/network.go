package plan

import (
	"errors"
	"fmt"

	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/sockopt"
	"github.com/sockbench/sockbench/targets"
)

// Unfit says why s cannot be run on its target. A plan holds such trials where "all" brought the target in:
// they fail alone, and the others are run.
func (s *Spec) Unfit() error {
	entry, err := targets.Find(s.Target.Target.Model)
	if err != nil {
		return err
	}
	if clashes := carried(s, entry); len(clashes) > 0 {
		return errors.New(clashes[0].Says)
	}
	return nil
}

// carried finds what the target or its network does not carry.
func carried(s *Spec, target *targets.Entry) []loadgen.Clash {
	network, err := target.Network(), error(nil)
	if target.Name == "addr" {
		network, err = loadgen.Network(s.Target.Target.Arg)
	}
	if err != nil {
		return []loadgen.Clash{{Knobs: []string{"target"}, Says: err.Error()}}
	}
	clashes := s.Load.ClashesOn(network)
	if n := s.Load.Total(); target.Most > 0 && n > target.Most {
		clashes = append(clashes, loadgen.Clash{Knobs: []string{"connections", "hold"},
			Says: fmt.Sprintf("target %s holds %d connections at most, and closes those beyond", target.Name, target.Most)})
	}
	if !s.Via.IsZero() && network == "udp" {
		clashes = append(clashes, loadgen.Clash{Knobs: []string{"via"}, Says: "what stands in front of a target takes connections, and a target on udp has none: leave via out"})
	}
	for _, o := range s.Target.Options {
		if err := o.Fits(network, sockopt.Server); err != nil {
			clashes = append(clashes, loadgen.Clash{Knobs: []string{o.Option, "server." + o.Option}, Says: err.Error()})
		}
	}
	for i := range clashes {
		clashes[i].Knobs = append([]string{"target"}, clashes[i].Knobs...)
	}
	return clashes
}
