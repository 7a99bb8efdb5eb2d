package compare_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/lidopool/lido/bench/internal/compare"
	"github.com/lidopool/lido/bench/internal/result"
)

// cell is one whose rounds took these times per op; its p99 waits are ten times as long.
func cell(pool string, ns ...float64) result.Cell {
	c := result.Cell{Workload: "query", Spec: "query", Backend: "sqlite", Pool: pool, Goroutines: 8, Size: 4}
	for _, n := range ns {
		c.Samples = append(c.Samples, result.Sample{NsPerOp: n, WaitP99: int64(10 * n), AllocsPerOp: 1})
	}
	return c
}

func files(old, new []result.Cell) (result.File, result.File) {
	return result.File{Cells: old}, result.File{Cells: new}
}

func compared(t *testing.T, old, new result.File) compare.Comparison {
	t.Helper()
	c, err := compare.Files(old, new)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The p-values are those of the exact distribution of U. Samples that do not overlap are 2 of the C(8,4) = 70 ways to divide eight
// ranks, 2 of C(6,3) = 20, 2 of C(10,2) = 45; the ranks 1, 4, 6, 7 of eight have the mean of U, so that no division is likelier.
func TestADifferenceIsClearIfChanceSeldomMakesIt(t *testing.T) {
	for _, c := range []struct {
		name     string
		old, new []float64
		change   float64
		p        float64
		clear    bool
		enough   bool
	}{
		{"apart", []float64{100, 101, 102, 103}, []float64{110, 111, 112, 113}, 10 / 101.5, 2. / 70, true, true},
		{"apart, faster", []float64{110, 111, 112, 113}, []float64{100, 101, 102, 103}, -10 / 111.5, 2. / 70, true, true},
		{"mixed", []float64{1, 4, 6, 7}, []float64{2, 3, 5, 8}, 4/5. - 1, 1, false, true},
		{"same", []float64{5, 5, 5, 5}, []float64{5, 5, 5, 5}, 0, 1, false, true},
		{"apart, but too few", []float64{100, 101, 102}, []float64{200, 201, 202}, 1 - 1/101., 2. / 20, false, false},
		{"apart, few and many", []float64{100, 101}, []float64{200, 201, 202, 203, 204, 205, 206, 207}, 203.5/100.5 - 1, 2. / 45, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := compared(t, result.File{Cells: []result.Cell{cell("queue", c.old...)}}, result.File{Cells: []result.Cell{cell("queue", c.new...)}})
			l := found.Tables[0].Lines[0]
			if math.Abs(l.Change-c.change) > 1e-9 || math.Abs(l.P-c.p) > 1e-9 || l.Clear != c.clear || l.Enough != c.enough {
				t.Errorf("change %v, p %v, clear %v, enough %v; want %v, %v, %v, %v", l.Change, l.P, l.Clear, l.Enough, c.change, c.p, c.clear, c.enough)
			}
			if found.TooFew() == c.enough {
				t.Errorf("too few rounds = %v", found.TooFew())
			}
		})
	}
}

func TestTheGeometricMeanIsOfAllLines(t *testing.T) {
	old, new := files(
		[]result.Cell{cell("queue", 100, 100, 100, 100), cell("null", 100, 100, 100, 100)},
		[]result.Cell{cell("queue", 200, 200, 200, 200), cell("null", 50, 50, 50, 50)})
	if g := compared(t, old, new).Tables[0].Geomean; math.Abs(g-1) > 1e-12 {
		t.Errorf("twice as long and half as long are %v on average, want 1", g)
	}
}

func TestWhatIsClearlySlowerIsFound(t *testing.T) {
	rated := func(ns ...float64) result.Cell { c := cell("queue", ns...); c.Spec, c.Rate = "burst", 2000; return c }
	old, new := files(
		[]result.Cell{cell("queue", 100, 101, 102, 103), cell("null", 100, 101, 102, 103), cell("static", 100, 300, 100, 300), rated(100, 101, 102, 103)},
		[]result.Cell{cell("queue", 120, 121, 122, 123), cell("null", 104, 105, 106, 107), cell("static", 200, 300, 400, 200), rated(150, 151, 152, 153)})
	slower := compared(t, old, new).Slower(0.10)
	if len(slower) != 2 || slower[0].Pool != "queue" || slower[1].Old != 1015 {
		t.Errorf("slower by more than 10 %% are %+v, want queue's time per op, and its wait where a rate decides the time", slower)
	}
}

