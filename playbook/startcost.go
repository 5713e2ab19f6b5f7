package playbook

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/sockbench/sockbench/internal/proc"
	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/results/stats"
)

var startCost = Playbook{
	Name:    "start-cost",
	Doc:     "What does a goroutine, a thread, a forked or a re-executed process for each connection cost to start and to keep? About 10 s.",
	Blocks:  20,
	Measure: measureStartCost,
}

// startKinds are the units, cheapest first by what is claimed, with how many of them one measuring process starts one
// after another, and how many it keeps: as many as their cost lets it.
var startKinds = []startOrder{
	{Kind: "goroutine", Cycles: 500, Keep: 4000},
	{Kind: "thread", Cycles: 100, Keep: 64},
	{Kind: "fork", Cycles: 50, Keep: 16},
	{Kind: "re-exec", Cycles: 20, Keep: 8},
}

// plural are the kinds, in sentences.
var plural = []string{"goroutines", "threads", "forked processes", "re-executed processes"}

// startBlock is one sample of each kind, in the order of startKinds.
type startBlock []startSample

// measureStartCost measures every kind once in each block, in random order, each time in a process that has done nothing
// before: so drift hits all alike, and no kind inherits the memory of another.
func measureStartCost(ctx context.Context, blocks int, progress *term.Progress) (v Verdict, err error) {
	progress.Start(blocks*len(startKinds), 0, 250*time.Millisecond)
	random := rand.New(rand.NewPCG(1, 1))
	var all []startBlock
	for range blocks {
		block := make(startBlock, len(startKinds))
		for _, i := range random.Perm(len(startKinds)) {
			if block[i], err = measureStart(ctx, startKinds[i]); err != nil {
				return v, err
			}
			progress.Trial(startKinds[i].Kind, "ended after "+term.Duration(median(block[i].Ended)))
		}
		all = append(all, block)
	}
	return judgeStartCost(all), nil
}

// startLimit is how long one measuring process may take, on the most loaded machine.
const startLimit = time.Minute

// measureStart runs one measuring process.
func measureStart(ctx context.Context, o startOrder) (s startSample, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, fmt.Errorf("it did not end within %s", startLimit))
	defer cancel()
	room, err := proc.Open(ctx, proc.Config{Parts: []proc.Part{{Name: startPart, Keeper: true}}})
	if err != nil {
		return s, err
	}
	stop := context.AfterFunc(ctx, func() { room.Close() })
	defer stop()
	p := room.Part(0)
	if err = json.NewEncoder(p.Stdin).Encode(o); err == nil {
		err = json.NewDecoder(p.Stdout).Decode(&s)
	}
	if err != nil {
		select {
		case <-p.Done():
		case <-time.After(time.Second):
		}
		err = fmt.Errorf("measure %s: %w: the process: %s %s", o.Kind, err, p.Exit(), p.Stderr())
	}
	closed := room.Close()
	if cause := context.Cause(ctx); cause != nil {
		return s, cause
	}
	if err == nil {
		err = closed
	}
	return s, err
}

// startFigures are what all samples of one kind say together.
type startFigures struct {
	Kind  string         `json:"kind"`
	First stats.Quantity `json:"first_run"` // from the start to when it ran
	Ended stats.Quantity `json:"ended"`     // … to when its starter knew that it had ended
	// Medians over the blocks, for one unit.
	Together float64        `json:"started_together_ns"` // of those kept: from the first start to the last first run
	User     float64        `json:"pss_bytes"`
	RSS      float64        `json:"rss_bytes"`
	Tables   float64        `json:"page_table_bytes"`
	Stacks   float64        `json:"kernel_stack_bytes"`
	Keep     int            `json:"kept"`                     // units, in each block
	Ratio    stats.Interval `json:"times_goroutine,omitzero"` // of the blocks' medians of Ended; zero: too few blocks
}

// memory is all that one unit keeps.
func (f *startFigures) memory() float64 { return f.User + f.Tables + f.Stacks }

