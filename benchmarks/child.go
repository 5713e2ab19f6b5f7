package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The CPUs that the two sides are pinned to.
const (
	serverCPU = 0
	clientCPU = 1
)

// anyCPU is where a child runs that pins its parts itself.
const anyCPU = -1

// nobody is the ordinary user that root's children may be.
const nobody = 65534

// child is how a process is started.
type child struct {
	argv     []string
	dir      string // where it runs; "": here
	cpu      int    // anyCPU: not pinned
	realTime bool   // SCHED_RR
	ordinary bool   // as nobody, if this is root
	limit    time.Duration
}

// command prepares c. It is killed, with all of its process group, when ctx ends or its time is over.
func (c child) command(ctx context.Context) (*exec.Cmd, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, c.limit)
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	cmd.Dir = c.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if c.ordinary && unix.Getuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		cmd.Env = []string{"HOME=" + c.dir, "PATH=/usr/bin:/bin"}
	}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd, cancel
}

// start starts cmd on the CPU and in the scheduling class that c asks for. A child inherits them from the thread that
// starts it, so that it has them before its first instruction.
func (c child) start(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if c.cpu != anyCPU {
		var before, pinned unix.CPUSet
		if err := unix.SchedGetaffinity(0, &before); err != nil {
			return err
		}
		pinned.Set(c.cpu)
		if err := unix.SchedSetaffinity(0, &pinned); err != nil {
			return fmt.Errorf("pin to CPU %d: %w", c.cpu, err)
		}
		defer unix.SchedSetaffinity(0, &before) // to where it was: nothing can be wrong with that
	}
	if c.realTime {
		rr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1}
		if err := unix.SchedSetAttr(0, &rr, 0); err != nil {
			return fmt.Errorf("SCHED_RR: %w", err)
		}
		defer unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL}, 0)
	}
	return cmd.Start()
}

// output runs c and returns what it printed.
func (c child) output(ctx context.Context) ([]byte, error) {
	out, _, err := c.run(ctx, func(int) error { return nil })
	return out, err
}

// run runs c, calls during with its pid, and returns what it printed and the CPU time it used. An error of during ends c.
func (c child) run(ctx context.Context, during func(pid int) error) ([]byte, time.Duration, error) {
	cmd, cancel := c.command(ctx)
	defer cancel()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := c.start(cmd)
	if err == nil {
		failed := during(cmd.Process.Pid)
		if failed != nil {
			cancel()
		}
		err = cmp.Or(failed, cmd.Wait())
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w\n%s", strings.Join(c.argv, " "), err, errs.Bytes())
	}
	return out.Bytes(), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}

// server is a running server on the loopback.
type server struct {
	port string
	pid  int
}

// serverLimit is how long a server may live.
const serverLimit = 60 * time.Second

// peer is the command of one of the servers in peers.
func peer(program string) []string {
	return []string{program, strconv.Itoa(int(serverLimit / time.Second))}
}

// serving starts a server that prints its port, or an address that ends with it, calls f with it, and ends it.
func (b *bench) serving(ctx context.Context, argv []string, f func(server) error) error {
	c := child{argv: argv, cpu: serverCPU, realTime: b.realTime, limit: serverLimit}
	cmd, cancel := c.command(ctx)
	defer cancel()
	if _, err := cmd.StdinPipe(); err != nil { // it ends with this process, and a peer with it
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := c.start(cmd); err != nil {
		return fmt.Errorf("start %s: %w", argv[0], err)
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	if err == nil {
		err = f(server{strings.TrimSpace(address[strings.LastIndexByte(address, ':')+1:]), cmd.Process.Pid})
	} else if err == io.EOF {
		err = errors.New("it did not start")
	}
	cmd.Process.Signal(unix.SIGTERM) // which cannot fail before it is waited for
	ended := cmd.Wait()
	if err == nil && cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != unix.SIGTERM {
		err = ended
	}
	if err != nil {
		return fmt.Errorf("server %s: %w\n%s", argv[0], err, said.Bytes())
	}
	return nil
}
