package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sockbench/sockbench/internal/term"
	"github.com/sockbench/sockbench/plan"
)

// shownBlocks is of how many blocks the table of a dry run shows the order.
const shownBlocks = 10

// describe is the dry run: cells, their places in each block, the time, and what it buys.
func describe(w io.Writer, format string, p *plan.Plan, foretold string) error {
	if format == "json" {
		return describeJSON(w, p)
	}
	blocks := p.Blocks
	if format == "table" {
		blocks = min(blocks, shownBlocks)
	}
	places := map[string][]string{}
	for b := range blocks {
		for _, trial := range p.Block(b, 0) {
			key := trial.Cell.String()
			places[key] = append(places[key], fmt.Sprint(trial.Order+1))
		}
	}
	t := term.Table{Columns: []term.Column{{Name: "cell"}, {Name: "place in each block"}}}
	for _, cell := range p.Cells() {
		place := strings.Join(places[cell.String()], " ")
		if blocks < p.Blocks {
			place += " …"
		}
		t.Rows = append(t.Rows, []string{p.Label(cell), place})
	}
	switch format {
	case "csv":
		return t.CSV(w)
	case "md":
		if err := t.Markdown(w); err != nil {
			return err
		}
	default:
		if err := t.Show(w, term.ScreenOf(w)); err != nil {
			return err
		}
	}
	return paragraphs(w, foretold)
}

// paragraphs writes lines of text as wide as the terminal.
func paragraphs(w io.Writer, text string) error {
	for line := range strings.SplitSeq(text, "\n") {
		if _, err := fmt.Fprintln(w, strings.Join(term.Wrap(line, term.Columns(w), "  "), "\n")); err != nil {
			return err
		}
	}
	return nil
}

func describeJSON(w io.Writer, p *plan.Plan) error {
	cells := p.Cells()
	at := map[string]int{}
	for i, c := range cells {
		at[c.String()] = i
	}
	order := make([][]int, p.Blocks)
	for b := range order {
		for _, trial := range p.Block(b, 0) {
			order[b] = append(order[b], at[trial.Cell.String()])
		}
	}
	e := json.NewEncoder(w)
	return e.Encode(struct {
		Plan     *plan.Plan    `json:"plan"`
		Digest   string        `json:"digest"`
		Cells    []plan.Cell   `json:"cells"`
		Order    [][]int       `json:"order"` // of each block: indices of cells
		Expected time.Duration `json:"expected_ns"`
		Longest  time.Duration `json:"longest_ns"` // with as many blocks run again as may be
	}{p, p.Digest(), cells, order, length(p, p.Blocks), longest(p, p.Blocks)})
}