// confidence is that of the intervals shown.
const confidence = 0.99

func judgeStartCost(blocks []startBlock) Verdict {
	var figures []startFigures
	for i, k := range startKinds {
		f := startFigures{Kind: k.Kind, Keep: k.Keep, First: quantity(blocks, func(b startBlock) []int64 { return b[i].First }),
			Ended: quantity(blocks, func(b startBlock) []int64 { return b[i].Ended })}
		each := func(of func(startSample) int64) float64 {
			return across(blocks, func(b startBlock) float64 { return float64(of(b[i])) / float64(max(b[i].Keep, 1)) })
		}
		f.Together = each(func(s startSample) int64 { return s.Burst })
		f.User = each(func(s startSample) int64 { return s.Kept.PSS })
		f.RSS = each(func(s startSample) int64 { return s.Kept.RSS })
		f.Tables = each(func(s startSample) int64 { return s.Kept.Tables })
		f.Stacks = each(func(s startSample) int64 { return s.Kept.Stacks })
		if i > 0 {
			f.Ratio, _ = ratio(blocks, i, 0)
		}
		figures = append(figures, f)
	}
	v := Verdict{Claim: "a goroutine costs least to start and end, then an OS thread, then a forked process, then this program run again",
		Figures: figures, Table: startTable(figures)}
	var less, unclear []string
	for i := 1; i < len(startKinds); i++ {
		step := startKinds[i].Kind + " costs more than " + startKinds[i-1].Kind
		switch r, ok := ratio(blocks, i, i-1); {
		case !ok || r.Low <= 1 && r.High >= 1:
			unclear = append(unclear, step)
		case r.High < 1:
			less = append(less, startKinds[i].Kind+" costs less than "+startKinds[i-1].Kind)
		}
	}
	switch {
	case len(less) > 0:
		v.Answer = Refuted
		v.Because = append(v.Because, "Shown is: "+strings.Join(less, "; ")+".")
	case len(unclear) > 0:
		v.Answer = NotShown
	default:
		v.Answer = Holds
		v.Because = append(v.Because, "For a server this means: start processes before their connections come (prefork), threads too where connections come fast (a pool), "+
			"and their number bounds how many connections are served at one time; goroutines need neither.")
	}
	if len(unclear) > 0 {
		v.Because = append(v.Because, fmt.Sprintf("%s did not show that %s: more --blocks may.", term.Count(len(blocks), "block"), strings.Join(unclear, ", or that ")))
	}
	v.Because = slices.Concat(v.Because, startMeaning(figures), startMachine(blocks))
	return v
}

func startTable(figures []startFigures) term.Table {
	t := term.Table{Columns: []term.Column{{Name: "one"},
		{Name: "first runs", Right: true}, {Name: "p99", Right: true, Priority: 2},
		{Name: "has ended", Right: true}, {Name: "p99", Right: true, Priority: 1},
		{Name: "of", Right: true, Priority: 2}, {Name: "× goroutine", Right: true, Priority: 3},
		{Name: "at once, each", Right: true, Priority: 4},
		{Name: "keeps: Pss", Right: true}, {Name: "RSS", Right: true, Priority: 5}, {Name: "page tables", Right: true, Priority: 3},
		{Name: "kernel stack", Right: true}}}
	bytes := func(v float64) string { return term.Number(v) + "B" }
	for _, f := range figures {
		times := "–"
		if f.Ratio.Level > 0 {
			times = fmt.Sprintf("%s (%s–%s)", term.Number(f.Ratio.Ratio), term.Number(f.Ratio.Low), term.Number(f.Ratio.High))
		}
		t.Rows = append(t.Rows, []string{f.Kind, nanoseconds(f.First.P50), nanoseconds(f.First.P99), nanoseconds(f.Ended.P50), nanoseconds(f.Ended.P99),
			term.Number(float64(f.Ended.Count)), times, term.Duration(f.Together), bytes(f.User), bytes(f.RSS), bytes(f.Tables), bytes(f.Stacks)})
	}
	return t
}

