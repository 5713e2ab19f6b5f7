package report

import (
	"encoding/xml"
	"fmt"
	htmltemplate "html/template"
	"os"
	"strings"
	"testing"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

func TestMarkdown(t *testing.T) {
	text := written(t, "md", 80)
	for _, want := range []string{
		"**sockbench test: done** (2 cells, 4 trials, 2 failed)\n\n", "\n<sub>spread: response times from 100us to 149us, ",
		" `▒▒▒▒▒▒▒▒█▒▒▒▒▒▒>` | b ", "\n<details><summary>Notes: 1 fail, 1 warn</summary>\n\n- a fail failed: target epoll: too many open files (",
		"- cpu: Model 1\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if opened, closed := strings.Count(text, "<details>"), strings.Count(text, "</details>"); opened != closed || opened < 2 {
		t.Errorf("%d parts are folded up, %d end", opened, closed)
	}
}

// A comment may have 65,536 characters, however many cells there are and whatever errors say.
func TestMarkdownFitsAComment(t *testing.T) {
	var targets []plan.Level
	for i := range 1500 {
		targets = append(targets, fmt.Sprintf("exec: ./server --many-flags-and-a-number %d --port {port}", i))
	}
	p, err := plan.New("wide", 1, 1, 0, 1e9, []plan.Factor{{Knob: "target", Levels: targets}})
	if err != nil {
		t.Fatal(err)
	}
	var cells []results.CellSummary
	for i, c := range p.Cells() {
		cells = append(cells, results.CellSummary{Cell: c, Trials: 1, Failed: 1, Error: fmt.Sprintf("<b>%d\n", i) + strings.Repeat("长 `*", 5000)})
	}
	text := write(t, "md", Input{Manifest: manifest(p), Answer: results.Answer{Verdict: "done", Cells: cells, Run: "runs/x"}})
	if len(text) > commentMax || len(text) < commentMax*3/4 {
		t.Errorf("%d bytes, at most %d may be and most of them should", len(text), commentMax)
	}
	for _, want := range []string{"of 1500 cells; more would not fit", "- and 1470 more\n", `&lt;b>0 长 \` + "`" + `\*`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	if strings.Contains(text, "<b>") {
		t.Error("an error's markup came through")
	}
}

func TestBenchfmt(t *testing.T) {
	text := written(t, "benchfmt", 0)
	for _, want := range []string{
		"\ncpu: Model 1\n", "\nUnit p99-ns better=lower\n", "\nUnit throughput/s better=higher\n",
		"\nBenchmarkTest/target=epoll/TCP_NODELAY=on 20000 20000 throughput/s 124031 p50-ns ",
		"\n# left out: BenchmarkTest/target=epoll/TCP_NODELAY=off, block 1 failed: target epoll: too many open files\n",
		"\n# of BenchmarkTest/target=epoll/TCP_NODELAY=on, block 0, these are lower bounds: p90 p99 p999 max mean\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if n := strings.Count(text, "\nBenchmark"); n != 2 {
		t.Errorf("%d trials, want the 2 that have a result", n)
	}
	if strings.Contains(text, "connect_p99-ns ") && !strings.Contains(text, "Unit connect_p99-ns ") || strings.Contains(text, " connect_p99-ns\n") {
		t.Error("a metric that is not supported is left out")
	}
}

func TestBenchmarkNames(t *testing.T) {
	p, err := plan.New("größe 1", 1, 1, 0, 1e9, []plan.Factor{{Knob: "target", Levels: []plan.Level{"exec: ./a/server {port} 100%"}}, {Knob: "arrivals", Levels: []plan.Level{"ramp:1k-20"}}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := benchmarkName(p, p.Cells()[0]), "BenchmarkGröße%201/target=exec:%20.%2Fa%2Fserver%20{port}%20100%25/arrivals=ramp:1k%2D20"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestHlogReadsBack(t *testing.T) {
	p, rs, a := aRun(t)
	rs[0].Cell["target"] = "exec: ./a, b"
	text := write(t, "hlog", Input{Manifest: manifest(p), Records: rs, Answer: a})
	log := hdr.NewHistogramLogReader(strings.NewReader(text))
	var got []string
	for {
		h, err := log.NextIntervalHistogram()
		if err != nil {
			t.Fatal(err)
		}
		if h == nil {
			break
		}
		got = append(got, h.Tag())
		var of *results.Record
		for i := range rs {
			if rs[i].Metrics != nil && h.StartTimeMs() == rs[i].Started.UnixMilli() {
				of = &rs[i]
			}
		}
		if of == nil {
			t.Fatalf("%s begins at %d ms, no trial did", h.Tag(), h.StartTimeMs())
		}
		quantity, _, _ := strings.Cut(h.Tag(), "/")
		want, err := hdr.Decode([]byte(of.Histograms[quantity]))
		if err != nil || !h.Equals(want) || h.EndTimeMs()-h.StartTimeMs() != 1000 {
			t.Errorf("%v; %s has %d values in %d ms, the trial %d in 1000", err, h.Tag(), h.TotalCount(), h.EndTimeMs()-h.StartTimeMs(), want.TotalCount())
		}
	}
	if len(got) != 6 || got[0] != "lateness/target=epoll/TCP_NODELAY=on" && got[0] != "lateness/target=exec:%20./a%2C%20b/TCP_NODELAY=on" {
		t.Errorf("3 quantities of 2 trials, but: %q", got)
	}
}

func TestHlogNamesWhatCannotBeRead(t *testing.T) {
	p, rs, a := aRun(t)
	for i := range rs {
		if h := rs[i].Histograms; h != nil {
			h["service"] = h["service"][:len(h["service"])/2]
		}
	}
	text := write(t, "hlog", Input{Manifest: manifest(p), Records: rs, Answer: a})
	if left, lines := strings.Count(text, "\n#[left out: trial "), strings.Count(text, "\nTag="); left != 2 || lines != 4 || strings.Contains(text, "Tag=service") {
		t.Errorf("%d are named and %d are there, want 2 and 4", left, lines)
	}
}

// Effects on a metric are in what people and scripts read, if they were asked for, and nowhere else.
func TestEffectsWhereAskedFor(t *testing.T) {
	p, rs, a := aRun(t)
	for _, asked := range []bool{false, true} {
		if m, ok := results.FindMetric("p50"); ok && asked {
			a.Effects = results.EffectsOn(m, p, rs)
		}
		for format, want := range map[string]string{"table": "\nEffects on p50\n", "md": "<summary>Effects on p50</summary>", "html": `<span data-t="effects">Effects on</span> <bdi>p50</bdi>`,
			"json": `"effects": {`} {
			if text := write(t, format, Input{Manifest: manifest(p), Records: rs, Answer: a}); strings.Contains(text, want) != asked {
				t.Errorf("asked for: %v, and %s in %s:\n%s", asked, want, format, text)
			}
		}
	}
}

// What to do and the code for it are in what people read, where a search found something, and nowhere else: code as it is,
// whatever it would mean to the format.
func TestAdviceWhereThereIsSome(t *testing.T) {
	p, rs, a := aRun(t)
	code := "#include <time.h>\n\tif (a < b && c) /* \"as it is\" */\n"
	for _, found := range []bool{false, true} {
		if found {
			a.Advice = &results.Advice{Change: []string{"set TCP_NODELAY=on; it was <off>"}, Holds: []string{"measured with path=none"}, Snippets: []results.Snippet{{Name: "C", Fence: "c", Code: code}}}
		}
		for format, wants := range map[string][]string{
			"table": {"\nWhat to change\nset TCP_NODELAY=on; it was <off>\nmeasured with path=none\n", "\nC\n" + code},
			"md":    {"\n**What to change**\n\n- set TCP_NODELAY=on; it was &lt;off>\n- measured with path=none\n", "<summary>C</summary>\n\n```c\n" + code + "```\n"},
			"html": {`<h2><span data-t="advice">What to change</span></h2>`, "<li><bdi>set TCP_NODELAY=on; it was &lt;off&gt;</bdi></li>", "<li><bdi>measured with path=none</bdi></li>",
				"<h4>C</h4>", "<code>" + htmltemplate.HTMLEscapeString(code) + "</code></pre>", `<a href="#advice">`},
		} {
			text := write(t, format, Input{Manifest: manifest(p), Records: rs, Answer: a})
			for _, want := range wants {
				if strings.Contains(text, want) != found {
					t.Errorf("found something: %v, and %q in %s:\n%.3000s", found, want, format, text)
				}
			}
		}
	}
}

func TestJUnit(t *testing.T) {
	p, rs, a := aRun(t)
	a.Cells = append(a.Cells, results.CellSummary{Cell: p.Cells()[0]})
	text := write(t, "junit", Input{Manifest: manifest(p), Records: rs, Answer: a})
	var got junitSuites
	if err := xml.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	s := got.Suite
	if s.Name != "sockbench test" || s.Tests != 3 || s.Failures != 2 || s.Time != "2.000" || s.Timestamp != "2023-11-14T22:13:20" || len(s.Cases) != 3 {
		t.Fatalf("%+v", s)
	}
	failed, doubted, missing := s.Cases[0], s.Cases[1], s.Cases[2]
	if failed.Name != "TCP_NODELAY=off" || failed.Failure == nil || failed.Failure.Type != "failed" || failed.Failure.Message != "target epoll: too many open files" {
		t.Errorf("the cell whose trials failed: %+v", failed)
	}
	if doubted.Failure != nil || doubted.Out != "warn steal: 50.0% of a CPU (1 of 2 trials)" || doubted.Properties[0] != (junitProperty{"throughput (1/s)", "20000"}) {
		t.Errorf("the cell with a doubt: %+v", doubted)
	}
	for _, property := range doubted.Properties {
		if property.Name == "p99 (ns)" && !strings.HasPrefix(property.Value, ">=") {
			t.Errorf("a lower bound: %+v", property)
		}
	}
	if missing.Failure == nil || missing.Failure.Type != "missing" {
		t.Errorf("the cell without a trial: %+v", missing)
	}
}

func TestJUnitFailsWhereNumbersAreNotWhatTheySay(t *testing.T) {
	p, rs, a := aRun(t)
	a.Cells[1].Doubts[0].Verdict = results.Fail
	if text := write(t, "junit", Input{Manifest: manifest(p), Records: rs, Answer: a}); !strings.Contains(text, `<failure message="50.0% of a CPU" type="steal">fail steal: `) {
		t.Errorf("no failure in\n%s", text)
	}
}

func TestFormatsAndColumnsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/exports.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range All {
		if !strings.Contains(string(doc), "\n| `"+f.Name+"` | ") {
			t.Errorf("docs/exports.md does not list %s", f.Name)
		}
	}
	p := newPlan(t, 1)
	for _, c := range trialTable(p, nil).Columns {
		if _, knob := p.Cells()[0][c.Name]; !knob && !strings.Contains(string(doc), "`"+c.Name+"`") {
			t.Errorf("docs/exports.md does not say what column %s is", c.Name)
		}
	}
}
