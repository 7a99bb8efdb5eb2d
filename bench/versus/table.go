package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// printTables writes a table for each work, the fastest pool first, those that failed in some round last.
func printTables(w io.Writer, r report) {
	fmt.Fprintf(w, "%s/%s, %s, %d cores, %s, commit %s, %s\n", r.Env.GOOS, r.Env.GOARCH, r.Env.CPU, r.Env.Cores,
		r.Env.Go, r.Env.Commit, r.Env.Date.Format(time.DateTime))
	for _, work := range works {
		rows := slices.Clone(rowsOf(r.Rows, work.name))
		if len(rows) == 0 {
			continue
		}
		slices.SortStableFunc(rows, func(a, b row) int {
			return cmp.Or(cmp.Compare(b.Runs, a.Runs), cmp.Compare(a.NsPerOp, b.NsPerOp))
		})
		fmt.Fprintf(w, "\n%s: %s\n", work.name, work.load.about)
		fmt.Fprintf(w, "  %-16s %10s %8s %10s %10s %10s %7s\n", "pool", "ns/op", "× lido", "allocs/op", "p99 wait", "max wait", "jain")
		for _, x := range rows {
			fmt.Fprintf(w, "  %-16s %10s %8s %10.2f %10s %10s %7s", x.Pool, orNone("%.1f", x.NsPerOp), times(x.RatioToLido), x.AllocsPerOp,
				wait(x.P99WaitNs), wait(x.MaxWaitNs), orNone("%.3f", x.Jain))
			if lacks := peers[peerIndex(x.Pool)].lacks; lacks != "" {
				fmt.Fprintf(w, "  (%s)", lacks)
			}
			if x.Error != "" {
				fmt.Fprintf(w, "  ERROR: %s", strings.ReplaceAll(x.Error, "\n", "; "))
			}
			fmt.Fprintln(w)
		}
	}
}

// markdown is one table of ratios: how many times as long as Lido each pool takes.
func markdown(r report) string {
	names := slices.DeleteFunc(peerNames(), func(name string) bool {
		return name == "lido" || !slices.ContainsFunc(r.Rows, func(x row) bool { return x.Pool == name })
	})
	var b strings.Builder
	fmt.Fprintf(&b, "| work | lido, ns/op | %s |\n", strings.Join(names, " | "))
	fmt.Fprintf(&b, "|---|%s\n", strings.Repeat("---|", len(names)+1))
	for _, work := range works {
		rows := rowsOf(r.Rows, work.name)
		if len(rows) == 0 {
			continue
		}
		cell := func(pool string, text func(row) string) {
			i := slices.IndexFunc(rows, func(x row) bool { return x.Pool == pool && x.Runs > 0 })
			if i < 0 {
				b.WriteString(" |")
				return
			}
			fmt.Fprintf(&b, " %s |", text(rows[i]))
		}
		fmt.Fprintf(&b, "| %s |", work.name)
		cell("lido", func(x row) string { return digits(x.NsPerOp) })
		for _, name := range names {
			cell(name, func(x row) string { return times(x.RatioToLido) })
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "\nHow many times as long as Lido; medians of one run on %s, %d cores, %s, commit %s, %s.\n",
		r.Env.CPU, r.Env.Cores, r.Env.Go, r.Env.Commit, r.Env.Date.Format(time.DateOnly))
	return b.String()
}

func rowsOf(rows []row, work string) []row {
	first := slices.IndexFunc(rows, func(x row) bool { return x.Work == work })
	if first < 0 {
		return nil
	}
	n := slices.IndexFunc(rows[first:], func(x row) bool { return x.Work != work })
	if n < 0 {
		return rows[first:]
	}
	return rows[first : first+n]
}

// times and digits show as much of a figure as it is worth.
func times(ratio float64) string {
	if ratio >= 10 {
		return orNone("%.1f", ratio)
	}
	return orNone("%.2f", ratio)
}

func digits(ns float64) string {
	if ns >= 100 {
		return orNone("%.0f", ns)
	}
	return orNone("%.1f", ns)
}

func wait(ns float64) string {
	d := time.Duration(ns)
	switch {
	case d == 0:
		return "-"
	case d < time.Millisecond:
		return d.Round(10 * time.Nanosecond).String()
	default:
		return d.Round(10 * time.Microsecond).String()
	}
}

func orNone(format string, value float64) string {
	if value == 0 {
		return "-"
	}
	return fmt.Sprintf(format, value)
}
