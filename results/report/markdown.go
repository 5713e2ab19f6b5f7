package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/results"
)

// What a document of Markdown may hold, so that GitHub takes it for a comment of a pull request.
const (
	commentMax = 65_536 // bytes; GitHub counts characters, which are no more
	listMax    = 30     // lines of one list
	lineMax    = 600    // bytes of one line
)

// markdown writes what was found, the table with as many rows as find room, and the rest folded up.
func markdown(w io.Writer, in Input) error {
	rows := len(in.Answer.Cells)
	text, err := comment(in, rows)
	for err == nil && len(text) > commentMax && rows > 0 {
		rows = min(rows-1, rows*commentMax/len(text))
		text, err = comment(in, rows)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, text)
	return err
}

// comment is the document with the first rows of the table.
func comment(in Input, rows int) (string, error) {
	p, a := in.Manifest.Plan, &in.Answer
	t, doubts := table(p, a.Cells, term.Screen{})
	t = pictured(t)
	var out strings.Builder
	title := cmp.Or(a.Headline, fmt.Sprintf("sockbench %s: %s", p.Name, a.Verdict))
	fmt.Fprintf(&out, "**%s** (%s, %s)\n\n", oneLine(title), term.Count(len(a.Cells), "cell"), trials(a))
	if found := bounded(claims(a, ". ")); found != nil {
		fmt.Fprintf(&out, "**%s**\n\n%s\n\n", findingsHeading(a), strings.Join(found, "\n"))
	}
	if rows < len(t.Rows) {
		t.Rows = t.Rows[:rows]
		fmt.Fprintf(&out, "These are the first %d of %s; more would not fit into a comment. All of them: `sockbench report %s`.\n\n",
			rows, term.Count(len(a.Cells), "cell"), oneLine(a.Run))
	}
	if err := t.Markdown(&out); err != nil {
		return "", err
	}
	for _, c := range t.Columns {
		if c.Note != "" {
			fmt.Fprintf(&out, "\n<sub>%s</sub>\n", c.Note)
		}
	}
	if a.Advice != nil {
		fmt.Fprintf(&out, "\n**%s**\n\n", adviceHeading)
		for _, line := range bounded(append(slices.Clone(a.Advice.Change), a.Advice.Holds...)) {
			fmt.Fprintf(&out, "- %s\n", line)
		}
		for _, s := range a.Advice.Snippets {
			fmt.Fprintf(&out, "\n<details><summary>%s</summary>\n\n```%s\n%s```\n\n</details>\n", s.Name, s.Fence, s.Code)
		}
	}
	fold(&out, effectsHeading(a), effects(a))
	fold(&out, "Notes: "+doubts.tally(), append(doubts.lines(), a.SessionNotes()...))
	fold(&out, because(a), a.Because)
	fold(&out, meansHeading, results.Means(p, a.Cells))
	fold(&out, "Machine and version", facts(in.Manifest))
	return out.String(), nil
}

// pictured keeps the blanks of the pictures in the table, which Markdown would not.
func pictured(t term.Table) term.Table {
	i := slices.IndexFunc(t.Columns, func(c term.Column) bool { return c.Name == spreadName })
	for _, row := range t.Rows {
		if row[i] != "–" {
			row[i] = "`" + strings.ReplaceAll(row[i], " ", "\u00a0") + "`"
		}
	}
	return t
}

// trials is how many there were: "72 trials, 3 failed".
func trials(a *results.Answer) string {
	all, failed := 0, 0
	for i := range a.Cells {
		all += a.Cells[i].Trials
		failed += a.Cells[i].Failed
	}
	text := term.Count(all, "trial")
	if failed > 0 {
		text += fmt.Sprintf(", %d failed", failed)
	}
	return text
}

// fold writes a list that opens when its heading is clicked; nothing if it is empty.
func fold(out *strings.Builder, heading string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(out, "\n<details><summary>%s</summary>\n\n", oneLine(heading))
	for _, line := range bounded(lines) {
		fmt.Fprintf(out, "- %s\n", line)
	}
	fmt.Fprint(out, "\n</details>\n")
}

// bounded are the lines as Markdown, shortened where they or their list are too long.
func bounded(lines []string) (out []string) {
	for i, line := range lines {
		if i == listMax {
			return append(out, fmt.Sprintf("and %d more", len(lines)-i))
		}
		out = append(out, oneLine(line))
	}
	return out
}

var markdownText = strings.NewReplacer("&", "&amp;", "<", "&lt;", "*", `\*`, "`", "\\`")

// oneLine is text that Markdown takes for nothing else.
func oneLine(s string) string {
	s = plain(s)
	if len(s) > lineMax {
		s = strings.ToValidUTF8(s[:lineMax], "") + "…"
	}
	return markdownText.Replace(s)
}

// facts are what the run was made with.
func facts(m results.Manifest) (lines []string) {
	all := map[string]string{}
	maps.Copy(all, fingerprint(m))
	maps.Copy(all, m.Versions)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if all[key] != "" {
			lines = append(lines, key+": "+all[key])
		}
	}
	return lines
}
