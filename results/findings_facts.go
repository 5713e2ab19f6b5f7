package results

import (
	"math"
	"slices"
)

const (
	fewErrors   = 0.01 // of the requests, so that percentiles are of about all of them
	sameStarved = 0.10 // of the connections: sides may differ by so much in how many they never served
)

// ofRegime are the knobs that a regime is made of: between their levels it differs by design.
var ofRegime = []string{"cpus", "keep_awake", "real_time"}

// fact is what is asked of a record again and again while its trial is compared with others.
type fact struct {
	record  *Record
	values  []float64 // of the metrics; NaN: not supported
	bounds  []bool    // which are only lower bounds
	starved float64
	sound   bool
	open    bool
	atLimit bool
}

// factOf is of a record with metrics.
func factOf(r *Record, metrics []Metric) fact {
	f := fact{record: r, starved: starved(r), sound: sound(r), open: open(r), atLimit: atLimit(r)}
	for _, m := range metrics {
		v, ok := m.Get(r)
		if !ok {
			v = math.NaN()
		}
		f.values = append(f.values, v)
		f.bounds = append(f.bounds, m.Censored != nil && m.Censored(r))
	}
	return f
}

// comparable says whether the difference of two records is that of the knobs.
func (x *fact) comparable(y *fact, metric string, knobs ...string) bool {
	in := func(list []string) bool {
		return slices.ContainsFunc(knobs, func(k string) bool { return slices.Contains(list, k) })
	}
	if x.record.Metrics.Machine.Regime != y.record.Metrics.Machine.Regime && !in(ofRegime) || math.Abs(x.starved-y.starved) > sameStarved {
		return false
	}
	if metric == "throughput" && (x.open || y.open) {
		return false // it is what was offered
	}
	if metric != "server_cpu_per_request" && (x.atLimit || y.atLimit) && in(models) {
		return false
	}
	return x.sound && y.sound
}

// decided says whether the ratio of two values can be used, of which either may be only a lower bound, and whether it is
// then only a bound too. What has no logarithm cannot.
func decided(v, w float64, vBound, wBound bool) (use, bound bool) {
	if v <= 0 || w <= 0 {
		return false, false
	}
	if !vBound && !wBound {
		return true, false
	}
	if less := v < w; v == w || less && vBound || !less && wBound {
		return false, false // it may be either way
	}
	return true, true
}

// sound says whether the record's numbers are what they say.
func sound(r *Record) bool {
	failed := float64(r.Metrics.Failed+r.Metrics.TimedOut) / float64(max(r.Metrics.Offered, 1))
	return failed <= fewErrors && !slices.ContainsFunc(r.Metrics.Validity, func(d Doubt) bool { return d.Verdict == Fail })
}

func starved(r *Record) float64 {
	c := r.Metrics.Connections
	if d, ok := connectionsStarved(r); !ok || d.Verdict == OK {
		return 0
	}
	return 1 - float64(c.Served)/float64(c.Attained)
}

// atLimit says whether CPU time sets the pace of a closed loop: throughput and latency are then CPU per request said
// differently, of both sides together. A server with two CPUs for itself may be paced by how it uses them.
func atLimit(r *Record) bool {
	if open(r) {
		return false
	}
	client, _ := r.Metrics.ClientBusy()
	server, _ := r.Metrics.ServerBusy()
	cpus := r.Metrics.Server.CPUs
	apart := len(cpus) > 1 && !slices.ContainsFunc(cpus, func(n int) bool { return slices.Contains(r.Metrics.Client.CPUs, n) })
	return client > busyServer || server > busyServer && !apart
}

// Value is the metric of a sound trial, and whether it is only a lower bound. Throughput of an open loop is none: it is what
// was offered.
func Value(m Metric, r *Record) (v float64, bound, ok bool) {
	if r.Metrics == nil || !sound(r) || m.Name == "throughput" && open(r) {
		return 0, false, false
	}
	v, ok = m.Get(r)
	return v, ok && m.Censored != nil && m.Censored(r), ok && v > 0
}

// Ratio is the logarithm of y's metric over x's. false: the trials failed, are not sound, or differ in more than the knobs;
// or their values are bounds that leave open which is larger.
func Ratio(m Metric, x, y *Record, knobs ...string) (ln float64, ok bool) {
	if x.Metrics == nil || y.Metrics == nil {
		return 0, false
	}
	a, b := factOf(x, []Metric{m}), factOf(y, []Metric{m})
	if !a.comparable(&b, m.Name, knobs...) {
		return 0, false
	}
	use, _ := decided(a.values[0], b.values[0], a.bounds[0], b.bounds[0])
	ln = math.Log(b.values[0] / a.values[0])
	return ln, use && !math.IsNaN(ln)
}
