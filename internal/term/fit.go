package term

import (
	"cmp"
	"slices"
	"strings"

	"github.com/olekukonko/tablewriter/pkg/twwidth"
)

// Measures of a text table, in terminal columns.
const (
	padding  = 2  // beside every cell
	ample    = 24 // to which a column of text is shortened first, if its cells can still be told apart
	shortest = 8  // to which one is shortened before others are left out
)

// Width is how many columns of a terminal s takes.
func Width(s string) int { return twwidth.WidthWithOptions(s, twwidth.Options{}) }

// cut shortens s to at most width columns, the last of them an ellipsis.
func cut(s string, width int) string {
	if Width(s) <= width {
		return s
	}
	if width < 1 {
		return ""
	}
	out, used := strings.Builder{}, 1
	for _, r := range s {
		if used += Width(string(r)); used > width {
			break
		}
		out.WriteRune(r)
	}
	return out.String() + "…"
}

// fit is the table in at most width columns, and the names of the columns that it had to leave out.
func (t Table) fit(width int) (fitted Table, hidden []string) {
	widths := make([]int, len(t.Columns))
	for i, c := range t.Columns {
		widths[i] = Width(c.Name)
		for _, row := range t.Rows {
			widths[i] = max(widths[i], Width(row[i]))
		}
	}
	if width > 0 {
		t.squeeze(widths, width)
	}
	for i, c := range t.Columns {
		if widths[i] == 0 && width > 0 {
			hidden = append(hidden, c.Name)
			continue
		}
		c.Name = cut(c.Name, widths[i])
		fitted.Columns = append(fitted.Columns, c)
	}
	for _, row := range t.Rows {
		var cells []string
		for i, text := range row {
			if widths[i] > 0 || width == 0 {
				cells = append(cells, cut(text, widths[i]))
			}
		}
		fitted.Rows = append(fitted.Rows, cells)
	}
	return fitted, hidden
}

// squeeze makes widths fit, the least important column first: long text is shortened where nothing is lost by it; then
// all text is shortened and numbers are left out; when that is not enough, text is left out too; the most important
// column is shortened to whatever there is.
func (t Table) squeeze(widths []int, width int) {
	order := make([]int, len(widths))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(t.Columns[b].Priority, t.Columns[a].Priority), cmp.Compare(b, a))
	})
	over := func() (n int) {
		for _, w := range widths {
			if w > 0 {
				n += w + padding
			}
		}
		return n - width
	}
	for _, pass := range []func(i int){
		func(i int) {
			w := max(min(widths[i], ample), widths[i]-over())
			if !t.Columns[i].whole() && t.distinct(i, w) == t.distinct(i, widths[i]) {
				widths[i] = w
			}
		},
		func(i int) {
			if t.Columns[i].whole() {
				widths[i] = 0
			} else {
				widths[i] = max(min(widths[i], shortest), widths[i]-over())
			}
		},
		func(i int) {
			if i == order[len(order)-1] {
				widths[i] = max(1, widths[i]-over())
			} else {
				widths[i] = 0
			}
		},
	} {
		for _, i := range order {
			if over() > 0 && widths[i] > 0 {
				pass(i)
			}
		}
	}
}

// whole says whether it would be no use to shorten the column.
func (c Column) whole() bool { return c.Right || c.Whole }

// distinct counts the different cells of column i when it is width wide.
func (t Table) distinct(i, width int) int {
	seen := map[string]bool{}
	for _, row := range t.Rows {
		seen[cut(row[i], width)] = true
	}
	return len(seen)
}

// Wrap breaks text at spaces into lines of at most width columns, those after the first behind indent. 0: no limit.
// Words that are longer are cut.
func Wrap(text string, width int, indent string) []string {
	if width <= 0 {
		return []string{text}
	}
	var lines []string
	line, empty := "", true
	for word := range strings.FieldsSeq(plainCell(text)) {
		if !empty && Width(line)+1+Width(word) > width {
			lines = append(lines, line)
			line, empty = indent, true
		}
		if !empty {
			line += " "
		}
		line, empty = cut(line+word, width), false
	}
	return append(lines, line)
}
