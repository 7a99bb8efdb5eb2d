package browser_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/lidopool/lido/bench/internal/result/resulttest"
)

// LIDO_SHOTS=directory go test -run Shots has the page as people see it, to be looked at after a change.
func TestShots(t *testing.T) {
	dir := os.Getenv("LIDO_SHOTS")
	if dir == "" {
		t.Skip("screenshots for people: name a directory for them in LIDO_SHOTS")
	}
	address := file(t, resulttest.Rich())
	for name, v := range map[string]view{"light": desk, "dark": night, "phone": phone} {
		b := open(t, v, address)
		picture := run(b, chromedp.FullScreenshot(100))
		if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	// As on paper, a page of A4 wide, though not cut into pages; print.pdf of TestThePageCanBePrinted is.
	b := open(t, view{width: 703, height: 1000}, address)
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
	ask[int](b, `(dispatchEvent(new Event('beforeprint')), 0)`)
	if err := os.WriteFile(filepath.Join(dir, "paper.png"), run(b, chromedp.FullScreenshot(100)), 0o666); err != nil {
		t.Fatal(err)
	}
}
