package compare

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/resultstest"
)

func metrics(t *testing.T, names ...string) (all []results.Metric) {
	t.Helper()
	for _, name := range names {
		m, ok := results.FindMetric(name)
		if !ok {
			t.Fatal(name)
		}
		all = append(all, m)
	}
	return all
}

// run is one of so many cells and blocks, whose TCP_NODELAY=on takes times as long, and session times as long all of it.
func run(t *testing.T, cells, blocks int, seed uint64, times, session float64) *results.Run {
	t.Helper()
	p, err := resultstest.Plan(cells, blocks, 1)
	if err != nil {
		t.Fatal(err)
	}
	m := resultstest.NewMaker(seed)
	r := &results.Run{Dir: filepath.Join("runs", string(rune('a'+seed%26))), Manifest: results.Manifest{Plan: p, Digest: p.Digest(),
		Machine: json.RawMessage(resultstest.Machine), Versions: map[string]string{"sockbench": "test"}}}
	for b := range blocks {
		for _, x := range p.Block(b, 0) {
			factor := session
			if x.Cell["TCP_NODELAY"] == "on" {
				factor *= times
			}
			r.Records = append(r.Records, m.Trial(x, factor))
		}
	}
	return r
}

func nodelay(t *testing.T, r *results.Run) []Group {
	t.Helper()
	x, y, err := Default(r.Manifest.Plan, "TCP_NODELAY")
	if err != nil {
		t.Fatal(err)
	}
	groups, left := Groups(r.Manifest.Plan, r.Manifest.Plan, x, y, nil)
	if left != [2]int{} {
		t.Errorf("%v cells without a partner", left)
	}
	return groups
}

// A difference of known size is found, in the right direction, and its interval holds it.
func TestADifferenceIsFound(t *testing.T) {
	for _, times := range []float64{.5, 1.25} {
		r := run(t, 8, 12, 3, times, 1)
		got := Inside(r, nodelay(t, r), []string{"TCP_NODELAY"}, metrics(t, Metrics...), SameWithin)
		want := map[bool]string{true: "better", false: "worse"}[times < 1]
		if len(got.Rows) != 5*4 || got.Verdict != want || !got.Settled() {
			t.Fatalf("%v: %d rows, verdict %s", times, len(got.Rows), got.Verdict)
		}
		for _, row := range got.Rows[:4] {
			truth := times
			if !row.Metric.Lower {
				truth = 1 / times
			}
			if string(row.Verdict) != want || row.Pairs != 48 || row.Effect.Low > truth || row.Effect.High < truth || row.Needs != 0 {
				t.Errorf("%v %s: %+v", times, row.Metric.Name, row)
			}
		}
		found := got.Findings()
		if len(found) < 4 || found[0].Cells[0]["TCP_NODELAY"] != "on" || string(found[0].Verdict) != want || !strings.Contains(found[0].Claim, want) {
			t.Errorf("findings %+v", found)
		}
		if times < 1 && !strings.Contains(found[0].Why, "CPU per request") { // which moves by as much
			t.Errorf("nothing moved: %q", found[0].Why)
		}
	}
}

// Where nothing differs nothing is said to be better or worse, and many blocks show that it is the same.
func TestNothingIsFoundWhereNothingDiffers(t *testing.T) {
	false1 := 0
	const runs = 60
	for seed := range uint64(runs) {
		r := run(t, 4, 10, seed, 1, 1)
		got := Inside(r, nodelay(t, r), []string{"TCP_NODELAY"}, metrics(t, "p50", "p99"), SameWithin)
		if slices.ContainsFunc(got.Rows, func(row Row) bool { return row.Verdict == results.Better || row.Verdict == results.Worse }) {
			false1++
		}
		for _, row := range got.Rows {
			if row.Verdict == results.Unclear && row.Needs <= 10 {
				t.Errorf("unclear after 10 blocks, and it needs %d", row.Needs)
			}
		}
	}
	if false1 > 3 { // at 1 %: more than 3 of 60 in one of 250 such tests; the seeds are fixed
		t.Errorf("%d of %d runs said that something differs", false1, runs)
	}
	r := run(t, 2, 60, 5, 1, 1)
	if got := Inside(r, nodelay(t, r), []string{"TCP_NODELAY"}, metrics(t, "p50"), SameWithin); got.Verdict != "same" || !got.Settled() {
		t.Errorf("60 blocks: %s, %+v", got.Verdict, got.Rows)
	}
}

