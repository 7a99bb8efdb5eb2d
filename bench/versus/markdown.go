package main

import (
	"fmt"
	"html"
	"slices"
	"strings"
)

// A grid is a table whose lines and columns appear in the order in which they were first met.
type grid struct {
	lines, columns []string
	cells          map[[2]string]string
}

// put fills a cell, unless it is filled already.
func (g *grid) put(line, column, text string) {
	if g.cells == nil {
		g.cells = map[[2]string]string{}
	}
	if !slices.Contains(g.lines, line) {
		g.lines = append(g.lines, line)
	}
	if !slices.Contains(g.columns, column) {
		g.columns = append(g.columns, column)
	}
	if at := [2]string{line, column}; g.cells[at] == "" {
		g.cells[at] = text
	}
}

func (g *grid) markdown(corner string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s | %s |\n|---|%s\n", corner, strings.Join(g.columns, " | "), strings.Repeat("---:|", len(g.columns)))
	for _, line := range g.lines {
		fmt.Fprintf(&b, "| %s |", line)
		for _, column := range g.columns {
			fmt.Fprintf(&b, " %s |", g.cells[[2]string{line, column}])
		}
		b.WriteString("\n")
	}
	return b.String()
}

// markdown is a table of what an op takes, and one of how those fared who had to wait. A crowd
// has one column, whatever the fairness: Lido with the bounded one has a line of its own.
func (r report) markdown() ([]byte, error) {
	var ops, waits grid
	for _, pool := range r.pools() {
		for _, x := range r.Rows {
			if x.Pool != pool {
				continue
			}
			line, column := x.asked()
			if x.Runs == 0 {
				ops.put(line, column, x.verdict())
				continue
			}
			ops.put(line, column, fmt.Sprintf("%s (%s)", digits(x.NsPerOp), strings.Join(r.verdicts(line, column), ",\u00a0")))
			if x.Jain > 0 {
				cell := fmt.Sprintf("%.3f · %s · %s", x.Jain, span(x.P99WaitNs), span(x.MaxWaitNs))
				cell = strings.ReplaceAll(cell, " ", "\u00a0")                     // a narrow column must not break before a unit,
				waits.put(line, column, strings.ReplaceAll(cell, "·\u00a0", "· ")) // but may behind a dot
			}
		}
	}
	text := "Nanoseconds per op, and in brackets how many times as long as Lido; of two ratios the first\n" +
		"is to Lido with its strict fairness, the second with the bounded one.\n" + html.EscapeString(r.Env.String()) + ".\n\n" + ops.markdown("pool")
	if notes := r.notes(); len(notes) > 0 {
		text += "\n- " + strings.Join(notes, "\n- ") + "\n"
	}
	if len(waits.lines) > 0 {
		text += "\nThe same run, for those who wait: Jain's index of their ops (1 if all got the same), the 99th\n" +
			"percentile of the waits, and the longest.\n\n" + waits.markdown("pool")
	}
	return []byte(text), nil
}

// verdicts are those of the rows that have a cell in common: one, or one for each fairness.
func (r report) verdicts(line, column string) []string {
	var all []string
	for _, x := range r.Rows {
		if l, c := x.asked(); l == line && c == column {
			all = append(all, x.verdict())
		}
	}
	return all
}

// asked is what was asked of which pool. A peer with one fairness stands under both in the
// report, with the same result; here it stands once.
func (x row) asked() (line, column string) {
	i := slices.IndexFunc(works, func(w work) bool { return w.name == x.Work })
	if i < 0 {
		return x.Pool, x.Work
	}
	if p := peerIndex(x.Pool); works[i].bounded && p >= 0 && peers[p].fair {
		return x.Pool + ", bounded", works[i].crowd.name
	}
	return x.Pool, works[i].crowd.name
}
