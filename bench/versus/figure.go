package main

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/xml"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// featured are the works that get a panel in the figure, if they were measured.
var featured = []string{"single", "parallel", "parallel-8", "contended-strict", "contended-bounded", "hold-1ms", "cancel"}

// In pixels, and chosen by eye. What GitHub shows of a README is a little wider than the figure.
const (
	figureWidth = 860
	margin      = 18
	panelWidth  = 400 // two side by side, with 2 margins at the edges and 24 between them
	barsLeft    = 118 // from the left of a panel: before it, the names
	barsRight   = 346 // behind it, the ratios
	panelTop    = 42  // above the first row of a panel: its name, and what it measures
	panelBottom = 38  // below the last: the scale
	rowHeight   = 18
	headHeight  = 92
)

//go:embed figure.css
var figureStyle string

// A figure is a report as an SVG: a panel for each work and a bar for each pool, all on one
// logarithmic scale. Bars begin at Lido: a logarithm has no zero where they could.
type figure struct {
	bytes.Buffer
	ticks []float64
}

// figure draws r. It fails if there is nothing to compare: no featured work, or one without Lido.
func (r report) figure() ([]byte, error) {
	var panels [][]row
	inWords := r.Env.String() + ". How many times as long as Lido." // for those who hear the figure
	for _, name := range featured {
		rows := slices.Clone(rowsOf(r.Rows, name))
		if len(rows) == 0 {
			continue
		}
		if !slices.ContainsFunc(rows, func(x row) bool { return x.Pool == "lido" && x.Runs > 0 }) ||
			slices.ContainsFunc(rows, func(x row) bool { return x.Runs > 0 && !(x.RatioToLido > 0) }) {
			return nil, fmt.Errorf("figure: %s: want a result of lido, and the ratio to it of every other", name)
		}
		slices.SortStableFunc(rows, func(a, b row) int { // those that always failed last
			return cmp.Or(cmp.Compare(min(b.Runs, 1), min(a.Runs, 1)), cmp.Compare(a.RatioToLido, b.RatioToLido))
		})
		panels = append(panels, rows)
		inWords += " " + name + ":"
		for _, x := range rows {
			inWords += " " + x.Pool + " " + x.verdict() + ";"
		}
	}
	if len(panels) == 0 {
		return nil, errors.New("figure: none of these works was measured: " + strings.Join(featured, ", "))
	}

	var body figure
	body.ticks = ticks(slices.Concat(panels...))
	top, below := headHeight, 0
	for i := range len(panels) + 1 { // the last is the key
		left := margin + i%2*(figureWidth-2*margin-panelWidth)
		if i%2 == 0 {
			top, below = top+below, 0
		}
		if i < len(panels) {
			below = max(below, body.panel(left, top, panels[i]))
		} else {
			below = max(below, body.key(left, top, r.notes()))
		}
	}

	var f figure
	height := top + below
	f.printf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img" aria-labelledby="title desc">`, figureWidth, height)
	f.printf(`<title id="title">Lido and its peers: time per operation</title>`)
	f.printf(`<desc id="desc">%s</desc>`, escaped(inWords))
	f.printf("<style>\n%s</style>", figureStyle)
	f.printf(`<rect class="page" x="0.5" y="0.5" width="%d" height="%d" rx="6"/>`, figureWidth-1, height-1)
	f.text(margin, 32, "h1", "Time per operation, as a multiple of Lido’s")
	f.text(margin, 52, "small", r.Env.String())
	f.text(margin, 69, "small", "Right of the blue line: slower than Lido. Left of it: faster. All panels have the same logarithmic scale.")
	f.Write(body.Bytes())
	f.printf(`</svg>`)
	return f.Bytes(), nil
}