func TestFewBlocksSayWhatItTakes(t *testing.T) {
	r := run(t, 2, 3, 1, .5, 1)
	got := Inside(r, nodelay(t, r), []string{"TCP_NODELAY"}, metrics(t, "p50"), SameWithin)
	row := got.Rows[0]
	if got.Verdict != "unclear" || got.Settled() || row.Needs < 8 || row.Effect.Level != 0 || math.Abs(row.Effect.Ratio-.5) > .1 {
		t.Errorf("3 blocks: %s, %+v", got.Verdict, row)
	}
}

// Failed trials, trials of an open loop's throughput and records that failed a check are no pairs.
func TestWhatCannotBeCompared(t *testing.T) {
	r := run(t, 2, 12, 1, .8, 1)
	for i := range r.Records {
		switch rec := &r.Records[i]; {
		case rec.Block == 0:
			rec.Metrics, rec.Error = nil, "it failed"
		case rec.Block == 1:
			rec.Metrics.Validity = append(rec.Metrics.Validity, results.Doubt{Code: "x", Verdict: results.Fail})
		}
	}
	got := Inside(r, nodelay(t, r), []string{"TCP_NODELAY"}, metrics(t, "p50"), SameWithin)
	if got.Rows[0].Pairs != 10 || got.Verdict != "better" {
		t.Errorf("%+v", got.Rows[0])
	}
	for i := range r.Records {
		r.Records[i].Spec.Load.Rate = 1000
	}
	got = Inside(r, nodelay(t, r), []string{"TCP_NODELAY"}, metrics(t, "throughput"), SameWithin)
	if got.Rows[0].Verdict != "" || got.Rows[0].Note == "" || got.Settled() {
		t.Errorf("throughput of an open loop: %+v", got.Rows[0])
	}
}

// Two runs that differ as runs do by themselves are not told apart, however many trials they have, and a difference beyond
// that is found. Fewer than five runs say nothing.
func TestBetweenRuns(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	const spread = .03
	ms := metrics(t, "p50")
	var known []Session
	var a *results.Run
	for seed := range uint64(8) {
		r := run(t, 2, 8, seed, 1, math.Exp(spread*rng.NormFloat64()))
		if seed == 0 {
			a = r
		}
		known = append(known, SessionOf(r, ms))
	}
	groups, _ := Groups(a.Manifest.Plan, a.Manifest.Plan, plan.Cell{}, plan.Cell{}, nil)
	if len(groups) != 3 {
		t.Fatalf("%d groups", len(groups))
	}
	other := run(t, 2, 8, 100, 1, math.Exp(spread*rng.NormFloat64()))
	if got := Between(a, other, groups, nil, ms, SameWithin, known, 7, ""); got.Verdict != "unclear" && got.Verdict != "same" || got.Rows[0].Effect.Level != confidence {
		t.Errorf("nothing differs, and it is %s: %+v", got.Verdict, got.Rows)
	}
	slow := run(t, 2, 8, 101, 1, 1.6)
	got := Between(a, slow, groups, nil, ms, SameWithin, known, 7, "")
	if got.Verdict != "worse" || !got.Settled() || got.Rows[0].Effect.Low > 1.6 || got.Rows[0].Effect.High < 1.6 {
		t.Errorf("it takes 1.6 times as long, and is %s: %+v", got.Verdict, got.Rows[0])
	}
	few := Between(a, slow, groups, nil, ms, SameWithin, known[:4], 3, "")
	if few.Settled() || few.Rows[0].Effect.Ratio == 0 || !strings.Contains(few.Sessions.Why, "5 of them") || len(few.Sessions.Counts) != 4 {
		t.Errorf("of four sessions: %+v, %+v", few.Rows[0], few.Sessions)
	}
	if refused := Between(a, slow, groups, nil, ms, SameWithin, known, 7, "another machine"); refused.Settled() || refused.Sessions.Why != "another machine" {
		t.Errorf("refused: %+v", refused.Rows[0])
	}
}

