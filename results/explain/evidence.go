package explain

import (
	"math"
	"time"

	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/sockopt"
	"github.com/sockbench/sockbench/targets"
	"github.com/sockbench/sockbench/unit"
)

// What follows reads evidence as a float64 that is NaN where the record does not hold it.

var missing = math.NaN()

// sum is a counter of TCP_INFO over all connections of a side.
func sum(s *results.Side, key string) float64 {
	if v, ok := s.TCP[key]; ok {
		return float64(v)
	}
	return missing
}

// worst is a field of TCP_INFO of a side's worst connection; older records have −1 for what their kernel did not say.
func worst(s *results.Side, key string) float64 {
	if v, ok := s.Worst[key]; ok && v >= 0 {
		return float64(v)
	}
	return missing
}

// counter is by how much a counter of the namespaces of these sides has grown. Those that did not change are left out of
// a record, so that one is 0 where there are others. Sides may share a namespace: the larger of them counts.
func counter(key string, sides ...*results.Side) float64 {
	v := missing
	for _, s := range sides {
		if len(s.Net) > 0 {
			if n := float64(s.Net[key]); math.IsNaN(v) || n > v {
				v = n
			}
		}
	}
	return v
}

// value is a percentile.
func value(v *int64) float64 {
	if v == nil {
		return missing
	}
	return float64(*v)
}

// size is the bytes that an option's text says.
func size(text string) float64 {
	var b unit.Bytes
	if b.UnmarshalText([]byte(text)) != nil {
		return missing
	}
	return float64(b)
}

// requests are those of the whole trial, as the counters of connections are: what the server says, or what the measure
// phase makes likely.
func requests(r *results.Record) float64 {
	m := r.Metrics
	if m.Handled.Requests > 0 {
		return float64(m.Handled.Requests)
	}
	if m.Replies == 0 || m.Duration == 0 {
		return missing
	}
	return float64(m.Replies) * (1 + float64(r.Spec.Load.Warmup)/float64(m.Duration))
}

// inServer is the mean time that the server takes for a request by its own account, 0 where it does not say.
func inServer(m *results.Metrics) float64 { return m.Handled.Waiting.Mean + m.Handled.Service.Mean }

// cpu is a side's CPU time in the measure phase.
func cpu(s *results.Side) float64 {
	if n := s.CPUUser + s.CPUSystem; n > 0 {
		return float64(n)
	}
	return missing
}

// busy is the busier side's share of its time.
func busy(m *results.Metrics) float64 {
	client, known := m.ClientBusy()
	server, also := m.ServerBusy()
	if !known || !also {
		return missing
	}
	return max(client, server)
}

// closed says whether the load is a closed loop.
func closed(r *results.Record) bool { return !r.Spec.Load.OpenLoop() }

// stream says whether bytes flow all the time, rather than requests and replies in turn.
func stream(r *results.Record) bool {
	w, err := loadgen.FindWorkload(r.Spec.Load.Workload)
	return err == nil && w.Stream
}

// foreign says whether the server is not ours.
func foreign(r *results.Record) bool {
	e, err := targets.Find(r.Spec.Target.Target.Model)
	return err == nil && e.Foreign
}

// loopback says whether both ends are known to be on one loopback.
func loopback(r *results.Record) bool {
	return r.Spec.Path.IsZero() && r.Spec.Target.Target.Model != "addr"
}

// option is what an option reads on a side's first connection; "": that is not known.
func option(s *results.Side, name string) string { return s.First[name] }

// applied calls f for the options asked of both sides until it says true.
func applied(m *results.Metrics, f func(side string, a sockopt.Applied) bool) {
	for _, s := range []struct {
		name string
		side *results.Side
	}{{"client", &m.Client}, {"server", &m.Server}} {
		for _, a := range s.side.Applied {
			if a.Class != sockopt.ByModel && f(s.name, a) {
				return
			}
		}
	}
}

// flow is what goes one way over the connections.
type flow struct {
	from, to         string // "client", "server"
	sender, receiver *results.Side
	rate             float64 // bytes per second and connection, in the measure phase
	conns            float64
}

// flows are both ways, the one that carries more first; none where something stands between the two sides, whose
// connections these are.
func flows(r *results.Record) []flow {
	m := r.Metrics
	n := float64(m.Connections.Attained)
	if !r.Spec.Via.IsZero() || m.Duration <= 0 || n == 0 {
		return nil
	}
	perSecond := func(bytes int64) float64 { return float64(bytes) * 1e9 / float64(m.Duration) / n }
	up := flow{"client", "server", &m.Client, &m.Server, perSecond(m.SentBytes), n}
	down := flow{"server", "client", &m.Server, &m.Client, perSecond(m.RecvBytes), n}
	switch {
	case stream(r) && down.rate > up.rate: // what goes the other way is only acknowledgements
		return []flow{down}
	case stream(r):
		return []flow{up}
	case down.rate > up.rate:
		return []flow{down, up}
	}
	return []flow{up, down}
}

// rtt is the worst connection's smoothed round trip time in nanoseconds, leastRTT its shortest.
func (f *flow) rtt() float64      { return worst(f.sender, "rtt_us") * 1e3 }
func (f *flow) leastRTT() float64 { return worst(f.sender, "min_rtt_us") * 1e3 }

// underWay is how many bytes a connection has in the network (Little).
func (f *flow) underWay() float64 { return f.rate * f.rtt() / 1e9 }

// limited is the share of the time a connection had something to send, in which that kept it from sending.
func (f *flow) limited(by string) float64 { return sum(f.sender, by) / sum(f.sender, "busy_us") }

// retransmitted is the share of the data segments that were sent again.
func (f *flow) retransmitted() float64 {
	return sum(f.sender, "total_retrans") / sum(f.sender, "data_segs_out")
}

// eachWay asks test about both ways, until one has it.
func eachWay(test func(*results.Record, *flow) (Diagnosis, bool)) func(*results.Record) (Diagnosis, bool) {
	return func(r *results.Record) (Diagnosis, bool) {
		for _, f := range flows(r) {
			if d, ok := test(r, &f); ok {
				return d, true
			}
		}
		return Diagnosis{}, false
	}
}

// longestConnect is that of connections made, and of those that timed out the timeout, in nanoseconds.
func longestConnect(r *results.Record) float64 {
	longest := missing
	if r.Metrics.Connect.Count > 0 {
		longest = float64(r.Metrics.Connect.Max)
	}
	if r.Metrics.Errors["connect: timed out"] > 0 {
		return max(float64(r.Spec.Load.ConnectTimeout), float64(r.Metrics.Connect.Max))
	}
	return longest
}

// slowConnect is from when on a connect has lost its first SYN: the kernel sends that again after a second, less what a
// clock tick may take off, unless the load gives up before.
func slowConnect(r *results.Record) float64 {
	return min(float64(950*time.Millisecond), float64(r.Spec.Load.ConnectTimeout))
}
