package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sockbench/sockbench/lab"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/targets"
	"github.com/sockbench/sockbench/unit"
)

func serveCommand() *cobra.Command {
	var k knobs
	var listen, samples string
	var duration durationFlag
	var output = choice{level: "table", of: []string{"table", "json"}}
	c := &cobra.Command{
		Use:   "serve [--target MODEL] [--listen ADDRESS]",
		Short: "Run one server in this process, until interrupted",
		Long: `Run one server in this process. It prints its address and serves until SIGINT or SIGTERM, then finishes what it has
received and says what it did. With -o json that is two lines of JSON: the address when it serves, the account at the
end. Knobs of the load are not its business; keep_awake is off unless named.

--listen takes HOST:PORT, which means tcp://HOST:PORT (of target udp, udp://HOST:PORT), or unix:///PATH. The file of a
unix socket is removed at the end, and one that a dead server left is replaced; any other file at the path is left alone,
and is an error.

--samples writes one line for each request: its id, when the read that completed it had returned, when its service began
and when that was over, in nanoseconds of CLOCK_MONOTONIC, which the samples of a load on the same machine share. The id
is 0 where the framing carries none.`,
		Example: `  sockbench serve --target epoll --listen 127.0.0.1:9000
  sockbench serve --target goroutine --service-time exp:50us --set SO_RCVBUF=16KiB
  sockbench serve --listen 127.0.0.1:9000 --samples handled.csv
  sockbench serve --listen '[::1]:9000'
  sockbench serve --listen unix:///tmp/server.sock
  sockbench serve --target udp --listen 127.0.0.1:9000`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			k.environment()
			p, err := single(c, &k, 1, 0, seconds(1))
			if err != nil {
				return err
			}
			s := p.Block(0, 0)[0].Spec
			e, err := targets.Find(s.Target.Target.Model)
			if err != nil {
				return err
			}
			if !strings.Contains(listen, "://") {
				listen = e.Network() + "://" + listen
			}
			return serve(c, e, s, listen, samples, time.Duration(duration), output.level == "json")
		},
	}
	k.flags(c)
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "where to listen; port 0 takes a free one")
	c.Flags().Var(&duration, "duration", "stop after this long; 0: when interrupted")
	c.Flags().StringVar(&samples, "samples", "", sampleHelp)
	output.flag(c)
	return c
}

// single is the plan of the one trial that the named knobs describe.
func single(c *cobra.Command, k *knobs, seed uint64, warmup, duration durationFlag) (*plan.Plan, error) {
	if err := k.single(c); err != nil {
		return nil, err
	}
	if !k.has("keep_awake") {
		k.add("keep_awake", "off")
	}
	p, err := plan.New(c.Name(), seed, 1, unit.Duration(warmup), unit.Duration(duration), k.named)
	if err == nil && p.Block(0, 0)[0].Spec.Beside != "" {
		err = fmt.Errorf("cpus=%s is about two sides, and %s is one: write for example cpus=server=0 or cpus=client=1", p.Cells()[0]["cpus"], c.Name())
	}
	return p, err
}

func serve(c *cobra.Command, e *targets.Entry, s plan.Spec, listen, samples string, duration time.Duration, asJSON bool) error {
	var l lab.Lab
	defer l.Close()
	ctx := c.Context()
	if err := l.Settle(ctx, plan.Server, s); err != nil {
		return broken(err)
	}
	place := targets.Place{Listen: listen, Expect: s.Load.Total(), Seed: 1}
	switch {
	case e.Name == "addr":
		return errors.New("target addr: that server runs already; there is nothing to serve")
	case e.Foreign && samples != "":
		return fmt.Errorf("target %s: when it handles requests is not ours to see: leave --samples out", e.Name)
	}
	if err := targets.Check(s.Target, place); err != nil {
		return err
	}
	var file *os.File
	if samples != "" { // before anything is served: not to serve for nothing
		var err error
		if file, err = os.Create(samples); err != nil {
			return broken(err)
		}
		defer file.Close()
		place.Samples = sampleMax
	}
	srv, err := targets.Start(context.WithoutCancel(ctx), s.Target, place)
	if err != nil {
		return broken(err)
	}
	defer srv.Close()
	out := json.NewEncoder(c.OutOrStdout())
	if asJSON {
		err = out.Encode(map[string]string{"address": srv.Addr()})
	} else {
		_, err = fmt.Fprintln(c.OutOrStdout(), srv.Addr())
	}
	if err != nil {
		return broken(err)
	}
	if duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, duration)
		defer cancel()
	}
	var died <-chan struct{}
	command, isCommand := srv.(interface {
		Died() <-chan struct{}
		Exit() string
	})
	if isCommand {
		died = command.Died()
	}
	select {
	case <-ctx.Done():
	case <-died:
		return broken(fmt.Errorf("the target died: %s", command.Exit()))
	}
	drain, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	err = srv.Drain(drain)
	r := srv.Result()
	if file != nil { // also when the drain was cut short: what was handled before is as good as ever
		saved := saveSamples(c, file, len(r.Samples), r.Dropped, func(w io.Writer) error { return targets.WriteSamples(w, r.Samples) })
		err = errors.Join(err, saved)
	}
	if err != nil {
		return broken(err)
	}
	if asJSON {
		return broken(out.Encode(r))
	}
	if !isCommand {
		fmt.Fprintf(c.ErrOrStderr(), "%d connections, %d requests, %s read, %s written\n", r.Accepts, r.Requests, unit.Bytes(r.Received), unit.Bytes(r.Sent))
	}
	return nil
}
