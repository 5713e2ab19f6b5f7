package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sockbench/sockbench/internal/planfile"
	"github.com/sockbench/sockbench/results"
	"github.com/sockbench/sockbench/results/report"
	"github.com/sockbench/sockbench/results/stats"
)

// gateFlags say what a check's verdict is made into.
type gateFlags struct {
	inconclusive choice
	annotate     bool
	bisect       bool

	headline string // of the verdict, once there is one
}

func (g *gateFlags) flags(c *cobra.Command) {
	g.inconclusive = choice{level: "fail", of: []string{"fail", "pass"}}
	c.Flags().Var(&g.inconclusive, "inconclusive", "fail: exit with 3 where the pairs could not tell; pass: exit with 0")
	complete(c, "inconclusive", g.inconclusive.of)
	c.Flags().BoolVar(&g.bisect, bisect, false, "exit codes for git bisect run: 0 good, 1 bad, 125 skip, 128 and more stop")
	c.Flags().BoolVar(&g.annotate, "annotate", os.Getenv("GITHUB_ACTIONS") == "true", "say the verdict on standard error as a GitHub annotation too; default: under GitHub Actions")
}

// bisect is the name of the flag.
const bisect = "bisect"

// forBisect is the exit code by which git bisect run understands what became of a command, whatever that is.
func forBisect(code int) int {
	switch code {
	case exitFine, exitWrong:
		return code
	case exitInconclusive, exitEnvironment:
		return 125 // skip the commit
	case exitInterrupted:
		return code // stop
	}
	return 128 // stop: it is the same with every commit
}

// bisecting says whether these arguments ask for the codes of git bisect run: also where they are wrong otherwise.
func bisecting(args []string) bool {
	for _, a := range args {
		if a == "--"+bisect || a == "--"+bisect+"=true" {
			return true
		}
	}
	return false
}

// end makes the verdict of a check into the error that ends the program; nil: all is well.
func (g *gateFlags) end(stderr io.Writer, in report.Input) error {
	g.headline = in.Answer.Headline
	if err := summarize(in); err != nil {
		return err
	}
	switch stats.Verdict(in.Answer.Verdict) {
	case stats.Regression:
		return &failure{exitWrong, errors.New("regression: the new side is worse")}
	case results.Failed:
		return broken(errors.New(in.Answer.Headline))
	case stats.Inconclusive:
		if g.inconclusive.level == "pass" {
			_, err := fmt.Fprintln(stderr, "inconclusive, which passes by --inconclusive pass")
			return broken(err)
		}
		return &failure{exitInconclusive, errors.New("inconclusive: longer trials (--duration), a quieter machine or a wider --worse could tell")}
	}
	return nil
}

// summarize adds the result to the summary of a step of GitHub Actions, if this is one.
func summarize(in report.Input) (err error) {
	path := os.Getenv("GITHUB_STEP_SUMMARY")
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return broken(fmt.Errorf("write the step's summary: %w", err))
	}
	defer func() { err = errors.Join(err, broken(f.Close())) }()
	return show(f, "md", in)
}

// annotated says err, or the verdict that there was instead, as annotations, and returns err.
func (g *gateFlags) annotated(w io.Writer, file string, err error) error {
	if !g.annotate {
		return err
	}
	level, code := "notice", &failure{exitUsage, err}
	if errors.As(err, &code); err != nil {
		level = "error"
	}
	if code.code == exitInconclusive {
		level = "warning"
	}
	var plan *planfile.Error
	var lines []string
	switch {
	case errors.As(err, &plan):
		for _, p := range plan.Problems {
			lines = append(lines, annotation(level, plan.File, p.Line, p.Col, p.Text))
		}
	case g.headline != "":
		lines = append(lines, annotation(level, file, 1, 1, g.headline))
	case err != nil:
		lines = append(lines, annotation(level, file, 1, 1, err.Error()))
	}
	for _, l := range lines {
		if _, err := fmt.Fprintln(w, l); err != nil {
			return errors.Join(err, broken(err))
		}
	}
	return err
}

// annotation is a workflow command of GitHub Actions: ::error file=…,line=…,col=…,title=…::text.
func annotation(level, file string, line, col int, text string) string {
	where := ""
	if file != "" {
		where = fmt.Sprintf("file=%s,line=%d,col=%d,", inProperty.Replace(file), line, col)
	}
	return fmt.Sprintf("::%s %stitle=sockbench check::%s", level, where, inMessage.Replace(text))
}

// What a workflow command writes otherwise.
var (
	inMessage  = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	inProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)
