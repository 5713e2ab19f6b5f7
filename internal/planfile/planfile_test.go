package planfile

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

func TestTree(t *testing.T) {
	root, problems := Parse([]byte("\ufeffa: on\r\n中文:\r\n- [é, \"1.10\"]\r\n- ~\r\nb: >-\r\n  folded\r\n  text\r\n"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, c := range []struct {
		path      string
		key       bool
		line, col int
		text      string
	}{
		{"a", true, 1, 1, "a"}, {"a", false, 1, 4, "on"}, {"中文", true, 2, 1, "中文"}, {"中文 0 0", false, 3, 4, "é"}, {"中文 0 1", false, 3, 7, "1.10"},
		{"中文 1", false, 4, 3, "~"}, {"b", false, 5, 4, "folded text"}, {"a b c", false, 1, 4, "on"}, {"中文 9", false, 3, 1, ""},
	} {
		key, n := root.Find(strings.Fields(c.path)...)
		if c.key {
			n = key
		}
		if n == nil || n.Line != c.line || n.Col != c.col || n.Text != c.text {
			t.Errorf("%s: %+v, want %+v", c.path, n, c)
		}
	}
}

func TestJSON(t *testing.T) {
	root, problems := Parse([]byte("{a: on, b: true, c: 'true', d: 1.10, e: '1', f: 0x10, g: 1e9, h: ~, i: , j: [1, {k: -0.5}], l: 007, m: .5}"))
	want := map[string]any{"a": "on", "b": true, "c": "true", "d": json.Number("1.10"), "e": "1", "f": "0x10", "g": "1e9", "h": nil, "i": nil,
		"j": []any{json.Number("1"), map[string]any{"k": json.Number("-0.5")}}, "l": "007", "m": ".5"}
	if got := root.JSON(); len(problems) > 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("%#v, want %#v; problems %v", got, want, problems)
	}
}

// bomb is n levels of ten aliases each.
func bomb(n int) string {
	s := "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := range n {
		this, last := string(rune('b'+i)), string(rune('a'+i))
		if i == 0 {
			last = "a0"
		}
		s += this + ": &" + this + " [" + strings.Repeat("*"+last+",", 10) + "]\n"
	}
	return s
}

// TestHostile: one problem, at a place, soon.
func TestHostile(t *testing.T) {
	wide := utf16.Encode([]rune("name: x\n"))
	little := []byte{0xff, 0xfe}
	for _, u := range wide {
		little = append(little, byte(u), byte(u>>8))
	}
	for _, c := range []struct {
		name, src string
		line, col int
		says      string
	}{
		{"alias bomb", bomb(8), 1, 16, "more than 100000 values"},
		{"alias of itself", "a: &a [*a]", 1, 4, "32 deep"},
		{"deep flow", strings.Repeat("[", 20_000), 1, 33, "32 deep"},
		{"deep flow maps", strings.Repeat("{a: ", 16_000), 1, 129, "32 deep"},
		{"deep block", strings.Repeat("- ", 20_000) + "a", 1, 65, "32 deep"},
		{"deep keys", strings.Repeat("? ", 20_000) + "a", 1, 65, "32 deep"},
		{"megabytes", strings.Repeat("# comment\n", 1<<18), 1, 1, "more than 1 MiB"},
		{"a long line", "a: [" + strings.Repeat("a,", 1<<18) + "]", 1, 65<<10 - 1022, "more than 64 KiB"},
		{"only commas", "[" + strings.Repeat(",\n", 1<<18), 1, 2, "not YAML"},
		{"many keys", strings.Repeat("a: 1\n", 1<<17), 0, 0, "100000"},
		{"many values", "a:\n" + strings.Repeat("-\n", 1<<18), 0, 0, "100000"},
		{"NUL", "name: a\nseed: \x001", 2, 7, "U+0000"},
		{"escape", "name: \x1b[2J", 1, 7, "U+001B"},
		{"another line break", "a: 1\u2028b: 2", 1, 5, "U+2028"},
		{"a lone carriage return", "a: 1\rb: 2", 1, 5, "U+000D"},
		{"UTF-16", string(little), 1, 1, "UTF-16"},
		{"UTF-16 without a mark", "n\x00a\x00m\x00e\x00", 1, 2, "U+0000"},
		{"Latin-1", "name: caf\xe9\n", 1, 10, "0xe9"},
		{"cut UTF-8", "a: 中\nb: \xe4\xb8", 2, 4, "0xe4"},
		{"documents", "a: 1\n---\n" + strings.Repeat("---\n", 1000), 2, 1, "second document"},
		{"a broken second document", "a: 1\n---\nb: [x\n", 3, 4, "file ends"},
		{"a tab", "a:\n\tb: 1", 2, 1, "not tabs"},
		{"empty", "", 1, 1, "empty"},
		{"a byte order mark alone", "\ufeff", 1, 1, "empty"},
		{"comments", "# a\n# b\n", 1, 1, "empty"},
		{"another YAML", "%YAML 9.9\n---\na: 1", 1, 1, "not YAML"},
		{"not closed", "a: 中\nb: {c: 1,\n  d: [2, 3]\n", 2, 4, "begins here"},
	} {
		began := time.Now()
		root, problems := Parse([]byte(c.src))
		took := time.Since(began)
		if root != nil || len(problems) != 1 {
			t.Errorf("%s: %d problems and a tree: %v", c.name, len(problems), root != nil)
			continue
		}
		p := problems[0]
		if c.line == 0 {
			p.Line, p.Col = 0, 0
		}
		if p.Line != c.line || p.Col != c.col || !strings.Contains(p.Text, c.says) || took > 10*time.Second {
			t.Errorf("%s: after %v, %+v; want %d:%d and %q", c.name, took, p, c.line, c.col, c.says)
		}
	}
}

func TestErrorShowsThePlace(t *testing.T) {
	long := "a: " + strings.Repeat("x", 70) + " 中文 " + strings.Repeat("y", 70)
	e := &Error{File: "plan.yaml", Source: []byte("\ufeffname: 中文, x\r\n\tb\x1b: 1\n" + long), Problems: []Problem{
		{1, 11, "first"}, {2, 3, "second"}, {3, 75, "third"}, {3, 1, "fourth"}, {9, 1, "beyond"}, {1, 99, "right of it"}}}
	want := `plan.yaml:1:11: first
    name: 中文, x
                ^
plan.yaml:2:3: second
     b�: 1
      ^
plan.yaml:3:75: third
    …` + strings.Repeat("x", 59) + ` 中文 ` + strings.Repeat("y", 37) + `…
    ` + strings.Repeat(" ", 61) + `^
plan.yaml:3:1: fourth
    a: ` + strings.Repeat("x", 70) + ` 中文 ` + strings.Repeat("y", 23) + `…
    ^
plan.yaml:9:1: beyond
plan.yaml:1:99: right of it
    name: 中文, x
                 ^`
	if got := e.Error(); got != want {
		t.Errorf("\n%s\nwant\n%s", got, want)
	}
	e.Problems = slices.Repeat(e.Problems[:1], 60)
	if got := e.Error(); !strings.HasSuffix(got, "\nplan.yaml: and 10 problems more") {
		t.Errorf("60 problems end with %q", got[len(got)-60:])
	}
}
