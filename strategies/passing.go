package strategies

import (
	"time"

	"github.com/lidopool/lido/pool"
)

// Bounded fairness. A strict line costs two switches of goroutines for each hand-off, however
// short the use. So where seats change hands fast, the line opens for a moment: seats that
// come back are idle or free, whoever runs takes them by the fast path, and nobody is woken.
// When the moment is over, it closes and hands seats over in order again, to a twentieth of
// the line at least, and each seat once if that does not take long, so that whoever has had
// one meanwhile gives it up. So who waits sees the line open twenty times at most, which is Passing
// in all. Where seats change hands slowly, or few come back for another, it does not open,
// since nothing is to be gained.
//
// The price: when everybody who runs goes away while the line is open, a seat stays idle beside
// those who wait until the moment is over.
const (
	moments = 20
	moment  = Passing / moments

	// A hand-off takes less than that where seats change hands fast. Measured: hand-offs
	// alone take 0.5 µs each; see docs/performance.md.
	fast = 3 * time.Microsecond
)

// passing is the state of a line under Bounded.
type passing struct {
	allowed bool // Bounded
	open    bool
	until   time.Duration // when it closes, on the line's clock
	opened  uint32        // how often it was

	// The present stretch of hand-offs.
	began  time.Duration
	handed int      // hand-offs in it
	came   int      // and who came to stand in line meanwhile
	fresh  bool     // it is the first of this line: those who came made the line
	kept   int      // seats that have not been handed over in it
	number uint32   // of the stretch
	last   []uint32 // by seat: the stretch in which it was handed over last
}

// shut begins a stretch of hand-offs. The caller holds mu, as for all below.
func (l *line) shut(now time.Duration) {
	p := &l.passing
	p.open, p.began, p.handed, p.came = false, now, 0, 0
	p.kept = l.used - len(l.empty)
	p.number++
}

// handedOver counts a hand-off, and opens the line if the last of its stretch came fast.
func (l *line) handedOver(s pool.Seat) {
	p := &l.passing
	if !p.allowed || l.closed {
		return
	}
	for int(s) >= len(p.last) {
		p.last = append(p.last, 0)
	}
	if p.last[s] != p.number {
		p.last[s] = p.number
		p.kept--
	}
	if p.fresh {
		p.fresh, p.came = false, 0
	}
	p.handed++
	if p.handed*moments < l.waiting.n || p.kept > 0 && p.handed < 4*l.used || l.waiting.n == 0 {
		return
	}
	now := l.now()
	slow := now-p.began > time.Duration(p.handed)*fast
	leaving := 2*p.came < p.handed // then an open line would leave seats idle
	enough := p.opened-l.waiting.head.saw >= moments
	if slow || leaving || enough || l.overflowing() || l.excess() {
		l.shut(now)
		return
	}
	// Nobody's time may run out beside a seat that lies idle.
	p.open, p.until = true, min(now+moment, l.expiry(l.waiting.head))
	p.opened++
	l.ring(now)
	if l.self != nil {
		l.stopAttending()
	}
}

// passed closes the line if its moment is over. The bell does so too, but a timer of Go's
// comes late by a millisecond or more where a processor has gone to sleep.
func (l *line) passed() {
	if l.passing.open {
		if now := l.now(); now >= l.passing.until {
			l.closeLine(now)
		}
	}
}

// closeLine ends the moment in which the line is open.
func (l *line) closeLine(now time.Duration) {
	l.shut(now)
	l.attend()
	l.serveIdle()
}
