package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sockbench/sockbench/doctor"
	"github.com/sockbench/sockbench/internal/quiet"
	"github.com/sockbench/sockbench/lab"
	"github.com/sockbench/sockbench/playbook"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/report"
)

// asProgram makes the test binary the program itself, for tests that need it as a process.
const asProgram = "SOCKBENCH_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	lab.Main(playbook.Parts, doctor.Parts)
	if os.Getenv(asCorked) == "1" {
		serveCorked(os.Args[1])
	}
	if os.Getenv(asProgram) == "1" {
		main()
	}
	os.Exit(quiet.Run(m))
}

// here runs the program in this process.
func here(t testing.TB, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return within(t, time.Minute, args...)
}

// within is here, for what may take longer on a machine that is busy.
func within(t testing.TB, limit time.Duration, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	defer time.AfterFunc(limit, cancel).Stop() // as by Ctrl-C
	code = run(ctx, &out, &errs, args)
	if strings.Contains(errs.String(), "panic: ") {
		t.Errorf("%v panicked: %s", args, errs.String())
	}
	return code, out.String(), errs.String()
}

// program is the program as a process of its own.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self, args...)
	c.Env = append(os.Environ(), asProgram+"=1")
	return c
}

// quick are flags of a run that takes a fraction of a second.
func quick(dir string, more ...string) []string {
	return append([]string{"run", "--blocks", "1", "--duration", "50ms", "--warmup", "10ms", "--connections", "2", "--quiet", "--out", dir}, more...)
}

