package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

// gaveNothing is the code of the note that says why trials failed.
const gaveNothing = "failed"

// notes gives each code a letter in the order of appearance, and keeps the worst case of each. What makes one target fail
// is not what makes another fail: each has a letter of its own.
type notes []note

type note struct {
	results.CellDoubt
	target plan.Level // of cells whose trials failed
	label  string     // the cell it is worst in
	trials int        // of that cell
	cells  int        // that have it
}

// letters are those of all that is to be said about a cell.
func (n *notes) letters(s *results.CellSummary, p *plan.Plan) (letters []string) {
	for _, d := range doubtsOf(s) {
		letters = append(letters, n.letter(d, s, p))
	}
	return letters
}

// doubtsOf are a cell's doubts, and before them why trials failed, if any did.
func doubtsOf(s *results.CellSummary) []results.CellDoubt {
	if s.Failed == 0 {
		return s.Doubts
	}
	why := results.CellDoubt{Doubt: results.Doubt{Code: gaveNothing, Verdict: results.Fail, Evidence: s.Error}, Trials: s.Failed}
	return append([]results.CellDoubt{why}, s.Doubts...)
}

func (n *notes) letter(d results.CellDoubt, s *results.CellSummary, p *plan.Plan) string {
	var target plan.Level
	if d.Code == gaveNothing {
		target = s.Cell["target"] + s.Cell["variant"]
	}
	i := slices.IndexFunc(*n, func(e note) bool { return e.Code == d.Code && e.target == target })
	if i < 0 {
		i = len(*n)
		*n = append(*n, note{CellDoubt: results.CellDoubt{Doubt: results.Doubt{Verdict: results.OK}}, target: target})
	}
	e := &(*n)[i]
	if e.cells++; d.Verdict.Rank() > e.Verdict.Rank() {
		e.CellDoubt, e.label, e.trials = d, p.Label(s.Cell), s.Trials
	}
	return letter(i)
}

// tally is how many there are of each verdict, worst first: "1 fail, 2 warn".
func (n notes) tally() string {
	var parts []string
	for _, v := range []results.Verdict{results.Fail, results.Warn, results.Note} {
		count := 0
		for _, e := range n {
			if e.Verdict == v {
				count++
			}
		}
		if count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count, v))
		}
	}
	return strings.Join(parts, ", ")
}

// paint colours the letters in a cell of the table as the verdicts they stand for.
func (n notes) paint(cell string, screen term.Screen) string {
	words := strings.Split(cell, " ")
	for w, word := range words {
		for i, e := range n {
			if word == letter(i) {
				words[w] = screen.As(string(e.Verdict), word)
			}
		}
	}
	return strings.Join(words, " ")
}

// paintLine colours the verdict in line i of the legend, behind which those of sessions stand, without letters.
func (n notes) paintLine(i int, line string, screen term.Screen) string {
	if i >= len(n) {
		verdict, rest, _ := strings.Cut(line, " ")
		return screen.Verdict(verdict) + " " + rest
	}
	verdict := string(n[i].Verdict)
	return strings.Replace(line, " "+verdict+" ", " "+screen.Verdict(verdict)+" ", 1)
}

// letter is a, b, … z, aa, ab, …
func letter(i int) string {
	if i < 26 {
		return string(rune('a' + i))
	}
	return letter(i/26-1) + letter(i%26)
}

// lines are the legend: "a  warn  steal: 2.1% of a CPU (target=epoll: 3 of 6 trials; and in 2 more cells)".
func (n notes) lines() (lines []string) {
	for i, e := range n {
		where := fmt.Sprintf("%d of %d trials", e.Trials, e.trials)
		if e.label != "" {
			where = e.label + ": " + where
		}
		switch {
		case e.cells == 2:
			where += "; and in 1 more cell"
		case e.cells > 2:
			where += fmt.Sprintf("; and in %d more cells", e.cells-1)
		}
		lines = append(lines, fmt.Sprintf("%s  %s  %s: %s (%s)", letter(i), e.Verdict, e.Code, e.Evidence, where))
	}
	return lines
}
