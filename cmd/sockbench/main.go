// Command sockbench measures and tunes sockets. See the README for what it is for.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sockbench/sockbench/doctor"
	"github.com/sockbench/sockbench/internal/near"
	"github.com/sockbench/sockbench/lab"
	"github.com/sockbench/sockbench/playbook"
)

// Exit codes, which scripts use.
const (
	exitFine         = 0
	exitWrong        = 1 // what was measured is not what theory says, or worse than it was
	exitUsage        = 2
	exitInconclusive = 3
	exitEnvironment  = 4
	exitInterrupted  = 130
)

// failure is an error with the exit code it asks for.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// broken marks an error of the environment or of a target. Every other error is one of usage.
func broken(err error) error {
	if err == nil {
		return nil
	}
	return &failure{exitEnvironment, err}
}

func main() {
	lab.Main(playbook.Parts, doctor.Parts)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		stop() // a second signal ends the process at once; the trial's processes follow it
	}()
	os.Exit(run(ctx, os.Stdout, os.Stderr, os.Args[1:]))
}

// run is the whole program, and returns its exit code.
func run(ctx context.Context, stdout, stderr io.Writer, args []string) int {
	code := execute(ctx, stdout, stderr, args)
	if bisecting(args) {
		return forBisect(code)
	}
	return code
}

func execute(ctx context.Context, stdout, stderr io.Writer, args []string) int {
	root := command(stdout, stderr)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitFine
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		fmt.Fprintln(stderr, "sockbench: interrupted")
		return exitInterrupted
	}
	f := &failure{exitUsage, err}
	errors.As(err, &f)
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	for i, l := range lines {
		if i == 0 {
			l = "sockbench: " + l
		}
		fmt.Fprintln(stderr, l)
	}
	return f.code
}

func command(stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:   "sockbench",
		Short: "Find out which server model, framing and socket options make a service fast, and prove it",
		Long: `sockbench drives servers with load, varies socket options and server models, and says which change helped.

It runs every trial in fresh processes, counts latency from when a request was meant to leave, and marks on each
result what could not be trusted.`,
		Example: `  sockbench run                                             the built-in plan: server models, Nagle and ways of writing
  sockbench run --target epoll,goroutine --connections 1,64 --set TCP_NODELAY=off,on
  sockbench run --target 'exec: ./server --port {port}' --rate 10k
  sockbench check --old './server-1.0 --port {port}' --new './server-1.1 --port {port}'
  sockbench capacity --target epoll,goroutine --limit p99=2ms
  sockbench tune --goal p50 --write split,single --set TCP_NODELAY=off,on
  sockbench serve --target goroutine --listen 127.0.0.1:9000
  sockbench load 127.0.0.1:9000 --rate 20k --duration 10s
  sockbench compare runs/20261123T120000Z-run --by TCP_NODELAY
  sockbench explain runs/20261123T120000Z-run
  sockbench playbook sticky-packets
  sockbench verify --quick
  sockbench scan localhost --ports 1-10000
  sockbench doctor`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArguments,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", meant(err, c), c.CommandPath())
	})
	root.AddCommand(runCommand(), checkCommand(), tuneCommand(), capacityCommand(), reportCommand(), compareCommand(), explainCommand(), playbookCommand(), verifyCommand(), serveCommand(), loadCommand(), scanCommand(), targetsCommand(), optionsCommand(), doctorCommand(), schemaCommand(), versionCommand())
	return root
}

// noArguments refuses words that are no flags, and says what was probably meant.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if c.HasSubCommands() {
		var names []string
		for _, sub := range c.Commands() {
			names = append(names, sub.Name())
		}
		return fmt.Errorf("no command %q%s; see %s --help", args[0], near.Suggest(args[0], names), c.CommandPath())
	}
	return fmt.Errorf("%s takes no argument %q; see %s --help", c.CommandPath(), args[0], c.CommandPath())
}
