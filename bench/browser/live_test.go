package browser_test

import (
	"net"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/lidopool/lido/bench/internal/page"
	"github.com/lidopool/lido/bench/internal/result/resulttest"
	"github.com/lidopool/lido/bench/internal/trial"
)

func TestALivePageFollowsTheRun(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := page.Serve(l)
	defer s.Close()
	address := "http://" + l.Addr().String() + "/"
	b := open(t, desk, address, address+"events", address+"content")
	b.until(`document.querySelector('.summary').textContent.includes('Nothing has been measured yet.')`)

	rich := resulttest.Rich()
	f := resulttest.Empty()
	f.Cells = rich.Cells[:5]
	s.Publish(f, trial.Progress{Done: 5, All: 40, Left: 70 * time.Second, Now: "assertion under cycle"})
	b.until(`document.querySelectorAll('.chart svg path').length > 5 && document.getElementById('live-now').textContent === '5 of 40 measured, about 1m10s left: assertion under cycle'`)
	b.until(`(e => e.getAttribute('role') === 'progressbar' && e.getAttribute('aria-valuenow') === '5' && e.getAttribute('aria-valuemax') === '40' && e.firstElementChild.getBoundingClientRect().width > 50)(document.getElementById('live-bar'))`)

	// What its reader has opened, switched off, or holds with the keyboard stays as it is.
	ask[int](b, `(document.querySelector('details.data').open = true, document.querySelector('details.data summary').focus(), document.querySelector('.chart').kept = 'kept', 0)`)
	run(b, chromedp.Evaluate[chromedp.Void](`document.querySelector('button[data-pool="2"]').click()`))
	f.Cells = rich.Cells
	// Not sooner than a second after the one before, or it would be drawn with the next.
	b.until(`(window.since ??= performance.now(), performance.now() - since > 1100)`)
	s.Publish(f, trial.Progress{Done: 20, All: 40})
	b.until(`document.querySelectorAll('.part').length === 6 && document.documentElement.dataset.charts === 'drawn'`)
	for what, want := range map[string]string{
		"the table that was open":        `document.querySelector('details.data[open]') !== null`,
		"the focus":                      `document.activeElement.localName === 'summary' && document.activeElement.parentElement.open`,
		"the pool that was switched off": `document.querySelector('button[data-pool="2"]').getAttribute('aria-pressed') === 'false'`,
		"the chart itself":               `[...document.querySelectorAll('.chart')].some(c => c.kept === 'kept')`,
	} {
		if !ask[bool](b, want) {
			t.Errorf("%s was lost when results came in", what)
		}
	}

	f.Timelines = rich.Timelines
	s.Publish(f, trial.Progress{Done: 40, All: 40})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b.until(`document.getElementById('live-state').textContent.startsWith('The run has ended.') && document.querySelectorAll('.part').length === 8`)
	// The program has gone; the page is still good for reading.
	b.look(night)
	run(b, chromedp.Evaluate[chromedp.Void](`document.querySelector('button[data-pool="2"]').click()`))
	b.unfold()
	areDrawn(t, b, nil)
}

func TestALivePageSaysThatTheProgramHasGone(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := page.Serve(l)
	address := "http://" + l.Addr().String() + "/"
	b := open(t, desk, address, address+"events", address+"content")
	s.Publish(resulttest.Empty(), trial.Progress{Done: 1, All: 2})
	b.until(`document.getElementById('live-bar').getAttribute('aria-valuenow') === '1'`) // so it follows the run
	s.Close()
	b.until(`document.getElementById('live-state').textContent.startsWith('The run has ended.')`)
	// It does not ask again and again for what is not there: see requests in open.
	if n := ask[int](b, `performance.getEntriesByName(location.href + 'events').length`); n > 1 {
		t.Errorf("asked %d times for events after the end", n)
	}
}
