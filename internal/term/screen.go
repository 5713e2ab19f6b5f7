package term

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
)

// Screen is what text is laid out for. The zero value is no terminal: as wide as it takes, without colour.
type Screen struct {
	Width  int // in columns; 0: no limit
	Colour bool
	ASCII  bool // of bars and lines: the locale's letters are not UTF-8
}

// ScreenOf says what may be written to w. Colour is for terminals; never with NO_COLOR or TERM=dumb, and elsewhere too
// with CLICOLOR_FORCE (no-color.org, bixense.com/clicolors).
func ScreenOf(w io.Writer) Screen {
	s := Screen{Width: Columns(w), ASCII: !utf8Locale()}
	forced := os.Getenv("CLICOLOR_FORCE")
	wanted := s.Width > 0 || forced != "" && forced != "0"
	s.Colour = wanted && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return s
}

// utf8Locale follows POSIX: the first of the three that is set and not empty says which letters there are; without any
// they are those of ASCII.
func utf8Locale() bool {
	locale := strings.ToLower(cmp.Or(os.Getenv("LC_ALL"), os.Getenv("LC_CTYPE"), os.Getenv("LANG")))
	return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
}

// What sets text off, as parameters of SGR (ECMA-48). Colours are the terminal's own, which suit its background.
const (
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (s Screen) paint(how, text string) string {
	if !s.Colour || how == "" || text == "" {
		return text
	}
	return "\x1b[" + how + "m" + text + "\x1b[0m"
}

// Bold is for headings.
func (s Screen) Bold(text string) string { return s.paint(bold, text) }

// Verdict colours a word that is a verdict by itself; every other stays as it is.
func (s Screen) Verdict(word string) string { return s.As(word, word) }

// As colours text as the verdict.
func (s Screen) As(verdict, text string) string {
	how := ""
	switch verdict {
	case "better":
		how = green
	case "warn", "unclear", "could-not-run":
		how = yellow
	case "fail", "failed", "worse":
		how = red
	}
	return s.paint(how, text)
}

// Passing shows text on a terminal until stop is called, and elsewhere nothing.
func Passing(w io.Writer, text string) (stop func()) {
	if Columns(w) == 0 {
		return func() {}
	}
	fmt.Fprint(w, text)
	return func() { fmt.Fprint(w, "\r\x1b[K") }
}