func TestUsage(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		args string
		says []string
	}{
		{"rnu", []string{`"rnu"`, "did you mean run?"}},
		{"run --conections 4", []string{"did you mean --connections?"}},
		{"run --tcp-nodelay on", []string{"--set TCP_NODELAY="}},
		{"run --target epol", []string{`"epol"`, "epoll"}},
		{"run --target exec:", []string{"exec: ./server --port {port}"}},
		{"run --connections 0", []string{"connections"}},
		{"run --connections 1,one", []string{`"one"`, "connections"}},
		{"run --connections 4,4", []string{"twice"}},
		{"run --request 64Kib", []string{"64Kib", "16KiB"}},
		{"run --request 8", []string{"request 8", "16"}},
		{"run --rate fast", []string{"fast", "20k"}},
		{"run --arrivals constant", []string{"arrivals", "rate"}},
		{"run --arrivals ramp:1k-20k --rate 5k", []string{"leave rate out", "rate=10.5k"}},
		{"run --arrivals trace:no.trace", []string{"no.trace"}},
		{"run --request-timeout 5", []string{"5ms"}},
		{"run --set TCP_NODELAY", []string{"NAME=LEVEL"}},
		{"run --set NODELAY=on", []string{"TCP_NODELAY"}},
		{"run --set TCP_NODELAY=maybe", []string{"on or off"}},
		{"run --set server.TCP_SYNCNT=2", []string{"client"}},
		{"run --set TCP_NODELAY=on --set client.TCP_NODELAY=off", []string{"TCP_NODELAY"}},
		{"run --target addr:tcp://127.0.0.1:9 --set TCP_NODELAY=on", []string{"client.TCP_NODELAY"}},
		{"run --target addr:tcp://127.0.0.1:9 --service-time 1ms", []string{"service_time"}},
		{"run --blocks 0", []string{"block"}},
		{"run --duration 0", []string{"duration"}},
		{"run --duration 5", []string{"5s"}},
		{"run -o xml", []string{"table, json, md, csv"}},
		{"run --name a/b", []string{"slash"}},
		{"run no-plan.yaml", []string{"read the plan", "no-plan.yaml"}},
		{"run a.yaml b.yaml", []string{"one plan file", `"b.yaml"`}},
		{"run --variant new", []string{"a name, a colon and knobs"}},
		{"run --variant new:bcklog=1", []string{"--variant new", "did you mean backlog?"}},
		{"run --variant a:backlog=1 --set backlog=2", []string{"named outside the variants"}},
		{"run --exclude target", []string{"--exclude", "target=epoll"}},
		{"run --exclude target=naive", []string{"matches nothing", "blocking, thread"}},
		{"run --until 5%", []string{"interval=5%"}},
		{"run --until interval=99%", []string{"between 0.1% and 50%"}},
		{"run --budget 1s", []string{"one block of 24 cells", "24s or more"}},
		{"run --budget 1m --blocks 2", []string{"name one"}},
		{"playbook stiky-packets", []string{"did you mean sticky-packets?", "start-cost"}},
		{"playbook start-cost sticky-packets", []string{"one name"}},
		{"playbook --plan", []string{"name a playbook"}},
		{"playbook start-cost --plan", []string{"no matrix of trials"}},
		{"playbook start-cost --blocks 0", []string{"at least one block"}},
		{"playbook start-cost --out x", []string{"--out", "no folder"}},
		{"playbook sticky-packets --blocks 0", []string{"at least one block"}},
		{"playbook sticky-packets --blocks 3 --resume " + dir, []string{"--blocks"}},
		{"playbook sticky-packets -o csv", []string{"table, json, md"}},
		{"schema extra", []string{"no argument"}},
		{"targets --inspect 0", []string{"process id"}},
		{"run --resume " + dir, []string{dir}},
		{"run --resume " + dir + " --blocks 3", []string{"--blocks"}},
		{"load", []string{"one address"}},
		{"load 127.0.0.1:9 --connections 1,2", []string{"one level"}},
		{"load nohost", []string{"HOST:PORT"}},
		{"load sctp://h:1", []string{"udp://HOST:PORT or unix:///PATH"}},
		{"load unix:///tmp/s --set TCP_NODELAY=on", []string{"client.TCP_NODELAY"}},
		{"load unix:///tmp/s --set client.TCP_NODELAY=on", []string{"tcp only", "leave it out"}},
		{"load 127.0.0.1:9 --target epoll", []string{"argument"}},
		{"scan", []string{"one host"}},
		{"scan a b --ports 1", []string{"commas between"}},
		{"scan 127.0.0.1", []string{"--ports 1-10000"}},
		{"scan 127.0.0.1 --ports 9-3", []string{"write 3-9"}},
		{"scan 127.0.0.1:80 --ports 80", []string{"behind --ports"}},
		{"scan 127.0.0.0/23 --ports 1", []string{"512 hosts", "--yes"}},
		{"scan 127.0.0.1 --ports 1 --connections 0", []string{"from 1 to 10000"}},
		{"scan 127.0.0.1 --ports 1 --connect-timeout 0", []string{"100ms"}},
		{"serve --target addr:tcp://127.0.0.1:9", []string{"addr"}},
		{"serve --listen :9000", []string{"names no host", "tcp://127.0.0.1:9000"}},
		{"serve --listen unix://s", []string{"begins with a slash"}},
		{"serve --listen udp://127.0.0.1:9000", []string{"write tcp://host:port or unix:///path"}},
		{"serve --target udp --listen tcp://127.0.0.1:9000", []string{"write udp://host:port"}},
		{"serve --target udp --framing fixed --reply 65508", []string{"at most 65507 bytes"}},
		{"serve --target udp --set TCP_NODELAY=on", []string{"tcp only"}},
		{"serve --listen unix:///tmp/s --set TCP_NODELAY=on", []string{"tcp only", "leave it out"}},
		{"options TCP_NODLEAY", []string{"did you mean TCP_NODELAY?"}},
		{"targets extra", []string{`no target "extra"`}},
		{"version -o xml", []string{"text, json"}},
	} {
		args := strings.Fields(c.args)
		if args[0] == "run" && !strings.Contains(c.args, "--resume") {
			args = append(args, "--out", filepath.Join(dir, "out"))
		}
		code, stdout, stderr := here(t, args...)
		if code != exitUsage || stdout != "" {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", c.args, code, stdout, stderr)
		}
		for _, s := range c.says {
			if !strings.Contains(stderr, s) {
				t.Errorf("%s: %q does not say %q", c.args, stderr, s)
			}
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("bad usage left %v behind", left)
	}
}

func TestSeveralErrorsAtOnce(t *testing.T) {
	_, _, stderr := here(t, "run", "--connections", "none", "--request", "1Kb", "--set", "SO_RCVBUF=big", "--out", t.TempDir())
	for _, s := range []string{"none", "1Kb", "big"} {
		if !strings.Contains(stderr, s) {
			t.Errorf("%q does not name %q", stderr, s)
		}
	}
}

