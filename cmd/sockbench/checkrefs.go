package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/kballard/go-shellquote"
	"github.com/spf13/cobra"

	"github.com/sockbench/sockbench/internal/proc"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

// refFlags name two commits and how to build them.
type refFlags struct{ old, new, command string }

func (f *refFlags) flags(c *cobra.Command) {
	c.Flags().StringVar(&f.old, "old-ref", "", "the commit of the old side, as HEAD~1, v1.0 or origin/main")
	c.Flags().StringVar(&f.new, "new-ref", "", "the commit of the new side; default: the work tree, without the files that git does not know")
	c.Flags().StringVar(&f.command, "build", "", "what builds a side, run by sh in its folder, as 'go build -o server ./cmd/server'")
}

// target takes the command that is to be run in each tree out of the knobs.
func (f *refFlags) target(k *knobs) (string, error) {
	if f.command == "" {
		return "", errors.New("--old-ref: --build is missing: say how a side is built, as --build 'go build -o server ./cmd/server'")
	}
	i := slices.IndexFunc(k.named, func(f plan.Factor) bool { return f.Knob == "target" })
	if i < 0 || len(k.named[i].Levels) != 1 {
		return "", errors.New("--old-ref: name one target, the command that is run in each tree, as --target 'exec: ./server --port {port}'")
	}
	command, ok := strings.CutPrefix(k.named[i].Levels[0], "exec:")
	if !ok {
		return "", fmt.Errorf("--old-ref: target %s is not built from a commit: name a command, as --target 'exec: ./server --port {port}'", k.named[i].Levels[0])
	}
	k.named = slices.Delete(k.named, i, i+1)
	return strings.TrimSpace(command), nil
}

// trees are the two commits, each in a folder of its own while the check runs.
type trees struct {
	root    string    // of the user's repository
	home    string    // of both folders
	within  string    // the part of a tree that the user is in
	commits [2]string // old and new
	reaper  *exec.Cmd
	life    io.Closer // ends the reaper
}

var sideNames = [2]string{"old", "new"}

// open finds out which commits are meant.
func (f *refFlags) open(ctx context.Context) (*trees, error) {
	t := &trees{}
	var err error
	if t.root, err = git(ctx, "", "rev-parse", "--show-toplevel"); err != nil {
		return nil, err
	}
	if t.within, err = git(ctx, "", "rev-parse", "--show-prefix"); err != nil {
		return nil, err
	}
	ref := f.new
	if ref == "" { // a commit of what is in the work tree, of which nobody else knows; none if nothing is changed
		if ref, err = git(ctx, t.root, "stash", "create"); err != nil {
			return nil, err
		}
	}
	for i, name := range []string{f.old, ref} {
		if name == "" {
			name = "HEAD"
		}
		if t.commits[i], err = git(ctx, t.root, "rev-parse", "--verify", "--quiet", "--end-of-options", name+"^{commit}"); err != nil {
			return nil, fmt.Errorf("there is no commit %s in %s: git fetch it, or name another", name, t.root)
		}
	}
	if t.home, err = os.MkdirTemp("", "sockbench-check-"); err != nil {
		return nil, broken(fmt.Errorf("make a folder for the two trees: %w", err))
	}
	return t, nil
}

// git runs git in dir and returns the first line of what it says.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, "git", args...)
	c.Dir = dir
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", broken(fmt.Errorf("--old-ref takes git: %w", err))
	}
	if cut := ctx.Err(); cut != nil {
		return "", cut
	}
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(errs.String()))
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line, nil
}

func (t *trees) dir(side string) string { return filepath.Join(t.home, side) }

// build checks both commits out and builds them. What fails here is the environment's or the commit's fault.
func (t *trees) build(ctx context.Context, command string, say func(format string, args ...any)) error {
	if err := t.guard(); err != nil {
		return broken(err)
	}
	for i, side := range sideNames {
		if _, err := git(ctx, t.root, "worktree", "add", "--quiet", "--detach", t.dir(side), t.commits[i]); err != nil {
			return broken(fmt.Errorf("check out the %s side: %w", side, err))
		}
		say("building the %s side, %.12s: %s", side, t.commits[i], command)
		if err := t.make(ctx, side, command); err != nil {
			if cut := ctx.Err(); cut != nil {
				return cut
			}
			return broken(fmt.Errorf("build the %s side, %.12s: %s: %w", side, t.commits[i], command, err))
		}
	}
	return nil
}

// lingering is how long the output of a build that has ended is waited for: something it started may hold it open.
const lingering = time.Second

// make runs the build command in a side's tree. Its processes end with ctx.
func (t *trees) make(ctx context.Context, side, command string) error {
	c := exec.CommandContext(ctx, "sh", "-c", command)
	var said proc.Tail
	c.Dir, c.Stdout, c.Stderr, c.WaitDelay = filepath.Join(t.dir(side), t.within), &said, &said, lingering
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) } // its process group
	err := proc.Start(c)
	if err == nil {
		err = c.Wait()
	}
	if err == nil || errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	if text := said.String(); text != "" {
		return fmt.Errorf("%w; its last lines:\n%s", err, text)
	}
	return fmt.Errorf("%w; it wrote nothing", err)
}

// guard starts what takes the trees away as soon as its standard input ends: with this process, however that ends.
func (t *trees) guard() error {
	const remove = `cat >/dev/null
for side in old new; do git -C "$0" worktree remove --force "$1/$side" 2>/dev/null; done
rm -rf "$1"; git -C "$0" worktree prune`
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close() // the reaper has it
	t.reaper = exec.Command("sh", "-c", remove, t.root, t.home)
	t.reaper.Stdin, t.reaper.SysProcAttr = r, &syscall.SysProcAttr{Setpgid: true} // out of the reach of Ctrl-C
	if err := t.reaper.Start(); err != nil {
		w.Close()
		t.reaper = nil
		return fmt.Errorf("start what takes the trees away: %w", err)
	}
	t.life = w
	return nil
}

// close takes the trees away. On nil it does nothing.
func (t *trees) close() error {
	if t == nil {
		return nil
	}
	if t.reaper == nil {
		return os.Remove(t.home)
	}
	if err := errors.Join(t.life.Close(), t.reaper.Wait()); err != nil {
		return broken(fmt.Errorf("take the trees in %s away: %w", t.home, err))
	}
	return nil
}

// sides are the variants: the command, run in each tree. sh goes there and becomes the command.
func (t *trees) sides(command string) (sides []plan.Variant) {
	for _, side := range sideNames {
		there := shellquote.Join("sh", "-c", `cd "$0" && exec "$@"`, filepath.Join(t.dir(side), t.within))
		sides = append(sides, plan.Variant{Name: side, Knobs: plan.Cell{"target": "exec: " + there + " " + command}})
	}
	return sides
}

// checking is what a manifest says of them.
func (t *trees) checking(command string) *results.Checking {
	return &results.Checking{Old: t.commits[0], New: t.commits[1], Build: command}
}
