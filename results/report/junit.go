package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/sockbench/sockbench/plan"
	"github.com/sockbench/sockbench/results"
)

// junitSuites is the report that CI systems read, as Ant and Maven write it.
type junitSuites struct {
	XMLName xml.Name   `xml:"testsuites"`
	Suite   junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"` // seconds
	Timestamp  string          `xml:"timestamp,attr"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Class      string          `xml:"classname,attr"`
	Name       string          `xml:"name,attr"`
	Time       string          `xml:"time,attr"`
	Properties []junitProperty `xml:"properties>property"`
	Failure    *junitFailure   `xml:"failure"`
	Skipped    *junitSkipped   `xml:"skipped"`
	Out        string          `xml:"system-out,omitempty"` // doubts that are no failure
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

type junitSkipped struct {
	Message string `xml:"message,attr"`
}

// junit writes a test suite of the run and a test case for each cell. One fails if a trial of it failed, if it has none,
// or if a doubt says that its numbers are not what they say. Of a check each gate is a case too: a regression fails, and what
// is inconclusive is skipped.
func junit(w io.Writer, in Input) error {
	p := in.Manifest.Plan
	s := junitSuite{Name: "sockbench " + p.Name, Tests: len(in.Answer.Cells), Timestamp: in.Manifest.Started.UTC().Format("2006-01-02T15:04:05"),
		Properties: []junitProperty{{"sockbench", in.Manifest.Versions["sockbench"]}, {"run", in.Answer.Run}, {"verdict", in.Answer.Verdict}, {"seed", fmt.Sprint(in.Manifest.Plan.Seed)}}}
	total := 0.0
	for i := range in.Answer.Cells {
		c, seconds := junitCell(p, &in.Answer.Cells[i])
		if total += seconds; c.Failure != nil {
			s.Failures++
		}
		s.Cases = append(s.Cases, c)
	}
	for _, f := range in.Answer.Findings {
		if f.Code != results.GateCode {
			continue
		}
		c := junitCase{Class: "sockbench." + p.Name, Name: "gate " + f.Metric + " " + p.Label(f.Cells[0]), Time: "0.000"}
		switch s.Tests++; f.Verdict {
		case results.Worse:
			c.fail("regression", f.Claim)
			s.Failures++
		case results.Unclear:
			c.Skipped = &junitSkipped{f.Claim}
			s.Skipped++
		default:
			c.Out = f.Claim
		}
		s.Cases = append(s.Cases, c)
	}
	s.Time = fmt.Sprintf("%.3f", total)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(junitSuites{Suite: s}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// junitCell is a cell as a test case, and how many seconds were measured.
func junitCell(p *plan.Plan, s *results.CellSummary) (c junitCase, seconds float64) {
	c = junitCase{Class: "sockbench." + p.Name, Name: p.Label(s.Cell)}
	if s.Merged != nil {
		seconds = float64(s.Merged.Metrics.Duration) / 1e9
		for _, m := range results.All {
			if v, ok := m.Get(s.Merged); ok {
				c.Properties = append(c.Properties, junitProperty{m.Name + " (" + m.Unit + ")", bound(m, s.Merged) + number(v)})
			}
		}
	}
	c.Time = fmt.Sprintf("%.3f", seconds)
	var failed, doubted []string
	if s.Trials == 0 {
		c.fail("missing", "no trial of it is there")
	}
	for _, d := range doubtsOf(s) {
		line := fmt.Sprintf("%s %s: %s (%d of %d trials)", d.Verdict, d.Code, d.Evidence, d.Trials, s.Trials)
		if d.Verdict != results.Fail {
			doubted = append(doubted, line)
			continue
		}
		c.fail(d.Code, d.Evidence)
		failed = append(failed, line)
	}
	if c.Failure != nil {
		c.Failure.Text = strings.Join(failed, "\n")
	}
	c.Out = strings.Join(doubted, "\n")
	return c, seconds
}

// fail keeps the first reason as the message.
func (c *junitCase) fail(code, why string) {
	if c.Failure == nil {
		c.Failure = &junitFailure{Message: why, Type: code}
	}
}

// bound stands before a value that is a lower bound.
func bound(m results.Metric, r *results.Record) string {
	if m.Censored != nil && m.Censored(r) {
		return ">="
	}
	return ""
}
