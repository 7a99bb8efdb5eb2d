package page

import (
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/words"
)

// A view is a result as the template shows it.
type view struct {
	Title    string
	Started  string
	Machine  string // so that it says "date" to programs too
	Summary  []sentence
	Warnings []string
	Facts    []facts
	Glossary []fact
	Pools    []poolView
	Overview *figure
	Sections []section
	Charts   drawing

	styles map[string]int
}

// A sentence may have a lead: what it is about.
type sentence struct{ Lead, Rest string }

// leading takes what stands before the colon of a sentence as its lead, if that is short.
func leading(text string) sentence {
	if lead, rest, has := strings.Cut(text, ": "); has && len(lead) <= 60 {
		return sentence{lead + ":", " " + rest}
	}
	return sentence{Rest: text}
}

type facts struct {
	Title string
	Facts []fact
}

type fact struct{ Name, Value string }

type poolView struct {
	Name, Config string
	Style        int
}

// A section is a workload or a scenario.
type section struct {
	ID, Title string
	Kind      string // what stands before the title
	Spec      string // as a program takes it
	About     string
	Figures   []figure
	Tables    []table
	Folds     []fold
}

// A fold is a part that is shown when asked for.
type fold struct {
	ID, Title string
	Figures   []figure
	Tables    []table
}

// A figure is a chart and the table with what it shows.
type figure struct {
	ID     string
	Title  string
	Label  string // the chart in words
	Note   string
	Legend []poolView
	Panels bool // has the legend of a timeline
	Marks  []result.Mark
	Height int // px
	Wide   bool
	Table  table
}

func newView(f result.File) *view {
	v := &view{
		Title:  "Lido benchmark",
		Charts: drawing{Pools: []string{}, Charts: map[string]chart{}},
		styles: map[string]int{},
	}
	if !f.Started.IsZero() {
		v.Started = f.Started.Format("2 January 2006, 15:04 MST")
		v.Machine = f.Started.Format(time.RFC3339)
	}
	summary := f.Summary
	if len(summary) == 0 {
		summary = words.Summarize(f)
	}
	for _, s := range summary {
		v.Summary = append(v.Summary, leading(s))
	}
	if f.Partial {
		v.Warnings = append(v.Warnings, "This run was ended early: some figures are of fewer rounds, or missing.")
	}
	for _, w := range f.Warnings {
		v.Warnings = append(v.Warnings, capital(w))
	}
	v.Facts, v.Glossary = factsOf(f), glossary(f)
	for _, c := range f.Cells {
		v.meet(c.Pool, c.Config)
	}
	for _, t := range f.Timelines {
		v.meet(t.Pool, t.Config)
	}
	conditions := words.Conditions(f.Cells)
	v.overview(conditions)
	for len(conditions) > 0 {
		n := 1
		for n < len(conditions) && conditions[n].Workload == conditions[0].Workload && conditions[n].Backend == conditions[0].Backend {
			n++
		}
		v.workload(conditions[:n])
		conditions = conditions[n:]
	}
	var names []string
	of := map[string][]result.Timeline{}
	for _, t := range f.Timelines {
		if of[t.Scenario] == nil {
			names = append(names, t.Scenario)
		}
		of[t.Scenario] = append(of[t.Scenario], t)
	}
	for _, name := range names {
		v.scenario(name, of[name])
	}
	return v
}

// meet gives a pool its place among the pools, which is its colour and shape everywhere.
func (v *view) meet(name, config string) {
	i, known := v.styles[name]
	if !known {
		v.styles[name] = len(v.Pools)
		v.Pools = append(v.Pools, poolView{Name: name, Config: config, Style: len(v.Pools)})
		v.Charts.Pools = append(v.Charts.Pools, name)
		return
	}
	// With sweeps the config has another size in every cell: then it is that of no cell.
	if p := &v.Pools[i]; p.Config != config {
		p.Config = ""
	}
}

func (v *view) pool(name string) int { return v.styles[name] }

