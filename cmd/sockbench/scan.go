package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/loadgen"
)

// maxScan bounds the connects under way at one time.
const maxScan = 10_000

func scanCommand() *cobra.Command {
	var ports portsFlag
	connections, timeout, yes := 64, seconds(3), false
	output := choice{level: "table", of: []string{"table", "json"}}
	c := &cobra.Command{
		Use:   "scan HOST --ports PORTS",
		Short: "Say which ports of a host are open, closed or silent",
		Long: `Try to connect to every port named, and say which are open, which are closed (they refuse) and which are silent (no
answer within the timeout); and how long connecting and refusing took. Every connection is closed at once. HOST is a
name, an address, a range as 10.0.0.0/28, or several of these with commas between; of a name's addresses the first is
tried, IPv4 before IPv6.

Scan only hosts that are your own, or whose owner has agreed: elsewhere it may be taken for an attack, or be forbidden.
Only what is named is tried. More than 256 hosts take --yes.

Silent ports take the time: their number ÷ --connections, rounded up, times --connect-timeout.`,
		Example: `  sockbench scan localhost --ports 1-10000
  sockbench scan 10.0.0.0/28,[::1] --ports 22,80,8000-8100 --connections 60 --connect-timeout 100ms -o json`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("scan takes one host, or several with commas between: sockbench scan localhost --ports 1-10000")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(ports) == 0 {
				return errors.New("scan needs to know which ports: --ports 1-10000")
			}
			if connections < 1 || connections > maxScan {
				return fmt.Errorf("--connections %d: write a number from 1 to %d", connections, maxScan)
			}
			if timeout <= 0 {
				return errors.New("--connect-timeout 0: no port can answer in no time: write for example 100ms")
			}
			hosts, err := parseHosts(c.Context(), args[0], len(ports), yes)
			if err != nil {
				return err
			}
			s := &loadgen.Sweep{Ports: ports, Connections: connections, Timeout: time.Duration(timeout)}
			for _, h := range hosts {
				s.Hosts = append(s.Hosts, h.addr)
			}
			stop := watchSweep(c.ErrOrStderr(), s)
			swept, err := s.Run(c.Context())
			stop()
			if shown := printScan(c.OutOrStdout(), output.level, scanned(hosts, ports, swept)); shown != nil {
				return broken(shown)
			}
			if c.Context().Err() != nil {
				return err
			}
			if err == nil && s.Count(loadgen.Unreachable) == int64(len(swept.Answers)) {
				err = errors.New("no port could be reached: " + kindsOf(swept.Errors))
			}
			return broken(err)
		},
	}
	c.Flags().SortFlags = false
	c.Flags().Var(&ports, "ports", "the ports to try: 80, 1-1024, or several of these with commas between")
	c.Flags().IntVar(&connections, "connections", connections, "most connects under way at one time")
	c.Flags().Var(&timeout, "connect-timeout", "how long a port may take to answer")
	c.Flags().BoolVar(&yes, "yes", false, "more than 256 hosts are meant")
	output.flag(c)
	return c
}

// progress of a sweep begins after a while, and then comes every so often: more seldom where it is written in lines.
const (
	sweepQuiet = 2 * time.Second
	sweepDrawn = time.Second
	sweepLines = 10 * time.Second
)

// watchSweep tells how far s is, until stop is called, which waits for it.
func watchSweep(w io.Writer, s *loadgen.Sweep) (stop func()) {
	ended, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		p := term.NewProgress(w, false)
		defer p.Close()
		every, began := sweepLines, time.Now()
		if term.Columns(w) > 0 {
			every = sweepDrawn
		}
		total, next := len(s.Hosts)*len(s.Ports), time.NewTimer(sweepQuiet)
		defer next.Stop()
		for started := false; ; started = true {
			select {
			case <-ended:
				return
			case <-next.C:
			}
			next.Reset(every)
			var n [4]int64
			done := 0
			for i, a := range []loadgen.Answer{loadgen.Open, loadgen.Closed, loadgen.Silent, loadgen.Unreachable} {
				n[i] = s.Count(a)
				done += int(n[i])
			}
			each := s.Timeout / time.Duration(s.Connections) // if all are silent
			if done > 0 {
				each = time.Since(began) / time.Duration(done)
			}
			if !started {
				p.Start(total, done, each)
			}
			p.Reach(done, each, fmt.Sprintf("%d open", n[0]), fmt.Sprintf("%d closed, %d silent, %d unreachable", n[1], n[2], n[3]))
		}
	}()
	return func() {
		close(ended)
		<-gone
	}
}