func TestTargetFails(t *testing.T) {
	deaf, err := net.Listen("tcp", "127.0.0.1:0") // the kernel makes its connections, and nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	for _, c := range []struct {
		target string
		says   []string
	}{
		{"exec: /no/such/server --port {port}", []string{"/no/such/server"}},
		{`exec: sh -c 'echo the config is bad; exit 3' {port}`, []string{"the config is bad", "3"}},
		{"addr: tcp://127.0.0.1:1", []string{"127.0.0.1:1"}},
		{"addr: tcp://" + deaf.Addr().String(), []string{"completed no request"}},
	} {
		code, _, stderr := here(t, quick(filepath.Join(t.TempDir(), "run"), "--target", c.target)...)
		if code != exitEnvironment {
			t.Errorf("%s: exit %d: %s", c.target, code, stderr)
		}
		for _, s := range c.says {
			if !strings.Contains(stderr, s) {
				t.Errorf("%s: %q does not say %q", c.target, stderr, s)
			}
		}
	}
}

func TestFormats(t *testing.T) {
	dir := ""
	for _, format := range []string{"table", "json", "md", "csv"} {
		dir = filepath.Join(t.TempDir(), "run")
		code, stdout, stderr := here(t, quick(dir, "--target", "epoll,goroutine", "--set", "TCP_NODELAY=off,on", "-o", format)...)
		if code != exitFine {
			t.Fatalf("%s: exit %d: %s", format, code, stderr)
		}
		switch format {
		case "json":
			var a struct {
				Verdict  string
				Findings []any
				Cells    []struct {
					Cell    map[string]string
					Metrics map[string]*float64
				}
				Run string
			}
			if err := json.Unmarshal([]byte(stdout), &a); err != nil || len(a.Cells) != 4 || a.Run != dir || a.Findings == nil {
				t.Errorf("json: %v, %+v", err, a)
			} else if m := a.Cells[0].Metrics["throughput"]; m == nil || *m <= 0 || a.Cells[3].Cell["TCP_NODELAY"] != "on" {
				t.Errorf("json: %+v", a.Cells)
			}
		case "csv":
			if rows, err := csv.NewReader(strings.NewReader(stdout)).ReadAll(); err != nil || len(rows) < 5 || len(rows)%4 != 1 { // a disturbed block is run again
				t.Errorf("csv: %v, %d rows", err, len(rows))
			}
		default:
			if n := strings.Count(stdout, "goroutine"); n < 1 {
				t.Errorf("%s: goroutine stands %d times in %s", format, n, stdout)
			}
		}
		if code, again, _ := here(t, "report", dir, "-o", format); code != exitFine || again != stdout {
			t.Errorf("%s: report exits with %d and shows\n%s\nand run showed\n%s", format, code, again, stdout)
		}
		r, err := results.Open(dir)
		if err != nil || len(r.Records) < 4 || len(r.Damaged) > 0 {
			t.Errorf("%s: run folder: %v, %d records", format, err, len(r.Records))
		}
	}
	for _, format := range report.Names() {
		file := filepath.Join(t.TempDir(), "exported")
		code, stdout, stderr := here(t, "report", dir, "-o", format, "--export", format+"="+file)
		data, err := os.ReadFile(file)
		if code != exitFine || err != nil || stdout == "" || string(data) != stdout || !strings.Contains(stderr, "written to "+file) {
			t.Errorf("%s: exit %d, %v, %s; shown\n%s\nand exported\n%s", format, code, err, stderr, stdout, data)
		}
	}
}

func TestDryRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := here(t, "run", "--target", "epoll,blocking", "--dry-run", "--out", dir)
	if code != exitFine || !strings.Contains(stdout, "2 cells × 6 blocks = 12 trials") {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a dry run made a run folder")
	}
}

func TestOccupiedFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := here(t, quick(dir)...); code != exitEnvironment || !strings.Contains(stderr, "not empty") {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("SOCKBENCH_CONNECTIONS", "3")
	t.Setenv("SOCKBENCH_TARGET", "blocking")
	_, stdout, _ := here(t, "run", "--dry-run", "--target", "epoll")
	if !strings.Contains(stdout, "target=epoll connections=3") {
		t.Errorf("flags go before the environment, and that before defaults: %s", stdout)
	}
}

