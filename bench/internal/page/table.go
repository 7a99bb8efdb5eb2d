package page

import (
	"slices"
	"strconv"

	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/words"
)

// A table is figures for those who read them.
type table struct {
	Caption string
	Head    []string // the first is that of the rows' names
	Rows    []row
}

type row struct {
	Name  string
	Pool  int // index for the swatch. Negative: none
	Cells []entry
	Note  string // instead of cells
	Span  int    // how many columns the note takes
}

type entry struct {
	Text string
	Best bool
}

// plain are entries of which none is the best.
func plain(texts ...string) []entry {
	all := make([]entry, len(texts))
	for i, t := range texts {
		all[i].Text = t
	}
	return all
}

// trim drops the columns in which no row has a figure.
func (t *table) trim() {
	for i := len(t.Head) - 2; i >= 0; i-- {
		empty := true
		for _, r := range t.Rows {
			if len(r.Cells) > 0 && r.Cells[i].Text != words.None {
				empty = false
			}
		}
		if !empty {
			continue
		}
		t.Head = slices.Delete(t.Head, i+1, i+2)
		for j := range t.Rows {
			if r := &t.Rows[j]; len(r.Cells) > 0 {
				r.Cells = slices.Delete(r.Cells, i, i+1)
			}
		}
	}
	for j := range t.Rows {
		t.Rows[j].Span = max(1, len(t.Head)-1)
	}
}

// note says why a cell has no figures, or nothing if it has.
func note(c result.Cell) string {
	switch {
	case c.Unfit != "":
		return "unfit: " + c.Unfit
	case words.Measured(c):
		return ""
	case c.Failed != "":
		return "failed: " + c.Failed
	}
	return "not measured yet"
}

// flaw is what is to be said of a cell that has figures.
func flaw(c result.Cell) string {
	if c.Failed != "" {
		return "failed: " + c.Failed
	}
	return ""
}

// waitsTable is throughput and waits; costsTable is all the rest.
func (v *view) waitsTable(n words.Condition) table {
	t := table{Caption: "Throughput and waits", Head: []string{
		"Pool", "size", "ops/s", "ratio", "spread", "per op", "p50", "p90", "p99", "p99.9", "max", "errors",
	}}
	fastest, calmest := n.Fastest().Pools, n.Calmest().Pools
	if len(n.Cells) < 2 {
		fastest, calmest = nil, nil
	}
	// Else the size stands above.
	differ := slices.ContainsFunc(n.Cells, func(c result.Cell) bool { return c.Size != n.Size })
	for i, c := range n.Cells {
		r := row{Name: c.Pool, Pool: v.pool(c.Pool), Note: note(c)}
		if r.Note == "" {
			m := c.Median
			errors := words.None
			if share := words.FailureShare(c); share > 0 {
				errors = words.Percent(share)
			}
			size := words.None
			if differ && c.Size > 0 {
				size = strconv.Itoa(c.Size)
			}
			r.Cells = plain(size, words.Count(m.OpsPerSec), words.Ratio(c.Ratio), words.Spread(c), wait(m.NsPerOp),
				wait(m.WaitP50), wait(m.WaitP90), wait(m.WaitP99), wait(m.WaitP999), wait(m.WaitMax), errors)
			r.Cells[1].Best = slices.Contains(fastest, i)
			r.Cells[7].Best = slices.Contains(calmest, i)
			if why := flaw(c); why != "" {
				r.Name += " (" + why + ")"
			}
		}
		t.Rows = append(t.Rows, r)
	}
	t.trim()
	return t
}

