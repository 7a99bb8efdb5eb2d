package strategies

import (
	"sync/atomic"
	"time"
)

// pace decides whether who has handed a seat to a waiter yields its processor to it.
//
// A woken goroutine is the next to run on the processor of whoever woke it, and for a while
// nobody else takes it from there. If the releaser goes on computing, the seat lies idle in
// the hands of a waiter that does not run. So where hand-offs are rare, which means that
// whoever holds or releases has other things to do, the releaser yields: it costs 0.1 µs.
//
// Where they are frequent that would cost a third of the throughput, and holders mostly yield
// or wait anyway. But there a convoy can form: who runs finds a line, stands behind it, and so
// there is always a line, though there may be more seats than goroutines that can run. It
// dissolves if releasers yield for as long as the line is, because then nobody joins it. Whether
// it does can only be tried. If the line is soon there again, it was no convoy, and each such try
// doubles the time to the next.
type pace struct {
	rare atomic.Bool // hand-offs are; by what waiters found

	// Guarded by the line's lock.
	run     int           // hand-offs since the line was empty, or since the last try
	gap     int           // how many of them make a try worth while
	burst   int           // yields left in a try
	emptied time.Duration // when the line was empty last, if there was a try
}

const (
	// A waiter that waited longer than this for each who stood before it has seen rare hand-offs.
	// Hand-offs as such take 0.5 µs, and more on a busy machine; see docs/performance.md.
	rareAfter = 10 * time.Microsecond
	// leastGap and mostGap, in hand-offs: a convoy lasts 30 µs, and tries in vain cost little.
	leastGap = 64
	mostGap  = 64 << 10
	// A line that is there again after less than this was no convoy. Arbitrary.
	soon = time.Millisecond
)

// saw is told by each waiter how long it has waited behind how many others.
func (p *pace) saw(waited time.Duration, ahead int) {
	if rare := waited > rareAfter*time.Duration(ahead+1); rare != p.rare.Load() {
		p.rare.Store(rare)
	}
}

// formed is told when somebody begins a line. The caller holds the line's lock, as below.
func (p *pace) formed(now func() time.Duration) {
	if p.gap > leastGap && now()-p.emptied > soon {
		p.gap = leastGap
	}
}

// handedOff is asked after each hand-off, with how many still wait, whether to yield.
func (p *pace) handedOff(waiting int, now func() time.Duration) (yield bool) {
	switch {
	case waiting == 0:
		p.run, p.burst = 0, 0
		if p.gap > leastGap {
			p.emptied = now()
		}
	case p.burst > 0:
		p.burst--
		return true
	default:
		if p.run++; p.run >= max(p.gap, leastGap) {
			p.run, p.burst, p.gap = 0, waiting, min(2*p.gap, mostGap)
		}
	}
	return p.rare.Load()
}
