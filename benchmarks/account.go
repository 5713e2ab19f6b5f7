package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// account is what the generated part of README.md says, by the code of the goal: what is measured anew replaces what is
// said of its goals, and the rest stands.
type account map[string]*part

// part is the text of one goal.
type part struct {
	rows, commands []string // lines
	in             occasion
}

// occasion is when and how a part was measured. Those of one run of this program are equal.
type occasion struct{ title, conditions string }

func newOccasion(commit string, conditions []string) occasion {
	return occasion{"Measured " + time.Now().UTC().Format("2 January 2006, 15:04 UTC") + " at commit " + commit,
		"- " + strings.Join(conditions, "\n- ") + "\n"}
}

// add has a say what was measured in one run.
func (a account) add(rows []row, in occasion) {
	for _, r := range rows {
		p := a.part(r.code)
		p.in = in
		p.rows = append(p.rows, fmt.Sprintf("| %s | %s | %s |\n", r.code, r.what, strings.Join(r.cells(), " | ")))
		command := fmt.Sprintf("- %s: %s (%s)\n", r.code, strings.Join(r.how, " "), r.note)
		if r.how != nil && !slices.Contains(p.commands, command) {
			p.commands = append(p.commands, command)
		}
	}
}

func (a account) part(code string) *part {
	if a[code] == nil {
		a[code] = &part{}
	}
	return a[code]
}

const (
	tableHead    = "| goal | what | limit | measured | 95 % interval | n | | others' CPU |\n|---|---|---:|---:|---:|---:|---|---:|\n"
	commandsHead = "\nThe commands:\n\n"
)

// String is the account in Markdown, in the order of the goals.
func (a account) String() string {
	rows, commands := tableHead, commandsHead
	var occasions []occasion
	of := map[occasion][]string{}
	for _, g := range goals {
		p := a[g.code]
		if p == nil {
			continue
		}
		rows += strings.Join(p.rows, "")
		commands += strings.Join(p.commands, "")
		if of[p.in] == nil {
			occasions = append(occasions, p.in)
		}
		of[p.in] = append(of[p.in], g.code)
	}
	text := rows + commands
	for _, r := range occasions {
		text += fmt.Sprintf("\n%s: %s.\n\n%s", r.title, strings.Join(of[r], ", "), r.conditions)
	}
	return text
}

// parse reads what String wrote.
func parse(text string) account {
	a := account{}
	text, rest, _ := strings.Cut(text, "\nMeasured ")
	for line := range strings.Lines(text) {
		if said, ok := strings.CutPrefix(line, "| "); ok && !strings.HasPrefix(tableHead, line) {
			code, _, _ := strings.Cut(said, " | ")
			a.part(code).rows = append(a.part(code).rows, line)
		}
		if said, ok := strings.CutPrefix(line, "- "); ok {
			code, _, _ := strings.Cut(said, ": ")
			a.part(code).commands = append(a.part(code).commands, line)
		}
	}
	for _, r := range strings.Split(rest, "\nMeasured ") {
		head, conditions, _ := strings.Cut(r, "\n\n")
		i := strings.LastIndex(head, ": ")
		if i < 0 {
			continue
		}
		for code := range strings.SplitSeq(strings.TrimSuffix(head[i+2:], "."), ", ") {
			a.part(code).in = occasion{"Measured " + head[:i], conditions}
		}
	}
	return a
}

// marker stands before and after what rewrite replaces.
const marker = "<!-- generated -->\n"

// rewrite puts what a says between the two markers of the file at path, where what it does not say stays.
func rewrite(path string, a account) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	parts := strings.Split(string(old), marker)
	if len(parts) != 3 {
		return fmt.Errorf("%s has %d lines %q, not 2", path, len(parts)-1, strings.TrimSpace(marker))
	}
	all := parse(strings.Trim(parts[1], "\n") + "\n")
	maps.Copy(all, a)
	return os.WriteFile(path, []byte(parts[0]+marker+"\n"+all.String()+"\n"+marker+parts[2]), 0o644)
}
