package browser_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/lidopool/lido/bench/internal/result"
)

// pictures are those of docs/choosing.md: a figure of the page of a result in bench/results, or all those of a part.
var pictures = []struct {
	name   string
	result string // in bench/results
	part   string // what the heading of the part says, in full
	figure string // its caption. "": all figures of the part
}{
	{"strategies", "sqlite.json", "At a glance", "Throughput against the baseline"},
	{"postgres", "postgres.json", "query", "Throughput over goroutines"},
	{"sizes", "sizes.json", "query", "Throughput of queue, ops/s"},
	{"fairness", "queues.json", "contention", "Throughput over goroutines"},
	{"fairness-waits", "queues.json", "contention", "p99 wait over goroutines"},
	{"arrivals", "arrivals.json", "burst?rate=4000&burst=1", "Waits by percentile"},
	{"spike", "scenarios.json", "spike", ""},
	{"outage", "scenarios.json", "outage", ""},
	{"saturation", "scenarios.json", "saturation", ""},
}

// make pictures draws docs/pictures. As a test it sees to it that what the pictures show is there.
func TestPictures(t *testing.T) {
	dir := os.Getenv("LIDO_PICTURES")
	tabs := make(map[string]*tab)
	for _, p := range pictures {
		b := tabs[p.result]
		if b == nil {
			f, err := result.ReadFile(filepath.Join("..", "results", p.result))
			if err != nil {
				t.Fatal(err)
			}
			b = open(t, desk, file(t, f))
			b.unfold()
			ask[int](b, `(document.head.insertAdjacentHTML('beforeend', '<style>details.data{display:none} [id^=picture-]{padding:16px;background:#fff}</style>'), 0)`)
			tabs[p.result] = b
		}
		found := fmt.Sprintf(`[...document.querySelectorAll('section')].filter(s => s.querySelector(':scope > h2')?.lastChild.textContent.trim() === %q)`, p.part)
		if p.figure == "" {
			found += `.flatMap(s => [...s.querySelectorAll(':scope > .figures')])`
		} else {
			found += fmt.Sprintf(`.flatMap(s => [...s.querySelectorAll('figure')]).filter(f => f.querySelector('figcaption').textContent.trim() === %q)`, p.figure)
		}
		if n := ask[int](b, found+`.slice(0, 1).map(f => f.id = 'picture-`+p.name+`').length`); n == 0 {
			t.Errorf("the page of %s has no figure %q in a part %q", p.result, p.figure, p.part)
			continue
		}
		if dir == "" {
			continue
		}
		picture := run(b, chromedp.Screenshot("#picture-"+p.name))
		if err := os.WriteFile(filepath.Join(dir, p.name+".png"), picture, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}
