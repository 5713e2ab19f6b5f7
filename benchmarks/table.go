package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// row is one measured goal.
type row struct {
	code, what string
	goal       limit
	got        estimate
	format     func(float64) string
	note       string
	spoilt     string // why this is no measurement; "": it is one
	how        []string
	foreign    float64 // CPUs that other programs used meanwhile
}

// limit is what a goal allows.
type limit struct {
	most   float64
	strict bool // less than most
}

func atMost(v float64) limit { return limit{most: v} }
func below(v float64) limit  { return limit{most: v, strict: true} }

func (r row) met() string {
	switch {
	case r.spoilt != "":
		return "not measured: " + r.spoilt
	case r.got.value < r.goal.most, r.got.value == r.goal.most && !r.goal.strict:
		return "met"
	}
	return "**not met**"
}

func (r row) limit() string {
	if r.goal.strict {
		return "< " + r.format(r.goal.most)
	}
	return "≤ " + r.format(r.goal.most)
}

func (r row) interval() string { return r.format(r.got.low) + " – " + r.format(r.got.high) }

func (r row) String() string {
	return fmt.Sprintf("%s %s: %s [%s] (seen %s – %s) n=%d; goal %s: %s (%s; other programs: %.2f CPUs)", r.code, r.what, r.format(r.got.value),
		r.interval(), r.format(r.got.least), r.format(r.got.most), r.got.n, r.limit(), r.met(), r.note, r.foreign)
}

// Formats of a row's figures.

func ratio(v float64) string   { return strconv.FormatFloat(v, 'f', 3, 64) }
func percent(v float64) string { return strconv.FormatFloat(v*100, 'f', 1, 64) + " % of a CPU" }
func plain(v float64) string   { return strconv.FormatFloat(v, 'f', -1, 64) }

func nanoseconds(v float64) string {
	for _, u := range []struct {
		ns   float64
		name string
	}{{1e6, "ms"}, {1e3, "µs"}} {
		if v >= u.ns {
			return strconv.FormatFloat(v/u.ns, 'g', 3, 64) + " " + u.name
		}
	}
	return strconv.FormatFloat(v, 'f', 0, 64) + " ns"
}

// table is the outcome of a whole run.
type table struct {
	rows       []row
	conditions []string
}

func (t table) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured %s.\n\n", time.Now().UTC().Format("2 January 2006, 15:04 UTC"))
	b.WriteString("| goal | what | limit | measured | 95 % interval | n | | others' CPU |\n|---|---|---:|---:|---:|---:|---|---:|\n")
	for _, r := range t.rows {
		fmt.Fprintf(&b, "| %s | %s | %s | **%s** | %s | %d | %s | %.0f %% |\n", r.code, r.what, r.limit(), r.format(r.got.value), r.interval(), r.got.n, r.met(), r.foreign*100)
	}
	b.WriteString("\n")
	for _, c := range t.conditions {
		fmt.Fprintf(&b, "- %s\n", c)
	}
	b.WriteString("\nThe commands:\n\n")
	seen := map[string]bool{}
	for _, r := range t.rows {
		line := fmt.Sprintf("- %s: %s", r.code, strings.Join(r.how, " "))
		if !seen[line] {
			seen[line] = true
			fmt.Fprintf(&b, "%s (%s)\n", line, r.note)
		}
	}
	return b.String()
}

// marker stands before and after what rewrite replaces.
const marker = "<!-- generated -->\n"

// rewrite puts text between the two markers of the file at path.
func rewrite(path, text string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	parts := strings.Split(string(old), marker)
	if len(parts) != 3 {
		return fmt.Errorf("%s has %d lines %q, not 2", path, len(parts)-1, strings.TrimSpace(marker))
	}
	return os.WriteFile(path, []byte(parts[0]+marker+"\n"+text+"\n"+marker+parts[2]), 0o644)
}
