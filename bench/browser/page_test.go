package browser_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/lidopool/lido/bench/internal/result"
	"github.com/lidopool/lido/bench/internal/result/resulttest"
)

// richCharts is what the result of resulttest.Rich asks for: an overview; two charts for each of cycle, query, burst
// and nested; of contention two lines for each of 3 sizes, a heat map for each of 5 pools, the ratios, and two for each of 12
// conditions; of think two lines, the ratios, and two for each of 3 conditions; 2 scenarios of 3 pools.
const richCharts = 1 + 2*4 + (2*3 + 5 + 1 + 2*12) + (2 + 1 + 2*3) + 2*3

// A drawing is what a chart looks like.
type drawing struct {
	ID            string
	Width, Height float64
	Shapes        int   // with a size and a colour
	Outside       int   // labels that are cut off
	Colours       []int // those of pools that are in it
}

const drawings = `[...document.querySelectorAll('.chart')].map(box => {
	const svg = box.querySelector('svg'), r = svg ? svg.getBoundingClientRect() : {width: 0, height: 0};
	const painted = (e) => ['fill', 'stroke'].some(k => e.getAttribute(k) && !['none', 'transparent'].includes(e.getAttribute(k)));
	const shapes = svg ? [...svg.querySelectorAll('path, rect, circle, polyline, polygon, line')].filter(e => {
		const b = e.getBBox();
		return painted(e) && (b.width > 0.5 || b.height > 0.5);
	}) : [];
	const labels = svg ? [...svg.querySelectorAll('text')].filter(e => {
		const b = e.getBoundingClientRect();
		return b.width && (b.left < r.left - 1 || b.right > r.right + 1 || b.top < r.top - 1 || b.bottom > r.bottom + 1);
	}) : [];
	const has = (i) => { const c = getComputedStyle(document.documentElement).getPropertyValue('--c' + i).trim(); return shapes.some(e => e.getAttribute('fill') === c || e.getAttribute('stroke') === c); };
	return {id: box.id, width: r.width, height: r.height, shapes: shapes.length, outside: labels.length, colours: [0, 1, 2, 3, 4, 5, 6, 7].filter(has)};
})`

// A need is what a chart must have: shapes, one for each thing that it shows at least, and colours of pools.
type need struct {
	shapes  int
	colours []int
}

