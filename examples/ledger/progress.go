package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// progress tells what goes on: on a terminal in one line that is written over, else in plain lines,
// not more than one a second.
type progress struct {
	w    io.Writer
	live bool
	next time.Time // when the next plain step is due
}

func newProgress(w io.Writer) *progress {
	p := &progress{w: w}
	if f, ok := w.(*os.File); ok && os.Getenv("TERM") != "dumb" {
		info, err := f.Stat()
		p.live = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

// interval is how often it is worth calling step.
func (p *progress) interval() time.Duration {
	if p.live {
		return 100 * time.Millisecond
	}
	return time.Second
}

// step tells of something unfinished.
func (p *progress) step(what, format string, args ...any) {
	now := time.Now()
	if p.live {
		fmt.Fprintf(p.w, "\r\x1b[K%-10s %s", what, fmt.Sprintf(format, args...))
	} else if !now.Before(p.next) {
		fmt.Fprintf(p.w, "%-10s %s\n", what, fmt.Sprintf(format, args...))
		p.next = now.Add(time.Second - 50*time.Millisecond) // tickers are not exact
	}
}

// done tells of something finished, in a line that stays.
func (p *progress) done(what, format string, args ...any) {
	if p.live {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
	fmt.Fprintf(p.w, "%-10s %s\n", what, fmt.Sprintf(format, args...))
}

// clear ends a line that is being written over, before something else is printed.
func (p *progress) clear() {
	if p.live {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
