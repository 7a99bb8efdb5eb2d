package text

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/words"
)

// Table writes f for people: where and how it was measured, a table for each workload and
// number of goroutines, what is behind the names of the pools, warnings, and the summary. width is that of
// the terminal, which decides how many columns there are; 0 is any.
func Table(w io.Writer, f result.File, width int) error {
	b := bufio.NewWriter(w)
	header(b, f, width)
	for _, under := range blocks(f.Cells) {
		fmt.Fprintln(b)
		io.WriteString(b, wrap(title(under[0]), "", "  ", width))
		table(under, baseline(f)).print(b, width)
	}
	legend(b, f.Cells, width)
	footer(b, f, width)
	return b.Flush()
}

func baseline(f result.File) string {
	if f.Method.Baseline == "" && len(f.Cells) > 0 {
		return f.Cells[0].Pool
	}
	return f.Method.Baseline
}

// header says where and how.
func header(w io.Writer, f result.File, width int) {
	e := f.Env
	where := []string{fmt.Sprintf("%s/%s, %s, %s", e.OS, e.Arch, e.CPU, number(e.Cores, "core"))}
	if e.GOMAXPROCS != e.Cores {
		where = append(where, fmt.Sprintf("GOMAXPROCS %d", e.GOMAXPROCS))
	}
	where = append(where, e.Go)
	if of := cmp.Or(e.Commit, e.Version); of != "" {
		where = append(where, "lido "+of)
	}
	io.WriteString(w, wrap(strings.Join(where, ", "), "", "  ", width))
	var how []string
	if backend := backendOf(f); backend != "" {
		how = append(how, "on "+backend)
	}
	if m := f.Method; m.Rounds > 0 {
		how = append(how, fmt.Sprintf("%s of %v each after %v to warm up", number(m.Rounds, "round"), m.Window, m.Warm), fmt.Sprintf("seed %d", m.Seed))
	}
	how = append(how, f.Started.Format("2006-01-02 15:04"),
		"took "+long(time.Duration(f.Seconds*float64(time.Second))))
	io.WriteString(w, wrap(strings.Join(how, ", "), "", "  ", width))
}

// backendOf is the backend if it is the same for all.
func backendOf(f result.File) string {
	name := ""
	for _, c := range f.Cells {
		if name != "" && c.Backend != name {
			return ""
		}
		name = c.Backend
	}
	return name
}

// footer says why to doubt it, and what came out.
func footer(w io.Writer, f result.File, width int) {
	warnings := f.Warnings
	if f.Partial {
		warnings = append([]string{"the run was ended early: some figures are of fewer rounds, or missing"}, warnings...)
	}
	for i, s := range warnings {
		if i == 0 {
			fmt.Fprintln(w)
		}
		io.WriteString(w, wrap(s, "Warning: ", "  ", width))
	}
	for i, s := range f.Summary {
		if i == 0 {
			fmt.Fprintln(w)
		}
		io.WriteString(w, wrap(s, "", "  ", width))
	}
}

// blocks are the cells of the same workload and number of goroutines, in their order.
func blocks(cells []result.Cell) [][]result.Cell {
	var all [][]result.Cell
	for _, c := range cells {
		i := slices.IndexFunc(all, func(b []result.Cell) bool { return sameBlock(b[0], c) })
		if i < 0 {
			all = append(all, nil)
			i = len(all) - 1
		}
		all[i] = append(all[i], c)
	}
	return all
}

func sameBlock(a, b result.Cell) bool {
	return a.Workload == b.Workload && a.Backend == b.Backend && a.Goroutines == b.Goroutines
}

func title(c result.Cell) string {
	s, _, _ := strings.Cut(c.Workload, "?")
	if name, settings, _ := strings.Cut(c.Spec, "?"); name != s {
		s = c.Workload + " (" + c.Spec + ")"
	} else if settings != "" {
		s += " (" + settings + ")"
	}
	if c.Rate > 0 {
		return fmt.Sprintf("%s, %s/s arrive, at most %d at once", s, words.Count(c.Rate), c.Goroutines)
	}
	return s + ", " + number(c.Goroutines, "goroutine")
}

// longestHead is how long the head of a column of figures may be: a name with settings would make it wider than the rest.
const longestHead = 16

