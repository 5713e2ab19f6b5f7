package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/sockbench/sockbench/doctor"
	"github.com/sockbench/sockbench/results"
)

// examined is the report of a program that was started to examine this machine.
func examined(t *testing.T, c *exec.Cmd) doctor.Report {
	t.Helper()
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	var r doctor.Report
	if decoded := json.Unmarshal(out, &r); err != nil || decoded != nil {
		t.Fatalf("%v, %v: %s: %s", err, decoded, out, errs.String())
	}
	if strings.Contains(errs.String(), "goroutine ") {
		t.Errorf("a stack trace: %s", errs.String())
	}
	for _, l := range r.Lines {
		if l.Check == "" || l.Looked == "" || l.Measured == "" || l.Disturbs == "" || !slices.Contains([]results.Verdict{results.OK, results.Note, results.Warn, results.Fail}, l.Verdict) {
			t.Errorf("%+v", l)
		}
		if strings.HasPrefix(l.Measured, "could not be measured") {
			t.Errorf("%s: %s", l.Looked, l.Measured)
		}
	}
	return r
}

func TestDoctor(t *testing.T) {
	code, stdout, stderr := here(t, "doctor", "--quick", "--quiet", "-o", "md")
	if code != exitFine || !strings.Contains(stdout, "| what it would disturb ") || !strings.Contains(stdout, "| net.core.rmem_max ") || stderr != "" {
		t.Errorf("exit %d, %s: %s", code, stdout, stderr)
	}
}

// The quick set has a line of every check that is not slow. What was made bad on purpose is found, by the size that it
// has: few files, no namespaces.
func TestDoctorFinds(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("sh", "-c", `ulimit -n 256 && exec "$0" doctor --quick --quiet -o json`, self)
	c.Env = append(os.Environ(), asProgram+"=1", "SOCKBENCH_NO_NAMESPACES=1")
	r := examined(t, c)
	for _, c := range doctor.All {
		if has := slices.ContainsFunc(r.Lines, func(l doctor.Line) bool { return l.Check == c.Name }); has == c.Slow {
			t.Errorf("check %s: %v", c.Name, has)
		}
	}
	line := func(looked string) doctor.Line {
		i := slices.IndexFunc(r.Lines, func(l doctor.Line) bool { return l.Looked == looked })
		if i < 0 {
			t.Fatalf("no line about %s", looked)
		}
		return r.Lines[i]
	}
	if l := line("open files"); l.Verdict != results.Warn || l.Figures["hard"] != 256 || l.Figures["connections"] > 224 || !strings.Contains(l.Fix, "ulimit -n") {
		t.Errorf("%+v", l)
	}
	for _, looked := range []string{"namespaces", "emulated paths"} {
		if l := line(looked); l.Verdict != results.Warn {
			t.Errorf("%+v", l)
		}
	}
}

// Every check stands in docs/doctor.md.
func TestDoctorDocs(t *testing.T) {
	doc, err := os.ReadFile("../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range doctor.All {
		if !strings.Contains(string(doc), "`"+c.Name+"`") {
			t.Errorf("docs/doctor.md says nothing of `%s`", c.Name)
		}
	}
}
