package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sockbench/sockbench/results"
)

// quickCheck are flags of a check whose pairs take a fraction of a second.
func quickCheck(dir string, more ...string) []string {
	return append([]string{"check", "--duration", "100ms", "--warmup", "10ms", "--connections", "2", "--quiet", "--out", dir}, more...)
}

// patience is how long a check may take: some seconds, and more where the machine is busy and pairs are run again.
const patience = 4 * time.Minute

// decided is what a check came to, which is made again, twice at most, while it cannot tell: where other work disturbs its
// pairs, that is the right answer.
func decided(t *testing.T, args func() []string) (code int, stdout, stderr string) {
	t.Helper()
	for range 3 {
		if code, stdout, stderr = within(t, patience, args()...); code != exitInconclusive {
			break
		}
		t.Logf("it cannot tell: %s%s", stdout, stderr)
	}
	return code, stdout, stderr
}

// checkJSON is what -o json says of a check.
type checkJSON struct {
	Verdict  string
	Findings []struct {
		Code, Metric, Verdict, Why string
		Cells                      []map[string]string
		Effect                     struct{ Ratio, Low, High, Level float64 }
		Pairs, Needs               int
	}
	Cells []any
	Run   string
}

func TestCheckVerdicts(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some checks; run without -short")
	}
	for _, c := range []struct {
		name     string
		sides    []string
		code     int
		verdict  string
		finding  string
		low, top float64 // of the ratio
	}{
		{"regression", []string{"--old", "service_time=100us", "--new", "service_time=2ms"}, exitWrong, "regression", "worse", 0, .7},
		{"improvement", []string{"--old", "service_time=2ms", "--new", "service_time=100us"}, exitFine, "improvement", "better", 1.5, 1e9},
		{"fine", []string{"--old", "service_time=2ms", "--new", "service_time=2ms", "--worse", "server_cpu_per_request=100%"}, exitFine, "fine", "same", .5, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			var dir string
			code, stdout, stderr := decided(t, func() []string {
				dir = filepath.Join(t.TempDir(), "run")
				return quickCheck(dir, append(c.sides, "-o", "json")...)
			})
			var v checkJSON
			if err := json.Unmarshal([]byte(stdout), &v); err != nil || code != c.code || v.Verdict != c.verdict || len(v.Findings) != 1 || len(v.Cells) != 2 || v.Run != dir {
				t.Fatalf("exit %d, %v: %s\n%s", code, err, stdout, stderr)
			}
			f := v.Findings[0]
			if f.Code != "gate" || f.Verdict != c.finding || f.Pairs < 10 || f.Cells[0]["variant"] != "new" || f.Cells[1]["variant"] != "old" ||
				f.Effect.Ratio < c.low || f.Effect.Ratio > c.top || f.Effect.Low > f.Effect.Ratio || f.Effect.High < f.Effect.Ratio || f.Effect.Level < .98 {
				t.Errorf("%+v", f)
			}
			if moved := strings.Contains(f.Why, "server CPU per request"); c.verdict != "fine" && !moved {
				t.Errorf("it does not name the evidence that moved: %+v", f)
			}
			// The folder is an ordinary one.
			if code, table, stderr := here(t, "report", dir); code != exitFine || !strings.HasPrefix(table, c.verdict+": "+f.Metric+" ") {
				t.Errorf("report: exit %d, %s%s", code, table, stderr)
			}
			if code, junit, stderr := here(t, "report", dir, "-o", "junit"); code != exitFine || strings.Contains(junit, `type="regression"`) != (c.verdict == "regression") || !strings.Contains(junit, `name="gate `+f.Metric+" variant=new") {
				t.Errorf("junit: exit %d, %s%s", code, junit, stderr)
			}
			if code, _, stderr := here(t, "explain", dir); code != exitFine {
				t.Errorf("explain: exit %d, %s", code, stderr)
			}
			before := lines(dir)
			if code, again, _ := here(t, "run", "--resume", dir, "--quiet", "-o", "json"); code != c.code || again != stdout || lines(dir) != before {
				t.Errorf("resumed: exit %d, %d trials and then %d\n%s", code, before, lines(dir), again)
			}
		})
	}
}

