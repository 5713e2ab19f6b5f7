package targets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kballard/go-shellquote"

	"github.com/sockbench/sockbench/internal/proc"
)

var execEntry = Entry{
	Name: "exec",
	Doc: "A command of yours, started for every trial and ended with all it started. {port} is where it must listen, " +
		"{host} the address, {{ a brace; in a plan {workers}, or any other knob, is its level. Words and quotes are as in a " +
		"shell, but no shell is involved. Knob ready says how it tells that it is ready: without it, it sees one connection " +
		"before the trial that sends nothing.",
	Limit:   "Its sockets cannot be given options, nor can their options be read back; what it counted is unknown.",
	Example: "exec: ./server --port {port}",
	Knobs:   []string{"ready"},
	Foreign: true,
	Start:   startExec,
}

const (
	readyLimit = 10 * time.Second // for a command to accept connections
	drainLimit = 2 * time.Second  // from SIGTERM to SIGKILL
)

// command is a Server that is a user's command. Its methods are safe for concurrent use.
type command struct {
	line    string // as it was run
	address string
	started time.Time
	tree    *proc.Tree
	log     proc.Tail
	herald  *herald
	output  *os.File      // what the tree writes
	logged  chan struct{} // it was read to its end
	closing sync.Once
	closed  error
}

// startExec starts the command that s names and returns when it accepts connections. The end of ctx closes it.
func startExec(ctx context.Context, s Spec, p Place) (Server, error) {
	address, err := freePort(ctx, p.Listen)
	if err != nil {
		return nil, fmt.Errorf("target exec: %w", err)
	}
	words, err := commandWords(s.Target.Arg, address, p.Upstream)
	if err != nil {
		return nil, fmt.Errorf("target exec: %s: %w", s.Target.Arg, err)
	}
	c := &command{line: shellquote.Join(words...), address: address, logged: make(chan struct{}), herald: newHerald(s.Ready)}
	if err := c.start(words); err != nil {
		return nil, fmt.Errorf("target exec: %s: %w", c.line, err)
	}
	forget := context.AfterFunc(ctx, func() { c.Close() })
	go func() {
		<-c.Died()
		forget()
	}()
	if err := c.ready(ctx, s.Ready); err != nil {
		err = fmt.Errorf("target exec: %s: %w%s", c.line, err, c.lastLines())
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// freePort returns host:port for a place; port 0 becomes one that was free a moment ago.
func freePort(ctx context.Context, listen string) (string, error) {
	if listen == "" {
		listen = onTCP + nowhere
	}
	_, address, err := endpoint(listen, onTCP)
	if err != nil {
		return "", err
	}
	if _, port, _ := net.SplitHostPort(address); port != "0" {
		return address, nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	address = l.Addr().String()
	if err := l.Close(); err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return address, nil
}

// commandWords splits a command line and puts in the address, and that of what the command stands in front of, if it does.
// Splitting first keeps what is put in one word.
func commandWords(line, address, upstream string) ([]string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	words, err := shellquote.Split(line)
	if err != nil {
		return nil, err
	}
	if len(words) == 0 {
		return nil, errors.New("there is no command")
	}
	if !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(w, "{port}") }) {
		return nil, errors.New("it would not know where to listen: write {port} where the server takes its port")
	}
	values := []string{"{{", "{", "{port}", port, "{host}", host}
	if upstream != "" {
		network, to, ok := strings.Cut(upstream, "://")
		if !ok || network != onTCP {
			return nil, fmt.Errorf("it stands in front of a target on TCP, and %s is none", upstream)
		}
		values = append(values, behind, to)
	}
	put := strings.NewReplacer(values...)
	for i, w := range words {
		words[i] = put.Replace(w)
	}
	return words, nil
}

// start starts the command with its output going to the log.
func (c *command) start(words []string) error {
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	defer w.Close() // the command has it
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stdout, cmd.Stderr = w, w
	c.started, c.output = time.Now(), r
	if c.tree, err = proc.StartTree(cmd); err != nil {
		r.Close()
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("there is no command %s here (%w)", words[0], err)
		}
		return fmt.Errorf("it cannot be started: %w", err)
	}
	go func() {
		defer close(c.logged)
		io.Copy(io.MultiWriter(&c.log, c.herald), r) // ends with the last writer, or with Close
	}()
	return nil
}

