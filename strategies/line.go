package strategies

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/lidopool/lido/pool"
)

// line is the seating of the strategies that lend a seat to one holder at a time. Acquirers
// who find nothing idle stand in line, and get whatever comes first: a returned resource or
// a finished open.
//
// Idle seats are in the list, or free: in the pool's self-service, where who comes and finds
// one never comes here. The line attends, which suspends self-service, while it has to see
// every seat that comes back.
//
// These hold whenever mu is free:
//
//   - If a seat is in the list, nobody waits but for a resource in place of one that was
//     unfit: a newcomer may take it without looking at the line, and overtakes nobody.
//   - If somebody waits, the line attends, so no seat is free but for a Release that is
//     under way and comes here next. Or the line is open for a moment (Bounded), and the bell
//     is set to end it.
//   - While more seats are open than are to be kept, the line attends: it counts the idle.
//   - There are as many opens under way as waiters, or no seat is left to open in, so a
//     failed open is followed by the next. An open whose waiter gave up or was served
//     otherwise serves the next one, unless it has taken so long that it may be hanging.
type line struct {
	host    pool.Host
	limits  pool.Limits
	timeout time.Duration
	fifo    bool             // listed seats are lent in order of return
	oneUse  bool             // a returned resource is never lent again
	self    pool.SelfService // nil: every idle seat is listed
	start   time.Time        // zero of the line's clock

	mu       sync.Mutex
	waiting  waiters
	idle     idle
	opening  opens
	used     int         // seats that were ever used, from 0 up
	empty    []pool.Seat // of those, the ones that are empty
	handed   uint64      // seats that went from hand to hand
	arrivals uint64      // waiters that ever came
	closed   bool

	attending bool
	owed      int // visits until it is worth while to stop attending

	passing passing
	bell    bell
	watch   watch
	pace    pace
}

// looksAt is how many seats a pool looks at in self-service before it asks.
const looksAt = 128

// patience is how old an open may be that a newcomer relies on in place of one of its own.
// Arbitrary: longer than a healthy open, also across continents.
const patience = time.Second

func newLine(h pool.Host, l pool.Limits, timeout time.Duration) *line {
	return &line{host: h, limits: l, timeout: timeout, start: time.Now(), idle: newIdle(), attending: true}
}

// serveThemselves has idle seats lent in self-service, if the host can do that.
func (l *line) serveThemselves() {
	if self, ok := l.host.(pool.SelfService); ok {
		l.self = self
		if l.passing.allowed {
			self.Look()
		}
		l.calm()
	}
}

// now is the time on the line's clock, which costs half of what time.Now does.
func (l *line) now() time.Duration { return time.Since(l.start) }

// Limits implements pool.Seating.
func (l *line) Limits() pool.Limits { return l.limits }

// Acquire implements pool.Seating.
func (l *line) Acquire(ctx context.Context, m pool.Mode) (pool.Grant, error) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return pool.Grant{}, pool.ErrClosed
	}
	if l.passed(); !l.passing.open {
		l.attend()
	} else if l.used > looksAt {
		l.closeLine(l.now()) // there may be free seats that the pool has not looked at
	}
	if l.idle.n > 0 {
		s := l.idle.pop(l.fifo)
		l.calm()
		l.mu.Unlock()
		return pool.Grant{Seat: s}, nil
	}
	if (m&pool.NoWait != 0 || l.timeout == NoWait) && !l.spare() {
		l.calm()
		l.mu.Unlock()
		return pool.Grant{}, pool.ErrExhausted
	}
	w := l.waiting.newWaiter(ctx, 0)
	l.arrivals++
	w.number, w.ahead, w.saw = l.arrivals, uint32(l.waiting.n), l.passing.opened
	if l.waiting.pushBack(w); l.waiting.n == 1 {
		l.pace.formed(l.now)
	}
	if w.watched = l.watches(ctx); w.watched {
		l.waiting.watched++
	}
	if l.passing.allowed {
		if l.passing.came++; l.waiting.n == 1 {
			l.shut(l.now())
			l.passing.fresh = true
		}
	}
	timed := l.timeout > 0 || l.opening.n() > 0 || l.spare()
	if timed {
		w.since = l.now()
		l.doubt(w.since)
		l.feed(w.since)
		l.ring(w.since)
	}
	l.mu.Unlock()
	if !timed {
		w.since = l.now() // nobody else looks at it, and the lock is short
	}
	return l.wait(w)
}