func TestDifferences(t *testing.T) {
	a, b := run(t, 2, 1, 1, 1, 1), run(t, 2, 1, 2, 1, 1)
	groups, _ := Groups(a.Manifest.Plan, b.Manifest.Plan, plan.Cell{}, plan.Cell{}, nil)
	if d := Differences(a, b, groups, nil); len(d) != 0 || !SameMachine(&a.Manifest, &b.Manifest) {
		t.Errorf("two runs of one plan: %+v", d)
	}
	b.Manifest.Machine = json.RawMessage(`{"arch":"amd64","cpu":"made up","cpus":"4","kernel":"6.0"}`)
	b.Manifest.Versions = map[string]string{"sockbench": "newer"}
	b.Records[0].Metrics.Machine.Regime = "not pinned"
	d := Differences(a, b, groups, nil)
	var what []string
	for _, x := range d {
		what = append(what, x.What+": "+x.A+", "+x.B)
	}
	for _, want := range []string{"machine cpus: 2, 4", "version sockbench: test, newer", "regime"} {
		if !slices.ContainsFunc(what, func(s string) bool { return strings.HasPrefix(s, want) }) {
			t.Errorf("no %q in %q", want, what)
		}
	}
	if SameMachine(&a.Manifest, &b.Manifest) {
		t.Error("two machines are one")
	}
	if b.Manifest.Machine, a.Manifest.Machine = json.RawMessage("null"), json.RawMessage("null"); SameMachine(&a.Manifest, &b.Manifest) {
		t.Error("machines that nobody knows are one")
	}
}

func TestSides(t *testing.T) {
	p, err := resultstest.Plan(40, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	if knobs, err := Sides(plan.Cell{"write": "split", "TCP_NODELAY": "on"}, plan.Cell{"write": "cork", "TCP_NODELAY": "on"}); err != nil || !slices.Equal(knobs, []string{"write"}) {
		t.Errorf("%v, %v", knobs, err)
	}
	for _, c := range [][2]plan.Cell{{{"write": "split"}, {"target": "epoll"}}, {{"write": "split"}, {"write": "cork", "target": "epoll"}}, {{"write": "split", "target": "epoll"}, {"write": "cork"}}} {
		if _, err := Sides(c[0], c[1]); err == nil || !strings.Contains(err.Error(), "same knobs") {
			t.Errorf("%v: %v", c, err)
		}
	}
	if x, y, err := Default(p, ""); err != nil || x["TCP_NODELAY"] != "off" || y["TCP_NODELAY"] != "on" {
		t.Errorf("the only knob of two levels: %v, %v, %v", x, y, err)
	}
	for by, says := range map[string]string{"writ": "did you mean", "write": "single, split"} {
		if _, _, err := Default(p, by); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("--by %s: %v", by, err)
		}
	}
	if groups, err := Table(p, "write", "target", nil); err != nil || len(groups) != 4*4 || len(groups[0].Pairs) != 2 {
		t.Errorf("a table of 4 rows and 4 more columns: %d groups, %v", len(groups), err)
	}
}

func TestFilter(t *testing.T) {
	p, err := resultstest.Plan(40, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	groups, _ := Groups(p, p, plan.Cell{"TCP_NODELAY": "off"}, plan.Cell{"TCP_NODELAY": "on"}, []plan.Cell{{"write": "split", "target": "epoll"}, {"write": "cork"}})
	if len(groups) != 1+1+5 {
		t.Errorf("%d groups", len(groups))
	}
}