// A check that cannot tell exits with 3, unless that is to pass, and is nothing for git bisect. Two connections are too few
// for a percentile of connecting.
func TestCheckIsInconclusive(t *testing.T) {
	dir, summary := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "summary.md")
	t.Setenv("GITHUB_STEP_SUMMARY", summary)
	code, stdout, stderr := within(t, patience, quickCheck(dir, "--old", "backlog=16", "--new", "backlog=1024", "--worse", "connect_p99=10%", "--annotate")...)
	if code != exitInconclusive || !strings.HasPrefix(stdout, "inconclusive: connect_p99: ") || !strings.Contains(stderr, "\n::warning title=sockbench check::inconclusive: connect_p99") {
		t.Errorf("exit %d, %s%s", code, stdout, stderr)
	}
	if n := lines(dir); n < 20 {
		t.Errorf("%d trials", n)
	}
	if said, err := os.ReadFile(summary); err != nil || !strings.HasPrefix(string(said), "**inconclusive: ") || !strings.Contains(string(said), "| variant |") {
		t.Errorf("the step's summary is %s (%v)", said, err)
	}
	for _, c := range []struct {
		args []string
		code int
	}{{[]string{"--inconclusive", "pass"}, exitFine}, {[]string{"--bisect"}, 125}, {nil, exitInconclusive}} {
		if code, _, stderr := here(t, append([]string{"check", "--resume", dir, "--quiet"}, c.args...)...); code != c.code {
			t.Errorf("%v: exit %d, %s", c.args, code, stderr)
		}
	}
}

// Whatever keeps a side from being measured ends a check with 4 and the reason, and never with the code of a verdict.
func TestCheckCannotMeasure(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(asProgram, "1")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	good := fmt.Sprintf("'%s' serve --target goroutine --listen 127.0.0.1:{port}", self)
	for _, c := range []struct {
		name, old, new string
		more           []string
		says           []string
		slow           bool
	}{
		{name: "missing binary", old: good, new: "/no/such/server {port}", says: []string{"variant=new", "/no/such/server"}},
		{name: "it ends at once", old: `sh -c 'echo the config is bad; exit 3' {port}`, new: good, says: []string{"variant=old", "the config is bad"}},
		{name: "it never listens", old: "sleep 100 {port}", new: good, says: []string{"variant=old", "within 10s"}, slow: true},
		{name: "port taken", old: good, new: fmt.Sprintf(`sh -c "exec '%s' serve --listen %s #{port}"`, self, taken.Addr()), says: []string{"variant=new", "address already in use"}},
		{name: "it ends in a trial", old: good, new: fmt.Sprintf(`sh -c "'%s' serve --target goroutine --listen 127.0.0.1:{port} & sleep .5; kill -9 \$!; exit 3"`, self),
			more: []string{"--duration", "2s"}, says: []string{"variant=new"}},
		{name: "unwritable folder", old: good, new: good, more: []string{"--out", filepath.Join(file, "run")}, says: []string{file}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.slow && testing.Short() {
				t.Skip("takes ten seconds; run without -short")
			}
			dir := filepath.Join(t.TempDir(), "run")
			code, stdout, stderr := within(t, patience, quickCheck(dir, append([]string{"--old", c.old, "--new", c.new}, c.more...)...)...)
			if code != exitEnvironment || strings.Contains(stdout, "regression") || strings.Contains(stdout, "fine") {
				t.Errorf("exit %d, %s%s", code, stdout, stderr)
			}
			for _, s := range c.says {
				if !strings.Contains(stderr, s) {
					t.Errorf("%q does not say %q", stderr, s)
				}
			}
			if n := lines(dir); n > 2 {
				t.Errorf("it went on for %d trials", n)
			}
			if c.slow {
				return
			}
			if code, _, _ := within(t, patience, quickCheck(filepath.Join(t.TempDir(), "run"), append([]string{"--bisect", "--old", c.old, "--new", c.new}, c.more...)...)...); code != 125 {
				t.Errorf("with --bisect: exit %d", code)
			}
		})
	}
}

// Ctrl-C ends a check with 130; --resume goes on with it, and the verdict is there.
func TestCheckInterrupted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	c := program(t, quickCheck(dir, "--old", "service_time=100us", "--new", "service_time=2ms")...)
	var errs bytes.Buffer
	c.Stderr = &errs
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return lines(dir) >= 3 })
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); c.ProcessState.ExitCode() != exitInterrupted || !strings.Contains(errs.String(), "sockbench check --resume "+dir) {
		t.Errorf("%v: %s", err, errs.String())
	}
	if code, stdout, stderr := within(t, patience, "check", "--resume", dir, "--quiet"); code != exitWrong || !strings.HasPrefix(stdout, "regression: ") {
		t.Errorf("resumed: exit %d, %s%s", code, stdout, stderr)
	}
	r, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, rec := range r.Records {
		key := fmt.Sprint(rec.ID, rec.Attempt)
		if seen[key] {
			t.Errorf("trial %s is there twice", key)
		}
		seen[key] = true
	}
}

