// Package report shows a run to people and to programs: one file for each format, and one line of All.
package report

import (
	"io"
	"slices"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/results"
)

// Input is a run, read and judged.
type Input struct {
	Manifest results.Manifest
	Records  []results.Record
	Answer   results.Answer
	Screen   term.Screen // that it is for; zero: none
}

// Format is one way to write a run.
type Format struct {
	Name, Doc string
	Write     func(io.Writer, Input) error
}

// All lists the formats.
var All = []Format{
	{"table", "a row for each cell, what was found, and the doubts, for a terminal", text},
	{"json", "one document: verdict, findings, cells", document},
	{"md", "findings and table in GitHub's Markdown, for a comment or a job's summary", markdown},
	{"csv", "a row for each trial: knobs, counts, metrics, doubts", trialRows},
	{"benchfmt", "a line for each trial, for benchstat", benchfmt},
	{"hlog", "the trials' histograms as an HdrHistogram log", hlog},
	{"junit", "a test case for each cell, failed where its numbers are not what they say", junit},
	{"html", "one page with charts that needs nothing else, for a browser", html},
}

// Names are those of All.
func Names() (names []string) {
	for _, f := range All {
		names = append(names, f.Name)
	}
	return names
}

// Find returns the format of that name.
func Find(name string) (Format, bool) {
	i := slices.IndexFunc(All, func(f Format) bool { return f.Name == name })
	if i < 0 {
		return Format{}, false
	}
	return All[i], true
}