// Replace implements pool.Seating.
func (l *line) Replace(ctx context.Context, g pool.Grant, _ pool.Mode) (pool.Grant, error) {
	l.mu.Lock()
	now := l.now()
	l.arrivals++
	l.open(g.Seat, now)
	if l.closed {
		l.mu.Unlock()
		return pool.Grant{}, pool.ErrClosed
	}
	// It waits although others may be idle: after a restart or an invalidation they
	// are all as unfit as the one it had.
	l.attend()
	w := l.waiting.newWaiter(ctx, g.Waited)
	w.since, w.number, w.replaces, w.saw = now, l.arrivals, true, l.passing.opened
	l.waiting.pushFront(w)
	l.ring(now)
	l.mu.Unlock()
	return l.wait(w)
}

// wait waits until w is served or gives up. Its frame is small, and so are those above it,
// for thousands may stand on the stacks of goroutines that wait: what is rare is elsewhere.
func (l *line) wait(w *waiter) (pool.Grant, error) {
	if w.watched {
		<-w.ready
	} else {
		select {
		case <-w.ready:
		case <-w.ctx.Done():
			if l.giveUp(w) {
				return l.refuse(w)
			}
			<-w.ready // served at the same moment: that counts, and the wake is on its way
		}
	}
	if w.err != nil {
		return l.refuse(w)
	}
	now := l.now()
	l.pace.saw(now-w.since, int(w.ahead))
	return l.waiting.settle(w, now), nil
}

// giveUp takes a waiter whose ctx has ended out of the line, and reports whether it was there.
//
//go:noinline
func (l *line) giveUp(w *waiter) bool {
	cause := context.Cause(w.ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !w.queued {
		return false
	}
	l.waiting.remove(w)
	w.err = cause
	l.calm()
	return true
}

// refuse is what a waiter gets that has not got a seat.
//
//go:noinline
func (l *line) refuse(w *waiter) (pool.Grant, error) {
	return l.waiting.refuse(w, l.now())
}

// Opened implements pool.Seating.
func (l *line) Opened(s pool.Seat, err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	counted := l.opening.remove(s)
	if err == nil {
		taken := l.put(s)
		l.calm()
		return taken
	}
	l.empty = append(l.empty, s)
	l.failed(counted, err)
	return true
}

// Overdue implements pool.Seating.
func (l *line) Overdue(s pool.Seat, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed(l.opening.remove(s), err)
}

// failed goes on after an open without a resource: a waiter that relied on it fails too,
// unless it was doubtful, when nobody did. The caller holds mu.
func (l *line) failed(counted bool, err error) {
	if w := l.waiting.first(); counted && w != nil && l.waiting.n > l.opening.n() {
		if l.idle.n > 0 { // only while it replaces
			l.serve(w, l.idle.pop(l.fifo))
		} else {
			l.waiting.serve(w, pool.Grant{}, err)
		}
	}
	l.feed(l.now())
	l.calm()
}

// Release implements pool.Seating.
func (l *line) Release(s pool.Seat, open bool) (taken bool) {
	l.mu.Lock()
	if !open {
		l.empty = append(l.empty, s)
		if l.waiting.n > 0 {
			l.feed(l.now())
		}
		l.calm()
		l.mu.Unlock()
		return true
	}
	l.passed()
	if w := l.next(); w != nil && !l.oneUse {
		l.waiting.grant(w, pool.Grant{Seat: s}, nil)
		l.handed++
		l.handedOver(s)
		yield := l.pace.handedOff(l.waiting.n, l.now)
		l.calm()
		l.mu.Unlock()
		w.wake()
		if yield {
			runtime.Gosched()
		}
		return true
	}
	taken = !l.oneUse && l.put(s)
	l.calm()
	l.mu.Unlock()
	return taken
}

// next is who a returned seat is for.
func (l *line) next() *waiter {
	if l.waiting.n == 0 || l.closed || l.passing.open {
		return nil
	}
	return l.waiting.first()
}

// Claim implements pool.Seating.
func (l *line) Claim(s pool.Seat) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.idle.remove(s) || l.self != nil && l.self.Take(s)
}

