package compare

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"golang.org/x/perf/benchmath"

	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/words"
)

// A Comparison is what differs between an old and a new result.
type Comparison struct {
	Tables   []Table  // one for each figure
	Warnings []string // why they may not be comparable
	OnlyOld  []string // what is not in the other
	OnlyNew  []string
	// Broken is what did its work in the old result and does it no more: its measurement failed, or more of its ops
	// do. What its figures say besides is then no praise.
	Broken []string
}

// A Table is one figure of all cells that are in both.
type Table struct {
	Figure  Figure
	Lines   []Line
	Geomean float64 // of new by old, over all lines. 0: there is none
}

// A Figure is what is compared.
type Figure struct {
	Name string // "time per op"
	Unit string // "ns"
	of   func(result.Sample) float64
	fits func(result.Cell) bool
}

// A Line is a pool under conditions.
type Line struct {
	Cell     string // its conditions
	Pool     string
	Old, New float64 // medians
	Change   float64 // new by old, less 1
	P        float64 // how likely chance alone makes such a difference, or a greater one
	N1, N2   int     // rounds
	Clear    bool    // that it is chance is unlikely: P is 0.05 or less
	Enough   bool    // there are enough rounds for any difference to be clear

	key conditions
}

// Rounds is how many rounds of each make it possible that a difference is clear: with four, the p-value of
// two samples that do not overlap is 0.029.
const Rounds = 4

var figures = []Figure{
	// The rate of an open loop decides its throughput, so its time per op says nothing of the pool.
	{"time per op", "ns", func(s result.Sample) float64 { return s.NsPerOp }, func(c result.Cell) bool { return c.Rate == 0 }},
	{"wait p99", "ns", func(s result.Sample) float64 { return float64(s.WaitP99) }, func(result.Cell) bool { return true }},
	{"allocs per op", "", func(s result.Sample) float64 { return s.AllocsPerOp }, func(result.Cell) bool { return true }},
}

// Files compares two results cell by cell: those of the same workload, backend, pool, goroutines and size. It is an
// error if they have none in common.
func Files(old, new result.File) (Comparison, error) {
	if len(old.Cells) == 0 || len(new.Cells) == 0 {
		return Comparison{}, errors.New("a result of lidobench run is needed: one of them holds no cells")
	}
	c := Comparison{Warnings: differences(old, new)}
	var pairs [][2]result.Cell
	for _, o := range old.Cells {
		i := slices.IndexFunc(new.Cells, func(n result.Cell) bool { return key(n) == key(o) })
		if i < 0 {
			c.OnlyOld = append(c.OnlyOld, name(o)+", "+o.Pool)
			continue
		}
		n := new.Cells[i]
		if o.Config != n.Config {
			c.Warnings = append(c.Warnings, fmt.Sprintf("%s was %s and is %s", o.Pool, o.Config, n.Config))
		}
		if why := broken(o, n); why != "" {
			c.Broken = append(c.Broken, fmt.Sprintf("%s, %s: %s", name(o), o.Pool, why))
		}
		if len(o.Samples) > 0 && len(n.Samples) > 0 {
			pairs = append(pairs, [2]result.Cell{o, n})
		}
	}
	for _, n := range new.Cells {
		if !slices.ContainsFunc(old.Cells, func(o result.Cell) bool { return key(n) == key(o) }) {
			c.OnlyNew = append(c.OnlyNew, name(n)+", "+n.Pool)
		}
	}
	if len(pairs) == 0 && len(c.Broken) == 0 {
		return c, errors.New("nothing in common: no pool was measured in both under the same workload, goroutines and size on the same backend")
	}
	slices.Sort(c.Warnings)
	c.Warnings = slices.Compact(c.Warnings)
	for _, f := range figures {
		if t := f.table(pairs); len(t.Lines) > 0 {
			c.Tables = append(c.Tables, t)
		}
	}
	return c, nil
}

// failsMore is how much greater the share of failing ops must be to be worth a word: one of a hundred, as
// where package words says of a pool that it fails. Arbitrary.
const failsMore = 0.01

// broken says what a cell no longer does that it did, or nothing.
func broken(old, new result.Cell) string {
	if old.Failed != "" || len(old.Samples) == 0 {
		return ""
	}
	if new.Failed != "" {
		return "failed in " + new.Failed
	}
	if before, now := words.FailureShare(old), words.FailureShare(new); now > before+failsMore {
		return fmt.Sprintf("%s of its ops fail, and %s did", words.Percent(now), words.Percent(before))
	}
	return ""
}

