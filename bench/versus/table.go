package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// printTables writes a table for each work, the fastest pool first, those that failed in some round last.
func printTables(w io.Writer, r report) {
	fmt.Fprintln(w, r.Env)
	for _, work := range works {
		rows := slices.Clone(rowsOf(r.Rows, work.name))
		if len(rows) == 0 {
			continue
		}
		slices.SortStableFunc(rows, func(a, b row) int {
			return cmp.Or(cmp.Compare(b.Runs, a.Runs), cmp.Compare(a.NsPerOp, b.NsPerOp))
		})
		fmt.Fprintf(w, "\n%s: %s\n", work.name, work.crowd.about)
		fmt.Fprintf(w, "  %-16s %10s %8s %10s %10s %10s %7s\n", "pool", "ns/op", "× lido", "allocs/op", "p99 wait", "max wait", "jain")
		for _, x := range rows {
			fmt.Fprintf(w, "  %-16s %10s %8s %10.2f %10s %10s %7s", x.Pool, orNone("%.1f", x.NsPerOp), times(x.RatioToLido), x.AllocsPerOp,
				span(x.P99WaitNs), span(x.MaxWaitNs), orNone("%.3f", x.Jain))
			if less := lacks(x.Pool); less != "" {
				fmt.Fprintf(w, "  (%s)", less)
			}
			if x.Error != "" {
				fmt.Fprintf(w, "  ERROR: %s", strings.ReplaceAll(x.Error, "\n", "; "))
			}
			fmt.Fprintln(w)
		}
	}
}

// times, digits and span show as much of a figure as it is worth.
func times(ratio float64) string {
	switch {
	case ratio >= 9.95:
		return orNone("%.0f×", ratio)
	case ratio >= 1.995:
		return orNone("%.1f×", ratio)
	case ratio >= 0.095:
		return orNone("%.2f×", ratio)
	}
	return orNone("%.1g×", ratio)
}

func digits(ns float64) string {
	if ns >= 100 {
		return orNone("%.0f", ns)
	}
	return orNone("%.1f", ns)
}

func span(ns float64) string {
	switch {
	case ns < 999.5:
		return orNone("%.3g ns", ns)
	case ns < 999.5e3:
		return orNone("%.3g µs", ns/1e3)
	case ns < 999.5e6:
		return orNone("%.3g ms", ns/1e6)
	}
	return orNone("%.3g s", ns/1e9)
}

func orNone(format string, value float64) string {
	if value == 0 {
		return "-"
	}
	return fmt.Sprintf(format, value)
}