// Load implements pool.Seating. While the line does not attend, it costs a look at every
// seat.
func (l *line) Load() pool.Load {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.load()
}

func (l *line) load() pool.Load {
	idle := l.idle.n
	if !l.attending {
		idle += l.self.Free()
	}
	opening := l.opening.n() + l.opening.doubtful
	return l.waiting.load(pool.Load{Lent: l.used - len(l.empty) - idle - opening, Idle: idle, Opening: opening})
}

// Close implements pool.Seating.
func (l *line) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.bell.timer != nil {
		l.bell.timer.Stop()
	}
	l.watch.unwatch()
	l.waiting.serveAll(pool.ErrClosed)
	l.attend()
}

// attend has every seat come to the line from now on, and lists those that are free. The
// caller holds mu, as for all below.
func (l *line) attend() {
	if l.attending {
		return
	}
	l.attending = true
	// A look at every seat is paid for by as many visits, at a sixteenth each. Arbitrary.
	l.owed = l.used / 16
	l.self.Suspend(l.idle.push)
}

// calm ends a visit: it stops attending if there is no reason for it any more.
func (l *line) calm() {
	if l.waiting.n == 0 {
		l.passing.open = false
	} else if l.adopts() {
		l.ring(l.now())
	}
	switch {
	case !l.attending || l.self == nil || l.waiting.n > 0 || l.closed || l.overflowing():
	case l.owed > 0:
		l.owed--
	default:
		l.stopAttending()
	}
}

func (l *line) stopAttending() {
	l.attending = false
	l.self.Resume()
	for l.idle.n > 0 {
		l.self.Put(l.idle.pop(false))
	}
}

// overflowing reports whether more seats are open than are to be kept.
func (l *line) overflowing() bool {
	return l.limits.Keep != pool.Unlimited && l.used-len(l.empty) > l.limits.Keep
}

// put passes on a seat with an open resource: to the longest waiter, or to the idle ones if
// more are to be kept.
func (l *line) put(s pool.Seat) bool {
	if l.closed {
		return false
	}
	if w := l.next(); w != nil {
		l.serve(w, s)
		return true
	}
	if l.limits.Keep != pool.Unlimited && l.idle.n >= l.limits.Keep {
		return false
	}
	if l.attending {
		l.idle.push(s)
	} else {
		l.self.Put(s)
	}
	return true
}

// serve hands a seat to a waiter.
func (l *line) serve(w *waiter, s pool.Seat) {
	l.waiting.serve(w, pool.Grant{Seat: s}, nil)
	l.handedOver(s)
}

// feed has seats opened until every waiter has an open that is meant for it.
func (l *line) feed(now time.Duration) {
	for l.waiting.n > l.opening.n() && l.spare() {
		if l.passing.open && l.limits.Keep != pool.Unlimited && l.used-len(l.empty) >= l.limits.Keep {
			l.closeLine(now) // more will be open than are to be kept: they must be counted
			continue
		}
		var s pool.Seat
		if n := len(l.empty); n > 0 {
			s = l.empty[n-1]
			l.empty = l.empty[:n-1]
		} else {
			s = pool.Seat(l.used)
			l.used++
		}
		l.open(s, now)
	}
}

func (l *line) open(s pool.Seat, now time.Duration) {
	l.opening.add(s, now, l.arrivals)
	l.host.Open(s)
}

// doubt gives up on opens that are old and that a waiter has to rely on in place of its own:
// who asked for it has left, or was served by another.
func (l *line) doubt(now time.Duration) {
	for l.adopts() && now-l.opening.oldest().since >= patience {
		l.opening.doubt()
	}
}

// adopts reports whether the first in line relies on an open that began before it came,
// although there is a seat for one of its own. Waiters come and opens begin in the same order,
// so if the first does not, nobody does.
func (l *line) adopts() bool {
	first := l.waiting.head
	return first != nil && l.opening.n() >= l.waiting.n && l.spare() && l.opening.oldest().after < first.number
}

// spare reports whether there is a seat to open in.
func (l *line) spare() bool {
	return len(l.empty) > 0 || l.limits.Seats == pool.Unlimited || l.used < l.limits.Seats
}
