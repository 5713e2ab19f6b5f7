package results

import (
	"fmt"
	"strings"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/netpath"
)

// pathLate asks whether the emulated path kept its times. A frame that is late by more than a tenth of the path's delay,
// and by more than 1 ms, is a delay that nobody asked for.
func pathLate(r *Record) (Doubt, bool) {
	p := &r.Metrics.Path
	if p.Backend != netpath.Link || p.Lateness.P99 == nil {
		return Doubt{}, false
	}
	limit := max(pathLateLeast, pathLateShare*float64(max(r.Spec.Path.Up.Delay, r.Spec.Path.Down.Delay)))
	late := float64(*p.Lateness.P99)
	return judged(late > limit, Fail, "p99 of the path's lateness is %s over %s frames, where %s is the most", term.Duration(late),
		term.Number(float64(p.Lateness.Count)), term.Duration(limit))
}

// pathSaturated asks whether the emulation had the time and the room for every frame.
func pathSaturated(r *Record) (Doubt, bool) {
	p := &r.Metrics.Path
	if p.Backend != netpath.Link {
		return Doubt{}, false
	}
	var lost []string
	for _, n := range []struct {
		frames int64
		what   string
	}{{p.Missed, "it did not take in time"}, {p.Overflow, "it had no room for"}, {p.Refused, "the kernel did not take back"}} {
		if n.frames > 0 {
			lost = append(lost, fmt.Sprintf("%d frames %s", n.frames, n.what))
		}
	}
	evidence := fmt.Sprintf("the path's process is %s busy", term.Percent(p.Busy))
	if len(lost) > 0 {
		evidence += "; " + strings.Join(lost, ", ")
	}
	bad := p.Busy > pathBusy || len(lost) > 0
	if bad && r.Spec.Path.Up.Rate == 0 && r.Spec.Path.Down.Rate == 0 {
		evidence += "; name a rate of the path"
	}
	return judged(bad, Fail, "%s", evidence)
}
