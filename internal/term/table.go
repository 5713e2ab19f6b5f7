package term

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

// Column heads a column of a Table.
type Column struct {
	Name     string
	Right    bool // numbers: aligned right, and never shortened, only left out
	Whole    bool // text that is never shortened, only left out
	Priority int  // 0 is kept longest; where space is short, the column of the highest number goes first

	Note  string                   // on a terminal: a line below the table, where the column is shown; "": none
	Paint func(cell string) string // colours a cell that is laid out; nil: none
}

// Table is rows of text under columns. Rows may be shorter than Columns, never longer.
type Table struct {
	Columns []Column
	Rows    [][]string
}

// Text writes the table as wide as width (0: as wide as it takes), without colour.
func (t Table) Text(w io.Writer, width int) error { return t.Show(w, Screen{Width: width}) }

// Show writes the table for a screen. Every line fits: where they would not, columns of text are shortened and, after
// that, columns left out, named in a line below.
func (t Table) Show(w io.Writer, s Screen) error {
	fitted, hidden := t.printable(plainCell).fit(s.Width)
	style := tw.StyleLight
	if s.ASCII {
		style = tw.StyleASCII
	}
	out := tablewriter.NewTable(w, append(fitted.options(),
		tablewriter.WithRenderer(renderer.NewBlueprint()),
		tablewriter.WithTrimSpace(tw.Off),
		tablewriter.WithRendition(tw.Rendition{
			Borders: tw.Border{Left: tw.Off, Right: tw.Off, Top: tw.Off, Bottom: tw.Off},
			Symbols: tw.NewSymbols(style),
			Settings: tw.Settings{
				Separators: tw.Separators{BetweenColumns: tw.Off, BetweenRows: tw.Off, ShowHeader: tw.On},
				Lines:      tw.Lines{ShowHeaderLine: tw.On},
			},
		}))...)
	if err := fitted.painted(s).render(out); err != nil {
		return err
	}
	var below []string
	if len(hidden) > 0 {
		below = append(below, "no room for: "+strings.Join(hidden, ", "))
	}
	for _, c := range fitted.Columns {
		if c.Note != "" {
			below = append(below, c.Note)
		}
	}
	for _, text := range below {
		for _, line := range Wrap(text, s.Width, "  ") {
			if _, err := fmt.Fprintln(w, line); err != nil {
				return err
			}
		}
	}
	return nil
}

// painted is a copy of a table that is laid out, with the colours of its columns.
func (t Table) painted(s Screen) Table {
	out := Table{Columns: slices.Clone(t.Columns)}
	for i := range out.Columns {
		out.Columns[i].Name = s.Bold(out.Columns[i].Name)
	}
	for _, row := range t.Rows {
		row = slices.Clone(row)
		for i, c := range t.Columns {
			if c.Paint != nil {
				row[i] = c.Paint(row[i])
			}
		}
		out.Rows = append(out.Rows, row)
	}
	return out
}

// Markdown writes the whole table as GitHub's Markdown.
func (t Table) Markdown(w io.Writer) error {
	t = t.printable(markdownCell)
	return t.render(tablewriter.NewTable(w, append(t.options(), tablewriter.WithRenderer(renderer.NewMarkdown()))...))
}

// CSV writes the whole table with a line of column names.
func (t Table) CSV(w io.Writer) error {
	out := csv.NewWriter(w)
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	if err := out.Write(names); err != nil {
		return err
	}
	return out.WriteAll(t.Rows)
}

// options are what every kind of table needs: the library is to change no letter, and to measure no letter by the
// locale.
func (t Table) options() []tablewriter.Option {
	align := make(tw.Alignment, len(t.Columns))
	for i, c := range t.Columns {
		if align[i] = tw.AlignLeft; c.Right {
			align[i] = tw.AlignRight
		}
	}
	return []tablewriter.Option{
		tablewriter.WithEastAsian(tw.Off), tablewriter.WithAlignment(align),
		tablewriter.WithHeaderAutoFormat(tw.Off), tablewriter.WithFooterAutoFormat(tw.Off),
		tablewriter.WithHeaderAutoWrap(tw.WrapNone), tablewriter.WithRowAutoWrap(tw.WrapNone),
	}
}

func (t Table) render(out *tablewriter.Table) error {
	names := make([]any, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	out.Header(names...)
	for _, row := range t.Rows {
		if err := out.Append(row); err != nil {
			return fmt.Errorf("table: %w", err)
		}
	}
	if err := out.Render(); err != nil {
		return fmt.Errorf("table: %w", err)
	}
	return nil
}

// printable is a copy with every cell made safe and every row as long as Columns.
func (t Table) printable(cell func(string) string) Table {
	out := Table{Columns: make([]Column, len(t.Columns))}
	for i, c := range t.Columns {
		c.Name = cell(c.Name)
		out.Columns[i] = c
	}
	for _, row := range t.Rows {
		full := make([]string, len(t.Columns))
		for i, text := range row {
			full[i] = cell(text)
		}
		out.Rows = append(out.Rows, full)
	}
	return out
}

// plainCell keeps a cell on its line, and the terminal from obeying what a command or an error may hold.
func plainCell(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t', r == '\r':
			return ' '
		case !unicode.IsGraphic(r):
			return '\ufffd'
		}
		return r
	}, s)
}

var markdownEscapes = strings.NewReplacer("|", `\|`, "\r\n", "<br>", "\n", "<br>", "<", "&lt;", "&", "&amp;")

func markdownCell(s string) string { return markdownEscapes.Replace(s) }
