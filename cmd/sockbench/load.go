package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sockbench/sockbench/lab"
	"github.com/sockbench/sockbench/loadgen"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

func loadCommand() *cobra.Command {
	var k knobs
	duration, warmup, seed := seconds(10), durationFlag(200*time.Millisecond), uint64(1)
	var samples string
	var output = choice{level: "table", of: []string{"table", "json", "csv", "md"}}
	c := &cobra.Command{
		Use:   "load ADDRESS",
		Short: "Drive one server with load, from this process",
		Long: `Drive one server with load and say what came of it. ADDRESS is HOST:PORT, which means tcp://HOST:PORT, or
udp://HOST:PORT, where each request is a datagram, or unix:///PATH.

Without --rate it is a closed loop: every connection sends its next request when it has its reply. With --rate it is an
open loop: requests fall due whatever the server does, and latency counts from when they do. --arrivals says when:

` + arrivalLaws(),
		Example: `  sockbench load 127.0.0.1:9000
  sockbench load unix:///tmp/server.sock --connections 8
  sockbench load 127.0.0.1:9000 --rate 20k --connections 50 --samples requests.csv -o json`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("load takes one address: sockbench load 127.0.0.1:9000")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if k.has("target") {
				return errors.New("load takes its target as an argument: sockbench load ADDRESS")
			}
			k.environment()
			addr := args[0]
			if !strings.Contains(addr, "://") {
				addr = "tcp://" + addr
			}
			if _, err := loadgen.Network(addr); err != nil {
				return err
			}
			k.add("target", "addr: "+addr)
			p, err := single(c, &k, seed, warmup, duration)
			if err != nil {
				return err
			}
			place := loadgen.Place{To: addr, Seed: seed}
			var file *os.File
			if samples != "" { // before the load: not to measure for nothing
				if file, err = os.Create(samples); err != nil {
					return broken(err)
				}
				defer file.Close()
				place.Samples = sampleMax
			}
			var l lab.Lab
			defer l.Close()
			stop := waiting(c.ErrOrStderr(), time.Duration(warmup)+time.Duration(duration))
			rec, ran, err := l.Load(c.Context(), p.Block(0, 0)[0], place)
			stop()
			if err != nil {
				return broken(err)
			}
			if file != nil {
				s, dropped := ran.Samples()
				if err := saveSamples(c, file, len(s), dropped, func(w io.Writer) error { return loadgen.WriteSamples(w, s) }); err != nil {
					return err
				}
			}
			return printLoad(c, p, rec, output.level)
		},
	}
	k.flags(c)
	c.Flags().Var(&duration, "duration", "length of the measure phase")
	c.Flags().Var(&warmup, "warmup", "load before the measure phase, which does not count")
	c.Flags().Uint64Var(&seed, "seed", seed, "of the random arrivals")
	c.Flags().StringVar(&samples, "samples", "", sampleHelp)
	output.flag(c)
	return c
}

// arrivalLaws lists the arrival laws for people.
func arrivalLaws() string {
	var b strings.Builder
	for _, l := range loadgen.Laws {
		fmt.Fprintf(&b, "  %-16s %s", l.Form(), l.Doc)
		if l.SetsRate {
			b.WriteString("; without --rate")
		}
		b.WriteByte('\n')
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func printLoad(c *cobra.Command, p *plan.Plan, rec results.Record, format string) error {
	out := c.OutOrStdout()
	if format == "json" {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return broken(e.Encode(rec.Metrics))
	}
	in, err := input(results.Manifest{Plan: p}, []results.Record{rec}, "")
	if err != nil {
		return err
	}
	return show(out, format, in)
}