// The order within pairs is another one in each check, unless it is asked for: a server that is faster when it comes second
// would else be as much faster in every check.
func TestCheckDrawsItsOrder(t *testing.T) {
	order := func(more ...string) string {
		_, stdout, _ := here(t, append([]string{"check", "--old", "backlog=16", "--new", "backlog=1024", "--dry-run"}, more...)...)
		return stdout
	}
	if a, b := order("--seed", "7"), order("--seed", "7"); a != b {
		t.Errorf("one seed makes two orders:\n%s%s", a, b)
	}
	for range 3 { // ten coins fall alike once in a thousand times
		if a, b := order(), order(); a != b {
			return
		}
	}
	t.Error("every check has the same order")
}

func TestCheckForesees(t *testing.T) {
	code, stdout, stderr := here(t, "check", "--old", "backlog=16", "--new", "backlog=1024", "--connections", "1,16,64", "--budget", "3m", "--dry-run")
	for _, want := range []string{"connections=16 variant=new", "11 to ", " pairs of 3 cells of trials of 200ms + 1s", "throughput may be 5% worse; a loss of "} {
		if code != exitFine || !strings.Contains(stdout, want) {
			t.Errorf("exit %d, %q is not in %s%s", code, want, stdout, stderr)
		}
	}
	if _, stdout, _ := here(t, "check", "--old", "backlog=16", "--new", "backlog=1024", "--worse", "p99=3%", "--dry-run"); !strings.Contains(stdout, "too coarse for 3%, which takes some ") {
		t.Errorf("it does not say that it is too coarse: %s", stdout)
	}
}

func TestCheckUsage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plan.yaml")
	if err := os.WriteFile(file, []byte("fixed: {target: epoll}\ngate: [{metric: p98, worse: 5%}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	both := []string{"--old", "backlog=16", "--new", "backlog=1024"}
	for _, c := range []struct {
		args []string
		says string
	}{
		{nil, "nothing to compare"},
		{[]string{"--old", "backlog=16"}, "--new is missing"},
		{[]string{"--old", "epoll", "--new", "thread"}, "write target=epoll"},
		{[]string{"--old", "bcklog=16", "--new", "backlog=1024"}, "did you mean backlog?"},
		{[]string{"--old", "./server", "--new", "./server {port}"}, "a command needs {port}"},
		{append([]string{"--old-ref", "HEAD"}, both...), "leave --old, --new"},
		{[]string{"--old-ref", "HEAD"}, "--build is missing"},
		{[]string{"--old-ref", "HEAD", "--build", "make"}, "name one target"},
		{[]string{"--old-ref", "HEAD", "--build", "make", "--target", "epoll"}, "not built from a commit"},
		{append([]string{"--build", "make"}, both...), "go with --old-ref"},
		{append([]string{"--worse", "throughput"}, both...), "throughput=5%"},
		{append([]string{"--worse", "thruput=5%"}, both...), "choose one of throughput"},
		{append([]string{"--worse", "errors=5%"}, both...), "0 where all is well"},
		{append([]string{"--worse", "throughput=5%", "--rate", "1k"}, both...), "what was offered"},
		{append([]string{"--budget", "10s"}, both...), "10 pairs at least"},
		{append([]string{"--budget", "1m", "--blocks", "20"}, both...), "name one"},
		{append([]string{"--blocks", "9"}, both...), "10 pairs at least"},
		{append([]string{"--inconclusive", "maybe"}, both...), "fail, pass"},
		{append([]string{"--set", "backlog=3"}, both...), "named outside the variants"},
		{[]string{"--resume", t.TempDir(), "--old", "x"}, "--old"},
		{[]string{"../../examples/nagle.yaml"}, "two variants"},
	} {
		code, stdout, stderr := here(t, append([]string{"check"}, c.args...)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, c.says) {
			t.Errorf("%q: exit %d, %q does not say %q", c.args, code, stderr, c.says)
		}
		if code, _, _ := here(t, append([]string{"check", "--bisect"}, c.args...)...); code != 128 {
			t.Errorf("%q with --bisect: exit %d would be a bad commit, or a good one", c.args, code)
		}
	}
	if code, _, stderr := here(t, "check", file, "--annotate"); code != exitUsage || !strings.Contains(stderr, "::error file="+file+",line=2,col=17,title=sockbench check::metric p98") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

func TestAnnotation(t *testing.T) {
	if got, want := annotation("error", "a,b:c.yaml", 3, 1, "5% worse\nyes"), "::error file=a%2Cb%3Ac.yaml,line=3,col=1,title=sockbench check::5%25 worse%0Ayes"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
