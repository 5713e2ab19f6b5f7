package machine

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// group is the control group directory that limits our CPU time, of version 2 or 1, "" if none can be found.
var group = sync.OnceValues(func() (dir string, v2 bool) {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", false
	}
	for l := range strings.Lines(string(b)) {
		id, rest, _ := strings.Cut(strings.TrimSpace(l), ":")
		controllers, path, _ := strings.Cut(rest, ":")
		var dirs []string
		v2 := id == "0"
		switch {
		case v2:
			dirs = []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}
		case controllers == "cpu" || controllers == "cpu,cpuacct":
			dirs = []string{"/sys/fs/cgroup/" + controllers}
		}
		for _, d := range dirs {
			for _, p := range []string{path, "/"} { // in a container the path may be the host's
				if d := filepath.Join(d, p); exists(filepath.Join(d, "cpu.stat")) && (!v2 || exists(filepath.Join(d, "cpu.max"))) {
					return d, v2
				}
			}
		}
	}
	return "", false
})

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Quota is the CPU quota of our control group in CPUs, as 1.5; 0: none.
func Quota() float64 {
	dir, v2 := group()
	if dir == "" {
		return 0
	}
	quota, period := line(dir+"/cpu.cfs_quota_us"), line(dir+"/cpu.cfs_period_us")
	if v2 {
		quota, period, _ = strings.Cut(line(dir+"/cpu.max"), " ")
	}
	q, err1 := strconv.ParseFloat(quota, 64)
	p, err2 := strconv.ParseFloat(period, 64)
	if err1 != nil || err2 != nil || q <= 0 || p <= 0 {
		return 0
	}
	return q / p
}

// memoryLeft is what the limit of our control group, of version 2, leaves in bytes; without one, all there can be.
func memoryLeft() int64 {
	dir, v2 := group()
	if !v2 {
		return math.MaxInt64
	}
	most, err1 := strconv.ParseInt(line(dir+"/memory.max"), 10, 64) // "max": no limit
	used, err2 := strconv.ParseInt(line(dir+"/memory.current"), 10, 64)
	if err1 != nil || err2 != nil {
		return math.MaxInt64
	}
	return max(most-used, 0)
}

// throttled is how long a quota has kept our control group from running, in nanoseconds.
func throttled() int64 {
	dir, _ := group()
	if dir == "" {
		return 0
	}
	b, err := os.ReadFile(dir + "/cpu.stat")
	if err != nil {
		return 0
	}
	for l := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(strings.TrimSpace(l), " ")
		n, err := strconv.ParseInt(value, 10, 64)
		switch {
		case err != nil:
		case key == "throttled_usec":
			return n * 1000
		case key == "throttled_time":
			return n
		}
	}
	return 0
}
