package report

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/stats"
	"github.com/sockbench/sockbench/sockopt"
)

// htmlOf is the report of the run that other formats' tests show too.
func htmlOf(t *testing.T) (Input, string) {
	t.Helper()
	p, records, a := aRun(t)
	in := Input{Manifest: results.Manifest{Plan: p, Machine: json.RawMessage(`{"cpu": "<b>none</b>"}`)}, Records: records, Answer: a}
	_, in.Answer.Levels = results.Effects(p, records)
	var out bytes.Buffer
	if err := html(&out, in); err != nil {
		t.Fatal(err)
	}
	return in, out.String()
}

// What the page says is in its HTML: its script only adds to it.
func TestHTMLWithoutScript(t *testing.T) {
	in, page := htmlOf(t)
	static := page[:strings.Index(page, `<script type="application/json"`)]
	if n := strings.Count(static, "<tr data-i="); n != len(in.Answer.Cells) {
		t.Errorf("the table has %d rows for %d cells", n, len(in.Answer.Cells))
	}
	for _, c := range in.Answer.Cells {
		if c.Merged == nil {
			continue
		}
		m, _ := results.FindMetric("p50")
		if want := `<td class="n">` + m.Text(c.Merged) + `</td>`; !strings.Contains(static, want) {
			t.Errorf("no field is %s", want)
		}
		for _, d := range c.Doubts {
			if !strings.Contains(static, `id="check-`+d.Code+`"`) {
				t.Errorf("the page does not tell of %s", d.Code)
			}
		}
	}
	if strings.Contains(static, "<b>none") || !strings.Contains(static, "&lt;b&gt;none") {
		t.Error("text of the manifest is HTML")
	}
}

func TestHTMLAllowsItsOwnScriptsAlone(t *testing.T) {
	_, page := htmlOf(t)
	policy := regexp.MustCompile(`Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(page)
	if policy == nil || !strings.HasPrefix(policy[1], "default-src 'none'; ") || strings.Contains(policy[1], "unsafe") {
		t.Fatalf("the policy is %q", policy)
	}
	for _, e := range regexp.MustCompile(`(?s)<(script|style)>(.*?)</(?:script|style)>`).FindAllStringSubmatch(page, -1) {
		if !strings.Contains(policy[1], digest(e[2])) {
			t.Errorf("the policy does not allow a %s of %d bytes", e[1], len(e[2]))
		}
	}
	elements := regexp.MustCompile(`(?s)<script.*?</script>|<style.*?</style>`).ReplaceAllString(page, "")
	if found := regexp.MustCompile(`(src|href)="(https?:)?//[^"]*"|<link [^>]*href="[^d]`).FindString(elements); found != "" {
		t.Errorf("the page points elsewhere: %s", found)
	}
}

// Every message that the page or its script asks for is there, in both languages.
func TestHTMLWords(t *testing.T) {
	words := map[string][]string{}
	if err := json.Unmarshal([]byte(part("messages.json")), &words); err != nil {
		t.Fatal(err)
	}
	for key, both := range words {
		if len(both) != 2 || both[0] == "" || both[1] == "" {
			t.Errorf("%s is there in %d languages", key, len(both))
		}
	}
	need := []string{}
	for _, m := range results.All {
		need = append(need, "metric."+m.Name)
	}
	for _, c := range []sockopt.Class{sockopt.Equal, sockopt.Doubled, sockopt.Rounded, sockopt.Capped, sockopt.Ignored, sockopt.NotInherited, sockopt.Inert, sockopt.Unsupported, sockopt.Denied, sockopt.Unknown, sockopt.ByModel} {
		need = append(need, optionView{Applied: sockopt.Applied{Class: c}}.ClassKey())
	}
	for _, v := range []results.Verdict{results.OK, results.Note, results.Warn, results.Fail} {
		need = append(need, string(v))
	}
	for _, c := range []results.Conclusion{results.Better, results.Worse, results.Same, results.Unclear} {
		need = append(need, string(c))
	}
	sources, err := filepath.Glob("page/src/*.js")
	if err != nil || len(sources) == 0 {
		t.Fatal("the script has no sources", err)
	}
	for _, name := range append(sources, "page/page.html") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\bt\('([a-z_]+)'|data-t(?:-label)?="([a-z_]+)"|'data-t': '([a-z_]+)'|\{\{t "([a-z_]+)"\}\}`).FindAllStringSubmatch(string(text), -1) {
			need = append(need, m[1]+m[2]+m[3]+m[4])
		}
	}
	for _, key := range need {
		if len(words[key]) != 2 {
			t.Errorf("no message %q", key)
		}
	}
}

// A finding that compares nothing, as that the first cell won a race, has no ratio and no link to one.
func TestHTMLWithoutRatio(t *testing.T) {
	in, _ := htmlOf(t)
	first := in.Answer.Cells[0].Cell
	for _, c := range []struct {
		second plan.Cell
		want   bool
	}{{in.Answer.Cells[1].Cell, true}, {first, false}} {
		in.Answer.Findings = []results.Finding{{Metric: "p50", Cells: []plan.Cell{first, c.second}, Claim: "so it is", Verdict: results.Same}}
		groups := ratios(in)
		rows := len(groups) > 0 && len(groups[0].Rows) > 0 && groups[0].Rows[0].Finding == 1
		if text := write(t, "html", in); rows != c.want || (strings.Count(text, `href="#ratios"`) > 1) != c.want {
			t.Errorf("beside %v: a row of ratios %v, want %v", c.second, rows, c.want)
		}
	}
}

