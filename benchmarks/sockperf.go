package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// sockperfCost compares the open loop of one connection with sockperf's, which only its own server answers.
func sockperfCost(ctx context.Context, b *bench) ([]figure, error) {
	program, err := exec.LookPath("sockperf")
	if err != nil {
		return []figure{{spoilt: "sockperf is not installed"}}, nil
	}
	ours := func(port string) []string {
		return b.loadCommand(port, 1, sockperfRun, "--rate", "10k", "--arrivals", "constant", "--pace", "exact")
	}
	theirs := func(port string) []string {
		return []string{program, "under-load", "--tcp", "-i", "127.0.0.1", "-p", port, "-m", strconv.Itoa(frame), "--mps", strconv.Itoa(sockperfRate),
			"--reply-every", "1", "-t", strconv.Itoa(int(sockperfRun / time.Second))}
	}
	serve := func(port string) []string { return []string{program, "server", "--tcp", "-i", "127.0.0.1", "-p", port} }
	f, err := b.compare(ctx, "sockperf", min(b.pairs, enoughPairs), [2]arm{b.telling("ours", ours),
		{"sockperf", shown(theirs("PORT")), func(ctx context.Context) (float64, error) { return b.sockperf(ctx, serve, theirs) }}})
	f.how = append(f.how, "against", shown(peer(b.echo)), "and", shown(serve("PORT")))
	return []figure{f}, err
}

// What sockperf is asked for.
const (
	sockperfRate = 10_000
	sockperfRun  = 2 * time.Second
)

// sockperf is one trial of sockperf: the CPU time of the whole client for each request.
func (b *bench) sockperf(ctx context.Context, serve, load command) (cost float64, err error) {
	err = b.running(ctx, serve, func(port string) error {
		out, used, err := b.client(load(port)).run(ctx, func(int) error { return nil })
		if err != nil {
			return err
		}
		sent, err := sentMessages(out)
		cost = float64(used) / float64(sent)
		return err
	})
	return cost, err
}

// running starts a server that is not ours on a free port, calls f when it listens, and ends it.
func (b *bench) running(ctx context.Context, serve command, f func(port string) error) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err = errors.Join(err, l.Close()); err != nil { // the server takes the port over
		return err
	}
	c := child{argv: serve(port), dir: b.dir, cpu: serverCPU, realTime: b.realTime, limit: 30 * time.Second}
	cmd, end := c.command(ctx)
	if err := c.start(cmd); err != nil {
		end()
		return err
	}
	defer func() { end(); cmd.Wait() }() // it ends only so, with an error
	if err := listens(ctx, port); err != nil {
		return err
	}
	return f(port)
}

// listens waits until a server takes connections.
func listens(ctx context.Context, port string) error {
	for range 500 {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return errors.New("the server did not listen within 5 s")
}

var totalRun = regexp.MustCompile(`\[Total Run\].*SentMessages=(\d+); ReceivedMessages=(\d+)`)

// sentMessages reads from sockperf's report how many requests it made, if hardly any was missing or not answered: it
// does not wait for the last ones.
func sentMessages(out []byte) (int64, error) {
	m := totalRun.FindSubmatch(out)
	if m == nil {
		return 0, errors.New("sockperf does not say how many messages it sent")
	}
	sent, err := strconv.ParseInt(string(m[1]), 10, 64)
	answered, err1 := strconv.ParseInt(string(m[2]), 10, 64)
	if want := int64(sockperfRate * sockperfRun / time.Second); min(sent, answered) < want*99/100 {
		return 0, fmt.Errorf("sockperf sent %d messages of %d, and %d were answered", sent, want, answered)
	}
	return sent, errors.Join(err, err1)
}