// ready waits until the command is.
func (c *command) ready(ctx context.Context, how Ready) error {
	limit, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	for wait := 2 * time.Millisecond; ; wait = min(wait*5/4, 20*time.Millisecond) {
		ready := how.how != readyLog && how.asked(limit, c.address)
		select {
		case <-c.tree.Done(): // then it was someone else who answered
			return fmt.Errorf("%s after %.2fs, before it did %s", c.tree.Exit(), time.Since(c.started).Seconds(), how.wanted(c.address))
		case <-limit.Done():
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("it did not %s within %v", how.wanted(c.address), readyLimit)
		default:
		}
		if ready {
			return nil
		}
		select {
		case <-c.herald.said:
			return nil
		case <-c.tree.Done():
		case <-limit.Done():
		case <-time.After(wait):
		}
	}
}

// hangUp closes a connection by FIN. What the server says first is read: closing with unread bytes would send a reset.
// A server that serves one connection at a time has done with this one when it closes it.
func hangUp(conn *net.TCPConn) {
	defer conn.Close()
	if conn.CloseWrite() == nil && conn.SetReadDeadline(time.Now().Add(50*time.Millisecond)) == nil {
		io.Copy(io.Discard, conn) // however it ends
	}
}

// lastLines is the log as the end of an error.
func (c *command) lastLines() string {
	select {
	case <-c.logged: // when it has ended, all that it wrote
	case <-time.After(50 * time.Millisecond):
	}
	if text := c.log.String(); text != "" {
		return "; its last lines:\n" + text
	}
	return "; it wrote nothing"
}

func (c *command) Addr() string { return "tcp://" + c.address }

// PIDs are the processes of the whole tree now.
func (c *command) PIDs() []int { return c.tree.PIDs() }

// Died is closed when the command has ended, by itself or by Drain or Close.
func (c *command) Died() <-chan struct{} { return c.tree.Done() }

// Exit says how the command ended: "exit status 3", "killed by SIGSEGV"; "" if it has not.
func (c *command) Exit() string { return c.tree.Exit() }

// Log is the last lines of what it wrote to its standard output and error.
func (c *command) Log() string { return c.log.String() }

func (c *command) Result() Result { return Result{} }

// Drain sends SIGTERM, and SIGKILL to what is left 2 s later, which is an error.
func (c *command) Drain(ctx context.Context) error {
	limit, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	c.tree.Terminate()
	var late error
	for wait := time.Millisecond; len(c.tree.PIDs()) > 0 && late == nil; wait = min(2*wait, 20*time.Millisecond) {
		select {
		case <-limit.Done():
			late = fmt.Errorf("target exec: %s: it did not end by SIGTERM within %v and was killed", c.line, drainLimit)
			if ctx.Err() != nil {
				late = fmt.Errorf("target exec: drain %s: %w: it was killed", c.line, context.Cause(ctx))
			}
		case <-time.After(wait):
		}
	}
	return errors.Join(late, c.Close())
}

// Close kills the whole tree and returns when nothing is left of it.
func (c *command) Close() error {
	c.closing.Do(func() {
		if c.closed = c.tree.Kill(); c.closed != nil {
			c.closed = fmt.Errorf("target exec: %w", c.closed)
		}
		select {
		case <-c.logged: // complete: nobody is left who could write
		case <-time.After(50 * time.Millisecond):
		}
		c.output.Close()
		<-c.logged
	})
	return c.closed
}