// A run has some blocks of those that were planned; a search plans none, and sets no levels beside each other.
func TestHTMLBlocks(t *testing.T) {
	in, _ := htmlOf(t)
	in.Manifest.Plan.Blocks = 7
	if text := write(t, "html", in); !strings.Contains(text, " <small>/ 7</small>") {
		t.Error("the blocks that are missing are not told")
	}
	in.Manifest.Search = &results.Search{}
	in.Answer.Findings, in.Answer.Levels = nil, nil
	text, _, _ := strings.Cut(write(t, "html", in), `<script type="application/json"`)
	if strings.Contains(text, "/ 7<") {
		t.Error("a search is said to lack blocks")
	}
	if !strings.Contains(text, "A search measures") || strings.Contains(text, "no two levels") {
		t.Error("it is not said why a search compares no levels")
	}
}

// Where a capacity was looked for, the page has latency against load: of each cell the rates that were asked, not the closed
// loop, and of the first limit on a latency.
func TestHTMLOfACapacity(t *testing.T) {
	p := newPlan(t, 1)
	asked, err := p.With(plan.Changes{Knobs: []plan.Factor{{Knob: "rate", Levels: []plan.Level{"none", "2000", "1000"}}},
		Limits: []plan.Limit{{Metric: "errors", Limit: "1%"}, {Metric: "p99", Limit: "200us"}}})
	if err != nil {
		t.Fatal(err)
	}
	var rs []results.Record
	for _, x := range asked.Block(0, 0) {
		rs = append(rs, fine(x))
	}
	in := Input{Manifest: manifest(asked), Records: rs, Answer: results.Answer{Cells: results.Summarize(asked.Cells(), rs)}}
	if text := write(t, "html", in); newCapacityFacts(in) != nil || strings.Contains(text, `id="capacity"`) {
		t.Error("no capacity was looked for, but there is a chart of it")
	}
	rates := []results.AtRate{{Rate: 1000, Trials: 3, Kept: 2, Missed: 1}, {Rate: 2000, Trials: 2, Missed: 1}}
	for _, c := range p.Cells() {
		in.Answer.Capacity = append(in.Answer.Capacity, results.Capacity{Cell: c, Low: 900, High: 1100, Rates: rates})
	}
	f := newCapacityFacts(in)
	if f == nil || f.Metric != "p99" || f.Limit != 200_000 || len(f.Loads) != 2 {
		t.Fatalf("%+v", f)
	}
	for i, l := range f.Loads {
		if l.Label != p.Label(p.Cells()[i]) || l.Low != 900 || l.High != 1100 || len(l.Rates) != 2 {
			t.Fatalf("%+v", l)
		}
		for j, r := range l.Rates {
			if r.Rate != rates[j].Rate || r.Kept != rates[j].Kept || r.Missed != rates[j].Missed || r.Value == nil || *r.Value < 140_000 || *r.Value > 160_000 || r.AtLeast {
				t.Errorf("%s: %+v", l.Label, r)
			}
		}
	}
	if text := write(t, "html", in); !strings.Contains(text, `id="capacity"`) || !strings.Contains(text, `"limit":200000`) {
		t.Error("the page has no chart of the capacities")
	}
}

func TestGridIsDenseWhereDistributionsAre(t *testing.T) {
	q := grid()
	if len(q) > 200 || q[0] != 0 || math.Abs(q[len(q)-1]-0.999999) > 1e-12 {
		t.Errorf("%d quantiles from %v to %v", len(q), q[0], q[len(q)-1])
	}
	for i, v := range q[1:] {
		if v <= q[i] {
			t.Errorf("quantile %v comes behind %v", v, q[i])
		}
	}
	for _, want := range []float64{0.5, 0.9, 0.99, 0.999, 0.9999} {
		near := false
		for _, v := range q {
			near = near || math.Abs(v-want) < 1e-12
		}
		if !near {
			t.Errorf("%v is not among them", want)
		}
	}
}

// Of intervals on one axis none leaves it, and 1 stands in its middle.
func TestRatiosAreLaidOut(t *testing.T) {
	g := ratioGroup{Rows: []ratioRow{{Effect: stats.Interval{Ratio: 0.5, Low: 0.25, High: 0.8, Level: 0.99}}, {Effect: stats.Interval{Ratio: 1.1, Low: 0.9, High: 1.3, Level: 0.99}}, {}}}
	g.layOut()
	for i, r := range g.Rows[:2] {
		if !(axisMargin < r.Low && r.Low < r.At && r.At < r.High && r.High < axisWidth-axisMargin) || r.LeftOpen || r.RightOpen {
			t.Errorf("row %d stands at %v, %v, %v", i, r.Low, r.At, r.High)
		}
	}
	if g.Rows[0].Range != "0.25 – 0.80" || g.Rows[2].Ratio != "" {
		t.Errorf("ranges are %q and %q", g.Rows[0].Range, g.Rows[2].Ratio)
	}
	one := 0
	for _, k := range g.Ticks {
		if k.One {
			one++
			if k.X != axisWidth/2 {
				t.Errorf("1 stands at %v", k.X)
			}
		}
	}
	if one != 1 {
		t.Errorf("%d ticks are 1", one)
	}
	far := ratioGroup{Rows: []ratioRow{{Effect: stats.Interval{Ratio: 1e5, Low: 0.5, High: 1e9, Level: 0.99}}}}
	far.layOut()
	if r := far.Rows[0]; !r.RightOpen || r.High > axisWidth {
		t.Errorf("an interval up to 1e9 ends at %v, open: %v", r.High, r.RightOpen)
	}
}
