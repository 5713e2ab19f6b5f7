package planfile

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"

	"github.com/sockbench/sockbench/internal/term"
)

// Problem is one thing wrong in a file, at a place that counts lines and characters from 1. Text names the fix.
type Problem struct {
	Line, Col int
	Text      string
}

// Error is all that is wrong with a file, at least one problem, in the order of their places.
type Error struct {
	File     string
	Source   []byte
	Problems []Problem
}

// shown is how many problems are written out: more are one mistake repeated.
const shown = 50

// Error writes each problem as file:line:col: text, with the line itself and a caret under the place.
func (e *Error) Error() string {
	var b strings.Builder
	lines := bytes.Split(bytes.TrimPrefix(e.Source, []byte("\ufeff")), []byte("\n"))
	for i, p := range e.Problems {
		if i == shown {
			fmt.Fprintf(&b, "\n%s: and %d problems more", e.File, len(e.Problems)-shown)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s:%d:%d: %s", e.File, p.Line, p.Col, p.Text)
		if p.Line <= len(lines) {
			line, caret := excerpt(string(bytes.TrimSuffix(lines[p.Line-1], []byte("\r"))), p.Col-1)
			fmt.Fprintf(&b, "\n    %s\n    %s^", line, strings.Repeat(" ", caret))
		}
	}
	return b.String()
}

// excerpt is what of a line is shown, and how far into it, in columns of the terminal, its character at is.
func excerpt(line string, at int) (text string, column int) {
	const before, width = 60, 100
	runes := []rune(line)
	for i, r := range runes {
		switch {
		case r == '\t':
			runes[i] = ' '
		case unicode.IsControl(r):
			runes[i] = '\ufffd'
		}
	}
	at = min(at, len(runes))
	start := 0
	if len(runes) > width {
		start = max(0, at-before)
	}
	end := min(len(runes), start+width)
	text, column = string(runes[start:end]), term.Width(string(runes[start:at]))
	if start > 0 {
		text, column = "…"+text, column+1
	}
	if end < len(runes) {
		text += "…"
	}
	return text, column
}