// ticks are the round ratios from below the least of rows to above the greatest.
func ticks(rows []row) []float64 {
	least, most := 0.5, 2.0
	for _, x := range rows {
		if x.Runs > 0 {
			least, most = min(least, x.RatioToLido), max(most, x.RatioToLido)
		}
	}
	steps := []float64{1, 2, 5}
	if most > 1000*least {
		steps = steps[:1] // there is no room for more
	}
	var all []float64
	for power := -9; power <= 9; power++ {
		for _, step := range steps {
			all = append(all, step*math.Pow10(power))
		}
	}
	for all[1] <= least {
		all = all[1:]
	}
	for all[len(all)-2] >= most {
		all = all[:len(all)-1]
	}
	return all
}

// x is where a ratio stands in a panel.
func (f *figure) x(left int, ratio float64) float64 {
	least, most := f.ticks[0], f.ticks[len(f.ticks)-1]
	return float64(left+barsLeft) + math.Log(ratio/least)/math.Log(most/least)*(barsRight-barsLeft)
}

// panel draws one work and returns its height.
func (f *figure) panel(left, top int, rows []row) int {
	f.text(left, top+16, "h2", rows[0].Work)
	if i := slices.Index(workNames(), rows[0].Work); i >= 0 {
		about, _, _ := strings.Cut(works[i].crowd.about, ";")
		if _, fairness, has := strings.Cut(works[i].name, works[i].crowd.name+"-"); has {
			about += ", the fairness of Lido is " + fairness
		}
		f.text(left, top+32, "small", about)
	}
	first, end := top+panelTop, top+panelTop+len(rows)*rowHeight
	for _, t := range f.ticks {
		f.printf(`<path class="grid" d="M%.1f %dV%d"/>`, f.x(left, t), first, end+4)
		f.text(int(math.Round(f.x(left, t))), end+16, "small middle", fmt.Sprintf("%.4g", t))
	}
	one := f.x(left, 1)
	for i, x := range rows {
		y, class := first+i*rowHeight, ""
		switch {
		case x.Pool == "lido":
			class = "lido"
			f.text(left+panelWidth, top+16, "lido end", "1× is "+span(x.NsPerOp))
			f.printf(`<rect class="band" x="%d" y="%d" width="%d" height="%d" rx="3"/>`, left-4, y, panelWidth+8, rowHeight)
			f.bar("lido", one-4, one+4, y)
		case x.Runs == 0:
		case lacks(x.Pool) != "":
			f.bar("less", one, f.x(left, x.RatioToLido), y)
		default:
			f.bar("bar", one, f.x(left, x.RatioToLido), y)
		}
		f.text(left, y+13, class, x.Pool)
		f.text(left+panelWidth, y+13, class+" end", x.verdict())
	}
	f.printf(`<path class="one" d="M%.1f %dV%d"/>`, one, first, end+4)
	return end + panelBottom - top
}

// key says what the bars mean, and returns its height.
func (f *figure) key(left, top int, notes []string) int {
	f.text(left, top+16, "h2", "key")
	bars := []string{"lido", "bar", "less"}
	lines := append([]string{"Lido, at 1× in every panel", "another pool", "for comparison only: it does less than a pool"}, notes...)
	for i, line := range lines {
		y := top + panelTop + i*rowHeight
		if i < len(bars) {
			f.bar(bars[i], float64(left), float64(left+24), y)
		}
		f.text(left+34, y+13, "small", line)
	}
	return panelTop + len(lines)*rowHeight + panelBottom
}

func (f *figure) bar(class string, from, to float64, y int) {
	f.printf(`<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%d"/>`, class, min(from, to), float64(y)+3.5, math.Abs(to-from), rowHeight-7)
}

func (f *figure) text(x, y int, class, s string) {
	f.printf(`<text x="%d" y="%d" class="%s">%s</text>`, x, y, class, escaped(s))
}

func (f *figure) printf(format string, args ...any) {
	fmt.Fprintf(f, format+"\n", args...)
}

func escaped(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s)) // to a Builder it does not fail
	return b.String()
}
