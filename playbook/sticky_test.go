package playbook

import (
	"strings"
	"testing"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

// made is a record of the sticky-packets plan: of 1,000 requests of 68 bytes so many failed, on as many connections, and
// a read brought perRead requests.
func made(trial plan.Trial, offered, wrong int64, perRead float64) results.Record {
	m := &results.Metrics{}
	m.Offered, m.Completed, m.Failed = offered, offered-wrong, wrong
	if wrong > 0 {
		m.Errors = map[string]int64{"reply to nothing asked": wrong}
	}
	m.Handled.Received = 68 * 1000
	m.Handled.Reads = int64(1000 / perRead)
	return results.Record{Schema: results.Schema, Trial: trial, Metrics: m}
}

// stickyVerdict judges blocks of synthetic records; what is nil did not come about.
func stickyVerdict(t *testing.T, blocks int, what func(cell plan.Cell) (offered, wrong int64, perRead float64)) Verdict {
	t.Helper()
	p, err := plan.Parse("sticky-packets.yaml", []byte(stickyPlan))
	if err != nil {
		t.Fatal(err)
	}
	var records []results.Record
	for b := range blocks {
		for _, trial := range p.Block(b, 0) {
			if offered, wrong, perRead := what(trial.Cell); offered > 0 {
				records = append(records, made(trial, offered, wrong, perRead))
			} else {
				records = append(records, results.Record{Schema: results.Schema, Trial: trial, Error: "it did not start", Stage: "serve"})
			}
		}
	}
	return judgeSticky(p, records)
}

func TestJudgeSticky(t *testing.T) {
	// As it is: naive goes wrong unless each request travels alone; TCP_NODELAY halves what is glued in one way of sending.
	usual := func(c plan.Cell) (int64, int64, float64) {
		perRead := map[string]float64{"alone": 1, "together": 8, "scheduled": 2, "split": .5}[c["variant"]]
		if c["variant"] == "scheduled" && c[noDelay] == "on" {
			perRead = 1
		}
		if c["target"] == naive && c["variant"] != alone {
			return 1000, 250, perRead
		}
		return 1000, 0, perRead
	}
	for _, c := range []struct {
		name   string
		blocks int
		what   func(plan.Cell) (int64, int64, float64)
		answer Answer
		says   []string
	}{
		{"usual", 6, usual, Holds, []string{
			"together 25.0% and 25.0% (of 6.00k and 6.00k); scheduled 25.0% and 25.0%",
			"A test that waits for each reply finds nothing: alone 0% and 0% (of 6.00k and 6.00k).",
			"no wrong reply to any of 48.0k requests",
			"TCP_NODELAY changes how often messages are glued or split, not whether",
			"together 8 and 8 (the same in 6 pairs); scheduled 2 and 1 (ratio 2, 95% interval 2–2, 6 pairs)",
			"96 trials"}},
		{"too few blocks for intervals", 2, usual, Holds, []string{"2 pairs: too few to compare", "No effect of TCP_NODELAY", "32 trials"}},
		{"TCP_NODELAY helps", 6, func(c plan.Cell) (int64, int64, float64) {
			if c["variant"] == "split" && c[noDelay] == "on" {
				return 1000, 0, 1
			}
			return usual(c)
		}, HoldsIf, []string{"split with TCP_NODELAY off", "TCP_NODELAY changes how often messages are glued or split:"}},
		{"naive is right", 6, func(c plan.Cell) (int64, int64, float64) { return 1000, 0, 1 }, Refuted, nil},
		{"naive fails alone too", 6, func(c plan.Cell) (int64, int64, float64) {
			offered, wrong, perRead := usual(c)
			if c["target"] == naive {
				wrong = 10
			}
			return offered, wrong, perRead
		}, Holds, []string{"Even where the client waits for each reply it was alone 1.00% and 1.00%"}},
		{"framed is wrong", 6, func(c plan.Cell) (int64, int64, float64) {
			offered, wrong, perRead := usual(c)
			if c["target"] == framed && c["variant"] == "together" {
				wrong = 1
			}
			return offered, wrong, perRead
		}, Refuted, []string{"thread gave wrong replies too, in 2 cells"}},
		{"framed never started", 6, func(c plan.Cell) (int64, int64, float64) {
			if c["target"] == framed {
				return 0, 0, 0
			}
			return usual(c)
		}, NotShown, []string{"Of 8 ways to send, 8 have no result"}},
		{"too few requests", 1, func(c plan.Cell) (int64, int64, float64) { return 10, 0, 1 }, NotShown, []string{"and 6 too few requests"}},
		{"nothing was run", 0, usual, NotShown, nil},
	} {
		v := stickyVerdict(t, c.blocks, c.what)
		if v.Answer != c.answer {
			t.Errorf("%s: %s %s: %s", c.name, v.Answer, v.If, v.Because)
		}
		all := v.If + "\n" + strings.Join(v.Because, "\n")
		for _, s := range c.says {
			if !strings.Contains(all, s) {
				t.Errorf("%s: it does not say %q: %s", c.name, s, all)
			}
		}
		if n := len(v.Table.Rows); n != 8 {
			t.Errorf("%s: %d rows", c.name, n)
		}
	}
	cases := stickyVerdict(t, 6, usual).Figures.([]*sending)
	if c := cases[2]; c.How != "together" || c.NoDelay != "off" || c.Naive.Wrong != .25 || c.Naive.Offered != 6000 || c.Framed.PerRead != 8 || c.Framed.Trials != 6 {
		t.Errorf("%+v", c)
	}
}
