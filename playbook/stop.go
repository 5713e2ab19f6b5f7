package playbook

import (
	"context"
	_ "embed" // the server in Python
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kballard/go-shellquote"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/results/stats"
	"github.com/sockbench/sockbench/targets"
)

var stop = Playbook{
	Name:    "stop",
	Doc:     "Which requests does a server lose that is stopped while it is at them: daemon threads or joined, told or killed? About 35 s; python3.",
	Blocks:  12,
	Measure: measureStop,
}

//go:embed stop.py
var stopServer string

// stopKind is a server, and how it is ended.
type stopKind struct {
	Server   string `json:"server"`
	End      string `json:"ended_by"`
	Graceful bool   `json:"graceful"` // whether what it has begun should be answered

	python string // what stop.py is told; "": it is our thread
	abrupt bool   // SIGKILL
}

var stopKinds = []stopKind{
	{Server: "Python, stock", End: "SIGTERM", python: "stock"},
	{Server: "Python, daemon threads", End: "SIGTERM", python: "daemon"},
	{Server: "Python, joined threads", End: "SIGTERM", python: "joined", Graceful: true},
	{Server: "Python, joined threads", End: "SIGKILL", python: "joined", abrupt: true},
	{Server: "thread, in Go", End: "drain", Graceful: true},
}

// What every stop meets: so many clients who have sent a request each, in the middle of its service.
const (
	stopClients = 8
	stopBytes   = 64
	stopService = 300_000_000 // ns, of stop.py too
	stopAfter   = time.Duration(stopService / 2)
	stopLimit   = 10 * time.Second // for a reply, on the most loaded machine
	stopFewest  = 6                // stops of one kind, for a verdict: by chance alone six are alike once in 32 times
)

// stopSample is what came of one stop.
type stopSample struct {
	Answered int
	Took     time.Duration // until the server was gone
	Forced   bool          // it did not end by itself, and was killed
}

func (k stopKind) label() string { return k.Server + ", " + k.End }

// spec starts the server.
func (k stopKind) spec() targets.Spec {
	s := targets.Spec{Target: targets.Ref{Model: "thread"}, Framing: "fixed", Request: stopBytes, Reply: stopBytes}
	s.Service.Sleep, s.Service.Mean = true, stopService
	if k.python != "" {
		s.Target = targets.Ref{Model: "exec", Arg: shellquote.Join("python3", "-c", stopServer, k.python) + " {port}"}
	}
	return s
}

// measureStop stops each kind once in each block, in random order.
func measureStop(ctx context.Context, blocks int, progress *term.Progress) (v Verdict, err error) {
	_, missing := exec.LookPath("python3")
	kinds := slices.DeleteFunc(slices.Clone(stopKinds), func(k stopKind) bool { return k.python != "" && missing != nil })
	progress.Start(blocks*len(kinds), 0, 700*time.Millisecond)
	random := rand.New(rand.NewPCG(1, 1))
	samples := make([][]stopSample, len(kinds))
	for range blocks {
		for _, i := range random.Perm(len(kinds)) {
			s, err := stopOnce(ctx, kinds[i])
			if err != nil {
				return v, fmt.Errorf("%s: %w", kinds[i].label(), err)
			}
			samples[i] = append(samples[i], s)
			progress.Trial(kinds[i].label(), fmt.Sprintf("%d of %d answered", s.Answered, stopClients))
		}
	}
	return judgeStop(kinds, samples, missing), nil
}

// stopOnce starts a server, gives it a request from each client, and stops it meanwhile.
func stopOnce(ctx context.Context, k stopKind) (s stopSample, err error) {
	srv, err := targets.Start(ctx, k.spec(), targets.Place{Expect: stopClients})
	if err != nil {
		return s, err
	}
	defer srv.Close()
	_, address, _ := strings.Cut(srv.Addr(), "://")
	answered := make([]bool, stopClients)
	var clients sync.WaitGroup
	for i := range answered {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return s, err
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(stopLimit)); err != nil {
			return s, err
		}
		if _, err := c.Write(make([]byte, stopBytes)); err != nil {
			return s, err
		}
		clients.Go(func() {
			_, err := io.ReadFull(c, make([]byte, stopBytes))
			answered[i] = err == nil
		})
	}
	select {
	case <-time.After(stopAfter):
	case <-ctx.Done():
		return s, context.Cause(ctx)
	}
	began := time.Now()
	if k.abrupt {
		err = srv.Close()
	} else {
		s.Forced = srv.Drain(ctx) != nil // then it was killed, which is an answer too
		err = context.Cause(ctx)
	}
	s.Took = time.Since(began)
	clients.Wait()
	for _, yes := range answered {
		if yes {
			s.Answered++
		}
	}
	return s, err
}

