package term

import (
	"fmt"
	"io"
	"math"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/sockbench/sockbench/unit"
)

// Progress tells how far a run is: a bar on a terminal, elsewhere one line per trial. Nothing is drawn between its
// calls: while a trial is measured the screen is as silent as the rest. Not safe for concurrent use.
type Progress struct {
	out      io.Writer
	quiet    bool
	total    int
	done     int
	perTrial time.Duration

	bar     *mpb.Bar // on a terminal, between Start and Close
	screen  *mpb.Progress
	refresh chan any
	last    string // about the last trial
	said    atomic.Pointer[around]
}

// around is the text on both sides of the bar, which another goroutine draws.
type around struct{ before, after string }

// NewProgress writes to w. quiet leaves warnings only.
func NewProgress(w io.Writer, quiet bool) *Progress {
	p := &Progress{out: w, quiet: quiet}
	if !quiet && Columns(w) > 0 {
		p.refresh = make(chan any)
	}
	return p
}

// Start announces total trials, of which done have been made before, and how long one is expected to take.
func (p *Progress) Start(total, done int, perTrial time.Duration) {
	p.total, p.done, p.perTrial = total, done, perTrial
	if p.refresh == nil || done >= total {
		return
	}
	full, rest := "━", "─"
	if !utf8Locale() {
		full, rest = "=", "-"
	}
	p.screen = mpb.New(mpb.WithOutput(p.out), mpb.WithManualRefresh(p.refresh))
	p.bar = p.screen.New(0, // as an endless bar: one that is complete takes no more trials
		mpb.BarStyle().Lbound("").Rbound("").Filler(full).Tip(full).Padding(rest), mpb.BarWidth(20),
		mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return p.said.Load().before })),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return p.said.Load().after })))
	p.draw()
}

// Add announces n trials more than Start knew of.
func (p *Progress) Add(n int) {
	if p.total += n; p.bar != nil {
		p.draw()
	}
}

// Expect says that so many more are to come, and how long each is expected to take; 0: nobody knows.
func (p *Progress) Expect(more int, each time.Duration) {
	if p.total, p.perTrial = p.done+more, each; p.bar != nil {
		p.draw()
	}
}

// Trial says that one is done.
func (p *Progress) Trial(label, result string) { p.Reach(p.done+1, p.perTrial, label, result) }

// Reach says that done are done, and how long each of the others is expected to take.
func (p *Progress) Reach(done int, each time.Duration, label, result string) {
	p.done, p.perTrial = done, each
	p.total = max(p.total, done)
	label, result = plainCell(label), plainCell(result)
	switch {
	case p.bar != nil:
		p.last = label + "  " + result
		p.draw()
	case !p.quiet:
		p.print(fmt.Sprintf("[%d/%d] %s  %s  eta %s", p.done, p.total, label, result, p.eta()))
	}
}

// Warn shows a line, above the bar if there is one, also when quiet.
func (p *Progress) Warn(line string) {
	line = plainCell(line)
	if p.bar == nil {
		p.print(line)
		return
	}
	fmt.Fprintln(p.screen, line)
	p.draw()
}

// Close takes the bar away. Twice is fine.
func (p *Progress) Close() {
	if p.bar == nil {
		return
	}
	p.bar.Abort(true)
	p.screen.Wait()
	p.bar = nil
}

// draw brings the screen up to date.
func (p *Progress) draw() {
	p.said.Store(&around{fmt.Sprintf("%d/%d ", p.done, p.total), " eta " + p.eta() + "  " + p.last})
	p.bar.SetTotal(int64(p.total), false)
	p.bar.SetCurrent(int64(p.done))
	p.refresh <- time.Now()
}

// print writes a line. A progress line that cannot be shown is no reason to stop measuring.
func (p *Progress) print(line string) { _, _ = fmt.Fprintln(p.out, line) }

// eta is the time the remaining trials are expected to take, for people: 14m, 1h5m, 50s; "?" is not known.
func (p *Progress) eta() string {
	if p.perTrial == 0 && p.done < p.total {
		return "?"
	}
	left := time.Duration(p.total-p.done) * p.perTrial
	switch {
	case left >= time.Hour:
		left = left.Round(time.Minute)
	case left >= 2*time.Minute:
		left = roundUp(left, time.Minute)
	default:
		left = roundUp(left, time.Second)
	}
	if left == 0 {
		return "0s"
	}
	return unit.Duration(left).String()
}

func roundUp(d, step time.Duration) time.Duration {
	return time.Duration(math.Ceil(float64(d)/float64(step))) * step
}