// table has a row for each cell.
func table(cells []result.Cell, baseline string) grid {
	g := grid{indent: "  ", after: map[int]string{}}
	add := func(head string, keep int, left bool, of func(result.Cell) string) {
		c := column{head: head, keep: keep, left: left}
		for _, cell := range cells {
			s := ""
			if len(cell.Samples) > 0 || head == "pool" {
				s = of(cell)
			}
			c.cells = append(c.cells, s)
		}
		g.columns = append(g.columns, c)
	}
	add("pool", 0, true, func(c result.Cell) string { return c.Pool })
	if slices.ContainsFunc(cells, func(c result.Cell) bool { return c.Size > 0 && c.Size != cells[0].Size }) {
		add("size", 0, false, func(c result.Cell) string { return known(float64(c.Size), words.Count) })
	}
	add("ops/s", 0, false, func(c result.Cell) string { return words.Count(c.Median.OpsPerSec) })
	add("±", 95, false, words.Spread)
	ratio := "× " + baseline
	if utf8.RuneCountInString(ratio) > longestHead {
		ratio = "ratio" // to what, the summary says
	}
	add(ratio, 98, false, func(c result.Cell) string { return words.Ratio(c.Ratio) })
	add("per op", 60, false, func(c result.Cell) string { return known(c.Median.NsPerOp, words.Time) })
	add("wait p50", 55, false, func(c result.Cell) string { return known(float64(c.Median.WaitP50), words.Time) })
	add("p99", 90, false, func(c result.Cell) string { return known(float64(c.Median.WaitP99), words.Time) })
	add("p99.9", 40, false, func(c result.Cell) string { return known(float64(c.Median.WaitP999), words.Time) })
	add("max", 80, false, func(c result.Cell) string { return known(float64(c.Median.WaitMax), words.Time) })
	add("jain", 70, false, func(c result.Cell) string {
		return known(c.Median.Jain, func(j float64) string { return fmt.Sprintf("%.3f", j) })
	})
	add("opens", 50, false, func(c result.Cell) string { return words.Count(float64(c.Median.Opens)) })
	add("allocs", 35, false, func(c result.Cell) string { return words.Count(whole(c.Median.AllocsPerOp)) })
	add("CPU/op", 30, false, func(c result.Cell) string { return known(c.Median.CPUPerOp, words.Time) })
	add("CPU waiting", 20, false, func(c result.Cell) string {
		if c.Median.CPUWaiting < 0 {
			return words.None
		}
		return words.Percent(c.Median.CPUWaiting)
	})
	add("errors", 0, true, func(c result.Cell) string { return failures(c.Median) })
	for i, c := range cells {
		switch {
		case c.Unfit != "":
			g.after[i] = "not measured: " + c.Unfit
		case c.Failed != "" && len(c.Samples) == 0:
			g.after[i] = "failed in " + c.Failed
		case len(c.Samples) == 0 && c.Pool != "":
			g.after[i] = "not measured: ended early"
		}
	}
	return g
}

// whole cuts what is less than a hundredth, which is the measurement's own.
func whole(allocs float64) float64 {
	if allocs < 0.005 {
		return 0
	}
	return allocs
}

// known shows a figure; of what was not measured, which is 0, words.None.
func known(v float64, show func(float64) string) string {
	if v <= 0 {
		return words.None
	}
	return show(v)
}

// failures are the errors, the most frequent kind first, as shares of all that was tried.
func failures(s result.Sample) string {
	n := s.Failures()
	if n == 0 {
		return ""
	}
	kinds := slices.SortedFunc(maps.Keys(s.Errors), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.Errors[b], s.Errors[a]), cmp.Compare(a, b))
	})
	for i, kind := range kinds {
		kinds[i] = fmt.Sprintf("%s %s", words.Count(float64(s.Errors[kind])), kind)
	}
	return fmt.Sprintf("%s: %s", words.Percent(float64(n)/float64(n+s.Ops)), strings.Join(kinds, ", "))
}

// legend says what the names of the pools stand for, and what failed on the way.
func legend(w io.Writer, cells []result.Cell, width int) {
	var names []string
	configs, failed := map[string][]string{}, map[string][]string{}
	for _, c := range cells {
		if !slices.Contains(names, c.Pool) {
			names = append(names, c.Pool)
		}
		if c.Config != "" && c.Config != c.Pool && !slices.Contains(configs[c.Pool], c.Config) { // it has one for each size
			configs[c.Pool] = append(configs[c.Pool], c.Config)
		}
		if c.Failed != "" && len(c.Samples) > 0 {
			failed[c.Pool] = append(failed[c.Pool], fmt.Sprintf("%s, %s: failed in %s; the rounds before are shown", c.Workload, number(c.Goroutines, "goroutine"), c.Failed))
		}
	}
	first := true
	say := func(name, what string) {
		if first {
			fmt.Fprintln(w)
		}
		first = false
		io.WriteString(w, wrap(what, name+": ", "  ", width))
	}
	for _, name := range names {
		// Of a sweep over sizes the first stands for all.
		switch all := configs[name]; len(all) {
		case 0:
		case 1:
			say(name, all[0])
		default:
			say(name, all[0]+", and so with the other sizes")
		}
		for _, why := range failed[name] {
			say(name, why)
		}
	}
}
