package strategies

import (
	"time"

	"github.com/lidopool/lido/pool"
)

// Bounded fairness. A strict line costs two switches of goroutines for each hand-off, however
// short the use. So where seats change hands fast, the line opens for a moment: seats that
// come back are idle or free, whoever runs takes them by the fast path, and nobody is woken.
// When the moment is over, it closes and hands seats over in order again, each seat once if that does not take
// long, so that whoever has had one meanwhile gives it up. A moment takes that share of Passing which those who were
// handed a seat before it are of the line: so who waits sees it open for Passing in all, until its turn comes. A
// long line opens more often, and for less, since few take the seats of a moment, and everybody is to have some.
// Where seats change hands slowly, or few come back for another, it does not open,
// since nothing is to be gained.
//
// The price: when everybody who runs goes away while the line is open, a seat stays idle beside
// those who wait until the moment is over.
const (
	moment = Passing / 8 // the longest; a seat may lie idle beside a waiter for as long
	// A moment that is shorter gains less than the closing of the line costs, which looks at every seat.
	shortest = 5 * time.Microsecond
	// A stretch of hand-offs serves at least that part of the line, so where a line is long and seats are few it is open
	// for 11 µs at a time. With 20 instead, 1,024 goroutines had uneven shares of 2 seats, a Jain index of 0.91; see
	// docs/performance.md.
	part = 90

	// A hand-off takes less than that where seats change hands fast. Measured: hand-offs
	// alone take 0.5 µs each; see docs/performance.md.
	fast = 3 * time.Microsecond
)

// passing is the state of a line under Bounded.
type passing struct {
	allowed bool // Bounded
	open    bool
	until   time.Duration // when it closes, on the line's clock
	spent   time.Duration // for how long it was open, all in all, until it closed last

	// The present stretch of hand-offs.
	began  time.Duration // or when it opened
	handed int           // hand-offs in it
	came   int           // and who came to stand in line meanwhile
	fresh  bool          // it is the first of this line: those who came made the line
	kept   int           // seats that have not been handed over in it
	number uint32        // of the stretch
	last   []uint32      // by seat: the stretch in which it was handed over last
}

// shut begins a stretch of hand-offs. The caller holds mu, as for all below.
func (l *line) shut(now time.Duration) {
	p := &l.passing
	if p.open { // as long as it was, also if it closes late
		p.spent += now - p.began
	}
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
	if p.handed*part < l.waiting.n || p.kept > 0 && p.handed < 4*l.used || l.waiting.n == 0 {
		return
	}
	now := l.now()
	slow := now-p.began > time.Duration(p.handed)*fast
	leaving := 2*p.came < p.handed // then an open line would leave seats idle
	first := l.waiting.head
	left := Passing - time.Duration(p.micros()-first.saw)*time.Microsecond
	length := min(Passing*time.Duration(p.handed)/time.Duration(l.waiting.n), moment, left).Truncate(time.Microsecond)
	if slow || leaving || length < shortest || l.overflowing() || l.excess() {
		l.shut(now)
		return
	}
	// Nobody's time may run out beside a seat that lies idle.
	p.open, p.began, p.until = true, now, min(now+length, l.expiry(first))
	l.ring(now)
	if l.self != nil {
		l.stopAttending()
	}
}

// micros is spent in microseconds. It wraps, so only differences of it mean something.
func (p *passing) micros() uint32 { return uint32(p.spent / time.Microsecond) }

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
