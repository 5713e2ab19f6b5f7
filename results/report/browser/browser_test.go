// Package browser looks at the HTML report in Chromium. It is a module of its own: what drives the browser is no
// dependency of the project.
package browser

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/sockbench/sockbench/internal/testenv"
	"github.com/sockbench/sockbench/results/report"
)

var shots = flag.String("shots", "", "a folder for pictures of the pages, to be looked at")

// patience is for one page. It bounds a hang, nothing else.
const patience = 3 * time.Minute

// tab is a page in a browser of its own.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	requests []string // of other things than the page itself
	said     []string // warnings and errors on the console, exceptions
}

// write makes the report of a run, as a file.
func write(t testing.TB, in report.Input) string {
	t.Helper()
	format, ok := report.Find("html")
	if !ok {
		t.Fatal("there is no format html")
	}
	path := filepath.Join(t.TempDir(), "report.html")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := format.Write(f, in); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// open shows a file in a new browser that has nothing else to do.
func open(t *testing.T, path string, width, height int64) *tab {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil && program == "" {
			program = path
		}
	}
	if program == "" {
		testenv.Skip(t, "chromium", "the report is looked at in Chromium: apt-get install chromium")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	options := []chromedp.ExecAllocatorOption{chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir())}
	for _, name := range []string{"disable-quic", "disable-component-update", "hide-scrollbars"} {
		options = append(options, chromedp.Flag(name, true))
	}
	ctx, leave := chromedp.NewContext(ctx, chromedp.WithAllocatorOptions(options...))
	t.Cleanup(leave)
	b := &tab{t: t, ctx: ctx}
	url := "file://" + path
	if err := chromedp.Listen(ctx, func(event any) {
		if e, ok := event.(*network.EventRequestWillBeSent); ok && e.Request.URL != url && !strings.HasPrefix(e.Request.URL, "data:") {
			b.mu.Lock()
			b.requests = append(b.requests, e.Request.URL)
			b.mu.Unlock()
		}
	}); err != nil {
		t.Fatal(err)
	}
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.IsException() || m.Type == "error" || m.Type == "warning" {
				b.mu.Lock()
				b.said = append(b.said, m.String())
				b.mu.Unlock()
			}
		}
	}()
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.EmulateViewport(width, height), chromedp.Navigate(url))
	b.until(`document.documentElement.classList.contains('ready') && document.readyState === 'complete'`)
	return b
}

// quiet fails where the page asked for something, or complained.
func (b *tab) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.requests) > 0 {
		b.t.Errorf("the page asked for %q", b.requests)
	}
	if len(b.said) > 0 {
		b.t.Errorf("on the console: %s", strings.Join(b.said, "\n"))
	}
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// until waits for an expression to be true.
func (b *tab) until(expression string) {
	b.t.Helper()
	for !eval[bool](b, expression) {
		if err := b.ctx.Err(); err != nil {
			b.t.Fatalf("never true: %s", expression)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// eval is an expression's value in the page.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// part is a subtest on the page.
func (b *tab) part(name string, f func(t *testing.T)) {
	whole := b.t
	defer func() { b.t = whole }()
	whole.Run(name, func(t *testing.T) {
		b.t = t
		f(t)
	})
}

// write replaces the text of an input, as a person would.
func (b *tab) write(selector, text string) {
	b.t.Helper()
	eval[bool](b, `(() => { const e = document.querySelector(`+quoted(selector)+`); e.value = `+quoted(text)+`; e.dispatchEvent(new Event('input', { bubbles: true })); return true })()`)
}

// pick changes a <select>, as a person would.
func (b *tab) pick(selector, value string) {
	b.t.Helper()
	eval[bool](b, `(() => { const e = document.querySelector(`+quoted(selector)+`); e.value = `+quoted(value)+`; e.dispatchEvent(new Event('change', { bubbles: true })); return true })()`)
}

func quoted(s string) string {
	text, _ := json.Marshal(s)
	return string(text)
}

// shoot keeps a picture of the part, for people.
func (b *tab) shoot(name, selector string) {
	b.t.Helper()
	if *shots == "" {
		return
	}
	take := chromedp.FullScreenshot(100)
	if selector != "" {
		take = chromedp.Screenshot(chromedp.CSS(selector))
	}
	picture, err := chromedp.Run(b.ctx, take)
	if err == nil {
		err = os.WriteFile(filepath.Join(*shots, name+".png"), picture, 0o666)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}
