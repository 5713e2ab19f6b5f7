package playbook

import (
	"cmp"
	_ "embed" // the plan
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/stats"
)

//go:embed sticky-packets.yaml
var stickyPlan string

var stickyPackets = Playbook{
	Name:  "sticky-packets",
	Doc:   "Does a server fail that takes each read for a message, and does TCP_NODELAY save it? About 45 s.",
	Plan:  stickyPlan,
	Judge: judgeSticky,
}

// The levels of the plan that the verdict speaks of.
const (
	framed  = "thread"
	naive   = "naive"
	alone   = "alone"
	noDelay = "TCP_NODELAY"
)

// receiver is what came of the requests of one cell, in all its trials that count.
type receiver struct {
	Trials   int     `json:"trials"` // with a result
	Offered  int64   `json:"offered"`
	Right    int64   `json:"completed"` // requests with the right reply
	Wrong    float64 `json:"wrong"`     // share of requests without
	Mistakes int64   `json:"mistakes"`  // connections that the client gave up because of what came back
	Requests int64   `json:"requests"`  // that the bytes hold which the server read
	Reads    int64   `json:"reads"`
	PerRead  float64 `json:"messages_per_read"`

	perRead map[int]float64 // by block
}

// sending is one way of sending, with one level of TCP_NODELAY, to both receivers.
type sending struct {
	How     string   `json:"variant"`
	NoDelay string   `json:"TCP_NODELAY"`
	Framed  receiver `json:"thread"`
	Naive   receiver `json:"naive"`
}

// enough is how many requests without a mistake are taken for a sign that there is none to be had.
const enough = 100

func judgeSticky(p *plan.Plan, records []results.Record) Verdict {
	cases := sendings(p, records)
	v := Verdict{Claim: "a receiver that takes each read for a message gives wrong replies as soon as requests arrive glued together or in pieces, " +
		"with TCP_NODELAY off and on; one that looks for the messages in what it reads never does",
		Figures: cases, Table: stickyTable(cases)}
	missing, framedWrong, broken, fine, undecided := 0, 0, []string{}, 0, 0
	var heard int64 // by the framed receiver
	for _, c := range cases {
		if c.Framed.Offered == 0 || c.Naive.Offered == 0 {
			missing++
		}
		heard += c.Framed.Offered
		if c.Framed.Mistakes > 0 {
			framedWrong++
		}
		switch {
		case c.How == alone:
		case c.Naive.Mistakes > 0:
			broken = append(broken, fmt.Sprintf("%s with %s %s", c.How, noDelay, c.NoDelay))
		case c.Naive.Offered < enough:
			undecided++
		default:
			fine++
		}
	}
	switch {
	case framedWrong > 0:
		v.Answer = Refuted
		v.Because = append(v.Because, fmt.Sprintf("%s gave wrong replies too, in %s.", framed, term.Count(framedWrong, "cell")))
	case missing > 0 || undecided > 0:
		v.Answer = NotShown
		v.Because = append(v.Because, fmt.Sprintf("Of %d ways to send, %d have no result with one of the receivers, and %d too few requests (under %d): more --blocks may help.",
			len(cases), missing, undecided, enough))
	case fine == 0:
		v.Answer = Holds
	case len(broken) == 0:
		v.Answer = Refuted
	default:
		v.Answer, v.If = HoldsIf, "requests are sent "+strings.Join(broken, ", or ")
	}
	v.Because = append(v.Because, wrongReplies(cases)...)
	if framedWrong == 0 && heard > 0 {
		v.Because = append(v.Because, fmt.Sprintf("%s, the same server but for the framing, gave no wrong reply to any of %s requests.", framed, term.Number(float64(heard))))
	}
	v.Because = append(v.Because, howOften(cases, v.Answer == Holds))
	trials := 0
	for _, c := range cases {
		trials += c.Framed.Trials + c.Naive.Trials
	}
	v.Because = append(v.Because, fmt.Sprintf("Behind this are %s. No socket option draws a line between messages: a length in front, a delimiter behind or a fixed size does.",
		term.Count(trials, "trial")))
	return v
}

// sendings gathers the records, in the order of the plan's cells.
func sendings(p *plan.Plan, records []results.Record) (cases []*sending) {
	find := func(c plan.Cell) *receiver {
		i := slices.IndexFunc(cases, func(s *sending) bool { return s.How == c["variant"] && s.NoDelay == c[noDelay] })
		if i < 0 {
			i = len(cases)
			cases = append(cases, &sending{How: c["variant"], NoDelay: c[noDelay]})
		}
		if c["target"] == naive {
			return &cases[i].Naive
		}
		return &cases[i].Framed
	}
	for _, c := range p.Cells() {
		find(c).perRead = map[int]float64{}
	}
	counting, _ := results.Counting(records)
	for _, r := range counting {
		if r.Metrics != nil {
			find(r.Cell).add(r)
		}
	}
	place := func(s *sending) int {
		return slices.IndexFunc(p.Variants, func(v plan.Variant) bool { return v.Name == s.How })
	}
	slices.SortStableFunc(cases, func(a, b *sending) int { return cmp.Compare(place(a), place(b)) })
	return cases
}

