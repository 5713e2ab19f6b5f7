// Package proc starts, watches and ends process trees that leave no orphan, and says what they used.
//
// A Room is one trial's tree. The parent starts a small process, the room, which starts the parts; each is this binary
// again, told apart by argv[0], so that nothing a user's command inherits can turn it into one of them. Where the
// machine allows it the room is PID 1 of a PID namespace of its own: whatever ends it ends everything in it. Elsewhere
// rooms and keepers are subreapers that kill their descendants until none is left. Either way the chain
// parent → room → part is held by death signals and by a control pipe whose end of file means "the parent is gone".
//
// A Tree is a user's command inside a keeper, with everything it started.
package proc

import (
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// What argv[0] says of a re-executed process. An environment variable would be inherited by the user's command.
const (
	roomName = "sockbench-room"
	partName = "sockbench-part"
)

// registered is what Main was given; nil: it was not called, and a re-executed process would run the program anew.
var registered map[string]func(io.Reader, io.Writer) error

// Main is called first thing in main, and in TestMain of tests that open rooms. In a re-executed process it runs the
// room, or the part of that name on its standard input and output, and never returns; otherwise it returns at once.
// A part's error goes to its standard error, and its exit status is then 1.
func Main(parts map[string]func(stdin io.Reader, stdout io.Writer) error) {
	registered = map[string]func(io.Reader, io.Writer) error{}
	for name, run := range parts {
		registered[name] = run
	}
	switch args := append(os.Args, "", "", ""); args[0] {
	case roomName:
		os.Exit(runRoom())
	case partName:
		os.Exit(runPart(args[1], args[2] == "keeper"))
	}
}

func runPart(name string, keeper bool) (status int) {
	run := registered[name]
	if run == nil {
		fmt.Fprintf(os.Stderr, "no part is called %q\n", name)
		return 2
	}
	if keeper {
		if err := keep(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	err := run(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	if keeper {
		if err := leave(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	return status
}

// keep makes this process a keeper: orphans among its descendants become its children, and when its room dies (its death
// signal is SIGTERM), or it is asked to end, it takes its tree along. SIGHUP is what the kernel sends when it was
// stopped as its room died, SIGPIPE means that the parent is gone.
func keep() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become a subreaper: %w", err)
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, unix.SIGTERM, unix.SIGHUP, unix.SIGPIPE)
	go func() {
		<-end
		if err := leave(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}()
	return nil
}

// leave ends everything this process started, for good: nothing can be started any more.
func leave() error {
	starting.Lock() // never unlocked
	return endDescendants()
}