func factsOf(f result.File) []facts {
	e, m := f.Env, f.Method
	var where, how []fact
	put := func(to *[]fact, name, value string) {
		if value != "" {
			*to = append(*to, fact{name, value})
		}
	}
	put(&where, "CPU", e.CPU)
	if e.Cores > 0 {
		cores := strconv.Itoa(e.Cores)
		if e.GOMAXPROCS > 0 {
			cores += ", GOMAXPROCS " + strconv.Itoa(e.GOMAXPROCS)
		}
		put(&where, "Cores", cores)
	}
	put(&where, "System", strings.Trim(e.OS+"/"+e.Arch, "/"))
	put(&where, "Go", strings.TrimPrefix(e.Go, "go"))
	put(&where, "Lido", strings.TrimSpace(e.Version+" "+e.Commit))
	var backends []string
	for _, c := range f.Cells {
		backends = append(backends, c.Backend)
	}
	for _, t := range f.Timelines {
		backends = append(backends, t.Backend)
	}
	slices.Sort(backends)
	put(&where, "Backend", strings.Join(slices.Compact(backends), ", "))
	if m.Rounds > 0 {
		put(&how, "Rounds", strconv.Itoa(m.Rounds)+", all pools in each, in random order")
	}
	if m.Window > 0 {
		window := m.Window.String() + " each"
		if m.Warm > 0 {
			window += ", after " + m.Warm.String() + " of warm-up"
		}
		put(&how, "Windows", window)
	}
	put(&how, "Baseline", m.Baseline)
	if m.Rounds > 0 {
		put(&how, "Seed", strconv.FormatUint(m.Seed, 10))
	}
	if f.Seconds > 0 {
		put(&how, "Took", time.Duration(f.Seconds*float64(time.Second)).Round(time.Second/10).String())
	}
	if len(f.Cells) > 0 {
		put(&how, "Figures", "medians of the rounds; maxima are the greatest of all")
	}
	var all []facts
	if len(where) > 0 {
		all = append(all, facts{"Environment", where})
	}
	if len(how) > 0 {
		all = append(all, facts{"Method", how})
	}
	return all
}

// glossary says what the columns of the tables are.
func glossary(f result.File) []fact {
	var all []fact
	if len(f.Cells) > 0 {
		all = append(all,
			fact{"op", "one visit: acquire a resource, use it, release it"},
			fact{"ops/s", "visits of all goroutines that ended well, per second"},
			fact{"ratio", "throughput as a multiple of the baseline's: the median of the ratios of the rounds"},
			fact{"spread", "the middle half of the rounds, as a share of their median: differences within it say nothing"},
			fact{"per op", "time of a window, by the visits of all goroutines"},
			fact{"p50 … p99.9, max", "how long acquires waited: what 50 % … 99.9 % of them, or all, do not exceed. With a rate, from when the arrival was due"},
			fact{"bold", "the best, and what ties with it"},
			fact{"Jain", "fairness: 1 if all goroutines did as much, 1/n if one of n did all"},
			fact{"max/min", "most visits of a goroutine by fewest"},
			fact{"opens, closes", "resources opened and closed in a window, as the backend counts"},
			fact{"peak open, sessions", "most resources at once; most connections as the server counts"},
			fact{"allocs/op, B/op, CPU/op", "of the whole process: CPU is user and system"},
			fact{"CPU waiting", "share of a core that the process uses while all resources are held and all others wait"})
	}
	if len(f.Timelines) > 0 {
		all = append(all,
			fact{"recovery", "how long after the trouble the throughput was back at nine tenths of that before"},
			fact{"leaked", "resources still lent when all had gone home"})
	}
	return all
}

// id is short and the same for the same names, so that what is open on a live page stays open.
func id(kind string, names ...any) string {
	h := fnv.New64a()
	for _, n := range names {
		fmt.Fprintf(h, "%v\x00", n)
	}
	return kind + "-" + strconv.FormatUint(h.Sum64(), 36)
}

// draw adds a chart to the page.
func (v *view) draw(f figure, c chart) figure {
	v.Charts.Charts[f.ID] = c
	return f
}

// overview is a heat map of workloads and pools, if there are some of both to compare.
func (v *view) overview(conditions []words.Condition) {
	c := chart{Kind: heatKind, Unit: multiple, Heat: &heat{ColName: "pool", RowName: "workload"}}
	logs := map[[2]int][]float64{}
	rows, columns := index{}, index{}
	for _, n := range conditions {
		for _, cell := range n.Cells {
			if cell.Ratio > 0 && words.Measured(cell) {
				at := [2]int{columns.of(cell.Pool), rows.of(n.Workload)}
				logs[at] = append(logs[at], math.Log(cell.Ratio))
			}
		}
	}
	if len(rows.names) < 2 || len(columns.names) < 2 {
		return
	}
	c.Heat.Rows, c.Heat.Columns = rows.names, columns.names
	for i := range rows.names {
		for j := range columns.names {
			if l := logs[[2]int{j, i}]; len(l) > 0 {
				c.Heat.Cells = append(c.Heat.Cells, [3]number{number(j), number(i), number(math.Exp(mean(l)))})
			}
		}
	}
	note := "More than 1× is faster than the baseline."
	if len(conditions) > len(rows.names) {
		note += " Of workloads with several conditions it is the geometric mean."
	}
	f := v.draw(figure{
		ID: "overview", Title: "Throughput against the baseline", Height: 90 + 38*len(rows.names), Wide: true, Note: note,
		Label: fmt.Sprintf("Heat map of the throughput of %d pools under %d workloads, as multiples of the baseline's. The table below has the figures.",
			len(columns.names), len(rows.names)),
		Table: heatTable("Throughput as a multiple of the baseline's", "Workload", c),
	}, c)
	v.Overview = &f
}