// stopFigures are what all stops of a kind say together.
type stopFigures struct {
	stopKind
	Stops    int     `json:"stops"`
	Requests int     `json:"requests"` // under way
	Lost     int     `json:"lost"`     // of those, without a reply
	Forced   int     `json:"forced"`   // stops that had to be finished by force
	Took     float64 `json:"took_ns"`  // until it was gone: the median
}

// judgeStop says what the samples of each kind show. missing is why there is no Python.
func judgeStop(kinds []stopKind, samples [][]stopSample, missing error) Verdict {
	var figures []stopFigures
	t := term.Table{Columns: []term.Column{{Name: "server"}, {Name: "ended by"}, {Name: "stops", Right: true},
		{Name: "requests under way", Right: true}, {Name: "lost", Right: true}, {Name: "gone after", Right: true}}}
	v := Verdict{Answer: Holds, Claim: "a server that is told to stop, accepts no more and waits for its handlers loses none of the requests that it has begun; " +
		"one that is killed, or whose handlers are daemon threads, loses them"}
	var broken, spared []string // graceful ones that lost requests, and others that lost none
	few := false
	for i, k := range kinds {
		f := stopFigures{stopKind: k, Stops: len(samples[i]), Requests: stopClients * len(samples[i])}
		var took []float64
		for _, s := range samples[i] {
			f.Lost += stopClients - s.Answered
			if s.Forced {
				f.Forced++
			}
			took = append(took, float64(s.Took))
		}
		slices.Sort(took)
		f.Took = stats.Median(took)
		figures = append(figures, f)
		t.Rows = append(t.Rows, []string{k.Server, k.End, fmt.Sprint(f.Stops), fmt.Sprint(f.Requests), fmt.Sprint(f.Lost), term.Duration(f.Took)})
		few = few || f.Stops < stopFewest
		says := fmt.Sprintf("%s (%d of %d)", k.label(), f.Lost, f.Requests)
		switch {
		case k.Graceful && f.Lost > 0:
			broken = append(broken, says)
		case !k.Graceful && f.Lost == 0 && f.Stops > 0:
			spared = append(spared, says)
		}
	}
	v.Figures, v.Table = figures, t
	switch {
	case len(broken)+len(spared) > 0:
		v.Answer = Refuted
	case missing != nil:
		v.Answer = NotShown
		v.Because = append(v.Because, fmt.Sprintf("What daemon threads and joined ones lose was not measured: python3 is missing (%v).", missing))
	case few:
		v.Answer = NotShown
		v.Because = append(v.Because, fmt.Sprintf("Each kind must be stopped %d times at least: more --blocks may show it.", stopFewest))
	}
	if len(broken) > 0 {
		v.Because = append(v.Because, "Requests were lost although the server waited for its handlers: "+strings.Join(broken, "; ")+".")
	}
	if len(spared) > 0 {
		v.Because = append(v.Because, "No request was lost although nobody waited for the handlers: "+strings.Join(spared, "; ")+".")
	}
	return stopMeaning(v, figures)
}

// stopMeaning says in sentences what the figures are.
func stopMeaning(v Verdict, figures []stopFigures) Verdict {
	var lost []string
	for _, f := range figures {
		if f.Forced > 0 {
			v.Because = append(v.Because, fmt.Sprintf("%s: %d of %d times it did not end by itself within seconds, and was killed.", f.label(), f.Forced, f.Stops))
		}
		if f.Requests > 0 {
			lost = append(lost, fmt.Sprintf("%s %d of %d", f.label(), f.Lost, f.Requests))
		}
	}
	if len(lost) > 0 {
		v.Because = append(v.Because, "Requests lost of those under way: "+strings.Join(lost, "; ")+".")
	}
	v.Because = append(v.Because,
		"Python arranges nothing for SIGTERM by itself: without a handler it is as abrupt as SIGKILL. A handler that calls shutdown from another thread, and threads that are no daemons "+
			"(daemon_threads False, block_on_close True), make it graceful; then a client that never finishes keeps the server from ending, so that whoever stops it needs a limit of time.",
		fmt.Sprintf("Each stop is of a fresh server with %d clients, half way through a service of %s. Not among these: connections still in the accept queue, and requests that come on a connection as it is being closed.",
			stopClients, term.Duration(stopService)))
	return v
}
