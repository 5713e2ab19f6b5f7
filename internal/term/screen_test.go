package term

import (
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var escapes = regexp.MustCompile("\x1b\\[[0-9;]*m")

// environment sets the environment to what is named in the list and nothing else that matters.
func environment(t *testing.T, list string) {
	t.Helper()
	for _, name := range []string{"NO_COLOR", "CLICOLOR_FORCE", "TERM", "LC_ALL", "LC_CTYPE", "LANG"} {
		t.Setenv(name, "")
	}
	for _, assignment := range strings.Fields(list) {
		name, value, _ := strings.Cut(assignment, "=")
		t.Setenv(name, value)
	}
}

func TestColourIsWanted(t *testing.T) {
	for list, want := range map[string]bool{
		"": false, "TERM=xterm-256color": false, "CLICOLOR_FORCE=1": true, "CLICOLOR_FORCE=0": false,
		"CLICOLOR_FORCE=1 NO_COLOR=1": false, "CLICOLOR_FORCE=1 TERM=dumb": false,
	} {
		environment(t, list)
		if s := ScreenOf(io.Discard); s.Colour != want || s.Width != 0 {
			t.Errorf("%q, no terminal: %+v", list, s)
		}
	}
}

func TestLocale(t *testing.T) {
	for list, ascii := range map[string]bool{
		"": true, "LANG=C": true, "LANG=de_DE.UTF-8": false, "LANG=zh_CN.utf8": false, "LANG=zh_CN.GB18030": true,
		"LC_ALL=POSIX LANG=de_DE.UTF-8": true, "LC_CTYPE=C.UTF-8 LANG=C": false, "LC_ALL=C.UTF-8 LC_CTYPE=C": false,
	} {
		environment(t, list)
		if got := ScreenOf(io.Discard).ASCII; got != ascii {
			t.Errorf("%q: ASCII %v, want %v", list, got, ascii)
		}
	}
}

func TestVerdictsHaveColours(t *testing.T) {
	s := Screen{Colour: true}
	for word, want := range map[string]string{
		"warn": "\x1b[33mwarn\x1b[0m", "fail": "\x1b[31mfail\x1b[0m", "better": "\x1b[32mbetter\x1b[0m", "worse": "\x1b[31mworse\x1b[0m",
		"ok": "ok", "note": "note", "same": "same", "": "",
	} {
		if got := s.Verdict(word); got != want {
			t.Errorf("%q is shown as %q, want %q", word, got, want)
		}
		if got := (Screen{}).Verdict(word); got != word {
			t.Errorf("%q is shown as %q without colour", word, got)
		}
	}
}

// painted is sample with letters that are wide, and a column in colours.
func painted(s Screen) Table {
	table := Table{Columns: slices.Clone(sample.Columns), Rows: append(slices.Clone(sample.Rows),
		[]string{"多线程 🚀", "默认", "1", "µs ≥ …", "▒▒█░·", "warn"}, []string{"é̂", "ﾊﾝｶｸ", "2", "3", "4", "fail"})}
	table.Columns[5].Paint = s.Verdict
	return table
}

func shown(t *testing.T, s Screen) string {
	t.Helper()
	var b strings.Builder
	if err := painted(s).Show(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestColourMovesNothing(t *testing.T) {
	for _, width := range []int{0, 200, 80, 60, 40} {
		coloured, plain := shown(t, Screen{Width: width, Colour: true}), shown(t, Screen{Width: width})
		if got := escapes.ReplaceAllString(coloured, ""); got != plain {
			t.Errorf("width %d: without its colours\n%sis not\n%s", width, got, plain)
		}
		if n := strings.Count(coloured, "\x1b[1m"); n < 1 || width == 0 && (n != len(sample.Columns) || !strings.Contains(coloured, "\x1b[33mwarn\x1b[0m")) {
			t.Errorf("width %d: the colours are missing:\n%s", width, coloured)
		}
		if strings.Contains(plain, "\x1b") {
			t.Errorf("width %d: colours nobody asked for:\n%q", width, plain)
		}
	}
}

// The library measures letters by the locale when it is loaded, so this runs in processes of its own.
func TestColumnsAlignInEveryLocale(t *testing.T) {
	if os.Getenv("SOCKBENCH_TEST_ALIGNED") != "" {
		os.Stdout.WriteString(shown(t, Screen{Colour: true}))
		return
	}
	want := shown(t, Screen{Colour: true})
	for _, env := range []string{"RUNEWIDTH_EASTASIAN=1", "LANG=zh_CN.UTF-8", "LC_ALL=ja_JP.UTF-8", "LC_ALL=C"} {
		c := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
		c.Env = append(os.Environ(), "SOCKBENCH_TEST_ALIGNED=1", env)
		out, err := c.Output()
		if err != nil || !strings.HasPrefix(string(out), want) {
			t.Errorf("%s: %v\n%swant\n%s", env, err, out, want)
		}
	}
	lines := strings.Split(escapes.ReplaceAllString(want, ""), "\n")
	for _, line := range lines[:len(lines)-1] {
		if Width(line) != Width(lines[0]) {
			t.Errorf("%q takes %d columns, the heading %d", line, Width(line), Width(lines[0]))
		}
	}
}

func TestASCIITable(t *testing.T) {
	table := Table{Columns: []Column{{Name: "a"}, {Name: "b"}}, Rows: [][]string{{"1", "2"}}}
	var b strings.Builder
	if err := table.Show(&b, Screen{ASCII: true}); err != nil || strings.Trim(b.String(), "abcdefghijklmnopqrstuvwxyz0123456789 -\n") != "" {
		t.Errorf("%v\n%s", err, b.String())
	}
}

func TestNotesOfColumns(t *testing.T) {
	table := Table{Columns: []Column{{Name: "a"}, {Name: "picture", Whole: true, Priority: 1, Note: "picture: what it is"}}, Rows: [][]string{{"1", "########"}}}
	if got := text(t, table, 40); !strings.HasSuffix(got, "\npicture: what it is\n") {
		t.Errorf("the column is not explained:\n%s", got)
	}
	if got := text(t, table, 12); strings.Contains(got, "what") || strings.Contains(got, "#") || !strings.Contains(got, "picture") {
		t.Errorf("the column is left out whole, and named only:\n%s", got)
	}
}
