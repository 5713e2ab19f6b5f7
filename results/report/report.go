// Package report shows a run to people and to programs: one file for each format, and one line of All.
package report

import (
	"io"
	"slices"

	"github.com/sockbench/sockbench/results"
)

// Input is a run, read and judged.
type Input struct {
	Manifest results.Manifest
	Records  []results.Record
	Answer   results.Answer
	Width    int // of the terminal that it is for, in columns; 0: no limit
}

// Format is one way to write a run.
type Format struct {
	Name, Doc string
	Write     func(io.Writer, Input) error
}

// All lists the formats.
var All = []Format{
	{"table", "a row for each cell, what was found, and the doubts, for a terminal", text("table")},
	{"json", "one document: verdict, findings, cells", text("json")},
	{"md", "the table and the findings in GitHub's Markdown", text("md")},
	{"csv", "a row for each trial: knobs, metrics, doubts", text("csv")},
	{"html", "one page with charts that needs nothing else, for a browser", html},
}

// text writes one of the formats that need nothing but the answer and the records.
func text(name string) func(io.Writer, Input) error {
	return func(w io.Writer, in Input) error {
		return results.Write(w, name, in.Width, in.Manifest.Plan, in.Records, in.Answer)
	}
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