func TestWhatMayBeWhyTheFiguresDifferIsSaid(t *testing.T) {
	one := []result.Cell{cell("queue", 1, 2, 3, 4)}
	old, new := files(one, []result.Cell{cell("queue", 1, 2, 3, 4)})
	old.Env, new.Env = result.Environment{CPU: "A", Cores: 2, Go: "go1.26"}, result.Environment{CPU: "B", Cores: 4, Go: "go1.26"}
	old.Cells[0].Config, new.Cells[0].Config = "queue?size=4", "queue?size=5"
	new.Partial = true
	said := strings.Join(compared(t, old, new).Warnings, "\n")
	for _, part := range []string{"processor was A and is B", "cores was 2 and is 4", "queue was queue?size=4 and is queue?size=5", "new run was ended early"} {
		if !strings.Contains(said, part) {
			t.Errorf("does not say %q:\n%s", part, said)
		}
	}
	if strings.Contains(said, "Go version") {
		t.Errorf("says that something differs which does not:\n%s", said)
	}
}

func TestOnlyWhatWasMeasuredInBothIsCompared(t *testing.T) {
	old, new := files(
		[]result.Cell{cell("queue", 1, 1, 1, 1), cell("gone", 1, 1, 1, 1), cell("unfit")},
		[]result.Cell{cell("queue", 1, 1, 1, 1), cell("new", 1, 1, 1, 1), cell("unfit", 1, 1, 1, 1)})
	c := compared(t, old, new)
	if len(c.Tables[0].Lines) != 1 || len(c.OnlyOld) != 1 || len(c.OnlyNew) != 1 {
		t.Errorf("compared %+v, only in the old %v, only in the new %v", c.Tables[0].Lines, c.OnlyOld, c.OnlyNew)
	}
	for _, other := range []result.File{{}, {Timelines: make([]result.Timeline, 1)}, {Cells: []result.Cell{cell("other", 1)}}} {
		if _, err := compare.Files(old, other); err == nil {
			t.Errorf("nothing in common with %+v is no error", other)
		}
	}
}

func TestWhoFailsDoesNotWin(t *testing.T) {
	good := cell("queue", 100, 101, 102, 103)
	for i := range good.Samples {
		good.Samples[i].Ops = 1000
	}
	more := func(change func(c *result.Cell)) result.Cell {
		c := good
		c.Samples = slices.Clone(good.Samples)
		change(&c)
		return c
	}
	for _, c := range []struct {
		name  string
		new   result.Cell
		says  string // of what is broken; "": nothing is
		lines int    // with a time per op
	}{
		{"as before", good, "", 1},
		{"a few errors", more(func(c *result.Cell) { c.Samples[0].Errors = map[string]uint64{"timeout": 30} }), "", 1},
		{"many errors", more(func(c *result.Cell) {
			for i := range c.Samples {
				c.Samples[i].NsPerOp, c.Samples[i].Errors = 10, map[string]uint64{"refused": 1000}
			}
		}), "50 % of its ops fail, and 0 % did", 1},
		{"nothing but errors", more(func(c *result.Cell) {
			for i := range c.Samples {
				c.Samples[i] = result.Sample{Errors: map[string]uint64{"open failed": 9}}
			}
		}), "100 % of its ops fail", 0},
		{"failed", more(func(c *result.Cell) { c.Samples, c.Failed = nil, "round 1: a wake-up was lost" }), "a wake-up was lost", 0},
		{"failed later", more(func(c *result.Cell) { c.Samples, c.Failed = c.Samples[:2], "round 3: a wake-up was lost" }), "a wake-up was lost", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := compared(t, result.File{Cells: []result.Cell{good}}, result.File{Cells: []result.Cell{c.new}})
			if all := strings.Join(found.Broken, "\n"); (c.says == "") != (all == "") || !strings.Contains(all, c.says) {
				t.Errorf("broken: %q, want %q", all, c.says)
			}
			lines := 0
			for _, f := range found.Tables {
				for _, l := range f.Lines {
					if f.Figure.Name == "time per op" {
						lines++
					}
					if l.New == 0 && l.Change < 0 {
						t.Errorf("%s of nothing done is shown as %v: %+v", f.Figure.Name, l.Change, l)
					}
				}
			}
			if lines != c.lines {
				t.Errorf("%d lines with a time per op, want %d", lines, c.lines)
			}
		})
	}
	// The other way round it is better now, and no reason to fail.
	bad := good
	bad.Failed = "round 5: x"
	if found := compared(t, result.File{Cells: []result.Cell{bad}}, result.File{Cells: []result.Cell{good}}); len(found.Broken) > 0 {
		t.Errorf("broken: %q, want nothing: the old one was", found.Broken)
	}
}
