package text

import (
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/lidopool/lido/bench/internal/words"
)

// A column of a grid.
type column struct {
	head string
	left bool // aligned to the left; figures are to the right
	// keep is how long it stays as the terminal gets narrower: the least goes first. 0: always.
	keep  int
	cells []string
}

// A grid is columns of equal length under heads.
type grid struct {
	columns []column
	indent  string
	// after is what stands behind the cells of a row, or instead of them all but the first.
	after map[int]string
}

const gap = "  "

// print writes what fits into width; 0 is any. Columns that say nothing are left out.
func (g grid) print(w io.Writer, width int) {
	shown := slices.DeleteFunc(slices.Clone(g.columns), func(c column) bool {
		return !slices.ContainsFunc(c.cells, func(s string) bool { return s != "" && s != words.None })
	})
	for width > 0 && g.width(shown) > width {
		least := -1
		for i, c := range shown {
			if c.keep > 0 && (least < 0 || c.keep < shown[least].keep) {
				least = i
			}
		}
		if least < 0 {
			break
		}
		shown = slices.Delete(shown, least, least+1)
	}
	g.line(w, shown, func(c column) string { return c.head }, "")
	for i := range g.columns[0].cells {
		after, alone := g.after[i]
		row := shown
		if alone {
			row = shown[:min(1, len(shown))]
		}
		g.line(w, row, func(c column) string { return c.cells[i] }, after)
	}
}

func (g grid) width(columns []column) int {
	n := len(g.indent)
	for i, c := range columns {
		if i > 0 {
			n += len(gap)
		}
		n += c.width()
	}
	return n
}

func (c column) width() int {
	n := utf8.RuneCountInString(c.head)
	for _, s := range c.cells {
		n = max(n, utf8.RuneCountInString(s))
	}
	return n
}

func (g grid) line(w io.Writer, columns []column, cell func(column) string, after string) {
	var b strings.Builder
	b.WriteString(g.indent)
	for i, c := range columns {
		if i > 0 {
			b.WriteString(gap)
		}
		s := cell(c)
		pad := strings.Repeat(" ", max(0, c.width()-utf8.RuneCountInString(s)))
		if c.left {
			b.WriteString(s + pad)
		} else {
			b.WriteString(pad + s)
		}
	}
	if after != "" {
		b.WriteString(gap + after)
	}
	io.WriteString(w, strings.TrimRight(b.String(), " ")+"\n")
}

// wrap breaks a text into lines of width, the first after first and the others after rest. 0 is no
// bound. A word that is longer stands alone.
func wrap(text, first, rest string, width int) string {
	if width <= 0 {
		return first + text + "\n"
	}
	var b strings.Builder
	line, used := first, false
	for word := range strings.FieldsSeq(text) {
		switch {
		case !used:
			line += word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			b.WriteString(line + "\n")
			line = rest + word
		}
		used = true
	}
	b.WriteString(line + "\n")
	return b.String()
}
