package doctor

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/results"
)

// group is a control group that limits CPU time.
type group struct {
	file      string  // that says so
	cpus      float64 // the quota; 0: none
	periods   int64   // in which it had something to run
	throttled int64   // of them, in which it was stopped
	time      int64   // for which it was stopped, nanoseconds
}

// groups are our control group and those above it, of version 2 and 1, as far as they are visible: the quota of each
// holds.
func groups(h *host) (all []group, err error) {
	text, err := h.read("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(text) {
		id, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, own, _ := strings.Cut(rest, ":")
		var mounts []string
		switch {
		case id == "0":
			mounts = []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}
		case controllers == "cpu" || controllers == "cpu,cpuacct":
			mounts = []string{"/sys/fs/cgroup/" + controllers}
		}
		for _, m := range mounts {
			for p := path.Clean("/" + own); ; p = path.Dir(p) { // in a container it may be the host's, and not be there
				if g, ok := h.group(path.Join(m, p), id == "0"); ok {
					all = append(all, g)
				}
				if p == "/" {
					break
				}
			}
		}
	}
	return all, nil
}

// group reads one control group; false: it limits no CPU time.
func (h *host) group(dir string, v2 bool) (g group, ok bool) {
	var quota, period string
	if v2 {
		g.file = dir + "/cpu.max"
		text, err := h.read(g.file)
		if err != nil {
			return g, false
		}
		quota, period, _ = strings.Cut(text, " ")
	} else {
		g.file = dir + "/cpu.cfs_quota_us"
		var err error
		if quota, err = h.read(g.file); err != nil {
			return g, false
		}
		if period, err = h.read(dir + "/cpu.cfs_period_us"); err != nil {
			return g, false
		}
	}
	q, err1 := strconv.ParseFloat(quota, 64) // "max" and -1: none
	p, err2 := strconv.ParseFloat(period, 64)
	if err1 == nil && err2 == nil && q > 0 && p > 0 {
		g.cpus = q / p
	}
	text, err := h.read(dir + "/cpu.stat")
	if err != nil {
		return g, true // then it throttles without telling
	}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.ParseInt(value, 10, 64)
		switch {
		case err != nil:
		case key == "nr_periods":
			g.periods = n
		case key == "nr_throttled":
			g.throttled = n
		case key == "throttled_usec":
			g.time = n * 1000
		case key == "throttled_time":
			g.time = n
		}
	}
	return g, true
}

// quota judges the tightest quota there is.
func quota(h *host) []Line {
	const looked = "CPU quota of the control group"
	const disturbs = "everything: a group that has used its quota stands still until the next period, up to 0.1 s; keep-awake is off under a quota, and a throttled trial is marked as failed"
	all, err := groups(h)
	if err != nil {
		return []Line{hidden(looked, disturbs, err)}
	}
	l := Line{Looked: looked, Verdict: results.OK, Disturbs: disturbs, Measured: fmt.Sprintf("none in %s that can limit it", term.Count(len(all), "control group"))}
	least := group{}
	for _, g := range all {
		if g.cpus > 0 && (least.cpus == 0 || g.cpus < least.cpus) {
			least = g
		}
	}
	if least.cpus == 0 {
		return []Line{l}
	}
	l.Figures = map[string]float64{"quota_cpus": least.cpus, "periods": float64(least.periods), "throttled_periods": float64(least.throttled), "throttled_ns": float64(least.time)}
	l.Measured = fmt.Sprintf("%.2f CPUs of %d, by %s; stopped in %d of %d periods, for %s in all", least.cpus, len(h.allowed), least.file,
		least.throttled, least.periods, term.Duration(float64(least.time)))
	l.Verdict = results.Warn
	none := "max"
	if strings.HasSuffix(least.file, "cfs_quota_us") {
		none = "-1"
	}
	l.Fix = fmt.Sprintf("echo %s > %s; for a container: docker run without --cpus, in Kubernetes no cpu limit", none, least.file)
	return []Line{l}
}