func needs(t *testing.T, address string) map[string]need {
	t.Helper()
	text, err := os.ReadFile(strings.TrimPrefix(address, "file://"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`<script type="application/json" id="charts">(.*?)</script>`).FindSubmatch(text)
	var data struct {
		Charts map[string]struct {
			Kind string
			Bars []struct {
				Pool   int
				Value  *float64
				Rounds []float64
			}
			Curves []struct{ Pool int }
			Heat   *struct{ Cells []any }
		}
	}
	if err := json.Unmarshal(found[1], &data); err != nil {
		t.Fatal(err)
	}
	all := map[string]need{}
	for id, c := range data.Charts {
		var n need
		switch c.Kind {
		case "bars":
			for _, b := range c.Bars {
				if b.Value != nil {
					n.shapes += 1 + len(b.Rounds)
					n.colours = append(n.colours, b.Pool)
				}
			}
		case "quantiles", "lines":
			for _, l := range c.Curves {
				n.shapes += 2 // a line and a symbol
				n.colours = append(n.colours, l.Pool)
			}
		case "heat":
			n.shapes = len(c.Heat.Cells)
		case "timeline":
			n = need{6 + 2*3, []int{0, 1, 2, 3}} // lines, in four colours; two marks through three charts
		default:
			t.Fatalf("chart %s is of kind %q, which this test does not know", id, c.Kind)
		}
		all[id] = n
	}
	return all
}

func TestEveryChartIsDrawnAndAllTextCanBeRead(t *testing.T) {
	address := file(t, resulttest.Rich())
	want := needs(t, address)
	if len(want) != richCharts {
		t.Fatalf("the page has %d charts, the result asks for %d", len(want), richCharts)
	}
	for name, v := range map[string]view{"on a desk": desk, "at night": night, "on a phone": phone} {
		t.Run(name, func(t *testing.T) {
			b := open(t, v, address)
			b.unfold()
			areDrawn(t, b, want)
			canBeRead(t, b)
		})
	}
}

func areDrawn(t *testing.T, b *tab, want map[string]need) {
	t.Helper()
	got := ask[[]drawing](b, drawings)
	if len(got) != richCharts {
		t.Errorf("%d places for charts, want %d", len(got), richCharts)
	}
	for _, d := range got {
		n := want[d.ID]
		if d.Width < 200 || d.Height < 100 || d.Shapes < n.shapes {
			t.Errorf("chart %s is %g×%g with %d shapes, want %d at least", d.ID, d.Width, d.Height, d.Shapes, n.shapes)
		}
		for _, c := range n.colours {
			if !slices.Contains(d.Colours, c) {
				t.Errorf("chart %s has nothing in colour %d, has %d", d.ID, c, d.Colours)
			}
		}
		if d.Outside > 0 {
			t.Errorf("chart %s has %d labels that are cut off", d.ID, d.Outside)
		}
	}
}

func TestEveryResultIsShownWithoutComplaint(t *testing.T) {
	one := resulttest.Empty()
	one.Cells = resulttest.Rich().Cells[:1]
	bare := resulttest.Empty()
	bare.Cells = []result.Cell{{Workload: "w", Pool: "p"}}
	bare.Timelines = []result.Timeline{{Scenario: "s", Pool: "p"}, {Scenario: "s", Pool: "q", Points: []result.Point{{}}}}
	for name, c := range map[string]struct {
		f      result.File
		charts int
	}{
		"the zero result": {result.File{}, 0},
		"one cell":        {one, 2},
		"nothing in it":   {bare, 1},
		"500 cells":       {resulttest.Many(500), 2*6 + 5 + 1}, // and more where it is folded
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, desk, file(t, c.f))
			if n := ask[int](b, `[...document.querySelectorAll('.chart')].filter(c => c.clientWidth && c.querySelector('svg path')).length`); n != c.charts {
				t.Errorf("%d charts are drawn, want %d", n, c.charts)
			}
		})
	}
}

func TestHostileNamesAreShownAsText(t *testing.T) {
	const hostile = `</script><img src="http://evil.example/x" onerror="alert(1)"><b>x</b>{a|b}`
	f := resulttest.Rich()
	for i := range f.Cells {
		f.Cells[i].Pool += hostile
		f.Cells[i].Workload += hostile
	}
	f.Timelines[0].Marks[0].Text = hostile
	b := open(t, desk, file(t, f)) // sees to requests and complaints
	if !ask[bool](b, fmt.Sprintf(`document.querySelector('.pools button').textContent.trim() === %q`, "queue"+hostile)) {
		t.Errorf("the pool is called %q", ask[string](b, `document.querySelector('.pools button').textContent`))
	}
	// What the pointer finds is made by the script.
	ask[int](b, `(document.querySelector('#page .part .chart').scrollIntoView({block: 'center'}), 0)`)
	at := ask[[2]float64](b, `(r => [r.left + r.width / 2, r.top + 40])(document.querySelector('.part .chart').getBoundingClientRect())`)
	run(b, chromedp.MouseEvent("mouseMoved", at[0], at[1]))
	b.until(`document.querySelector('.tip b')`)
	if got := ask[string](b, `document.querySelector('.tip b').textContent`); !strings.HasSuffix(got, hostile) {
		t.Errorf("the tip says %q", got)
	}
	if n := ask[int](b, `document.querySelectorAll('img').length`); n != 0 {
		t.Errorf("%d images came from names", n)
	}
}

