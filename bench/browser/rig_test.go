package browser_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/lidopool/lido/bench/internal/page"
	"github.com/lidopool/lido/bench/internal/result"
)

// A browser works in real time. Tests wait for what it has done, no longer than patience.
const patience = time.Minute

// One browser is enough for all tests: each has a tab of its own.
var browser struct {
	once sync.Once
	ctx  context.Context
	err  error
	end  func()
}

func TestMain(m *testing.M) {
	code := m.Run()
	if browser.end != nil {
		browser.end()
	}
	os.Exit(code)
}

func start(t *testing.T) context.Context {
	t.Helper()
	found, err := find()
	if err != nil {
		if os.Getenv("LIDO_STRICT") != "1" {
			t.Skip(err)
		}
		t.Fatal(err)
	}
	browser.once.Do(func() {
		options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(found.file), chromedp.Env(found.env()...),
			// The sandbox does not work for root, nor in many containers. What is shown is our own page, which asks for nothing.
			chromedp.NoSandbox,
			chromedp.WSURLReadTimeout(patience),
			// /dev/shm of a container is too small for it.
			chromedp.Flag("disable-dev-shm-usage", true),
			chromedp.Flag("hide-scrollbars", false))
		all, endAll := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, end := chromedp.NewContext(all)
		browser.ctx, browser.err = ctx, chromedp.Do(ctx)
		browser.end = func() {
			end()
			endAll()
		}
	})
	if browser.err != nil {
		t.Fatalf("%s does not start: %v", found.file, browser.err)
	}
	return browser.ctx
}

// A tab is a page in the browser, and what went wrong in it.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	problems []string
	requests []string
}

// A view is how somebody looks at a page.
type view struct {
	width, height int64
	dark          bool
	mobile        bool
	still         bool // does not like motion
}

var (
	desk  = view{width: 1280, height: 900}
	night = view{width: 1280, height: 900, dark: true}
	phone = view{width: 360, height: 740, mobile: true, still: true}
)

// open opens a page, waits until its charts are drawn, and sees to it that at the end of the test nothing has gone
// wrong in it and nothing was asked for but address and what begins with one of also.
func open(t *testing.T, v view, address string, also ...string) *tab {
	t.Helper()
	base := start(t)
	b := &tab{t: t}
	listen := chromedp.WithListener(func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventConsoleAPICalled:
			text := string(e.Type)
			for _, a := range e.Args {
				text += " " + string(a.Value)
			}
			b.problems = append(b.problems, text)
		case *runtime.EventExceptionThrown:
			text := e.ExceptionDetails.Text
			if x := e.ExceptionDetails.Exception; x != nil {
				text += " " + x.Description
			}
			b.problems = append(b.problems, text)
		case *log.EventEntryAdded:
			b.problems = append(b.problems, fmt.Sprintf("%s %s: %s", e.Entry.Source, e.Entry.Level, e.Entry.Text))
		case *network.EventRequestWillBeSent:
			b.requests = append(b.requests, e.Request.URL)
		}
	})
	ctx, end := chromedp.NewContext(base, chromedp.WithNewBrowserContext(), listen)
	b.ctx = ctx
	t.Cleanup(func() {
		defer end()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, p := range b.problems {
			t.Errorf("the page complains: %s", p)
		}
		if len(b.requests) == 0 || b.requests[0] != address {
			t.Errorf("asked for %q, want %s first: does this test see requests?", b.requests, address)
		}
		for _, r := range b.requests[min(1, len(b.requests)):] {
			if !slices.ContainsFunc(also, func(s string) bool { return strings.HasPrefix(r, s) }) {
				t.Errorf("the page asked for %s", r)
			}
		}
	})
	// The tab lives as long as the context of the first call: so that has no deadline.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	call(b, log.Enable, cdp.Empty{})
	call(b, network.Enable, network.EnableParams{})
	b.look(v)
	run(b, chromedp.Navigate(address))
	b.drawn()
	return b
}

// look changes how the page is looked at.
func (b *tab) look(v view) {
	b.t.Helper()
	scheme, motion := "light", "no-preference"
	if v.dark {
		scheme = "dark"
	}
	if v.still {
		motion = "reduce"
	}
	var options []chromedp.EmulateViewportOption
	if v.mobile {
		options = append(options, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	run(b, chromedp.EmulateViewport(v.width, v.height, options...))
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: motion}}})
}

// run does something with the page.
func run[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	answer, err := chromedp.Run(ctx, action)
	if err != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.t.Fatalf("%v; the page says %q", err, b.problems)
	}
	return answer
}

func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	return run(b, func(ctx context.Context, t *chromedp.Target) (R, error) { return cdp.Call(ctx, t, command, params) })
}

// until waits until a condition of the page holds.
func (b *tab) until(condition string) {
	b.t.Helper()
	run(b, chromedp.Poll[chromedp.Void](condition, chromedp.WithPollingTimeout(0), chromedp.WithPollingInterval(20*time.Millisecond)))
}

// drawn waits until the charts that can be seen are drawn.
func (b *tab) drawn() {
	b.t.Helper()
	b.until(`document.documentElement.dataset.charts === 'drawn'`)
}

// unfold opens all that can be opened, and waits for its charts.
func (b *tab) unfold() {
	b.t.Helper()
	ask[int](b, `(delete document.documentElement.dataset.charts, document.querySelectorAll('details').forEach(d => d.open = true), dispatchEvent(new Event('resize')), 0)`)
	b.until(`[...document.querySelectorAll('.chart')].every(c => c.querySelector('svg')) && document.documentElement.dataset.charts === 'drawn'`)
}

// ask evaluates an expression in the page.
func ask[T any](b *tab, expression string) T {
	b.t.Helper()
	text := run(b, chromedp.Evaluate[string]("JSON.stringify("+expression+")"))
	var answer T
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		b.t.Fatalf("%s is %s: %v", expression, text, err)
	}
	return answer
}

// file writes a result as a page, and returns its address.
func file(t *testing.T, f result.File) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "report.html")
	out, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := page.Write(out, f); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return "file://" + filepath.ToSlash(name)
}