// An index gives names their places.
type index struct{ names []string }

func (x *index) of(name string) int {
	i := slices.Index(x.names, name)
	if i < 0 {
		i, x.names = len(x.names), append(x.names, name)
	}
	return i
}

func mean(all []float64) float64 {
	sum := 0.0
	for _, x := range all {
		sum += x
	}
	return sum / float64(len(all))
}

// workload adds the section of a workload, with all its conditions.
func (v *view) workload(all []words.Condition) {
	first := all[0]
	s := section{ID: id("w", first.Workload, first.Backend), Kind: "Workload", Title: first.Workload, Spec: first.Spec}
	if len(all) == 1 {
		s.About = first.Setting() + ", on " + first.Backend
		s.Figures = v.pair(first)
		s.Tables = v.both(first)
		v.Sections = append(v.Sections, s)
		return
	}
	s.About = fmt.Sprintf("%d conditions, on %s", len(all), first.Backend)
	s.Figures = append(v.lines(all), v.maps(all)...)
	for _, n := range all {
		s.Folds = append(s.Folds, fold{
			ID: id("f", n.Workload, n.Backend, n.Spec, n.Rate, n.Goroutines, n.Size), Title: capital(n.Setting()),
			Figures: v.pair(n), Tables: v.both(n),
		})
	}
	v.Sections = append(v.Sections, s)
}

func (v *view) both(n words.Condition) []table { return []table{v.waitsTable(n), v.costsTable(n)} }

// pair is the throughput and the waits under one condition.
func (v *view) pair(n words.Condition) []figure {
	key := []any{n.Workload, n.Backend, n.Spec, n.Rate, n.Goroutines, n.Size}
	bars := chart{Kind: barsKind, Unit: perSecond}
	curves := chart{Kind: quantilesKind, Unit: nanosec}
	var spoken []string
	for _, c := range n.Cells {
		b := bar{Pool: v.pool(c.Pool), Value: gap, Ratio: gap}
		switch {
		case note(c) == "":
			b.Value, b.Ratio = number(c.Median.OpsPerSec), positive(c.Ratio)
			for _, s := range c.Samples {
				b.Rounds = append(b.Rounds, number(s.OpsPerSec))
			}
			spoken = append(spoken, c.Pool+" "+words.Count(c.Median.OpsPerSec))
			if len(c.Waits) > 0 {
				line := curve{Pool: v.pool(c.Pool)}
				for _, q := range c.Waits {
					line.Points = append(line.Points, [2]number{number(q.Share), number(max(1, q.Ns))})
				}
				curves.Curves = append(curves.Curves, line)
			}
		case c.Unfit != "":
			b.Note = "unfit"
		case c.Failed != "":
			b.Note = "failed"
		default:
			b.Note = "not yet"
		}
		bars.Bars = append(bars.Bars, b)
	}
	if len(spoken) == 0 {
		return nil // nothing to be drawn: the tables say why
	}
	note := ""
	if len(n.Cells[0].Samples) > 1 {
		note = "The bar is the median; each dot is a round."
	}
	all := []figure{v.draw(figure{
		ID: id("bars", key...), Title: "Throughput, ops/s", Height: 70 + 34*len(bars.Bars), Note: note,
		Label: "Bar chart of the throughput in operations per second: " + words.List(spoken, 12) + ".",
		Table: v.roundsTable(n),
	}, bars)}
	if len(curves.Curves) > 0 {
		all = append(all, v.draw(figure{
			ID: id("waits", key...), Title: "Waits by percentile", Height: 300, Legend: v.legend(curves.Curves),
			Label: fmt.Sprintf("Line chart of how long acquires wait, from the median to the slowest, for %s. Both axes are logarithmic. The table below has the figures.",
				v.spoken(curves.Curves)),
			Table: v.quantilesTable(n),
		}, curves))
	}
	return all
}

func (v *view) legend(curves []curve) []poolView {
	var all []poolView
	for _, c := range curves {
		all = append(all, v.Pools[c.Pool])
	}
	return all
}

func (v *view) spoken(curves []curve) string {
	var names []string
	for _, c := range curves {
		names = append(names, v.Pools[c.Pool].Name)
	}
	return words.List(names, 12)
}

