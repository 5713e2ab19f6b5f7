package doctor

import (
	"strings"
	"testing"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/results"
)

// A terminal's lines fit it; what is fine is short; a table has all.
func TestReport(t *testing.T) {
	r := NewReport([]Line{
		{Looked: "clock source", Measured: "tsc", Verdict: results.OK, Disturbs: "time stamps"},
		{Looked: "quota", Measured: "0.50 CPUs of 2, by /sys/fs/cgroup/cpu.max", Verdict: results.Warn, Disturbs: "everything", Fix: "echo max > /sys/fs/cgroup/cpu.max"},
		{Looked: "turbo", Measured: "on | off", Verdict: results.Note, Disturbs: "drift"},
	}, 4.2)
	if r.Verdict != results.Warn || r.Sum() != "3 lines: 1 ok, 1 note, 1 warning, 0 failures (4 s)" {
		t.Errorf("%s: %s", r.Verdict, r.Sum())
	}
	var wide, narrow, table strings.Builder
	for _, err := range []error{r.Show(&wide, term.Screen{}), r.Show(&narrow, term.Screen{Width: 52}), r.Markdown(&table)} {
		if err != nil {
			t.Error(err)
		}
	}
	if want := "ok      clock source\n        tsc\nwarn    quota\n        0.50 CPUs of 2, by /sys/fs/cgroup/cpu.max\n        disturbs: everything\n        fix: echo max > /sys/fs/cgroup/cpu.max\n"; !strings.HasPrefix(wide.String(), want) {
		t.Errorf("%s", wide.String())
	}
	for line := range strings.Lines(narrow.String()) {
		if term.Width(strings.TrimSuffix(line, "\n")) > 52 {
			t.Errorf("%q is too long", line)
		}
	}
	for _, want := range []string{"**warn**: 3 lines", "time stamps", `on \| off`, "echo max > /sys"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("%q is not in %s", want, table.String())
		}
	}
	if worst(nil) != results.OK {
		t.Error("nothing is bad")
	}
}
