package doctor

import (
	"bytes"
	"compress/gzip"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sockbench/sockbench/internal/proc"
	"github.com/sockbench/sockbench/results"
)

// machineOf is a machine of two CPUs whose files hold that.
func machineOf(files map[string]string) *host {
	tree := fstest.MapFS{}
	for path, text := range files {
		tree[strings.TrimPrefix(path, "/")] = &fstest.MapFile{Data: []byte(text + "\n")}
	}
	return &host{tree: tree, allowed: []int{0, 1}, parent: 7, open: 10}
}

// A quota of half a CPU is found where it is: in our own group, above it, in a container's root, in version 1.
func TestQuota(t *testing.T) {
	const stat = "nr_periods 100\nnr_throttled 40\nthrottled_usec 1500000"
	for name, files := range map[string]map[string]string{
		"own": {"/proc/self/cgroup": "0::/user/job", "/sys/fs/cgroup/user/job/cpu.max": "50000 100000", "/sys/fs/cgroup/user/job/cpu.stat": stat},
		"above it, and tighter": {"/proc/self/cgroup": "0::/user/job", "/sys/fs/cgroup/user/job/cpu.max": "150000 100000",
			"/sys/fs/cgroup/user/cpu.max": "50000 100000", "/sys/fs/cgroup/user/cpu.stat": stat},
		"of a container": {"/proc/self/cgroup": "0::/docker/4711", "/sys/fs/cgroup/cpu.max": "50000 100000", "/sys/fs/cgroup/cpu.stat": stat},
		"of version 1": {"/proc/self/cgroup": "5:cpu,cpuacct:/job\n0::/", "/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "5000",
			"/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "10000", "/sys/fs/cgroup/cpu,cpuacct/job/cpu.stat": "nr_periods 100\nnr_throttled 40\nthrottled_time 1500000000"},
	} {
		t.Run(name, func(t *testing.T) {
			l := quota(machineOf(files))[0]
			l.says(t, results.Warn, "0.50 CPUs of 2", "40 of 100 periods", "1.50s")
			if _, path, _ := strings.Cut(l.Fix, " > "); files[strings.SplitN(path, ";", 2)[0]] == "" {
				t.Errorf("it is to be mended in a file that is not there: %s", l.Fix)
			}
			if l.Figures["quota_cpus"] != .5 {
				t.Errorf("%v", l.Figures)
			}
		})
	}
	for _, none := range []map[string]string{
		{"/proc/self/cgroup": "0::/", "/sys/fs/cgroup/cpu.max": "max 100000"},
		{"/proc/self/cgroup": "1:cpu:/", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"},
		{"/proc/self/cgroup": "0::/../../outside"},
		{"/proc/self/cgroup": "nonsense\n\n::"},
	} {
		quota(machineOf(none))[0].says(t, results.OK, "none in")
	}
	quota(machineOf(nil))[0].says(t, results.Note, "not visible: there is no /proc/self/cgroup")
}

// Limits that are small are found, with the command that raises the one value that caps.
func TestSysctls(t *testing.T) {
	h := machineOf(map[string]string{
		"/proc/sys/net/core/rmem_max": "65536", "/proc/sys/net/core/wmem_max": "4194304", "/proc/sys/net/core/somaxconn": "1024",
		"/proc/sys/net/ipv4/tcp_rmem": "4096\t131072\t500000", "/proc/sys/net/ipv4/tcp_wmem": "4096", "/proc/sys/net/ipv4/tcp_mem": "1 2 65536",
	})
	h.inside = map[string]string{"net.core.rmem_max": "212992", "net.core.somaxconn": "1024", "net.ipv4.tcp_rmem": "4096 131072 500000"}
	lines := sysctls(h)
	small := about(t, lines, "net.core.rmem_max")
	small.says(t, results.Warn, "65536 bytes here, 212992 in the fresh network namespace", "sysctl -w net.core.rmem_max=4194304")
	if small.Figures["value"] != 65536 || small.Figures["value_in_trials"] != 212992 {
		t.Errorf("%v", small.Figures)
	}
	about(t, lines, "net.core.somaxconn").says(t, results.Note, "1024 connections", "sysctl -w net.core.somaxconn=4096")
	about(t, lines, "net.ipv4.tcp_rmem").says(t, results.Warn, "sysctl -w net.ipv4.tcp_rmem='4096 131072 4194304'")
	about(t, lines, "net.ipv4.tcp_wmem").says(t, results.Note, "not visible", `"4096"`)
	about(t, lines, "net.ipv4.tcp_mem").says(t, results.OK, "of the whole machine")
	about(t, lines, "net.core.netdev_max_backlog").says(t, results.Note, "not visible: there is no /proc/sys/net/core/netdev_max_backlog")
	if ok := about(t, lines, "net.core.wmem_max"); ok.Fix != "" || ok.Verdict != results.OK {
		t.Errorf("%+v", ok)
	}
	for _, l := range lines {
		if l.Looked == "net.netfilter.nf_conntrack_max" {
			t.Error("a firewall that is not there limits nothing")
		}
	}
}

func TestFrequency(t *testing.T) {
	governors := func(of ...string) map[string]string {
		files := map[string]string{}
		for i, g := range of {
			files["/sys/devices/system/cpu/cpu"+string(rune('0'+i))+"/cpufreq/scaling_governor"] = g
		}
		return files
	}
	frequency(machineOf(governors("powersave", "powersave")))[0].says(t, results.Warn, "powersave on 2 of 2 CPUs", "cpupower frequency-set -g performance")
	frequency(machineOf(governors("powersave", "performance")))[0].says(t, results.Warn, "performance on 1 of 2 CPUs, powersave on 1 of 2 CPUs")
	fast := governors("performance", "performance")
	fast["/sys/devices/system/cpu/intel_pstate/no_turbo"] = "0"
	lines := frequency(machineOf(fast))
	lines[0].says(t, results.OK)
	lines[1].says(t, results.Note, "on (", "echo 1 > /sys/devices/system/cpu/intel_pstate/no_turbo")
	delete(fast, "/sys/devices/system/cpu/intel_pstate/no_turbo")
	fast["/sys/devices/system/cpu/cpufreq/boost"] = "0"
	frequency(machineOf(fast))[1].says(t, results.OK, "off")
	frequency(machineOf(nil))[0].says(t, results.Note, "not visible")
}

func TestKernel(t *testing.T) {
	const config = "CONFIG_HZ=1000\nCONFIG_PREEMPT_DYNAMIC=y\nCONFIG_PREEMPT_NONE=y\n# CONFIG_PREEMPT is not set\nCONFIG_TICK_CPU_ACCOUNTING=y"
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte(config)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"/proc/config.gz": packed.String(), "/proc/sys/kernel/sched_autogroup_enabled": "1",
		"/sys/devices/system/cpu/cpuidle/current_governor": "haltpoll", "/sys/module/haltpoll/parameters/guest_halt_poll_ns": "0"}
	lines := kernel(machineOf(files))
	about(t, lines, "kernel: tick rate and preemption").says(t, results.OK, "HZ 1000", "preemption none when it was built")
	about(t, lines, "kernel: CPU accounting").says(t, results.Note, "by what a tick finds")
	about(t, lines, "scheduling groups by session").says(t, results.Note, "sysctl -w kernel.sched_autogroup_enabled=0")
	about(t, lines, "idle governor").says(t, results.Note, "guest_halt_poll_ns 0")

	files["/proc/cmdline"] = "quiet preempt=full ro"
	about(t, kernel(machineOf(files)), "kernel: tick rate and preemption").says(t, results.OK, "preemption full (")
	files["/sys/kernel/debug/sched/preempt"] = "none voluntary full (lazy)"
	about(t, kernel(machineOf(files)), "kernel: tick rate and preemption").says(t, results.OK, "preemption lazy (")

	delete(files, "/proc/config.gz")
	maps.Copy(files, map[string]string{"/proc/sys/kernel/osrelease": "6.1.0", "/boot/config-6.1.0": config + "\nCONFIG_IRQ_TIME_ACCOUNTING=y"})
	about(t, kernel(machineOf(files)), "kernel: CPU accounting").says(t, results.OK, "interrupts exactly", "/boot/config-6.1.0")
	about(t, kernel(machineOf(nil)), "kernel: tick, preemption, CPU accounting").says(t, results.Note, "not visible")
}

func TestFiles(t *testing.T) {
	limits := func(soft, hard string) string {
		return "Limit                     Soft Limit           Hard Limit           Units\nMax open files            " + soft + "                 " + hard + "              files\nMax locked memory 1 1 bytes"
	}
	for _, c := range []struct {
		soft, hard, given string
		verdict           results.Verdict
		says              string
	}{
		{"256", "256", "256", results.Warn, "enough for 214 connections"},
		{"20", "20", "20", results.Warn, "enough for 0 connections"},
		{"4096", "4096", "4096", results.Note, "as root: ulimit -n 65536"},
		{"100000", "100000", "1024", results.OK, "started as a command gets 1024"},
		{"100000", "100000", "256", results.Note, "started as a command gets 256"},
		{"unlimited", "unlimited", "unlimited", results.OK, ""},
	} {
		h := machineOf(map[string]string{"/proc/self/limits": limits(c.soft, c.hard), "/proc/7/limits": limits(c.given, c.hard), "/proc/sys/fs/nr_open": "1048576"})
		files(h)[0].says(t, c.verdict, c.says, "fs.nr_open 1048576")
	}
	files(machineOf(map[string]string{"/proc/self/limits": limits("10", "10"), "/proc/sys/fs/nr_open": "1000"}))[0].says(t, results.Warn, "sysctl -w fs.nr_open=65536, then as root: ulimit -n 65536")
	files(machineOf(map[string]string{"/proc/self/limits": "x"}))[0].says(t, results.Note, "not visible")
}

func TestPorts(t *testing.T) {
	const name = "net.ipv4.ip_local_port_range"
	h := machineOf(map[string]string{sysctlPath(name): "60000\t60999", "/proc/sys/net/ipv4/ip_local_reserved_ports": "22,60100-60199", "/proc/sys/net/ipv4/tcp_tw_reuse": "2"})
	h.inside = map[string]string{name: "32768 60999"}
	l := ports(h)[0]
	l.says(t, results.Warn, "900 connections", "15 new ones a second", "100 more are reserved", "28232 in the fresh network namespace", "sysctl -w "+name+"='10240 65535'", "tcp_tw_reuse 2")
	ports(machineOf(map[string]string{sysctlPath(name): "32768 60999"}))[0].says(t, results.OK, "28232 connections")
	ports(machineOf(map[string]string{sysctlPath(name): "60999"}))[0].says(t, results.Note, "not visible")
}

func TestCPUs(t *testing.T) {
	twins := map[string]string{"/sys/devices/system/cpu/cpu0/topology/thread_siblings_list": "0-1", "/sys/devices/system/cpu/online": "0-3"}
	h := machineOf(twins)
	h.allowed = []int{0, 1, 2, 3}
	lines := cpus(h)
	lines[0].says(t, results.OK, "4 CPUs: 0-3, of 0-3 online")
	lines[1].says(t, results.Warn, "--cpus 'server=0;client=2'")
	h.allowed = []int{0, 2}
	lines = cpus(h)
	lines[0].says(t, results.Note, "2 CPUs: 0,2")
	lines[1].says(t, results.OK, "the client's CPU 2 is not")
	h.allowed = []int{3}
	if lines = cpus(h); len(lines) != 1 {
		t.Errorf("%+v", lines)
	}
	lines[0].says(t, results.Warn, "1 CPU: 3", "pinning apart takes 2")
	for text, want := range map[string][]int{"0-3,8": {0, 1, 2, 3, 8}, "": nil, "x,2,1-y": {2}, "5": {5}} {
		if got := parseRanges(text); !slices.Equal(got, want) {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestClockSource(t *testing.T) {
	const dir = "/sys/devices/system/clocksource/clocksource0/"
	clockSource(machineOf(map[string]string{dir + "current_clocksource": "tsc"}))[0].says(t, results.OK, "tsc; a reading takes")
	clockSource(machineOf(map[string]string{dir + "current_clocksource": "hpet", dir + "available_clocksource": "tsc hpet"}))[0].
		says(t, results.Warn, "hpet", "there are tsc hpet", "echo tsc > ")
	clockSource(machineOf(nil))[0].says(t, results.Note, "not visible")
}

// What refuses is named, with what allows it.
func TestIsolation(t *testing.T) {
	all := proc.Isolation{Network: true, PID: true}
	judgeNamespaces(all).says(t, results.OK)
	judgePath(all, "").says(t, results.OK)
	none := proc.Isolation{Why: "in a user namespace: clone: operation not permitted (kernel.unprivileged_userns_clone is 0: root can set it to 1 with sysctl -w)"}
	judgeNamespaces(none).says(t, results.Warn, "no network and no PIDs", "sysctl -w kernel.unprivileged_userns_clone=1")
	judgePath(none, "no ends").says(t, results.Warn, "sysctl -w kernel.unprivileged_userns_clone=1")
	judgePath(all, "make veth: not supported").says(t, results.Warn, "make veth")
	judgeNamespaces(proc.Isolation{Network: true, Why: "masked"}).says(t, results.Warn, "no PIDs of their own: masked")
	judgeRing(nil).says(t, results.OK)
	judgeRing(fs.ErrPermission).says(t, results.Note, "not possible")
	judgeRealTime(nil).says(t, results.OK)
	judgeRealTime(fs.ErrPermission).says(t, results.Note, "ulimit -r 1")
}
