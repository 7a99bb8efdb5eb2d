package main

import (
	"fmt"
	"io"
	"os"
	"time"
	"unicode/utf8"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/lidopool/lido/bench/internal/trial"
)

// progress tells how far a run is: on a terminal by a bar, else by plain lines, of which there are few. It is for one goroutine.
type progress struct {
	w    io.Writer
	live bool
	bar  *progressbar.ProgressBar
	next time.Time // when the next plain line is due
	gap  time.Duration
}

func newProgress(w io.Writer, quiet bool) *progress {
	if quiet {
		return &progress{w: io.Discard}
	}
	_, live := terminal(w)
	return &progress{w: w, live: live && os.Getenv("TERM") != "dumb"}
}

// Plain lines are about so many, not closer than leastGap: few enough for a log, and enough to see that it lives.
const (
	plainLines = 20
	leastGap   = time.Second
)

// say writes a line that stays.
func (p *progress) say(format string, args ...any) {
	p.clear()
	fmt.Fprintf(p.w, format+"\n", args...)
}

// step shows where the run is.
func (p *progress) step(at trial.Progress) {
	if !p.live {
		if p.gap == 0 {
			p.gap = max(at.Left/plainLines, leastGap)
		}
		if now := time.Now(); !now.Before(p.next) && at.Done < at.All {
			fmt.Fprintf(p.w, "%d of %d, %s\n", at.Done, at.All, rest(at))
			p.next = now.Add(p.gap)
		}
		return
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions(at.All, progressbar.OptionSetWriter(p.w), progressbar.OptionShowCount(), progressbar.OptionSetWidth(20),
			progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false), progressbar.OptionClearOnFinish(),
			progressbar.OptionShowDescriptionAtLineEnd(), progressbar.OptionUseANSICodes(true),
			progressbar.OptionThrottle(100*time.Millisecond))
	}
	p.bar.ChangeMax(max(at.All, 1))
	width, _ := terminal(p.w)
	p.bar.Describe(shorten(rest(at), width-beside))
	p.bar.Set(at.Done) // an error of the terminal is seen elsewhere
}

// rest says how long it will take, and what comes now: between two rounds that is nothing.
func rest(at trial.Progress) string {
	text := fmt.Sprintf("%v left", at.Left.Round(time.Second))
	if at.Now != "" {
		text += ": " + at.Now
	}
	return text
}

// beside is how many columns the bar takes, its numbers included: more, and the bar itself would get shorter.
const beside = 42

// shorten cuts text to so many columns, but not so far that the time is lost.
func shorten(text string, columns int) string {
	columns = max(columns, len("59m59s left"))
	if utf8.RuneCountInString(text) <= columns {
		return text
	}
	return string([]rune(text)[:columns-1]) + "…"
}

// clear takes the bar away.
func (p *progress) clear() {
	if p.bar != nil {
		p.bar.Clear()
	}
}

// terminal says whether w is one, and how many columns it has.
func terminal(w io.Writer) (width int, is bool) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, _ = term.GetSize(int(f.Fd()))
	return width, true
}
