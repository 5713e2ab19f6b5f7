package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/tuner"
	"github.com/sockbench/sockbench/unit"
)

// quickTune are flags of a search whose trials take a fraction of a second. Nagle's algorithm, which the first cell has
// on, costs 40 ms for each request in two writes.
func quickTune(dir string, more ...string) []string {
	return append([]string{"tune", "--duration", "150ms", "--warmup", "20ms", "--quiet", "--out", dir}, more...)
}

var nagle = []string{"--goal", "p50", "--target", "epoll", "--write", "split", "--connections", "8", "--set", "TCP_NODELAY=off,on", "--set", "backlog=16,1024"}

// tuned is what -o json says of a search.
type tuned struct {
	Verdict  string
	Findings []struct {
		Code, Claim, Metric, Verdict string
		Cells                        []map[string]string
		Effect                       struct{ Ratio, Low, High, Level float64 }
		Pairs                        int
	}
	Advice *struct {
		Change, Holds []string
		Snippets      []struct{ Name, Code string }
	}
	Run string
}

func parseTuned(t *testing.T, stdout string) (v tuned) {
	t.Helper()
	if err := json.Unmarshal([]byte(stdout), &v); err != nil || len(v.Findings) == 0 || v.Findings[0].Code != "winner" {
		t.Fatalf("%v: %s", err, stdout)
	}
	return v
}

func TestTuneFindsThePlantedWinner(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some checks; run without -short")
	}
	dir := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := within(t, patience, quickTune(dir, append(nagle, "--limit", "errors=0", "-o", "json")...)...)
	v := parseTuned(t, stdout)
	if code != exitFine || v.Verdict != foundWinner || v.Run != dir {
		t.Fatalf("exit %d: %s%s", code, stdout, stderr)
	}
	f := v.Findings[0]
	if f.Metric != "p50" || f.Verdict != "better" || f.Pairs < 10 || f.Cells[0]["TCP_NODELAY"] != "on" || f.Cells[1]["TCP_NODELAY"] != "off" || f.Cells[1]["backlog"] != "16" ||
		f.Effect.High > .5 || f.Effect.Low > f.Effect.Ratio || f.Effect.Ratio > f.Effect.High {
		t.Errorf("%+v", f)
	}
	codes := map[string]string{}
	for _, f := range v.Findings {
		codes[f.Code] += f.Claim
	}
	if !strings.Contains(codes["survivors"], "TCP_NODELAY=on") || !strings.Contains(codes["dropped"], "TCP_NODELAY=off") || !strings.Contains(codes["dropped"], "times the best one's") {
		t.Errorf("left and dropped: %v", codes)
	}
	names := ""
	for _, s := range v.Advice.Snippets {
		names += s.Name + " "
		if s.Name == "Go" && !strings.Contains(s.Code, "syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1), ") {
			t.Errorf("the Go code is %s", s.Code)
		}
	}
	if !strings.HasPrefix(names, "Go Python C nginx ") || !strings.Contains(strings.Join(v.Advice.Holds, ""), "path=none") {
		t.Errorf("advice %+v", v.Advice)
	}

	// The folder says the same again, and its confirmation is a check's.
	before := lines(dir)
	for _, again := range [][]string{{"report", dir, "-o", "json"}, {"tune", "--resume", dir, "--quiet", "-o", "json"}, {"run", "--resume", dir, "--quiet", "-o", "json"}} {
		if code, said, stderr := here(t, again...); code != exitFine || said != stdout || lines(dir) != before {
			t.Errorf("%v: exit %d, %s%s", again, code, said, stderr)
		}
	}
	if code, said, stderr := here(t, "check", "--resume", filepath.Join(dir, confirmFolder), "--quiet"); code != exitWrong || !strings.HasPrefix(said, "regression: p50 ") {
		t.Errorf("exit %d, %s%s", code, said, stderr)
	}
	for format, want := range map[string]string{"table": "What to change", "md": "```go\nimport (", "html": "winner: TCP_NODELAY=on"} {
		if code, said, stderr := here(t, "report", dir, "-o", format); code != exitFine || !strings.Contains(said, want) {
			t.Errorf("%s: exit %d, %q is not in %s%s", format, code, want, said, stderr)
		}
	}
}

// kill -9 in the race, and then in the confirmation: --resume goes on with each, and no trial is lost or doubled.
func TestTuneGoesOn(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a check; run without -short")
	}
	dir := filepath.Join(t.TempDir(), "run")
	args := quickTune(dir, nagle...)
	for _, file := range []string{dir, filepath.Join(dir, confirmFolder)} {
		c := program(t, args...)
		var errs strings.Builder
		c.Stderr = &errs
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { _ = c.Wait(); close(ended) }() // by the kill
		for began := time.Now(); lines(file) < 3; time.Sleep(5 * time.Millisecond) {
			select {
			case <-ended:
				t.Fatalf("it ended by itself: %s", errs.String())
			default:
			}
			if time.Since(began) > patience {
				_ = c.Process.Kill()
				t.Fatalf("no trial in %s: %s", file, errs.String())
			}
		}
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-ended
		args = []string{"tune", "--resume", dir, "--quiet"}
	}
	// What is there already is shown as what it is.
	if code, stdout, _ := here(t, "report", dir, "-o", "json"); code != exitFine || parseTuned(t, stdout).Verdict == foundWinner {
		t.Errorf("exit %d: a winner of less than 10 pairs? %s", code, stdout)
	}
	if code, stdout, stderr := within(t, patience, append(args, "-o", "json")...); code != exitFine || parseTuned(t, stdout).Verdict != foundWinner {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	for _, folder := range []string{dir, filepath.Join(dir, confirmFolder)} {
		r, err := results.Open(folder)
		if err != nil || len(r.Damaged) > 0 || r.Torn {
			t.Errorf("%s: %v, %v", folder, err, r.LeftOut())
		}
	}
}

