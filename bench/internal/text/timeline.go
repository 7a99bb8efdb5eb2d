package text

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/words"
)

// Timelines writes the scenarios of f for people: for each what happened, a line of bars for each pool and figure, and
// the verdicts. width is as of Table.
func Timelines(w io.Writer, f result.File, width int) error {
	b := bufio.NewWriter(w)
	header(b, f, width)
	for _, of := range scenarios(f.Timelines) {
		fmt.Fprintln(b)
		io.WriteString(b, wrap(of[0].Scenario+": "+of[0].About, "", "  ", width))
		io.WriteString(b, wrap("on "+of[0].Backend, "  ", "  ", width))
		draw(b, of, width)
		fmt.Fprintln(b)
		verdicts(of).print(b, width)
		for _, t := range of {
			switch {
			case t.Failed != "":
				io.WriteString(b, wrap("failed: "+t.Failed, "  "+t.Pool+": ", "    ", width))
			case t.Verdict.Text != "":
				io.WriteString(b, wrap(t.Verdict.Text, "  "+t.Pool+": ", "    ", width))
			}
		}
	}
	footer(b, f, width)
	return b.Flush()
}

func scenarios(all []result.Timeline) [][]result.Timeline {
	var groups [][]result.Timeline
	for _, t := range all {
		i := slices.IndexFunc(groups, func(g []result.Timeline) bool {
			return g[0].Scenario == t.Scenario && g[0].Backend == t.Backend
		})
		if i < 0 {
			groups = append(groups, nil)
			i = len(groups) - 1
		}
		groups[i] = append(groups[i], t)
	}
	return groups
}

// A trace is one figure along a timeline. Of a bar's interval it shows the sum, for rates, or the greatest.
type trace struct {
	name string
	rate bool
	of   func(result.Point) float64
	show func(float64) string
}

func perSecond(v float64) string { return words.Count(v) + "/s" }

var traces = []trace{
	{"ops", true, func(p result.Point) float64 { return float64(p.Ops) }, perSecond},
	{"errors", true, func(p result.Point) float64 { return float64(p.Errors) }, perSecond},
	{"open", false, func(p result.Point) float64 { return float64(p.Open) }, words.Count},
	{"waiting", false, func(p result.Point) float64 { return float64(max(p.Waiting, 0)) }, words.Count},
	{"p99", false, func(p result.Point) float64 { return float64(p.WaitP99) }, words.Time},
}

const (
	// bars are at most so many, where a line still fits on most screens.
	mostBars  = 60
	leastBars = 10
	besides   = 24 // columns that names and scales take
)

// draw writes the traces of all pools, on the same scales, so that they can be compared.
func draw(w io.Writer, of []result.Timeline, width int) {
	end, longest := 0.0, 0
	for _, t := range of {
		longest = max(longest, len([]rune(t.Pool)))
		if n := len(t.Points); n > 0 {
			end = max(end, t.Points[n-1].At)
		}
	}
	if end == 0 {
		return
	}
	n := mostBars
	if width > 0 {
		n = min(n, max(leastBars, width-besides-longest))
	}
	margin := strings.Repeat(" ", 2+longest+2+8)
	fmt.Fprintf(w, "%s%s\n", margin, ruler(of[0].Marks, n, end))
	for i, m := range of[0].Marks {
		io.WriteString(w, wrap(fmt.Sprintf("%c at %s s %s", mark(i), words.Count(m.At), m.Text), margin, margin+"  ", width))
	}
	for _, tr := range traces {
		top := 0.0
		values := make([][]float64, len(of))
		for i, t := range of {
			values[i] = tr.bars(t.Points, n, end)
			top = max(top, slices.Max(values[i]))
		}
		if top == 0 {
			continue
		}
		for i, t := range of {
			fmt.Fprintf(w, "  %-*s  %-7s %s  ≤ %s\n", longest, t.Pool, tr.name, sparkline(values[i], top), tr.show(slices.Max(values[i])))
		}
	}
}

func mark(i int) rune { return rune('a' + i%26) }

// ruler has a letter where a mark is.
func ruler(marks []result.Mark, n int, end float64) string {
	line := []rune(strings.Repeat("·", n))
	for i, m := range marks {
		line[bar(m.At, n, end)] = mark(i)
	}
	return string(line)
}

func bar(at float64, n int, end float64) int { return max(0, min(n-1, int(at/end*float64(n)))) }

func (tr trace) bars(points []result.Point, n int, end float64) []float64 {
	all, seconds := make([]float64, n), make([]float64, n)
	last := 0.0
	for _, p := range points {
		// A point tells of the interval before it, so one on the edge belongs to the bar before.
		i := bar(p.At-1e-9, n, end)
		seconds[i] += p.At - last
		last = p.At
		if tr.rate {
			all[i] += tr.of(p)
		} else {
			all[i] = max(all[i], tr.of(p))
		}
	}
	for i := range all {
		if tr.rate && seconds[i] > 0 {
			all[i] /= seconds[i]
		}
	}
	return all
}

var levels = []rune("▁▂▃▄▅▆▇█")

// sparkline draws values from 0 to top. 0 is blank, so that a little is seen to be more than nothing.
func sparkline(values []float64, top float64) string {
	line := make([]rune, len(values))
	for i, v := range values {
		line[i] = ' '
		if v > 0 {
			line[i] = levels[min(len(levels)-1, int(v/top*float64(len(levels))))]
		}
	}
	return string(line)
}

func verdicts(of []result.Timeline) grid {
	g := grid{indent: "  ", after: map[int]string{}}
	add := func(head string, keep int, left bool, show func(result.Timeline) string) {
		c := column{head: head, keep: keep, left: left}
		for _, t := range of {
			c.cells = append(c.cells, show(t))
		}
		g.columns = append(g.columns, c)
	}
	add("pool", 0, true, func(t result.Timeline) string { return t.Pool })
	add("ops", 0, false, func(t result.Timeline) string { return words.Count(float64(t.Verdict.Ops)) })
	add("recovery", 90, false, func(t result.Timeline) string {
		switch {
		case t.Verdict.Recovery < 0:
			return "never"
		case t.Verdict.Recovery == 0:
			return words.None
		}
		return words.Time(t.Verdict.Recovery * 1e9)
	})
	add("wait p50", 50, false, func(t result.Timeline) string { return words.Time(float64(t.Verdict.WaitP50)) })
	add("p99", 80, false, func(t result.Timeline) string { return words.Time(float64(t.Verdict.WaitP99)) })
	add("max", 70, false, func(t result.Timeline) string { return words.Time(float64(t.Verdict.WaitMax)) })
	add("peak open", 75, false, func(t result.Timeline) string { return words.Count(float64(t.Verdict.PeakOpen)) })
	add("opens", 60, false, func(t result.Timeline) string { return words.Count(float64(t.Verdict.Opens)) })
	add("leaked", 65, false, func(t result.Timeline) string {
		if t.Verdict.Leaked < 0 {
			return words.None
		}
		return words.Count(float64(t.Verdict.Leaked))
	})
	add("errors", 0, true, func(t result.Timeline) string {
		return cmp.Or(failures(result.Sample{Ops: t.Verdict.Ops, Errors: t.Verdict.Errors}), "none")
	})
	return g
}
