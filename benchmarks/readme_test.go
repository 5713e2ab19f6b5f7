package main

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// readme is the text of README.md before, between and after its markers.
func readme(t *testing.T) [3]string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(text), marker)
	if len(parts) != 3 {
		t.Fatalf("README.md has %d markers, not 2", len(parts)-1)
	}
	return [3]string(parts)
}

// tableRows are the cells of the rows of the first table in text.
func tableRows(text string) (rows [][]string) {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "|") {
			if rows != nil {
				break
			}
			continue
		}
		var cells []string
		for cell := range strings.SplitSeq(strings.Trim(line, "|\n"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		rows = append(rows, cells)
	}
	return rows[min(2, len(rows)):]
}

// figureIn reads a figure as the formats of the table write it.
func figureIn(t *testing.T, text string) float64 {
	t.Helper()
	number, unit, _ := strings.Cut(strings.Trim(text, "*"), " ")
	v, err := strconv.ParseFloat(number, 64)
	scale, known := map[string]float64{"": 1, "ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9, "B": 1, "MB": 1e6, "% of a CPU": .01, "%": .01}[unit]
	if err != nil || !known {
		t.Errorf("%q is no figure", text)
	}
	return v * scale
}

func TestFigureIn(t *testing.T) {
	for text, want := range map[string]float64{
		"**" + ratio(1.09) + "**": 1.09, nanoseconds(272): 272, nanoseconds(11_800): 11_800, nanoseconds(31.2e6): 31.2e6, nanoseconds(3e9): 3e9,
		percent(.622): .622, share(.0471): .0471, plain(18): 18, octets(440): 440, megabytes(367e6): 367e6,
	} {
		near(t, text, figureIn(t, text), want)
	}
}

func TestReadmeExplainsEveryGoal(t *testing.T) {
	var explained, listed []string
	for _, r := range tableRows(readme(t)[0]) {
		explained = append(explained, r[0])
	}
	for _, g := range goals {
		listed = append(listed, g.code)
	}
	if !slices.Equal(explained, listed) {
		t.Errorf("README.md explains %q, the program measures %q", explained, listed)
	}
}

func TestReadmeTableIsOfTheseGoals(t *testing.T) {
	text := readme(t)[1]
	rows := tableRows(text)
	for _, g := range goals {
		for _, c := range g.claims {
			if len(rows) == 0 {
				t.Fatalf("no row of %s: %s", g.code, c.what)
			}
			r := rows[0]
			rows = rows[1:]
			want := row{code: g.code, claim: c}
			if len(r) != 8 || r[0] != g.code || r[1] != c.what || r[2] != want.cells()[0] {
				t.Errorf("row %q, want %s, %q, limit %q", r, g.code, c.what, want.cells()[0])
				continue
			}
			if got := verdictOf(t, r, c.limit); got != "" && got != r[6] {
				t.Errorf("%s %s: %s where the goal is %s makes %q, the table says %q", g.code, c.what, r[3], r[2], got, r[6])
			}
			if r[3] != "–" && !strings.Contains(text, "\n- "+g.code+": `") {
				t.Errorf("no command of %s", g.code)
			}
		}
	}
	for _, r := range rows {
		t.Errorf("a row of no goal: %q", r)
	}
}

// verdictOf is what the figures of a row make of it; "" where its rounded figure cannot tell.
func verdictOf(t *testing.T, cells []string, l limit) string {
	t.Helper()
	if strings.HasPrefix(cells[6], "not measured: ") {
		return ""
	}
	got := figureIn(t, cells[3])
	low, high, bounded := strings.Cut(cells[4], " – ")
	if bounded && (figureIn(t, low) > got || figureIn(t, high) < got) {
		t.Errorf("%s is outside of its interval %s", cells[3], cells[4])
	}
	if got == l.value && l.sign != "" {
		return ""
	}
	return row{claim: claim{limit: l}, figure: figure{got: estimate{value: got}}}.met()
}

func TestReadmeSaysWhatWasMeasuredWhere(t *testing.T) {
	text := strings.Trim(readme(t)[1], "\n") + "\n"
	a := parse(text)
	if again := a.String(); again != text {
		t.Errorf("an update would make this of figures that stay:\n%s", again)
	}
	for _, g := range goals {
		in := a.part(g.code).in
		if want := regexp.MustCompile(`^Measured \d+ [A-Z][a-z]+ \d{4}, \d\d:\d\d UTC at commit [0-9a-f]{12}$`); !want.MatchString(in.title) {
			t.Errorf("%s: %q does not match %s", g.code, in.title, want)
		}
		for _, want := range []string{
			`(?m)^- Machine: .+, \d+ CPUs, Linux .+, go1\.`,
			`(?m)^- Server on CPU 0, client on CPU 1; .+ seed of the order in pairs \d+; load average when it began `,
		} {
			if !regexp.MustCompile(want).MatchString(in.conditions) {
				t.Errorf("%s: nothing in its conditions matches %s", g.code, want)
			}
		}
	}
}

func TestReadmeNamesTheVersionOfFortio(t *testing.T) {
	mod, err := os.ReadFile("peers/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`fortio\.org/fortio v([0-9.]+)`).FindSubmatch(mod)
	if m == nil || !strings.Contains(readme(t)[0], "fortio "+string(m[1])) {
		t.Errorf("README.md does not name the version in %q", m)
	}
}