func TestTuneWithoutAWinner(t *testing.T) {
	for _, c := range []struct {
		name    string
		args    []string
		code    int
		verdict string
		says    string
	}{
		{"no cell keeps the limits", []string{"--limit", "p50=1us", "--connections", "1,2"}, exitWrong, foundMissed, "no cell keeps p50 ≤ 1us; the best of them is connections="},
		{"too few requests for the limit", []string{"--goal", "p50", "--limit", "connect_p99=1s", "--connections", "1,2"}, exitInconclusive, foundUnclear, "too few requests"},
		{"nothing can be started", []string{"--target", "exec: false {port}", "--connections", "1,2"}, exitEnvironment, "failed", "no cell gave a result"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "run")
			code, stdout, stderr := within(t, patience, quickTune(dir, append(c.args, "-o", "json")...)...)
			v := parseTuned(t, stdout)
			if code != c.code || v.Verdict != c.verdict || len(v.Findings[0].Cells) != 0 || !strings.Contains(v.Findings[0].Claim, c.says) || v.Advice != nil {
				t.Errorf("exit %d: %s%s", code, stdout, stderr)
			}
			if _, err := os.Stat(filepath.Join(dir, confirmFolder)); err == nil {
				t.Error("there is something to confirm")
			}
		})
	}
}

// Where the first cell is the best there is nothing to change, and nothing to confirm.
func TestTuneLeavesTheBestAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	code, stdout, stderr := within(t, patience, quickTune(dir, "--target", "epoll", "--service-time", "sleep:1ms,sleep:20ms", "--connections", "2", "--goal", "p50", "-o", "json")...)
	v := parseTuned(t, stdout)
	if code != exitFine || v.Verdict != foundSame || v.Findings[0].Cells[0]["service_time"] != "sleep:1ms" || !strings.HasPrefix(v.Findings[0].Claim, "nothing to change: ") || v.Advice != nil {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}

// A change without which the winner came as far is not said to matter.
func TestTuneNamesIdleChanges(t *testing.T) {
	p, err := plan.New("test", 1, 1, 0, unit.Duration(time.Second), []plan.Factor{
		{Knob: "TCP_NODELAY", Levels: []string{"off", "on"}}, {Knob: "backlog", Levels: []string{"16", "256"}}})
	if err != nil {
		t.Fatal(err)
	}
	cell := func(nodelay, backlog string) plan.Cell { return plan.Cell{"TCP_NODELAY": nodelay, "backlog": backlog} }
	for _, c := range []struct {
		left []plan.Cell
		want string
	}{
		{[]plan.Cell{cell("on", "256")}, ""},
		{[]plan.Cell{cell("on", "16"), cell("on", "256")}, ""},
		{[]plan.Cell{cell("on", "256"), cell("on", "16")}, "that backlog=256 matters is not shown: with 16 instead, all else the same, it was left in the race too"},
	} {
		r := raced{Standing: tuner.Standing{Survivors: c.left}, first: cell("off", "16")}
		if got := strings.Join(r.idle(p), "\n"); got != c.want {
			t.Errorf("left %v: %q, want %q", c.left, got, c.want)
		}
	}
}

func TestTuneForesees(t *testing.T) {
	code, stdout, stderr := here(t, append([]string{"tune", "--dry-run", "--limit", "p99=2ms", "--budget", "5m"}, nagle...)...)
	for _, want := range []string{"TCP_NODELAY=on backlog=16", "a race of 4 cells: one trial of 200ms + 1s each", "10 to ", " pairs of the winner and TCP_NODELAY=off backlog=16", "goal: p50; limits: p99 ≤ 2ms"} {
		if code != exitFine || !strings.Contains(stdout, want) {
			t.Errorf("exit %d, %q is not in %s%s", code, want, stdout, stderr)
		}
	}
}

func TestTuneUsage(t *testing.T) {
	ran := filepath.Join(t.TempDir(), "run")
	if code, _, stderr := here(t, quick(ran)...); code != exitFine {
		t.Fatal(stderr)
	}
	two := []string{"--connections", "1,2"}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--goal", "p98"}, "choose one of throughput"},
		{[]string{"--goal", "errors"}, "make it a limit, --limit errors=0"},
		{append([]string{"--goal", "throughput", "--rate", "1k"}, two...), "what was offered"},
		{[]string{"--connections", "1"}, "there is one cell"},
		{append([]string{"--trials", "1"}, two...), "one trial of each of the 2 cells"},
		{append([]string{"--budget", "10s"}, two...), "give it that or more"},
		{append([]string{"--budget", "10m", "--trials", "20"}, two...), "name one"},
		{append([]string{"--limit", "p99"}, two...), "as p99=2ms or errors=0"},
		{append([]string{"--limit", "p98=2ms"}, two...), "did you mean p9"},
		{append([]string{"--limit", "p99=2"}, two...), "2ms"},
		{append([]string{"--limit", "p99=2ms", "--limit", "p99=3ms"}, two...), "named twice"},
		{append([]string{"--blocks", "3"}, two...), "no flag --blocks"},
		{[]string{"--resume", ran, "--goal", "p99"}, "--resume takes everything"},
		{[]string{"--resume", ran}, "not of tune"},
	} {
		code, stdout, stderr := here(t, append([]string{"tune"}, c.args...)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, c.says) {
			t.Errorf("%q: exit %d, %q does not say %q", c.args, code, stderr, c.says)
		}
	}
}
