package report

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strings"
	"sync"
)

// The page's parts. report.js.gz is made of page/src and of ECharts by page/build.mjs: make report-assets.
//
//go:embed page/page.html page/style.css page/messages.json page/report.js.gz
var parts embed.FS

// html is one file that needs no other and asks for none: what it says is in its HTML, by the template; charts, sorting
// and the Chinese text are its script's.
func html(w io.Writer, in Input) error {
	p, err := thePage()
	if err != nil {
		return fmt.Errorf("html: %w", err)
	}
	data, err := json.Marshal(newPageFacts(in)) // which escapes <, > and &: nothing in it ends the element it stands in
	if err != nil {
		return fmt.Errorf("html: %w", err)
	}
	return p.template.Execute(w, struct {
		view
		Policy                 template.HTMLAttr
		Style                  template.CSS
		Early, Data, Words, JS template.JS
	}{newView(in), p.policy, p.style, early, template.JS(data), p.words, p.script})
}

// early runs before anything is shown: the style sheet hides what the script will hide, and shows what it needs.
const early = `document.documentElement.className = 'script'`

// page is what all reports share.
type page struct {
	template *template.Template
	policy   template.HTMLAttr // "content" of the Content-Security-Policy
	style    template.CSS
	words    template.JS // the messages, for the script
	script   template.JS
}

var thePage = sync.OnceValues(newPage)

func newPage() (*page, error) {
	style, script := part("style.css"), ""
	packed, err := parts.Open("page/report.js.gz")
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(packed)
	if err != nil {
		return nil, fmt.Errorf("the script: %w", err)
	}
	unpacked, err := io.ReadAll(z)
	if err != nil {
		return nil, fmt.Errorf("the script: %w", err)
	}
	script = string(unpacked)
	words := map[string][]string{}
	if err := json.Unmarshal([]byte(part("messages.json")), &words); err != nil {
		return nil, fmt.Errorf("messages.json: %w", err)
	}
	compact, err := json.Marshal(words)
	if err != nil {
		return nil, err
	}
	say := func(key string) (string, error) {
		if len(words[key]) != 2 {
			return "", fmt.Errorf("messages.json has no %q in two languages", key)
		}
		return words[key][0], nil
	}
	t, err := template.New("page").Funcs(template.FuncMap{
		"say": say,
		// t is a message that changes with the language.
		"t": func(key string) (template.HTML, error) {
			english, err := say(key)
			return template.HTML(`<span data-t="` + key + `">` + template.HTMLEscapeString(english) + `</span>`), err
		},
	}).Parse(part("page.html"))
	if err != nil {
		return nil, err
	}
	policy := fmt.Sprintf("default-src 'none'; script-src %s %s; style-src %s; img-src data:; base-uri 'none'; form-action 'none'", digest(early), digest(script), digest(style))
	return &page{t, template.HTMLAttr(`content="` + policy + `"`), template.CSS(style), template.JS(compact), template.JS(script)}, nil
}

func part(name string) string {
	data, err := parts.ReadFile("page/" + name)
	if err != nil {
		panic("report: " + err.Error()) // it is embedded
	}
	return strings.TrimSpace(string(bytes.ReplaceAll(data, []byte("\r"), nil)))
}

// digest is what a Content-Security-Policy calls an element with that text.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