// mostLines is how many charts of lines a sweep may have of one figure. More sizes are in the heat
// maps. Arbitrary.
const mostLines = 6

// lines is throughput and p99 over the goroutines, a chart for each size; over the sizes if there
// is one number of goroutines.
func (v *view) lines(all []words.Condition) []figure {
	var goroutines, sizes []int
	for _, n := range all {
		goroutines, sizes = append(goroutines, n.Goroutines), append(sizes, n.Size)
	}
	goroutines, sizes = distinct(goroutines), distinct(sizes)
	over, name, xs, each := func(n words.Condition) (int, int) { return n.Goroutines, n.Size }, "goroutines", goroutines, sizes
	if len(goroutines) < 2 {
		over, name, xs, each = func(n words.Condition) (int, int) { return n.Size, n.Goroutines }, "size", sizes, goroutines
	}
	if len(xs) < 2 {
		return nil // rates, or specs, that differ: nothing to draw a line over
	}
	var figures []figure
	for _, fixed := range each[:min(len(each), mostLines)] {
		suffix := ""
		if len(each) > 1 {
			suffix = ", size " + strconv.Itoa(fixed)
		}
		for _, of := range []struct {
			title, spoken string
			unit          unit
			figure        func(result.Sample) float64
		}{
			{"Throughput over " + name, "throughput", perSecond, func(s result.Sample) float64 { return s.OpsPerSec }},
			{"p99 wait over " + name, "99th percentile of the waits", nanosec, func(s result.Sample) float64 { return float64(s.WaitP99) }},
		} {
			c := chart{Kind: linesKind, Unit: of.unit, XName: name}
			for _, x := range xs {
				c.X = append(c.X, strconv.Itoa(x))
			}
			values := map[int][]number{}
			for _, n := range all {
				x, other := over(n)
				if other != fixed {
					continue
				}
				for _, cell := range n.Cells {
					p := v.pool(cell.Pool)
					if values[p] == nil {
						values[p] = slices.Repeat([]number{gap}, len(xs))
					}
					if words.Measured(cell) {
						values[p][slices.Index(xs, x)] = positive(of.figure(cell.Median))
					}
				}
			}
			for _, p := range sortedKeys(values) {
				line := curve{Pool: p}
				drawn := false
				for i, y := range values[p] {
					line.Points = append(line.Points, [2]number{number(i), y})
					drawn = drawn || y == y
				}
				if drawn {
					c.Curves = append(c.Curves, line)
				}
			}
			if len(c.Curves) == 0 {
				continue
			}
			title := of.title + suffix
			figures = append(figures, v.draw(figure{
				ID: id("lines", all[0].Workload, all[0].Backend, of.title, fixed), Title: title, Height: 280, Legend: v.legend(c.Curves),
				Label: fmt.Sprintf("Line chart of the %s over %s%s, for %s. The table below has the figures.", of.spoken, name, suffix, v.spoken(c.Curves)),
				Table: v.linesTable(title, name, c),
			}, c))
		}
	}
	return figures
}

// maps are the heat maps of a sweep: throughput by goroutines and size for each pool, if there are some of
// both, and the ratio to the baseline of each pool under each condition.
func (v *view) maps(all []words.Condition) []figure {
	var goroutines, sizes []int
	for _, n := range all {
		goroutines, sizes = append(goroutines, n.Goroutines), append(sizes, n.Size)
	}
	goroutines, sizes = distinct(goroutines), distinct(sizes)
	var figures []figure
	if len(goroutines) > 1 && len(sizes) > 1 {
		for i, p := range v.Pools {
			c := chart{Kind: heatKind, Unit: perSecond, Pool: &i, Heat: &heat{RowName: "size", ColName: "goroutines", Rows: texts(sizes), Columns: texts(goroutines)}}
			of := map[int]bool{}
			for _, n := range all {
				for _, cell := range n.Cells {
					// One that stands beside all sizes was measured with one.
					if cell.Pool == p.Name && cell.Size == n.Size && words.Measured(cell) {
						of[cell.Size] = true
						c.Heat.Cells = append(c.Heat.Cells, [3]number{
							number(slices.Index(goroutines, n.Goroutines)), number(slices.Index(sizes, n.Size)), number(cell.Median.OpsPerSec)})
					}
				}
			}
			if len(of) < 2 {
				continue
			}
			title := "Throughput of " + p.Name + ", ops/s"
			figures = append(figures, v.draw(figure{
				ID: id("heat", all[0].Workload, all[0].Backend, p.Name), Title: title, Height: 90 + 40*len(sizes), Note: "The colours are those of this pool alone.",
				Label: fmt.Sprintf("Heat map of the throughput of %s by size and goroutines. The table below has the figures.", p.Name),
				Table: heatTable(title, "Size", c),
			}, c))
		}
	}
	rows, columns := index{}, index{}
	c := chart{Kind: heatKind, Unit: multiple, Heat: &heat{ColName: "pool"}}
	for _, n := range all {
		for _, cell := range n.Cells {
			if cell.Ratio > 0 && words.Measured(cell) {
				c.Heat.Cells = append(c.Heat.Cells, [3]number{number(columns.of(cell.Pool)), number(rows.of(n.Setting())), number(cell.Ratio)})
			}
		}
	}
	if c.Heat.Rows, c.Heat.Columns = rows.names, columns.names; len(rows.names) > 1 && len(columns.names) > 1 {
		figures = append(figures, v.draw(figure{
			ID: id("ratio", all[0].Workload, all[0].Backend), Title: "Throughput against the baseline", Height: 90 + 30*len(rows.names), Wide: true,
			Label: "Heat map of the throughput of each pool under each condition, as a multiple of the baseline's. The table below has the figures.",
			Table: heatTable("Throughput as a multiple of the baseline's", "Condition", c),
		}, c))
	}
	return figures
}

