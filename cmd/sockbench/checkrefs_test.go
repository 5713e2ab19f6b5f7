package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sockbench/sockbench/internal/testenv"
)

// history makes a repository of as many commits as there are service times, and works in it. Each commit's server is ours
// with its own service time, which its build puts into a file. Folders for temporary files are in their own one.
func history(t *testing.T, services ...string) (flags []string, temporary string) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		testenv.Skip(t, "git", err.Error())
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(asProgram, "1") // for the servers
	t.Chdir(t.TempDir())
	temporary = t.TempDir()
	t.Setenv("TMPDIR", temporary)
	for _, kv := range [][2]string{{"GIT_CONFIG_GLOBAL", "/dev/null"}, {"GIT_CONFIG_NOSYSTEM", "1"}, {"GIT_AUTHOR_NAME", "a"}, {"GIT_AUTHOR_EMAIL", "a@example.org"}, {"GIT_COMMITTER_NAME", "a"}, {"GIT_COMMITTER_EMAIL", "a@example.org"}} {
		t.Setenv(kv[0], kv[1])
	}
	inGit(t, "init", "--quiet")
	for i, s := range services {
		write(t, "service", s)
		write(t, "count", fmt.Sprint(i))
		inGit(t, "add", ".")
		inGit(t, "commit", "--quiet", "-m", s)
	}
	target := fmt.Sprintf(`exec: sh -c 'exec "%s" serve --target epoll --listen 127.0.0.1:{port} --service-time $(cat built)'`, self)
	return []string{"--build", "cp service built", "--target", target}, temporary
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func inGit(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("git", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// nothingLeft demands that no tree is left, in git's list or in the folder for temporary files.
func nothingLeft(t *testing.T, temporary string) {
	t.Helper()
	if list := inGit(t, "worktree", "list"); strings.Count(list, "\n") != 1 {
		t.Errorf("trees are left:\n%s", list)
	}
	if left, err := filepath.Glob(filepath.Join(temporary, "sockbench-check-*")); err != nil || len(left) > 0 {
		t.Errorf("%v are left (%v)", left, err)
	}
}

func TestCheckOfCommits(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some checks; run without -short")
	}
	flags, temporary := history(t, "100us", "2ms")
	var dir string
	from := func(ref string) func() []string {
		return func() []string {
			dir = filepath.Join(t.TempDir(), "run")
			return quickCheck(dir, append(flags, "--old-ref", ref)...)
		}
	}
	code, stdout, stderr := decided(t, from("HEAD~1"))
	if code != exitWrong || !strings.HasPrefix(stdout, "regression: throughput ") {
		t.Errorf("exit %d, %s%s", code, stdout, stderr)
	}
	nothingLeft(t, temporary)
	if manifest, err := os.ReadFile(filepath.Join(dir, "manifest.json")); err != nil || !bytes.Contains(manifest, []byte(strings.TrimSpace(inGit(t, "rev-parse", "HEAD~1")))) {
		t.Errorf("the manifest does not name the commit: %s (%v)", manifest, err)
	}
	if code, _, stderr := here(t, "check", "--resume", dir); code != exitUsage || !strings.Contains(stderr, "what was built is gone") {
		t.Errorf("resumed: exit %d, %s", code, stderr)
	}

	// What is changed in the work tree is the new side, and nothing in it is touched.
	write(t, "service", "100us")
	code, stdout, stderr = decided(t, from("HEAD"))
	if code != exitFine || !strings.HasPrefix(stdout, "improvement: throughput ") {
		t.Errorf("the work tree: exit %d, %s%s", code, stdout, stderr)
	}
	if status := inGit(t, "status", "--porcelain"); status != " M service\n" {
		t.Errorf("the work tree was changed: %q", status)
	}
	nothingLeft(t, temporary)
}

// What is wrong with the commits or their build has the exit code of usage or environment, and leaves nothing behind.
func TestCheckOfCommitsFails(t *testing.T) {
	flags, temporary := history(t, "100us", "100us")
	target := flags[2:]
	for _, c := range []struct {
		args         []string
		code, bisect int
		says         []string
	}{
		{append([]string{"--old-ref", "HEAD~1", "--build", "echo no compiler; exit 7"}, target...), exitEnvironment, 125, []string{"build the old side", "exit status 7", "no compiler"}},
		{append([]string{"--old-ref", "HEAD~1", "--build", "exit 7"}, target...), exitEnvironment, 125, []string{"it wrote nothing"}},
		{append([]string{"--old-ref", "HEAD~9"}, flags...), exitUsage, 128, []string{"there is no commit HEAD~9"}},
		{append([]string{"--old-ref", "--help"}, flags...), exitUsage, 128, []string{"there is no commit --help"}},
		{[]string{"--old-ref", "HEAD~1", "--build", "true", "--target", "exec: ./server {port}"}, exitEnvironment, 125, []string{"./server", "not found"}},
		{[]string{"--old-ref", "HEAD~1", "--build", "true", "--target", "exec: ./server"}, exitUsage, 128, []string{"{port}"}},
	} {
		code, _, stderr := within(t, patience, quickCheck(filepath.Join(t.TempDir(), "run"), c.args...)...)
		if code != c.code {
			t.Errorf("%q: exit %d, want %d: %s", c.args, code, c.code, stderr)
		}
		for _, s := range c.says {
			if !strings.Contains(stderr, s) {
				t.Errorf("%q: %q does not say %q", c.args, stderr, s)
			}
		}
		if code, _, _ := within(t, patience, quickCheck(filepath.Join(t.TempDir(), "run"), append(c.args, "--bisect")...)...); code != c.bisect {
			t.Errorf("%q: exit %d with --bisect, want %d", c.args, code, c.bisect)
		}
		nothingLeft(t, temporary)
	}
	t.Chdir("/")
	if code, _, stderr := here(t, "check", "--old-ref", "HEAD", "--build", "true", "--target", "exec: ./server {port}"); code != exitUsage || !strings.Contains(stderr, "not a git repository") {
		t.Errorf("outside a repository: exit %d, %s", code, stderr)
	}
}

// kill -9 ends a check without a verdict, and the trees go all the same: in a trial and in a build.
func TestCheckOfCommitsKilled(t *testing.T) {
	flags, temporary := history(t, "100us", "100us")
	for name, c := range map[string]struct {
		flags []string
		far   func(dir string) bool // enough
	}{
		"in a trial": {append([]string{"--old-ref", "HEAD~1"}, flags...), func(dir string) bool { return lines(dir) > 0 }},
		"in a build": {append([]string{"--old-ref", "HEAD~1", "--build", "sleep 100"}, flags[2:]...), func(string) bool {
			built, _ := filepath.Glob(filepath.Join(temporary, "sockbench-check-*", "old", "service"))
			return len(built) > 0
		}},
	} {
		dir := filepath.Join(t.TempDir(), "run")
		cmd := program(t, quickCheck(dir, c.flags...)...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		waitFor(t, func() bool { return c.far(dir) })
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // by the signal
		if code := cmd.ProcessState.ExitCode(); code != -1 {
			t.Errorf("%s: exit %d", name, code)
		}
		waitFor(t, func() bool {
			left, _ := filepath.Glob(filepath.Join(temporary, "sockbench-check-*"))
			return len(left) == 0 && strings.Count(inGit(t, "worktree", "list"), "\n") == 1
		})
	}
}

// git bisect finds the commit that made the server slow.
func TestCheckBisects(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some checks; run without -short")
	}
	flags, temporary := history(t, "100us", "100us", "100us", "2ms", "2ms")
	slow := strings.TrimSpace(inGit(t, "rev-parse", "HEAD~1"))
	first := strings.TrimSpace(inGit(t, "rev-parse", "HEAD~4"))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"bisect", "run", self, "check", "--bisect", "--old-ref", first, "--duration", "100ms", "--warmup", "10ms", "--connections", "2", "--quiet", "--worse", "throughput=100%"}
	said := ""
	for range 3 { // it skips a commit of which a disturbed check cannot tell
		inGit(t, "bisect", "start", "HEAD", first)
		out, _ := exec.Command("git", append(args, flags...)...).CombinedOutput() // what it says is looked at
		if said = string(out); !strings.Contains(said, "bisect run cannot continue") {
			break
		}
		inGit(t, "bisect", "reset")
	}
	if !strings.Contains(said, slow+" is the first bad commit") {
		t.Errorf("%s is slow, and git bisect says:\n%s", slow, said)
	}
	nothingLeft(t, temporary)
}
