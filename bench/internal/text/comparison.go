package text

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/lidopool/lido/bench/internal/compare"
	"github.com/lidopool/lido/bench/internal/words"
)

// Comparison writes c for people. width is as of Table.
func Comparison(w io.Writer, c compare.Comparison, width int) error {
	b := bufio.NewWriter(w)
	for i, t := range c.Tables {
		if i > 0 {
			fmt.Fprintln(b)
		}
		fmt.Fprintln(b, t.Figure.Name)
		comparison(t).print(b, width)
	}
	if c.TooFew() {
		fmt.Fprintln(b)
		io.WriteString(b, wrap(fmt.Sprintf("where p is missing there are too few rounds for any difference to be told from chance: measure with --rounds %d or more, 10 for small differences", compare.Rounds), "Warning: ", "  ", width))
	}
	for i, s := range c.Broken {
		if i == 0 {
			fmt.Fprintln(b)
		}
		io.WriteString(b, wrap(s, "Broken: ", "  ", width))
	}
	for i, s := range c.Warnings {
		if i == 0 {
			fmt.Fprintln(b)
		}
		io.WriteString(b, wrap(s, "Warning: ", "  ", width))
	}
	only(b, "only in the old file", c.OnlyOld, width)
	only(b, "only in the new file", c.OnlyNew, width)
	return b.Flush()
}

// mostOnly is how many are named of what cannot be compared.
const mostOnly = 5

func only(w io.Writer, where string, all []string, width int) {
	if len(all) == 0 {
		return
	}
	s := fmt.Sprintf("%d %s: %s", len(all), where, strings.Join(all[:min(len(all), mostOnly)], "; "))
	if len(all) > mostOnly {
		s += "; …"
	}
	fmt.Fprintln(w)
	io.WriteString(w, wrap(s, "", "  ", width))
}

func comparison(t compare.Table) grid {
	show := words.Time
	if t.Figure.Unit != "ns" {
		show = words.Count
	}
	g := grid{indent: "  "}
	add := func(head string, keep int, left bool, last string, of func(compare.Line) string) {
		c := column{head: head, keep: keep, left: left}
		for _, l := range t.Lines {
			c.cells = append(c.cells, of(l))
		}
		if t.Geomean > 0 && len(t.Lines) > 1 {
			c.cells = append(c.cells, last)
		}
		g.columns = append(g.columns, c)
	}
	add("", 0, true, "geometric mean", func(l compare.Line) string { return l.Cell })
	add("pool", 0, true, "", func(l compare.Line) string { return l.Pool })
	add("old", 50, false, "", func(l compare.Line) string { return show(l.Old) })
	add("new", 60, false, "", func(l compare.Line) string { return show(l.New) })
	add("change", 0, false, change(t.Geomean-1), func(l compare.Line) string {
		switch {
		case !l.Clear:
			return "~"
		case l.Old == 0:
			return "from 0"
		}
		return change(l.Change)
	})
	add("p", 40, false, "", func(l compare.Line) string {
		if !l.Enough {
			return words.None
		}
		return fmt.Sprintf("%.3f", l.P)
	})
	add("rounds", 30, false, "", func(l compare.Line) string {
		if l.N1 == l.N2 {
			return fmt.Sprint(l.N1)
		}
		return fmt.Sprintf("%d+%d", l.N1, l.N2)
	})
	return g
}

func change(share float64) string { return fmt.Sprintf("%+.1f %%", 100*share) }