func (v *view) costsTable(n words.Condition) table {
	t := table{Caption: "Fairness, resources and cost", Head: []string{
		"Pool", "Jain", "max/min", "opens", "closes", "peak open", "sessions", "allocs/op", "B/op", "CPU/op", "CPU waiting", "error kinds",
	}}
	for _, c := range n.Cells {
		r := row{Name: c.Pool, Pool: v.pool(c.Pool), Note: note(c)}
		if r.Note == "" {
			m := c.Median
			waiting := words.None
			if m.CPUWaiting > 0 || m.CPUWaiting == 0 && c.Size > 0 && c.Goroutines > c.Size {
				waiting = words.Percent(m.CPUWaiting)
			}
			sessions := words.None
			if m.Sessions > 0 {
				sessions = strconv.Itoa(m.Sessions)
			}
			r.Cells = plain(ratio(m.Jain), ratio(m.MaxMin), words.Whole(m.Opens), words.Whole(m.Closes), strconv.Itoa(m.PeakOpen), sessions,
				words.Count(m.AllocsPerOp), words.Bytes(m.BytesPerOp), wait(m.CPUPerOp), waiting, kinds(words.Errors(c.Samples)))
		}
		t.Rows = append(t.Rows, r)
	}
	t.trim()
	return t
}

// roundsTable stands behind the bars.
func (v *view) roundsTable(n words.Condition) table {
	t := table{Caption: "Throughput of each round, ops/s", Head: []string{"Pool", "median"}}
	most := 0
	for _, c := range n.Cells {
		most = max(most, len(c.Samples))
	}
	for i := range most {
		t.Head = append(t.Head, "round "+strconv.Itoa(i+1))
	}
	for _, c := range n.Cells {
		r := row{Name: c.Pool, Pool: v.pool(c.Pool), Note: note(c), Span: most + 1}
		if r.Note == "" {
			r.Cells = plain(words.Count(c.Median.OpsPerSec))
			for i := range most {
				text := words.None
				if i < len(c.Samples) {
					text = words.Count(c.Samples[i].OpsPerSec)
				}
				r.Cells = append(r.Cells, entry{Text: text})
			}
		}
		t.Rows = append(t.Rows, r)
	}
	return t
}

// quantilesTable stands behind the curves.
func (v *view) quantilesTable(n words.Condition) table {
	t := table{Caption: "Waits by percentile, all rounds together", Head: []string{"Pool"}}
	shares := []float64{0, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999, 0.99999, 1}
	for _, s := range shares {
		name := "p" + strconv.FormatFloat(100*s, 'g', -1, 64)
		switch s {
		case 0:
			name = "min"
		case 1:
			name = "max"
		}
		t.Head = append(t.Head, name)
	}
	for _, c := range n.Cells {
		r := row{Name: c.Pool, Pool: v.pool(c.Pool), Note: note(c)}
		if r.Note == "" {
			for _, s := range shares {
				r.Cells = append(r.Cells, entry{Text: at(c.Waits, s)})
			}
		}
		t.Rows = append(t.Rows, r)
	}
	t.trim()
	return t
}

// at is the wait that a share does not exceed: that of the first point that is not before it.
func at(curve []result.Quantile, share float64) string {
	for _, q := range curve {
		if q.Share >= share-1e-9 {
			return words.Time(float64(q.Ns))
		}
	}
	return words.None
}

// linesTable stands behind lines.
func (v *view) linesTable(caption string, over string, c chart) table {
	t := table{Caption: caption, Head: []string{"Pool"}}
	for _, x := range c.X {
		t.Head = append(t.Head, x+" "+over)
	}
	for _, curve := range c.Curves {
		r := row{Name: v.Pools[curve.Pool].Name, Pool: curve.Pool}
		for _, p := range curve.Points {
			r.Cells = append(r.Cells, entry{Text: written(c.Unit, p[1])})
		}
		t.Rows = append(t.Rows, r)
	}
	return t
}

// heatTable stands behind a heat map.
func heatTable(caption, corner string, c chart) table {
	t := table{Caption: caption, Head: append([]string{corner}, c.Heat.Columns...)}
	for _, name := range c.Heat.Rows {
		r := row{Name: name, Pool: -1, Cells: make([]entry, len(c.Heat.Columns))}
		for i := range r.Cells {
			r.Cells[i].Text = words.None
		}
		t.Rows = append(t.Rows, r)
	}
	for _, cell := range c.Heat.Cells {
		t.Rows[int(cell[1])].Cells[int(cell[0])].Text = written(c.Unit, cell[2])
	}
	return t
}