// Text, and whether it can be read: all of the page that is shown, and of the charts.
const texts = `(() => {
	const rgb = (s) => { const m = s.match(/[\d.]+/g).map(Number); return {c: m.slice(0, 3), a: m.length > 3 ? m[3] : 1}; };
	const probe = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
	const plain = (s) => { probe.clearRect(0, 0, 1, 1); probe.fillStyle = s; probe.fillRect(0, 0, 1, 1); return [...probe.getImageData(0, 0, 1, 1).data].slice(0, 3); };
	const light = (c) => c.map(x => x / 255).map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4).reduce((s, x, i) => s + x * [0.2126, 0.7152, 0.0722][i], 0);
	const contrast = (a, b) => { const [x, y] = [light(a), light(b)]; return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05); };
	const under = (e) => { for (; e; e = e.parentElement) { const b = rgb(getComputedStyle(e).backgroundColor); if (b.a > 0.99) return b.c; } return [255, 255, 255]; };
	const all = [];
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n = walk.nextNode(); n; n = walk.nextNode()) {
		const e = n.parentElement, style = getComputedStyle(e);
		if (!n.data.trim() || ['SCRIPT', 'STYLE', 'TITLE'].includes(e.tagName) || e.closest('.unseen, .skip') || !e.getClientRects().length) continue;
		const svg = e.closest('svg');
		let ink, back = under(svg ? svg.parentElement : e);
		if (svg) {
			ink = plain(style.fill);
			const r = e.getBoundingClientRect(), x = r.left + r.width / 2, y = r.top + r.height / 2;
			for (const p of svg.querySelectorAll('path, rect')) {
				if (!(p.compareDocumentPosition(e) & Node.DOCUMENT_POSITION_FOLLOWING)) break;
				const b = p.getBoundingClientRect(), fill = p.getAttribute('fill');
				const opaque = Number(p.getAttribute('fill-opacity') ?? 1) * Number(p.getAttribute('opacity') ?? 1) > 0.5;
				if (fill && fill !== 'none' && fill !== 'transparent' && opaque && b.left <= x && x <= b.right && b.top <= y && y <= b.bottom) back = plain(fill);
			}
		} else ink = rgb(style.color).c;
		all.push({text: n.data.trim().slice(0, 40), size: parseFloat(style.fontSize), contrast: contrast(ink, back), chart: !!svg});
	}
	return all;
})()`

func canBeRead(t *testing.T, b *tab) {
	t.Helper()
	all := ask[[]struct {
		Text           string
		Size, Contrast float64
		Chart          bool
	}](b, texts)
	inCharts := 0
	told := map[string]bool{}
	for _, x := range all {
		if x.Chart {
			inCharts++
		}
		if (x.Size < 12 || x.Contrast < 4.5) && !told[x.Text] {
			told[x.Text] = true
			t.Errorf("%q has %g px and a contrast of %.2f, want 12 and 4.5 at least", x.Text, x.Size, x.Contrast)
		}
	}
	if len(all) < 1000 || inCharts < 200 {
		t.Errorf("saw %d texts, %d in charts: does this test see them?", len(all), inCharts)
	}
}

func TestThePageFollowsTheTheme(t *testing.T) {
	b := open(t, desk, file(t, resulttest.Rich()))
	const back = `getComputedStyle(document.body).backgroundColor`
	const colours = `[...document.querySelectorAll('.part .chart path')].map(p => p.getAttribute('fill')).filter(f => f && f.startsWith('#') || f && f.startsWith('rgb')).join()`
	light, lightBars := ask[string](b, back), ask[string](b, colours)
	b.look(night)
	b.until(back + ` !== ` + fmt.Sprintf("%q", light))
	b.until(colours + ` !== ` + fmt.Sprintf("%q", lightBars))
	b.drawn()
	if dark := ask[string](b, back); dark != "rgb(18, 22, 29)" {
		t.Errorf("at night the background is %s", dark)
	}
	b.look(desk)
	b.until(back + ` === ` + fmt.Sprintf("%q", light))
	b.until(colours + ` === ` + fmt.Sprintf("%q", lightBars))
}

