package verify

import (
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/sockbench/sockbench/internal/term"
)

// Report is what a run of tests says.
type Report struct {
	Verdict Verdict `json:"verdict"` // Fail if a line failed, else NotRun if one could not be run
	Passed  int     `json:"passed"`
	Failed  int     `json:"failed"`
	NotRun  int     `json:"could_not_run"`
	Seconds float64 `json:"seconds"`
	Lines   []Line  `json:"lines"`

	Tests []Test `json:"-"`
}

// NewReport sums lines up.
func NewReport(tests []Test, lines []Line, seconds float64) Report {
	r := Report{Verdict: Pass, Seconds: seconds, Lines: lines, Tests: tests}
	for _, l := range lines {
		switch l.Verdict {
		case Pass:
			r.Passed++
		case Fail:
			r.Failed++
		default:
			r.NotRun++
		}
	}
	switch {
	case r.Failed > 0:
		r.Verdict = Fail
	case r.NotRun > 0 || r.Passed == 0:
		r.Verdict = NotRun
	}
	return r
}

// Sum is the report in a sentence.
func (r *Report) Sum() string {
	s := fmt.Sprintf("%d of %s agree", r.Passed, term.Count(len(r.Lines), "line"))
	if r.Failed > 0 {
		s += fmt.Sprintf(", %d disagree", r.Failed)
	}
	if r.NotRun > 0 {
		s += fmt.Sprintf(", %d could not be run", r.NotRun)
	}
	return s + fmt.Sprintf(" (%.0f s)", r.Seconds)
}

// Bad names the lines that did not pass, at most n of them.
func (r *Report) Bad(n int) (names []string) {
	for _, l := range r.Lines {
		if l.Verdict == Pass {
			continue
		}
		if len(names) == n {
			return append(names, fmt.Sprintf("and %d more", r.Failed+r.NotRun-n))
		}
		says := fmt.Sprintf("%s: %s: %s, expected %s (%s)", l.Test, l.Name, l.show(l.Measured), l.show(l.Expected), l.Tolerance())
		if l.Verdict == NotRun {
			says = fmt.Sprintf("%s: %s: could not be run: %s", l.Test, l.Name, l.Why)
		}
		names = append(names, says)
	}
	return names
}

// of are the lines of a test.
func (r *Report) of(test string) (lines []Line) {
	for _, l := range r.Lines {
		if l.Test == test {
			lines = append(lines, l)
		}
	}
	return lines
}

// table is the lines, of one test or of all.
func table(lines []Line, test, drawn bool) term.Table {
	var t term.Table
	if test {
		t.Columns = append(t.Columns, term.Column{Name: "test"})
	}
	t.Columns = append(t.Columns, term.Column{Name: "line"}, term.Column{Name: "expected", Right: true}, term.Column{Name: "measured", Right: true},
		term.Column{Name: "accepted", Right: true, Priority: 1}, term.Column{Name: "verdict"})
	if drawn {
		t.Columns = append(t.Columns, term.Column{Name: "█ measured, ┃ theory", Priority: 2})
	}
	most := 0.0
	for _, l := range lines {
		most = max(most, float64(l.Expected), float64(l.Measured))
	}
	for _, l := range lines {
		verdict := string(l.Verdict)
		if l.Why != "" {
			verdict += ": " + l.Why
		}
		row := []string{l.Name, l.show(l.Expected), l.show(l.Measured), l.Tolerance(), verdict}
		if l.Verdict == NotRun && l.High == 0 {
			row = []string{l.Name, "–", "–", "–", verdict}
		}
		if test {
			row = append([]string{l.Test}, row...)
		}
		if drawn {
			row = append(row, bar(float64(l.Measured)/most, float64(l.Expected)/most))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// bar draws two shares of the whole: what was measured as a bar, the theory as a mark on or behind it.
func bar(measured, theory float64) string {
	const cells = 30
	at := func(share float64) int { return max(0, min(cells-1, int(share*cells))) }
	b := []rune(strings.Repeat("█", at(measured)+1))
	for len(b) <= at(theory) {
		b = append(b, ' ')
	}
	b[at(theory)] = '┃'
	return strings.ReplaceAll(string(b), " ", "·")
}

// Show writes the report for a screen.
func (r *Report) Show(w io.Writer, screen term.Screen) error {
	t := table(r.Lines, true, false)
	t.Columns[len(t.Columns)-1].Paint = func(cell string) string {
		verdict, _, _ := strings.Cut(cell, ":")
		return screen.As(verdict, cell)
	}
	if err := t.Show(w, screen); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n", r.Sum())
	return err
}

// Markdown writes the report as GitHub's Markdown: a section for each test.
func (r *Report) Markdown(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "**%s**: %s\n", r.Verdict, r.Sum()); err != nil {
		return err
	}
	for _, t := range r.Tests {
		if _, err := fmt.Fprintf(w, "\n### %s\n\n%s\n\n- Formula: %s\n- Reference: %s\n\n", t.Name, t.Proves, t.Formula, t.Reference); err != nil {
			return err
		}
		if err := table(r.of(t.Name), false, t.Drawn).Markdown(w); err != nil {
			return err
		}
	}
	return nil
}

// HTML writes the report as a page that needs nothing beside itself.
func (r *Report) HTML(w io.Writer) error {
	type section struct {
		Test
		Columns []string
		Rows    [][]string
	}
	page := struct {
		*Report
		Sections []section
	}{Report: r}
	for _, t := range r.Tests {
		s := section{Test: t}
		grid := table(r.of(t.Name), false, t.Drawn)
		for _, c := range grid.Columns {
			s.Columns = append(s.Columns, c.Name)
		}
		s.Rows = grid.Rows
		page.Sections = append(page.Sections, s)
	}
	return htmlPage.Execute(w, page)
}

var htmlPage = template.Must(template.New("verify").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>sockbench verify: {{.Verdict}}</title>
<style>
body { font: 15px/1.5 sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em; }
table { border-collapse: collapse; }
th, td { border-bottom: 1px solid #ccc; padding: .2em .8em; text-align: left; vertical-align: top; }
td { font-variant-numeric: tabular-nums; min-width: 5em; overflow-wrap: anywhere; }
td:first-child { min-width: 16em; }
</style>
</head>
<body>
<h1>sockbench verify: {{.Verdict}}</h1>
<p>{{.Sum}}</p>
{{range .Sections}}<h2>{{.Name}}</h2>
<p>{{.Proves}}</p>
<p>Formula: {{.Formula}}<br>Reference: {{.Reference}}</p>
<table>
<tr>{{range .Columns}}<th>{{.}}</th>{{end}}</tr>
{{range .Rows}}<tr>{{range .}}<td>{{.}}</td>{{end}}</tr>
{{end}}</table>
{{end}}</body>
</html>
`))
