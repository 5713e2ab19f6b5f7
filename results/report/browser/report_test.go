package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/sockbench/sockbench/internal/testenv"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

var few = []plan.Factor{{Knob: "target", Levels: []string{"epoll", "goroutine", "thread"}}, {Knob: "TCP_NODELAY", Levels: []string{"off", "on"}}, levels("connections", 4)}

// axe holds what axe-core finds wrong with a page for those who use it otherwise than by eye and mouse.
func axe(b *tab) string {
	b.t.Helper()
	source, err := os.ReadFile(filepath.Join("..", "page", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		testenv.Skip(b.t, "axe-core", "npm ci in results/report/page installs it")
	}
	eval[bool](b, string(source)+"; true")
	return eval[string](b, `axe.run(document, { resultTypes: ['violations'] }).then((r) => r.violations.map((v) => v.id + ': ' + v.help + '\n' + v.nodes.slice(0, 4).map((n) => '  ' + n.target + '  ' + n.html.slice(0, 160) + ' ' + n.any.map((a) => a.message).join('; ')).join('\n')).join('\n'))`)
}

func TestReport(t *testing.T) {
	in := made(t, 6, few...)
	in.Answer.Advice = advice(t)
	b := open(t, write(t, in), 1280, 900)
	for _, id := range []string{"nines", "cdf", "within", "across"} {
		if n := eval[int](b, `document.querySelectorAll('#`+id+` svg path').length`); n < 8 {
			t.Errorf("chart %s has %d paths", id, n)
		}
	}
	shown := `[...document.querySelectorAll('#table tbody tr')].filter((tr) => tr.offsetParent).length`
	if n := eval[int](b, shown); n != 24 {
		t.Errorf("%d of 24 rows are shown", n)
	}

	b.part("filter", func(t *testing.T) {
		b.write("#filter", "goroutine foreign_cpu")
		if n := eval[int](b, shown); n != 0 {
			t.Errorf("%d rows have words that none has", n)
		}
		b.write("#filter", "Goroutine")
		if n := eval[int](b, shown); n != 8 {
			t.Errorf("%d rows are of the target goroutine, not 8", n)
		}
		b.pick("#filters label:nth-of-type(2) select", "1")
		if n := eval[int](b, shown); n != 4 {
			t.Errorf("%d rows have TCP_NODELAY=on beside, not 4", n)
		}
		b.pick("#filters label:nth-of-type(2) select", "-1")
		b.write("#filter", "")
	})

	b.part("sort", func(t *testing.T) {
		first := `document.querySelector('#table tbody tr:not([hidden])').dataset.i`
		b.do(chromedp.Click(chromedp.CSS(`th[data-sort="p50"] button`)))
		if i := eval[string](b, first); i != "0" {
			t.Errorf("cell %s has the least p50, not 0", i)
		}
		b.do(chromedp.Click(chromedp.CSS(`th[data-sort="p50"] button`)))
		if i := eval[string](b, first); i != "23" {
			t.Errorf("cell %s has the largest p50, not 23", i)
		}
		if i := eval[string](b, `document.querySelector('#table tbody tr:last-child').dataset.i`); i != "11" {
			t.Errorf("cell %s is below all that have a p50, not the one that failed", i)
		}
	})

	b.part("choose", func(t *testing.T) {
		before := eval[int](b, `document.querySelectorAll('#chosen .chip').length`)
		b.do(chromedp.Click(chromedp.CSS(`#table tr[data-i="13"] input`)))
		if n := eval[int](b, `document.querySelectorAll('#chosen .chip').length`); n != before+1 {
			t.Errorf("%d cells are chosen, not %d", n, before+1)
		}
		b.do(chromedp.Click(chromedp.CSS(`#chosen .chip button`)))
		if n := eval[int](b, `document.querySelectorAll('#chosen-time .chip').length`); n != before {
			t.Errorf("%d cells are left, not %d", n, before)
		}
	})

	b.part("hover", func(t *testing.T) {
		for _, id := range []string{"nines", "cdf", "within"} {
			b.do(chromedp.ScrollIntoView(chromedp.CSS("#" + id)))
			at := eval[[]float64](b, `(() => { const r = document.getElementById('`+id+`').getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })()`)
			b.do(chromedp.MouseEvent("mouseMoved", at[0]-5, at[1]), chromedp.MouseEvent("mouseMoved", at[0], at[1]))
			b.until(`[...document.querySelectorAll('#` + id + ` .tip')].some((e) => e.checkVisibility() && /target=/.test(e.textContent) && /\d/.test(e.querySelector('b').textContent))`)
		}
	})

	b.part("advice", func(t *testing.T) {
		if names := eval[string](b, `[...document.querySelectorAll('#advice h4')].map((e) => e.textContent).join()`); names != "Go,Python,C,nginx,sysctl" {
			t.Errorf("there is code in %s", names)
		}
		for i, s := range in.Answer.Advice.Snippets {
			pre := fmt.Sprintf(`document.querySelectorAll('#advice pre')[%d]`, i)
			if text := eval[string](b, pre+`.textContent`); text != s.Code {
				t.Errorf("%s is shown as %q, not %q", s.Name, text, s.Code)
			}
			if over := eval[int](b, pre+`.scrollWidth - `+pre+`.clientWidth`); over > 0 {
				t.Errorf("%s is %d px wider than its place", s.Name, over)
			}
		}
	})

	b.part("heat map", func(t *testing.T) {
		if n := eval[int](b, `document.querySelectorAll('#heat-map tbody td').length`); n != 12 {
			t.Errorf("connections × target has %d fields, not 12", n)
		}
		b.pick("#heat-tools label:nth-of-type(3) select", "1")
		if n := eval[int](b, `document.querySelectorAll('#heat-map tbody td').length`); n != 8 {
			t.Errorf("connections × TCP_NODELAY has %d fields, not 8", n)
		}
		if n := eval[int](b, `new Set([...document.querySelectorAll('#heat-map tbody td')].map((e) => e.style.backgroundColor)).size`); n < 5 {
			t.Errorf("its fields have %d colours", n)
		}
	})

	b.part("language", func(t *testing.T) {
		b.pick("#language", "zh")
		text := eval[string](b, `document.body.innerText`)
		for _, word := range []string{"结论", "改什么", "可直接粘贴的代码", "热力图", "百分位", "环境"} {
			if !strings.Contains(text, word) {
				t.Errorf("the page in Chinese has no %s", word)
			}
		}
		if left := eval[string](b, `[...document.querySelectorAll('h2')].filter((e) => /[A-Za-z]/.test(e.textContent)).map((e) => e.textContent).join()`); left != "" {
			t.Errorf("headings that stayed English: %s", left)
		}
		b.shoot("zh", "")
		b.pick("#language", "en")
		if !strings.Contains(eval[string](b, `document.body.innerText`), "Findings") {
			t.Error("the page does not come back to English")
		}
	})

	b.part("print", func(t *testing.T) {
		pdf, err := chromedp.Run(b.ctx, chromedp.PrintToPDF())
		if err != nil || !strings.HasPrefix(string(pdf), "%PDF") {
			t.Fatal(err)
		}
		if *shots != "" {
			if err := os.WriteFile(filepath.Join(*shots, "print.pdf"), pdf, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	})

	for _, theme := range []string{"light", "dark"} {
		b.part("axe "+theme, func(t *testing.T) {
			b.pick("#theme", theme)
			if found := axe(b); found != "" {
				t.Error(found)
			}
			for _, part := range []string{"findings", "advice", "ratios", "heat", "cells", "curves", "time", "validity", "options", "environment"} {
				b.shoot(theme+"-"+part, "#"+part)
			}
			b.shoot(theme, "")
		})
	}
	b.quiet()
}

func TestCapacity(t *testing.T) {
	b := open(t, write(t, capacity(t)), 1280, 900)
	if n := eval[int](b, `document.querySelectorAll('#loads .chip').length`); n != 2 {
		t.Errorf("%d of 2 cells are named", n)
	}
	if n := eval[int](b, `document.querySelectorAll('#load svg path').length`); n < 2*6+2+2+1 { // marks, lines, bands, the limit
		t.Errorf("the chart has %d paths", n)
	}
	b.do(chromedp.ScrollIntoView(chromedp.CSS("#load")))
	at := eval[[]float64](b, `(() => { const r = [...document.querySelectorAll('#load svg path')].map((e) => e.getBoundingClientRect()).find((r) => r.width > 5 && r.width < 12); return [r.x + r.width / 2, r.y + r.height / 2] })()`)
	b.do(chromedp.MouseEvent("mouseMoved", at[0]-5, at[1]), chromedp.MouseEvent("mouseMoved", at[0], at[1]))
	b.until(`[...document.querySelectorAll('#load .tip')].some((e) => e.checkVisibility() && /\/s.*target=.* of 1 trials/.test(e.textContent))`)
	for _, theme := range []string{"light", "dark"} {
		b.pick("#theme", theme)
		if found := axe(b); found != "" {
			t.Error(found)
		}
		b.shoot(theme+"-capacity", "#capacity")
	}
	b.quiet()
}

func TestTwoCells(t *testing.T) {
	b := open(t, write(t, made(t, 6, levels("connections", 2))), 1280, 900)
	if n := eval[int](b, `document.querySelectorAll('#chosen .chip').length`); n != 2 {
		t.Errorf("%d of the 2 cells are in the charts", n)
	}
	if n := eval[int](b, `document.querySelectorAll('#heat-map tbody td').length`); n != 2 {
		t.Errorf("the heat map of one factor with 2 levels has %d fields", n)
	}
	if found := axe(b); found != "" {
		t.Error(found)
	}
	b.shoot("two", "")
	b.quiet()
}

func TestOneCell(t *testing.T) {
	b := open(t, write(t, made(t, 2, levels("connections", 1))), 1280, 900)
	if eval[bool](b, `document.getElementById('heat').checkVisibility()`) {
		t.Error("there is a heat map of nothing")
	}
	if n := eval[int](b, `document.querySelectorAll('#nines svg path').length`); n < 3 {
		t.Errorf("its percentile curve has %d paths", n)
	}
	b.quiet()
}

func TestThousandCells(t *testing.T) {
	in := made(t, 2, plan.Factor{Knob: "target", Levels: []string{"epoll", "goroutine", "thread", "poll", "select"}}, plan.Factor{Knob: "TCP_NODELAY", Levels: []string{"off", "on"}},
		levels("connections", 20), levels("request", 5))
	path := write(t, in)
	b := open(t, path, 1280, 900)
	if n := len(in.Answer.Cells); n != 1000 || eval[int](b, `document.querySelectorAll('#table tbody tr').length`) != n {
		t.Errorf("%d cells, not 1,000, or not as many rows", n)
	}
	shown := `[...document.querySelectorAll('#table tbody tr')].filter((tr) => tr.offsetParent).length`
	if n := eval[int](b, shown); n != 50 {
		t.Errorf("a page shows %d rows, not 50", n)
	}
	b.do(chromedp.Click(chromedp.CSS("#pager button:last-of-type")))
	if first := eval[string](b, `[...document.querySelectorAll('#table tbody tr')].find((tr) => tr.offsetParent).dataset.i`); first != "50" {
		t.Errorf("the second page begins with row %s, not 50", first)
	}
	if n := eval[int](b, `document.querySelectorAll('#heat-map tbody td').length`); n != 100 {
		t.Errorf("connections × target has %d fields, not 100", n)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	took := eval[float64](b, `performance.getEntriesByType('navigation')[0].loadEventEnd`)
	t.Logf("1,000 cells: %.1f MB, loaded in %.0f ms", float64(info.Size())/1e6, took)
	if took > 20_000 {
		t.Errorf("it took %.0f ms to load, on whatever machine", took)
	}
	b.shoot("thousand", "")
	b.quiet()
}

func TestNarrow(t *testing.T) {
	in := made(t, 6, few...)
	in.Answer.Advice = advice(t)
	b := open(t, write(t, in), 390, 844)
	if over := eval[int](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
		t.Errorf("a narrow page is %d px wider than the window", over)
	}
	b.shoot("narrow", "")
	b.quiet()
}

// What a command, an error or a name holds is shown as it is, whatever it would mean to a browser.
func TestHostileText(t *testing.T) {
	evil := `</script><script>window.broken = 1</script><img src=x onerror="window.broken=2"> "'&lt; {{.}} 多核 ` + "\u202eabc \u2028 אבג" + ` ]]> <!--`
	in := made(t, 10, plan.Factor{Knob: "target", Levels: []string{"exec: ./server '" + evil + "' --port {port}", "exec: ./other --port {port}"}})
	for i := range in.Records {
		if m := in.Records[i].Metrics; m != nil {
			m.Server.Applied[0].Note = evil
			m.Machine.Regime = evil
		}
	}
	in = input(t, in.Manifest, in.Records)
	in.Answer.Run, in.Answer.Because = evil, []string{evil}
	in.Answer.Advice = &results.Advice{Change: []string{evil}, Snippets: []results.Snippet{{Name: evil, Code: evil}}}
	in.Answer.Cells[0].Doubts = append(in.Answer.Cells[0].Doubts, results.CellDoubt{Doubt: results.Doubt{Code: evil, Verdict: results.Warn, Evidence: evil}, Trials: 1})
	for i := range in.Answer.Findings {
		in.Answer.Findings[i].Claim = evil
	}
	b := open(t, write(t, in), 1280, 900)
	if eval[bool](b, `'broken' in window || document.images.length > 0`) {
		t.Error("text of a record ran, or made an element")
	}
	if n := eval[int](b, `document.querySelectorAll('script').length`); n != 4 {
		t.Errorf("%d script elements, not 4", n)
	}
	text := eval[string](b, `document.body.textContent`)
	if n := strings.Count(text, evil); n < 5 {
		t.Errorf("the text is shown %d times as it is", n)
	}
	b.do(chromedp.ScrollIntoView(chromedp.CSS("#nines")))
	at := eval[[]float64](b, `(() => { const r = document.getElementById('nines').getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })()`)
	b.do(chromedp.MouseEvent("mouseMoved", at[0]-5, at[1]), chromedp.MouseEvent("mouseMoved", at[0], at[1]))
	b.until(`[...document.querySelectorAll('#nines .tip')].some((e) => e.textContent.includes('window.broken'))`)
	b.shoot("hostile", "")
	b.quiet()
}
