package doctor

import (
	"fmt"
	"io"
	"strings"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/results"
)

// Report is what an examination found.
type Report struct {
	Verdict results.Verdict `json:"verdict"` // the worst of the lines
	Seconds float64         `json:"seconds"`
	Lines   []Line          `json:"lines"`
}

// NewReport sums lines up.
func NewReport(lines []Line, seconds float64) Report { return Report{worst(lines), seconds, lines} }

// Sum is the report in a sentence.
func (r *Report) Sum() string {
	count := map[results.Verdict]int{}
	for _, l := range r.Lines {
		count[l.Verdict]++
	}
	return fmt.Sprintf("%s: %d ok, %s, %s, %s (%.0f s)", term.Count(len(r.Lines), "line"), count[results.OK], term.Count(count[results.Note], "note"),
		term.Count(count[results.Warn], "warning"), term.Count(count[results.Fail], "failure"), r.Seconds)
}

// Show writes the report for a screen. Of what is fine it leaves out what it would disturb.
func (r *Report) Show(w io.Writer, screen term.Screen) error {
	const indent = "        "
	var b strings.Builder
	paragraph := func(text string) {
		for _, l := range term.Wrap(text, screen.Width-len(indent), "") { // a terminal narrower than that has no limit
			b.WriteString(indent + l + "\n")
		}
	}
	for _, l := range r.Lines {
		verdict := string(l.Verdict)
		fmt.Fprintf(&b, "%s  %s\n", screen.As(verdict, fmt.Sprintf("%-6s", verdict)), l.Looked)
		paragraph(l.Measured)
		if l.Verdict != results.OK {
			paragraph("disturbs: " + l.Disturbs)
			if l.Fix != "" {
				paragraph("fix: " + l.Fix)
			}
		}
	}
	b.WriteString("\n" + r.Sum() + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// Markdown writes all of it as a table.
func (r *Report) Markdown(w io.Writer) error {
	t := term.Table{Columns: []term.Column{{Name: "looked at"}, {Name: "measured"}, {Name: "verdict"}, {Name: "what it would disturb"}, {Name: "fix"}}}
	for _, l := range r.Lines {
		t.Rows = append(t.Rows, []string{l.Looked, l.Measured, string(l.Verdict), l.Disturbs, l.Fix})
	}
	if _, err := fmt.Fprintf(w, "**%s**: %s\n\n", r.Verdict, r.Sum()); err != nil {
		return err
	}
	return t.Markdown(w)
}
