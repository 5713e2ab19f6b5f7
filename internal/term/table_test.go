package term

import (
	"encoding/csv"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

var sample = Table{
	Columns: []Column{{Name: "target"}, {Name: "server.SO_RCVBUF", Priority: 1}, {Name: "req/s", Right: true, Priority: 1}, {Name: "p50 (µs)", Right: true, Priority: 1},
		{Name: "p99.9", Right: true, Priority: 3}, {Name: "doubts", Priority: 2}},
	Rows: [][]string{
		{"epoll", "16KiB", "123k", "310us", "≥5.00s", "a, b"},
		{"exec: ./server --port {port} --多线程", "default", "9.87k", "1.25ms", "–"},
	},
}

func text(t *testing.T, table Table, width int) string {
	t.Helper()
	var b strings.Builder
	if err := table.Text(&b, width); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTextIsLaidOut(t *testing.T) {
	want := "" +
		" target                                 server.SO_RCVBUF  req/s  p50 (µs)   p99.9  doubts \n" +
		strings.Repeat("─", 90) + "\n" +
		" epoll                                  16KiB              123k     310us  ≥5.00s  a, b   \n" +
		" exec: ./server --port {port} --多线程  default           9.87k    1.25ms       –         \n"
	if got := text(t, sample, 0); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestNoLineIsTooWide(t *testing.T) {
	for width := 3; width < 120; width++ {
		for line := range strings.Lines(text(t, sample, width)) {
			if n := Width(strings.TrimSuffix(line, "\n")); n > width {
				t.Fatalf("width %d: a line of %d columns: %q", width, n, line)
			}
		}
	}
}

func TestTheLeastImportantGoesFirst(t *testing.T) {
	got := text(t, sample, 72)
	if !strings.Contains(got, "no room for: p99.9") || strings.Contains(got, "≥5.00s") {
		t.Errorf("p99.9 is the least important, but it is still there:\n%s", got)
	}
	for _, want := range []string{"9.87k", "1.25ms", "server.SO_RCVBUF"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is gone although there is room:\n%s", want, got)
		}
	}
	if got := text(t, sample, 30); !strings.Contains(got, "exec: .") || strings.Contains(got, "9.8…") {
		t.Errorf("the target is the last to go, and numbers are never shortened:\n%s", got)
	}
}

func TestShorteningKeepsRowsApart(t *testing.T) {
	table := Table{Columns: []Column{{Name: "target"}, {Name: "req/s", Right: true, Priority: 1}}}
	for _, last := range []string{"a", "b"} {
		table.Rows = append(table.Rows, []string{"exec: ./a/very/long/path/to/a/server --mode " + last, "123k"})
	}
	if got := text(t, table, 50); strings.Contains(got, "123k") || !strings.Contains(got, "--mode a") || !strings.Contains(got, "--mode b") {
		t.Errorf("the number could have gone, what tells the rows apart could not:\n%s", got)
	}
	table.Rows[1][0] = "epoll"
	if got := text(t, table, 50); !strings.Contains(got, "123k") || strings.Contains(got, "--mode a") {
		t.Errorf("the rows differ anyway, so the number could have stayed:\n%s", got)
	}
}

func TestTextIsShortenedBeforeNumbersGo(t *testing.T) {
	table := Table{Columns: []Column{{Name: "k"}, {Name: "text", Priority: 2}, {Name: "number", Right: true, Priority: 1}},
		Rows: [][]string{{"a", "a text of twenty-two", "123456"}}}
	if got := text(t, table, 24); !strings.Contains(got, "a text of …") || !strings.Contains(got, "123456") {
		t.Errorf("shortening the text is enough:\n%s", got)
	}
	if got := text(t, table, 20); strings.Contains(got, "a text") && !strings.Contains(got, "a text …") || strings.Contains(got, "123…") {
		t.Errorf("text goes down to 8 columns, and numbers are never shortened:\n%s", got)
	}
}

func TestRandomTablesFit(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		table := Table{}
		for range 1 + rng.IntN(9) {
			table.Columns = append(table.Columns, Column{Name: strings.Repeat("n", rng.IntN(20)), Right: rng.IntN(2) == 0, Priority: rng.IntN(3)})
		}
		for range rng.IntN(5) {
			var row []string
			for range table.Columns {
				row = append(row, strings.Repeat("v多", rng.IntN(15)))
			}
			table.Rows = append(table.Rows, row)
		}
		for line := range strings.Lines(text(t, table, 80)) {
			if n := Width(strings.TrimSuffix(line, "\n")); n > 80 {
				t.Fatalf("a line of %d columns: %q", n, line)
			}
		}
	}
}

func TestCellsCannotBreakOut(t *testing.T) {
	hostile := Table{Columns: []Column{{Name: "a|b"}, {Name: "c"}}, Rows: [][]string{{"x|y\nz", "\x1b[31mred<script>"}}}
	if got := text(t, hostile, 0); strings.Contains(got, "\x1b") || strings.Count(got, "\n") != 3 {
		t.Errorf("escape sequences or line breaks came through: %q", got)
	}
	var b strings.Builder
	if err := hostile.Markdown(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], `a\|b`) || !strings.Contains(lines[2], `x\|y<br>z`) || strings.Contains(lines[2], "<script>") {
		t.Errorf("markdown:\n%s", b.String())
	}
}

func TestMarkdownAligns(t *testing.T) {
	var b strings.Builder
	if err := sample.Markdown(&b); err != nil {
		t.Fatal(err)
	}
	rule := strings.Split(b.String(), "\n")[1]
	cells := strings.Split(strings.Trim(strings.TrimSpace(rule), "|"), "|")
	if len(cells) != 6 || strings.HasSuffix(strings.TrimSpace(cells[0]), ":") || !strings.HasSuffix(strings.TrimSpace(cells[2]), ":") {
		t.Errorf("text goes left and numbers right, but the rule is %s", rule)
	}
	if !strings.Contains(b.String(), "p50 (µs)") {
		t.Errorf("a column's name was changed:\n%s", b.String())
	}
}

func TestCSVReadsBack(t *testing.T) {
	table := Table{Columns: []Column{{Name: "a"}, {Name: "b"}}, Rows: [][]string{{"x,y", "say \"hi\"\n"}}}
	var b strings.Builder
	if err := table.CSV(&b); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(b.String())).ReadAll()
	if err != nil || len(rows) != 2 || !slices.Equal(rows[1], table.Rows[0]) {
		t.Errorf("reads back as %q, %v", rows, err)
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		width int
		want  string
	}{{0, "a  warn steal: 5% of a CPU"}, {12, "a warn|   steal: 5%|   of a CPU"}, {5, "a|   w…|   s…|   5%|   of|   a|   C…"}} {
		if got := strings.Join(Wrap("a  warn steal: 5% of a CPU", c.width, "   "), "|"); got != c.want {
			t.Errorf("width %d: %q, want %q", c.width, got, c.want)
		}
	}
}