func TestLoadNobody(t *testing.T) {
	code, _, stderr := here(t, "load", "127.0.0.1:1", "--duration", "100ms")
	if code != exitEnvironment || !strings.Contains(stderr, "refused") {
		t.Errorf("exit %d, %q", code, stderr)
	}
	if code, _, stderr := here(t, "load", "127.0.0.1:1", "--samples", "/no/such/folder/x.csv"); code != exitEnvironment || !strings.Contains(stderr, "/no/such/folder") {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

func TestLists(t *testing.T) {
	for _, c := range []struct {
		args string
		says []string
	}{
		{"options", []string{"TCP_NODELAY", "SO_RCVBUF", "net.core.rmem_max", "backlog"}},
		{"options -o json", []string{`"name":"TCP_NODELAY"`, `"kernel":"equal"`}},
		{"options SO_RCVBUF", []string{"net.core.rmem_max", "doubled", "Receive buffer", "level, number", "1, 8"}},
		{"options TCP_THIN_DUPACK", []string{"refused", "RACK"}},
		{"options SO_ZEROCOPY -o json", []string{`"kernel":"inert","error":"it allows sends with MSG_ZEROCOPY`, `"level":1,"number":60`}},
		{"targets", []string{"blocking", "epoll", "goroutine", "exec:", "via: proxy"}},
		{"targets -o json", []string{`"name":"epoll"`}},
		{"targets reactors", []string{"Netty", "EPOLLEXCLUSIVE", "limit ", "workers, listener, framing", "socket options"}},
		{"targets proxy -o json", []string{`"name":"proxy"`, `"via":true`}},
		{"__complete targets pro", []string{"proxy"}},
		{"schema", []string{`"additionalProperties": false`, `"TCP_NODELAY"`}},
		{"version", []string{"sockbench", "linux"}},
		{"version -o json", []string{`"version"`}},
		{"load --help", []string{"ramp:1k-20k", "offsets from the start of the warm-up"}},
		{"scan --help", []string{"hosts that are your own", "--connect-timeout"}},
		{"run --help", []string{"--connections", "--set", "--resume", "Examples"}},
		{"tune --help", []string{"--goal", "--limit", "--trials", "in pairs with the plan's first cell", "Exit codes"}},
		{"__complete tune --goal p9", []string{"p90", "p99", "p999"}},
		{"--help", []string{"run", "serve", "load"}},
		{"__complete run --target g", []string{"goroutine"}},
		{"__complete playbook s", []string{"start-cost", "sticky-packets"}},
	} {
		code, stdout, stderr := here(t, strings.Fields(c.args)...)
		if code != exitFine {
			t.Errorf("%s: exit %d, %s", c.args, code, stderr)
		}
		for _, s := range c.says {
			if !strings.Contains(stdout, s) {
				t.Errorf("%s does not say %q: %s", c.args, s, stdout)
			}
		}
	}
}

// Ctrl-C ends a run with 130, keeps what is finished, and --resume runs the rest: no trial lost, none doubled.
func TestInterruptAndResume(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	args := []string{"run", "--target", "epoll,goroutine", "--connections", "1,2", "--blocks", "3", "--duration", "50ms", "--warmup", "10ms", "--out", dir}
	c := program(t, args...)
	var errs bytes.Buffer
	c.Stderr = &errs
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return lines(dir) >= 2 })
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); c.ProcessState.ExitCode() != exitInterrupted {
		t.Errorf("exit %v: %s", err, errs.String())
	}
	if !strings.Contains(errs.String(), "--resume "+dir) {
		t.Errorf("it does not say how to go on: %s", errs.String())
	}
	kept := lines(dir)
	if kept < 2 {
		t.Errorf("%d trials are kept", kept)
	}
	if code, _, stderr := here(t, "run", "--resume", dir, "--quiet"); code != exitFine {
		t.Errorf("resume: exit %d, %s", code, stderr)
	}
	checkWhole(t, dir, 3, 4)
}

// lines is the number of whole lines in a run folder's log.
func lines(dir string) int {
	b, err := os.ReadFile(filepath.Join(dir, "trials.jsonl"))
	if err != nil {
		return 0
	}
	return bytes.Count(b, []byte("\n"))
}

// checkWhole demands that every cell of every block was run once in each attempt, and blocks were finished.
func checkWhole(t *testing.T, dir string, blocks, cells int) {
	t.Helper()
	r, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	seen, perBlock := map[string]int{}, map[string]int{}
	for _, rec := range r.Records {
		seen[fmt.Sprintf("%s attempt %d", rec.ID, rec.Attempt)]++
		perBlock[fmt.Sprintf("block %d attempt %d", rec.Block, rec.Attempt)]++
	}
	for key, n := range seen {
		if n != 1 {
			t.Errorf("%s was recorded %d times", key, n)
		}
	}
	for key, n := range perBlock {
		if n != cells {
			t.Errorf("%s has %d of %d trials", key, n, cells)
		}
	}
	for b := range blocks {
		if perBlock[fmt.Sprintf("block %d attempt 0", b)] == 0 {
			t.Errorf("block %d is missing", b)
		}
	}
}

func waitFor(t *testing.T, what func() bool) {
	t.Helper()
	for range 3000 {
		if what() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it did not come about within 30 s")
}