// mostRows is how long the table behind a timeline may be. Arbitrary: it is to be read by people.
const mostRows = 100

// timelineTable stands behind a timeline. Of many points it sums up neighbours.
func timelineTable(t result.Timeline) table {
	step := (len(t.Points) + mostRows - 1) / mostRows
	caption := "What was seen, point by point"
	if step > 1 {
		caption = "What was seen, " + strconv.Itoa(step) + " points a row: ops and errors are sums, waiting and p99 the greatest"
	}
	all := table{Caption: caption, Head: []string{
		"second", "open", "in use", "waiting", "ops", "errors", "p99 wait",
	}}
	for i := 0; i < len(t.Points); i += step {
		sum := result.Point{Waiting: -1}
		for _, p := range t.Points[i:min(i+step, len(t.Points))] {
			sum.At, sum.Open, sum.InUse = p.At, p.Open, p.InUse
			sum.Waiting, sum.WaitP99 = max(sum.Waiting, p.Waiting), max(sum.WaitP99, p.WaitP99)
			sum.Ops, sum.Errors = sum.Ops+p.Ops, sum.Errors+p.Errors
		}
		all.Rows = append(all.Rows, row{Name: strconv.FormatFloat(sum.At, 'f', 2, 64), Pool: -1, Cells: plain(
			strconv.Itoa(sum.Open), gauge(sum.InUse), gauge(sum.Waiting), words.Whole(sum.Ops), words.Whole(sum.Errors), wait(sum.WaitP99))})
	}
	return all
}

// verdictsTable is how a scenario ended for each pool.
func (v *view) verdictsTable(of []result.Timeline) table {
	t := table{Caption: "How it ended", Head: []string{
		"Pool", "ops", "errors", "opens", "peak open", "p50", "p99", "max",
		"recovery", "leaked", "error kinds",
	}}
	for _, l := range of {
		r := row{Name: l.Pool, Pool: v.pool(l.Pool)}
		if l.Failed != "" {
			r.Note = "failed: " + l.Failed
		} else {
			d := l.Verdict
			var errors uint64
			for _, n := range d.Errors {
				errors += n
			}
			recovery := words.None
			switch {
			case d.Recovery > 0:
				recovery = words.Time(1e9 * d.Recovery)
			case d.Recovery < 0:
				recovery = "never"
			}
			r.Cells = plain(words.Whole(d.Ops), words.Whole(errors), words.Whole(d.Opens), strconv.Itoa(d.PeakOpen),
				wait(d.WaitP50), wait(d.WaitP99), wait(d.WaitMax), recovery, gauge(d.Leaked), kinds(d.Errors))
		}
		t.Rows = append(t.Rows, r)
	}
	t.trim()
	return t
}

func wait[N int64 | float64](ns N) string {
	if ns <= 0 {
		return words.None
	}
	return words.Time(float64(ns))
}

// ratio is a figure without a unit. 0: not measured.
func ratio(x float64) string {
	if !(x > 0) {
		return words.None
	}
	return words.Count(x)
}

// gauge is a count that is negative if nobody knows.
func gauge(n int) string {
	if n < 0 {
		return words.None
	}
	return strconv.Itoa(n)
}

func kinds(of map[string]uint64) string {
	text := ""
	for _, kind := range sortedKeys(of) {
		if text != "" {
			text += ", "
		}
		text += words.Whole(of[kind]) + " " + kind
	}
	if text == "" {
		return words.None
	}
	return text
}

func written(u unit, n number) string {
	if n != n {
		return words.None
	}
	switch u {
	case nanosec:
		return words.Time(float64(n))
	case multiple:
		return words.Ratio(float64(n))
	}
	return words.Count(float64(n))
}