// scan is what -o json says. Ports other than open ones are written as --ports takes them.
type scan struct {
	Ports       int              `json:"ports"` // of all hosts together, as the counts below
	Open        int              `json:"open"`
	Closed      int              `json:"closed"`
	Silent      int              `json:"silent"`
	Unreachable int              `json:"unreachable"`
	Untried     int              `json:"untried"` // when it was interrupted
	Errors      map[string]int64 `json:"errors"`  // why ports are unreachable
	Duration    time.Duration    `json:"duration_ns"`
	Connect     struct {
		Open   loadgen.Quantity `json:"open"`
		Closed loadgen.Quantity `json:"closed"`
	} `json:"connect"`
	Hosts []scannedHost `json:"hosts"`
}

type scannedHost struct {
	Host        string     `json:"host"` // as it was named, or an address of a range
	Address     netip.Addr `json:"address"`
	Open        []uint16   `json:"open"`
	Closed      portsFlag  `json:"closed"`
	Silent      portsFlag  `json:"silent"`
	Unreachable portsFlag  `json:"unreachable"`
	Untried     portsFlag  `json:"untried"`
}

// scanned sorts what was found by host and answer.
func scanned(hosts []host, ports []uint16, swept loadgen.Swept) scan {
	s := scan{Ports: len(swept.Answers), Errors: swept.Errors, Duration: swept.Duration}
	s.Connect.Open, s.Connect.Closed = swept.Open, swept.Closed
	for i, h := range hosts {
		var by [5]portsFlag
		for j, port := range ports {
			a := swept.Answers[i*len(ports)+j]
			by[a] = append(by[a], port)
		}
		out := scannedHost{Host: h.name, Address: h.addr, Open: append([]uint16{}, by[loadgen.Open]...), Closed: by[loadgen.Closed],
			Silent: by[loadgen.Silent], Unreachable: by[loadgen.Unreachable], Untried: by[loadgen.Untried]}
		s.Open += len(out.Open)
		s.Closed += len(out.Closed)
		s.Silent += len(out.Silent)
		s.Unreachable += len(out.Unreachable)
		s.Untried += len(out.Untried)
		s.Hosts = append(s.Hosts, out)
	}
	return s
}

func printScan(w io.Writer, format string, s scan) error {
	if format == "json" {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(s)
	}
	t := term.Table{Columns: []term.Column{{Name: "answer"}, {Name: "ports", Right: true}, {Name: "p50", Right: true}, {Name: "p99", Right: true}, {Name: "max", Right: true}}}
	for _, row := range []struct {
		answer loadgen.Answer
		ports  int
		time   *loadgen.Quantity
	}{{loadgen.Open, s.Open, &s.Connect.Open}, {loadgen.Closed, s.Closed, &s.Connect.Closed}, {loadgen.Silent, s.Silent, nil},
		{loadgen.Unreachable, s.Unreachable, nil}, {loadgen.Untried, s.Untried, nil}} {
		if row.ports == 0 && (row.answer == loadgen.Unreachable || row.answer == loadgen.Untried) {
			continue
		}
		cells := []string{row.answer.String(), fmt.Sprint(row.ports)}
		if q := row.time; q != nil {
			var highest *int64
			if q.Count > 0 {
				highest = &q.Max
			}
			cells = append(cells, nanoseconds(q.P50), nanoseconds(q.P99), nanoseconds(highest))
		}
		t.Rows = append(t.Rows, cells)
	}
	if err := t.Show(w, term.ScreenOf(w)); err != nil {
		return err
	}
	var lines []string
	for _, h := range s.Hosts {
		name := h.Address.String()
		if h.Host != name {
			name = h.Host + " (" + name + ")"
		}
		for _, l := range []struct {
			answer loadgen.Answer
			ports  portsFlag
		}{{loadgen.Open, h.Open}, {loadgen.Closed, h.Closed}, {loadgen.Silent, h.Silent}, {loadgen.Unreachable, h.Unreachable}, {loadgen.Untried, h.Untried}} {
			if len(l.ports) > 0 {
				lines = append(lines, fmt.Sprintf("%s %s: %s", name, l.answer, strings.ReplaceAll(l.ports.String(), ",", ", ")))
			}
		}
	}
	if len(s.Errors) > 0 {
		lines = append(lines, "unreachable because of: "+kindsOf(s.Errors))
	}
	return paragraphs(w, "\n"+strings.Join(lines, "\n"))
}

// nanoseconds writes a time, or – for one that is not known.
func nanoseconds(ns *int64) string {
	if ns == nil {
		return "–"
	}
	return term.Duration(float64(*ns))
}

// kindsOf lists errors and how often each came.
func kindsOf(errs map[string]int64) string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(errs)) {
		parts = append(parts, fmt.Sprintf("%s (%d)", kind, errs[kind]))
	}
	return strings.Join(parts, ", ")
}