// nanoseconds shows a percentile, unless there were too few for it.
func nanoseconds(v *int64) string {
	if v == nil {
		return "–"
	}
	return term.Duration(float64(*v))
}

// idle is of how many connections startMeaning says what memory they keep.
const idle = 10_000

// startMeaning is what the figures mean for a server that starts one for each connection.
func startMeaning(figures []startFigures) []string {
	var rates, memories []string
	for i, f := range figures {
		if f.Ended.P50 == nil {
			return nil
		}
		rates = append(rates, fmt.Sprintf("%s %s", term.Number(1e9/float64(*f.Ended.P50)), plural[i]))
		memories = append(memories, fmt.Sprintf("%sB as %s", term.Number(idle*f.memory()), plural[i]))
	}
	return []string{
		fmt.Sprintf("One after another, each gone before the next is started, a second is enough for %s.", strings.Join(rates, ", ")),
		fmt.Sprintf("While %s connections only wait, they keep (Pss, page tables, kernel stacks): %s. What handlers do comes on top, and what else the kernel keeps of each.",
			term.Number(idle), strings.Join(memories, ", ")),
		fmt.Sprintf("Times count from the start: to the first instruction, and to when the starter knows of the end; at once is %s goroutines, %d threads, %d forks or %d re-executions. A thread first runs so soon because Go holds one ready, and makes the next one meanwhile.",
			term.Number(float64(figures[0].Keep)), figures[1].Keep, figures[2].Keep, figures[3].Keep),
	}
}

// disturbing is what share of a CPU others may use before it is worth a word.
const disturbing = 0.1

// startMachine says where the figures come from, and what was wrong there.
func startMachine(blocks []startBlock) (says []string) {
	var foreign, span int64
	for _, b := range blocks {
		for _, s := range b {
			foreign += s.Foreign
			span += s.Span
		}
	}
	starter := across(blocks, func(b startBlock) float64 {
		return float64(slices.MaxFunc(b, func(x, y startSample) int { return cmp.Compare(x.Starter, y.Starter) }).Starter)
	})
	says = append(says, fmt.Sprintf("Behind this are %s, each kind in a fresh process of %sB RSS, which a fork has to copy the page tables of; %s, %s, not pinned. Intervals are of 99%%, of the ratios of the blocks' medians until the end.",
		term.Count(len(blocks), "block"), term.Number(starter), runtime.Version(), term.Count(runtime.NumCPU(), "CPU")))
	if share := float64(foreign) / float64(max(span, 1)); share > disturbing {
		says = append(says, fmt.Sprintf("Doubt: others used %s of a CPU meanwhile, which lengthens the times, the 99th percentiles most.", term.Percent(share)))
	}
	return says
}

// quantity gathers times of all blocks.
func quantity(blocks []startBlock, of func(startBlock) []int64) stats.Quantity {
	l := stats.NewLatency()
	for _, b := range blocks {
		for _, ns := range of(b) {
			l.Record(ns)
		}
	}
	return l.Summary()
}

// across is the median over the blocks.
func across(blocks []startBlock, of func(startBlock) float64) float64 {
	var all []float64
	for _, b := range blocks {
		all = append(all, of(b))
	}
	slices.Sort(all)
	return stats.Median(all)
}

// ratio is how many times kind y's time to its end kind x's is, in the blocks' medians.
func ratio(blocks []startBlock, x, y int) (stats.Interval, bool) {
	var d []float64
	for _, b := range blocks {
		d = append(d, math.Log(median(b[x].Ended)/median(b[y].Ended)))
	}
	return stats.NewSignedRank(len(d)).Interval(d, confidence)
}

func median(times []int64) float64 {
	sorted := make([]float64, len(times))
	for i, ns := range times {
		sorted[i] = float64(ns)
	}
	slices.Sort(sorted)
	return stats.Median(sorted)
}
