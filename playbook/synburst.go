package playbook

import (
	_ "embed" // the plan
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

//go:embed syn-burst.yaml
var synBurstPlan string

var synBurst = Playbook{
	Name:  "syn-burst",
	Doc:   "What becomes of 64 clients who connect at the same moment, with room for 8, 32 or 128 in the accept queue? About 60 s.",
	Plan:  synBurstPlan,
	Judge: judgeSynBurst,
}

// What the claim is about: what was dropped is sent again after 1 s (RFC 6298, 2.1), which timers may round down a little.
const (
	burst    = 64
	retried  = 950 * time.Millisecond
	overflow = "TcpExt.ListenOverflows"
)

// burstFigures are what the trials with one backlog say together.
type burstFigures struct {
	Backlog   string  `json:"backlog"`
	Trials    int     `json:"trials"`
	Late      int     `json:"late_trials"` // in which a reply took as long as what is sent again
	Longest   float64 `json:"longest_response_ns"`
	Connect   float64 `json:"longest_connect_ns"`
	Overflows int64   `json:"listen_overflows"`
	Offered   int64   `json:"offered"`
	Completed int64   `json:"completed"`
}

func judgeSynBurst(p *plan.Plan, records []results.Record) Verdict {
	t := counting(records)
	v := Verdict{Claim: "of clients who come together, those that find the accept queue full are not refused, but wait a second or more; with a backlog that holds them all nobody does"}
	table := term.Table{Columns: []term.Column{{Name: "backlog", Right: true}, {Name: "trials", Right: true}, {Name: "of those late", Right: true},
		{Name: "longest reply", Right: true}, {Name: "longest connect", Right: true}, {Name: "dropped", Right: true}, {Name: "offered", Right: true}, {Name: "completed", Right: true}}}
	var figures []burstFigures
	var late, punctual []string // small backlogs
	missing, wrong := 0, false
	for _, backlog := range levels(p, "backlog") {
		c := plan.Cell{"backlog": backlog}
		f := burstFigures{Backlog: backlog, Trials: len(t.with(c)),
			Overflows: t.sum(c, func(m *results.Metrics) int64 { return m.Server.Net[overflow] }),
			Offered:   t.sum(c, func(m *results.Metrics) int64 { return m.Offered }),
			Completed: t.sum(c, func(m *results.Metrics) int64 { return m.Completed })}
		for _, r := range t.with(c) {
			longest := r.Metrics.Response.Max
			f.Longest, f.Connect = max(f.Longest, float64(longest)), max(f.Connect, float64(r.Metrics.Connect.Max))
			if longest >= int64(retried) {
				f.Late++
			}
		}
		figures = append(figures, f)
		table.Rows = append(table.Rows, []string{backlog, fmt.Sprint(f.Trials), fmt.Sprint(f.Late), term.Duration(f.Longest), term.Duration(f.Connect),
			fmt.Sprint(f.Overflows), fmt.Sprint(f.Offered), fmt.Sprint(f.Completed)})
		room, _ := strconv.Atoi(backlog)
		switch small := room < burst; {
		case f.Trials < fewestTrials:
			missing++
		case small && f.Late == f.Trials && f.Overflows > 0:
			late = append(late, backlog)
		case small:
			punctual = append(punctual, fmt.Sprintf("%s (in %d of %d trials somebody waited that long)", backlog, f.Late, f.Trials))
		case f.Late > 0:
			wrong = true
			v.Because = append(v.Because, fmt.Sprintf("With room for all (backlog=%s) somebody waited a second or more in %d of %d trials all the same.", backlog, f.Late, f.Trials))
		}
	}
	v.Figures, v.Table = figures, table
	switch {
	case missing > 0:
		v.Answer = NotShown
		v.Because = append(v.Because, fmt.Sprintf("%s fewer than %d trials with a result: more --blocks may help.", has(missing, "backlog"), fewestTrials))
	case wrong || len(late) == 0:
		v.Answer = Refuted
	case len(punctual) == 0:
		v.Answer = Holds
	default:
		v.Answer, v.If = HoldsIf, "the backlog is "+strings.Join(late, " or ")
	}
	if len(punctual) > 0 {
		v.Because = append(v.Because, "Not in every trial, although the backlog is smaller than the burst: "+strings.Join(punctual, "; ")+".")
	}
	return v.withBursts(t, figures)
}

// fewestTrials is of one cell, for a verdict that goes by all of them: by chance alone six are alike once in 32 times.
const fewestTrials = 6

func has(n int, what string) string {
	if n == 1 {
		return "1 " + what + " has"
	}
	return term.Count(n, what) + " have"
}

// withBursts says in sentences what the figures are.
func (v Verdict) withBursts(t trials, figures []burstFigures) Verdict {
	var says []string
	for _, f := range figures {
		if f.Trials > 0 {
			says = append(says, fmt.Sprintf("backlog=%s: the longest reply took %s, the longest connect %s, %d SYNs and ends of handshakes were dropped (ListenOverflows), %d of %d clients were served", f.Backlog,
				term.Duration(f.Longest), term.Duration(f.Connect), f.Overflows, f.Completed, f.Offered))
		}
	}
	if len(says) > 0 {
		v.Because = append(v.Because, fmt.Sprintf("Bursts of %d: %s.", burst, strings.Join(says, "; "))+
			" Expected: 1 s for what is sent again once (RFC 6298), 3 s for what is sent again twice, because those who were dropped together come again together. "+
			"That connect returned proves nothing: where the end of a handshake was dropped, the client takes itself for connected, and the server knows nothing of it.")
	}
	v.Because = append(v.Because, t.doubt()...)
	v.Because = append(v.Because, "Linux has room for one more than the backlog, and takes no more than net.core.somaxconn; Python's socketserver asks for 5.")
	return v
}