func TestThePageFitsAPhone(t *testing.T) {
	for name, f := range map[string]result.File{"rich": resulttest.Rich(), "long names": longNames()} {
		t.Run(name, func(t *testing.T) {
			b := open(t, phone, file(t, f))
			b.unfold()
			if w := ask[[2]int](b, `[document.documentElement.scrollWidth, innerWidth]`); w[1] != 360 || w[0] > w[1] {
				t.Errorf("the page is %d px wide on a screen of %d", w[0], w[1])
			}
			if n := ask[int](b, `[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth).length`); n == 0 {
				t.Error("no table scrolls in its own box: does this test see them?")
			}
		})
	}
}

func longNames() result.File {
	f := resulttest.Rich()
	for i := range f.Cells {
		c := &f.Cells[i]
		c.Pool += "?size=10&max_overflow=20&timeout=30s&order=lifo&" + strings.Repeat("x", 60)
		c.Spec, c.Backend = strings.Repeat("y", 300), "postgres://app@db.example/"+strings.Repeat("z", 100)
	}
	return f
}

func TestThePageCanBePrinted(t *testing.T) {
	b := open(t, night, file(t, resulttest.Rich()))
	yes := true
	pdf := call(b, page.PrintToPDF, page.PrintToPDFParams{PrintBackground: &yes, PreferCSSPageSize: &yes}).Data
	if dir := os.Getenv("LIDO_SHOTS"); dir != "" {
		if err := os.WriteFile(dir+"/print.pdf", pdf, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	pages := len(regexp.MustCompile(`/Type ?/Page\b[^s]`).FindAll(pdf, -1))
	if !strings.HasPrefix(string(pdf), "%PDF-") || len(pdf) < 100_000 || pages < 8 || pages > 40 {
		t.Errorf("the print has %d bytes and %d pages, want a page for each of 8 workloads and scenarios at least", len(pdf), pages)
	}
	// Afterwards the screen is as it was.
	b.drawn()
	if w := ask[float64](b, `document.querySelector('.chart svg').getBoundingClientRect().width`); w < 900 {
		t.Errorf("after printing the overview is %g px wide", w)
	}
	if ask[bool](b, `document.documentElement.classList.contains('paper')`) {
		t.Error("after printing the page still has the colours of paper")
	}
}

// On paper charts are as wide as their place there, and light.
func TestChartsAreMadeForPaperBeforePrinting(t *testing.T) {
	b := open(t, night, file(t, resulttest.Rich()))
	got := ask[struct {
		Paper bool
		Ink   string
		Wide  float64
	}](b, `(dispatchEvent(new Event('beforeprint')), {
		paper: document.documentElement.classList.contains('paper'),
		ink: document.querySelector('.part .chart text').getAttribute('fill'),
		wide: document.querySelector('.part .chart svg').getBoundingClientRect().width,
	})`)
	if !got.Paper || got.Ink != "#1b2230" || got.Wide != 340 {
		t.Errorf("before printing: %+v, want dark ink and charts of 340 px", got)
	}
	ask[int](b, `(dispatchEvent(new Event('afterprint')), 0)`)
	b.until(`document.querySelector('.part .chart text').getAttribute('fill') === '#e7ebf1'`)
}

func TestThePageCanBeUsedWithTheKeyboard(t *testing.T) {
	b := open(t, desk, file(t, resulttest.Rich()))
	type stop struct {
		Tag, Text string
		Place     int // in the document
		Seen      bool
	}
	const here = `(e => ({tag: e.localName, text: e.textContent.trim().slice(0, 30), place: [...document.querySelectorAll('*')].indexOf(e),
		seen: (r => r.width > 0 && r.height > 0 && r.bottom > 0 && r.top < innerHeight)(e.getBoundingClientRect())}))(document.activeElement)`
	tab := func() stop {
		run(b, chromedp.KeyEvent("\t"))
		return ask[stop](b, here)
	}
	if first := tab(); first.Text != "Skip to the results" || !first.Seen {
		t.Errorf("the first stop is %+v, want the link that skips to the results", first)
	}
	run(b, chromedp.KeyEvent("\r"))
	b.until(`document.activeElement.id === 'main'`)
	seen := map[string]int{}
	before := 0
	for range 200 {
		s := tab()
		if s.Tag == "body" {
			break
		}
		seen[s.Tag]++
		if s.Place <= before {
			t.Errorf("after place %d comes %+v: the order is not that of the page", before, s)
		}
		if !s.Seen {
			t.Errorf("%+v has the focus and cannot be seen", s)
		}
		before = s.Place
		if seen["summary"] == 1 && s.Tag == "summary" {
			run(b, chromedp.KeyEvent("\r"))
			b.until(`document.activeElement.parentElement.open && document.activeElement.parentElement.querySelector('table').clientHeight > 0`)
		}
	}
	// Those of the charts that are shown, and of the conditions of two sweeps.
	closed := 1 + 2*4 + (2*3 + 5 + 1) + (2 + 1) + 2*3 + 12 + 3
	if seen["summary"] != closed || seen["button"] != len(resulttest.Pools) || seen["a"] < 8 {
		t.Errorf("stops by kind: %v, want %d summaries, %d pools and links to 8 parts", seen, closed, len(resulttest.Pools))
	}
}

func TestAPoolCanBeSwitchedOff(t *testing.T) {
	b := open(t, desk, file(t, resulttest.Rich()))
	const red = `document.querySelectorAll('.part .chart')[1].querySelectorAll('path[stroke="#cf4f0c"], path[fill="#cf4f0c"]').length`
	if ask[int](b, red) == 0 {
		t.Fatal("static is not in the chart of the waits")
	}
	run(b, chromedp.Click(chromedp.CSS(`button[data-pool="1"]`)))
	b.until(red + ` === 0 && document.querySelector('button[data-pool="1"]').getAttribute('aria-pressed') === 'false'`)
	if n := ask[int](b, `document.querySelectorAll('figure[hidden]').length`); n != 3 {
		t.Errorf("%d charts are hidden, want the heat map of static and its two timelines", n)
	}
	run(b, chromedp.Click(chromedp.CSS(`button[data-pool="1"]`)))
	b.until(red + ` > 0 && !document.querySelector('figure[hidden]')`)
}

func TestThePageHasTheStructureThatReadersNeed(t *testing.T) {
	b := open(t, desk, file(t, resulttest.Rich()))
	for what, wrong := range map[string]string{
		"headings that skip a level":            `(l => l.filter((h, i) => i && h > l[i - 1] + 1).length)([...document.querySelectorAll('h1,h2,h3,h4')].map(h => Number(h.localName[1])))`,
		"more or fewer than one h1":             `Math.abs(document.querySelectorAll('h1').length - 1)`,
		"tables without a caption":              `[...document.querySelectorAll('table')].filter(t => !t.caption.textContent).length`,
		"head cells without a scope":            `document.querySelectorAll('th:not([scope])').length`,
		"ids that stand twice":                  `(ids => ids.length - new Set(ids).size)([...document.querySelectorAll('[id]')].map(e => e.id))`,
		"links to nowhere":                      `[...document.querySelectorAll('a[href^="#"]')].filter(a => !document.getElementById(a.getAttribute('href').slice(1))).length`,
		"charts without a label":                `[...document.querySelectorAll('.chart')].filter(c => c.getAttribute('role') !== 'img' || c.getAttribute('aria-label').length < 30).length`,
		"figures without a name":                `[...document.querySelectorAll('figure')].filter(f => !document.getElementById(f.getAttribute('aria-labelledby')).textContent).length`,
		"rows that are not as long as the head": `[...document.querySelectorAll('table')].filter(t => [...t.rows].some(r => [...r.cells].reduce((n, c) => n + c.colSpan, 0) !== t.rows[0].cells.length)).length`,
	} {
		if n := ask[int](b, wrong); n != 0 {
			t.Errorf("%d %s", n, what)
		}
	}
}