// Slower are the lines in which the new one is clearly worse by more than a share: in time per op, and where a
// rate decides that, in wait p99.
func (c Comparison) Slower(share float64) (all []Line) {
	timed := map[conditions]bool{}
	for _, t := range c.Tables {
		for _, l := range t.Lines {
			if t.Figure.Unit != "ns" || timed[l.key] {
				continue
			}
			timed[l.key] = true
			if l.Clear && l.Change > share {
				all = append(all, l)
			}
		}
	}
	return all
}

// TooFew says whether there are lines with too few rounds for any difference to be clear.
func (c Comparison) TooFew() bool {
	return slices.ContainsFunc(c.Tables, func(t Table) bool {
		return slices.ContainsFunc(t.Lines, func(l Line) bool { return !l.Enough })
	})
}

func (f Figure) table(pairs [][2]result.Cell) Table {
	t := Table{Figure: f}
	logs, n := 0.0, 0
	for _, p := range pairs {
		if !f.fits(p[0]) {
			continue
		}
		l := f.line(p[0], p[1])
		if l.N1 == 0 || l.N2 == 0 || l.Old == 0 && l.New == 0 {
			continue
		}
		t.Lines = append(t.Lines, l)
		if l.Old > 0 && l.New > 0 {
			logs += math.Log(l.New / l.Old)
			n++
		}
	}
	if n > 0 {
		t.Geomean = math.Exp(logs / float64(n))
	}
	return t
}

// line compares without assuming how the figures are distributed: medians, and the U test of Mann and
// Whitney, as benchstat does. A round in which nothing was done has no figures.
func (f Figure) line(old, new result.Cell) Line {
	sample := func(c result.Cell) *benchmath.Sample {
		var values []float64
		for _, s := range c.Samples {
			if s.NsPerOp > 0 {
				values = append(values, f.of(s))
			}
		}
		return benchmath.NewSample(values, &benchmath.DefaultThresholds)
	}
	a, b := sample(old), sample(new)
	l := Line{key: key(old), Cell: name(old), Pool: old.Pool, N1: len(a.Values), N2: len(b.Values)}
	if l.N1 == 0 || l.N2 == 0 {
		return l
	}
	l.Old = benchmath.AssumeNothing.Summary(a, 0.95).Center
	l.New = benchmath.AssumeNothing.Summary(b, 0.95).Center
	if l.Old != 0 {
		l.Change = l.New/l.Old - 1
	}
	found := benchmath.AssumeNothing.Compare(a, b)
	l.P = found.P
	l.Enough = least(l.N1, l.N2) <= found.Alpha
	l.Clear = found.P <= found.Alpha && l.Enough
	return l
}

// least is the smallest p-value that samples of n and m can have: 2 of all the ways to divide them.
func least(n, m int) float64 {
	ways := 1.0
	for i := 1; i <= m; i++ {
		ways *= float64(n+i) / float64(i)
	}
	return min(1, 2/ways)
}

type conditions struct {
	spec, backend, pool string
	goroutines, size    int
}

func key(c result.Cell) conditions {
	return conditions{c.Spec, c.Backend, c.Pool, c.Goroutines, c.Size}
}

func name(c result.Cell) string {
	s := fmt.Sprintf("%s, %d goroutines", c.Workload, c.Goroutines)
	if c.Goroutines == 1 {
		s = s[:len(s)-1]
	}
	if c.Size > 0 {
		s += fmt.Sprintf(", size %d", c.Size)
	}
	return s
}

// differences are what besides the code may be why the figures differ.
func differences(old, new result.File) (all []string) {
	for _, d := range []struct {
		what     string
		old, new any
	}{
		{"processor", old.Env.CPU, new.Env.CPU},
		{"number of cores", old.Env.Cores, new.Env.Cores},
		{"GOMAXPROCS", old.Env.GOMAXPROCS, new.Env.GOMAXPROCS},
		{"Go version", old.Env.Go, new.Env.Go},
		{"system", old.Env.OS + "/" + old.Env.Arch, new.Env.OS + "/" + new.Env.Arch},
		{"window", old.Method.Window, new.Method.Window},
		{"warm-up", old.Method.Warm, new.Method.Warm},
	} {
		if d.old != d.new {
			all = append(all, fmt.Sprintf("the %s was %v and is %v", d.what, d.old, d.new))
		}
	}
	for which, f := range map[string]result.File{"old": old, "new": new} {
		if f.Partial {
			all = append(all, fmt.Sprintf("the %s run was ended early", which))
		}
		if len(f.Warnings) > 0 {
			all = append(all, fmt.Sprintf("the %s run has warnings of its own: lidobench report shows them", which))
		}
	}
	slices.Sort(all)
	return all
}