func (c *receiver) add(r *results.Record) {
	m := r.Metrics
	c.Trials++
	c.Offered += m.Offered
	c.Right += m.Completed
	for _, n := range m.Errors {
		c.Mistakes += n
	}
	if c.Offered > 0 {
		c.Wrong = float64(c.Offered-c.Right) / float64(c.Offered)
	}
	if requests, reads, ok := r.Arrived(); ok {
		c.Requests += requests
		c.Reads += reads
		c.PerRead = float64(c.Requests) / float64(c.Reads)
		c.perRead[r.Block] = float64(requests) / float64(reads)
	}
}

func stickyTable(cases []*sending) term.Table {
	t := term.Table{Columns: []term.Column{{Name: "variant"}, {Name: noDelay},
		{Name: framed + ": offered", Right: true}, {Name: "msgs/read", Right: true}, {Name: "wrong", Right: true},
		{Name: naive + ": offered", Right: true}, {Name: "msgs/read", Right: true}, {Name: "wrong", Right: true}}}
	for _, c := range cases {
		row := []string{c.How, c.NoDelay}
		for _, r := range []receiver{c.Framed, c.Naive} {
			row = append(row, term.Number(float64(r.Offered)), term.Number(r.PerRead), term.Percent(r.Wrong))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// pairs calls with the cases of each way of sending: TCP_NODELAY off, then on.
func pairs(cases []*sending, with func(off, on *sending)) {
	for _, off := range cases {
		for _, on := range cases {
			if off.How == on.How && off.NoDelay == "off" && on.NoDelay == "on" {
				with(off, on)
			}
		}
	}
}

// wrongReplies says what the naive receiver's requests came to.
func wrongReplies(cases []*sending) (says []string) {
	var wrong []string
	lonely := ""
	pairs(cases, func(off, on *sending) {
		text := fmt.Sprintf("%s %s and %s (of %s and %s)", off.How, term.Percent(off.Naive.Wrong), term.Percent(on.Naive.Wrong),
			term.Number(float64(off.Naive.Offered)), term.Number(float64(on.Naive.Offered)))
		switch {
		case off.How != alone:
			wrong = append(wrong, text)
		case off.Naive.Mistakes+on.Naive.Mistakes == 0:
			lonely = "A test that waits for each reply finds nothing: " + text + "."
		default:
			lonely = "Even where the client waits for each reply it was " + text + "."
		}
	})
	if len(wrong) > 0 {
		says = append(says, fmt.Sprintf("Share of requests that %s gave no right reply, with %s off and on: %s.", naive, noDelay, strings.Join(wrong, "; ")))
	}
	if lonely != "" {
		says = append(says, lonely)
	}
	return says
}

// level is that of the intervals shown.
const level = 0.95

// howOften says what TCP_NODELAY does to the number of messages in a read: of the framed receiver, whose connections last.
// always says that the naive one goes wrong whatever TCP_NODELAY is.
func howOften(cases []*sending, always bool) string {
	var says []string
	differs := false
	pairs(cases, func(off, on *sending) {
		if off.How == alone {
			return
		}
		var d []float64
		for block, v := range off.Framed.perRead {
			if w, ok := on.Framed.perRead[block]; ok {
				d = append(d, math.Log(v/w))
			}
		}
		text := fmt.Sprintf("%s %s and %s", off.How, term.Number(off.Framed.PerRead), term.Number(on.Framed.PerRead))
		i, ok := stats.NewSignedRank(len(d)).Interval(d, level)
		switch {
		case !ok:
			text += fmt.Sprintf(" (%s: too few to compare)", term.Count(len(d), "pair"))
		case i.Low > 1 || i.High < 1:
			differs = true
			text += fmt.Sprintf(" (ratio %.3g, 95%% interval %.3g–%.3g, %s)", i.Ratio, i.Low, i.High, term.Count(len(d), "pair"))
		case i.Low == i.High:
			text += fmt.Sprintf(" (the same in %s)", term.Count(len(d), "pair"))
		default:
			text += fmt.Sprintf(" (no difference shown: 95%% interval of the ratio %.3g–%.3g, %s)", i.Low, i.High, term.Count(len(d), "pair"))
		}
		says = append(says, text)
	})
	begins := noDelay + " changes how often messages are glued or split"
	switch {
	case !differs:
		begins = "No effect of " + noDelay + " on the messages in a read is shown"
	case always:
		begins += ", not whether"
	}
	return fmt.Sprintf("%s: messages per read of %s, off and on: %s.", begins, framed, strings.Join(says, "; "))
}