// scenario adds the section of a scenario, with a timeline for each pool.
func (v *view) scenario(name string, of []result.Timeline) {
	s := section{ID: id("s", name), Kind: "Scenario", Title: name, About: of[0].About, Tables: []table{v.verdictsTable(of)}}
	most := limits{Least: gap}
	var columns []*timeline
	for _, t := range of {
		c := columnsOf(t)
		columns = append(columns, c)
		for i := range c.At {
			most.At = max(most.At, c.At[i])
			for _, n := range []number{number(c.Open[i]), c.InUse[i], c.Waiting[i]} {
				if n == n {
					most.Count = max(most.Count, n)
				}
			}
			most.Rate = max(most.Rate, c.Ops[i], c.Errors[i])
			if p := c.P99[i]; p == p {
				most.P99 = max(most.P99, p)
				if !(most.Least <= p) {
					most.Least = p
				}
			}
		}
		for _, m := range t.Marks {
			most.At = max(most.At, number(m.At))
		}
	}
	for i, t := range of {
		if len(t.Points) == 0 {
			continue
		}
		columns[i].Most = most
		label := fmt.Sprintf("Timeline of %s in scenario %s: resources open, in use and waited for; operations and errors per second; 99th percentile of the waits.", t.Pool, name)
		for _, m := range t.Marks {
			label += fmt.Sprintf(" At %s s: %s.", strconv.FormatFloat(m.At, 'f', 1, 64), m.Text)
		}
		f := figure{
			ID: id("time", name, t.Backend, t.Pool, i), Title: t.Pool, Label: label, Note: t.Verdict.Text, Panels: true, Marks: t.Marks,
			Height: 430, Table: timelineTable(t),
		}
		if t.Failed != "" {
			f.Note = "Failed: " + t.Failed
		}
		s.Figures = append(s.Figures, v.draw(f, chart{Kind: timelineKind, Pool: new(v.pool(t.Pool)), Time: columns[i]}))
	}
	v.Sections = append(v.Sections, s)
}

func columnsOf(t result.Timeline) *timeline {
	c := &timeline{Marks: slices.Clone(t.Marks)}
	before := 0.0
	for _, p := range t.Points {
		over := p.At - before
		before = p.At
		rate := func(n uint64) number {
			if over <= 0 {
				return 0
			}
			return number(float64(n) / over)
		}
		known := func(n int) number {
			if n < 0 {
				return gap
			}
			return number(n)
		}
		c.At = append(c.At, number(p.At))
		c.Open = append(c.Open, p.Open)
		c.InUse = append(c.InUse, known(p.InUse))
		c.Waiting = append(c.Waiting, known(p.Waiting))
		c.Ops = append(c.Ops, rate(p.Ops))
		c.Errors = append(c.Errors, rate(p.Errors))
		c.P99 = append(c.P99, positive(float64(p.WaitP99)))
	}
	return c
}

func distinct(all []int) []int {
	slices.Sort(all)
	return slices.Compact(all)
}

func texts(all []int) []string {
	var t []string
	for _, n := range all {
		t = append(t, strconv.Itoa(n))
	}
	return t
}

func sortedKeys[K int | string, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func capital(text string) string {
	first, n := utf8.DecodeRuneInString(text)
	if first == utf8.RuneError {
		return text
	}
	return string(unicode.ToUpper(first)) + text[n:]
}
