package report

import (
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/results"
)

// text is what run shows: the table, what was found, and the doubts.
func text(w io.Writer, in Input) error {
	p, a, screen := in.Manifest.Plan, &in.Answer, in.Screen
	t, doubts := table(p, a.Cells, screen)
	if a.Headline != "" {
		if _, err := io.WriteString(w, strings.Join(term.Wrap(a.Headline, screen.Width, ""), "\n")+"\n\n"); err != nil {
			return err
		}
	}
	if err := blankRepeats(p, t).Show(w, screen); err != nil {
		return err
	}
	plain := func(_ int, line string) string { return line }
	return errors.Join(
		section(w, screen, findingsHeading(a), claims(a, "  "), plain),
		advice(w, screen, a.Advice),
		section(w, screen, effectsHeading(a), effects(a), plain),
		section(w, screen, because(a), a.Because, plain),
		section(w, screen, meansHeading, results.Means(p, a.Cells), plain),
		section(w, screen, "Notes", append(doubts.lines(), a.SessionNotes()...), func(i int, line string) string { return doubts.paintLine(i, line, screen) }))
}

// advice writes what to do, and the code for it as it is to be pasted.
func advice(w io.Writer, screen term.Screen, a *results.Advice) error {
	if a == nil {
		return nil
	}
	err := section(w, screen, adviceHeading, append(slices.Clone(a.Change), a.Holds...), func(_ int, line string) string { return line })
	for _, s := range a.Snippets {
		_, failed := io.WriteString(w, "\n"+screen.Bold(s.Name)+"\n"+s.Code)
		err = errors.Join(err, failed)
	}
	return err
}

const adviceHeading = "What to change"

const meansHeading = "Where the time goes, in the mean"

// claims are the findings as numbered sentences, or why there are none.
func claims(a *results.Answer, after string) (lines []string) {
	if a.Headline != "" && len(a.Findings) == 1 {
		return nil // it says the same
	}
	for i, f := range a.Findings {
		line := strconv.Itoa(i+1) + after + f.Claim
		if f.Why != "" {
			line = strings.TrimSuffix(line, ".") + ". Moved: " + f.Why + "."
		}
		lines = append(lines, line)
	}
	if lines == nil && a.Nothing != "" {
		lines = append(lines, "None: "+a.Nothing+".")
	}
	return lines
}

func findingsHeading(a *results.Answer) string {
	if len(a.Findings) > 1 {
		return "Findings, strongest first"
	}
	return "Findings"
}

// effects are those on one metric, if they were asked for.
func effects(a *results.Answer) []string {
	if a.Effects == nil {
		return nil
	}
	return a.Effects.Lines()
}

func effectsHeading(a *results.Answer) string {
	if a.Effects == nil {
		return ""
	}
	return "Effects on " + a.Effects.Metric
}

// because heads the diagnoses.
func because(a *results.Answer) string {
	return "What is the matter (more: sockbench explain " + a.Run + ")"
}

// section writes the lines, if there are any, behind an empty line and a heading. paint colours the first line of what
// became of line i.
func section(w io.Writer, screen term.Screen, heading string, lines []string, paint func(i int, line string) string) error {
	if len(lines) == 0 {
		return nil
	}
	out := "\n" + screen.Bold(heading) + "\n"
	for i, line := range lines {
		wrapped := term.Wrap(line, screen.Width, "   ")
		wrapped[0] = paint(i, wrapped[0])
		out += strings.Join(wrapped, "\n") + "\n"
	}
	_, err := io.WriteString(w, out)
	return err
}
