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
//   - As many opens are asked for as there are waiters, or as the host has under way at once, or as
//     there are seats, so a failed open is followed by the next. An open whose waiter gave up or was served
//     otherwise serves the next one, unless it has not begun, or has taken so long that it may be hanging.
//   - Unless the line is paused. Then nobody is served, and seats that are idle lie beside those who wait.
type line struct {
	host   pool.Host
	self   pool.SelfService // nil: every idle seat is listed
	start  time.Time        // zero of the line's clock
	fifo   bool             // listed seats are lent in order of return
	oneUse bool             // a returned resource is never lent again
	sole   bool             // nobody stands in line behind a holder, or another who waits

	mu       sync.Mutex
	limits   pool.Limits
	timeout  time.Duration
	most     int  // waiters for whom nothing is being opened; 0: no bound
	linger   bool // overflow stays open while idle, until upkeep closes it
	waiting  waiters
	idle     idle
	opening  opens
	used     int                    // seats that were ever used, from 0 up
	empty    []pool.Seat            // of those, the ones that are empty
	handed   uint64                 // seats that went from hand to hand
	failures uint64                 // opens that failed
	arrivals uint64                 // waiters that ever came
	overdue  map[pool.Seat]struct{} // seats that hang in an open that has been given up
	leaving  map[pool.Seat]struct{} // seats that were not taken, and come back empty
	untimed  uint64                 // who came up to then came while there was no timeout,
	timed    time.Duration          // and is bound by the present one from here on
	paused   bool
	closed   bool
	claimed  bool // of the sole seat: the pool has it for itself

	attending bool
	owed      int // visits until it is worth while to stop attending

	passing passing
	bell    bell
	still   standstill
	watch   watch
	pace    pace
	service service
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
func (l *line) Limits() pool.Limits {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.limits
}

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
	if l.idle.n > 0 && !l.paused {
		s := l.idle.pop(l.fifo)
		l.calm()
		l.mu.Unlock()
		return pool.Grant{Seat: s}, nil
	}
	if err := l.refusal(ctx, m); err != nil {
		l.calm()
		l.mu.Unlock()
		return pool.Grant{}, err
	}
	w := l.waiting.newWaiter(ctx, 0)
	l.arrivals++
	w.number, w.ahead, w.saw = l.arrivals, uint32(l.waiting.n), l.passing.micros()
	if l.waiting.pushBack(w); l.waiting.n == 1 {
		l.pace.formed(l.now)
	}
	if w.watched = l.watches(ctx); w.watched {
		l.waiting.watched++
	}
	if m&moving != 0 {
		l.expectMoves(w)
	}
	if l.passing.allowed {
		if l.passing.came++; l.waiting.n == 1 {
			l.shut(l.now())
			l.passing.fresh = true
		}
	}
	timed := l.timeout > 0 || l.opening.n() > 0 || l.spare() || m&moving != 0
	if timed {
		w.since = l.now()
		l.doubt(w.since)
		l.feed()
		l.ring(w.since)
	}
	l.mu.Unlock()
	if !timed {
		w.since = l.now() // nobody else looks at it, and the lock is short
	}
	return l.wait(w)
}

// refusal is the answer to an acquirer who may not stand in line; nil if it may. The caller holds mu.
func (l *line) refusal(ctx context.Context, m pool.Mode) error {
	switch {
	case l.sole && m&pool.Again == 0 && !l.claimed && l.waiting.n+l.live()-l.idle.n > 0:
		return &AlreadyAcquiredError{}
	case l.mayWait(m):
		if err := l.waiting.turnAway(l.waiting.n-l.opening.n(), l.most, m); err != nil || m&pool.Again != 0 {
			return err
		}
		return l.shed(ctx)
	case l.paused:
		return pool.ErrSuspended
	case !l.spare():
		return pool.ErrExhausted
	}
	return nil
}

// mayWait reports whether an acquirer may stand in line.
func (l *line) mayWait(m pool.Mode) bool {
	return l.timeout != NoWait && (m&pool.NoWait == 0 || m&moving != 0 && !l.paused)
}

// Replace implements pool.Seating.
func (l *line) Replace(ctx context.Context, g pool.Grant, _ pool.Mode) (pool.Grant, error) {
	l.mu.Lock()
	now := l.now()
	l.arrivals++
	l.open(g.Seat, false)
	l.opening.replaces(g.Seat)
	if l.closed {
		l.mu.Unlock()
		return pool.Grant{}, pool.ErrClosed
	}
	// It waits although others may be idle: after a restart or an invalidation they
	// are all as unfit as the one it had.
	l.attend()
	w := l.waiting.newWaiter(ctx, g.Waited)
	w.since, w.number, w.role, w.saw = now, l.arrivals, replacing, l.passing.micros()
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

// giveUp takes a waiter whose ctx has ended out of the line, and reports whether it was there, or a
// neighbour that gave up has taken it out.
//
//go:noinline
func (l *line) giveUp(w *waiter) bool {
	if w.swept.Load() {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.swept.Load() {
		return true
	}
	if !w.queued {
		return false
	}
	l.sweep(w)
	l.calm()
	return true
}

// refuse is what a waiter gets that has not got a seat.
//
//go:noinline
func (l *line) refuse(w *waiter) (pool.Grant, error) {
	return l.waiting.refuse(w, l.now())
}

// Vacant implements pool.Vacancies.
func (l *line) Vacant() (pool.Seat, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.paused || l.waiting.n > 0 || l.opening.n() > 0 || !l.spare() || !l.asks() {
		return 0, false
	}
	l.attend()
	defer l.calm()
	if l.idle.n > 0 {
		return 0, false
	}
	s := l.vacant()
	l.opening.take(s)
	return s, true
}

// Taken implements pool.Vacancies.
func (l *line) Taken(s pool.Seat) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.paused || l.excess() {
		return false
	}
	l.opening.remove(s)
	l.feed()
	l.calm()
	return true
}

// Begin implements pool.Seating.
func (l *line) Begin(s pool.Seat) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	needed := l.opening.begin(s, l.waiting.n, now) && (l.limits.Seats == pool.Unlimited || l.present()+l.opening.full <= l.limits.Seats)
	if needed {
		l.ring(now)
	} else {
		l.opening.remove(s)
		l.empty = append(l.empty, s)
	}
	l.calm()
	return needed
}

// Opened implements pool.Seating.
func (l *line) Opened(s pool.Seat) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opening.remove(s)
	taken := l.put(s)
	l.feed()
	l.calm()
	return taken
}

// Failed implements pool.Seating.
func (l *line) Failed(s pool.Seat, err error, a pool.Answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	counted := l.opening.remove(s)
	l.empty = append(l.empty, s)
	l.failed(counted, err, a)
}

// Overdue implements pool.Seating.
func (l *line) Overdue(s pool.Seat, err error, a pool.Answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.overdue == nil {
		l.overdue = make(map[pool.Seat]struct{})
	}
	l.overdue[s] = struct{}{}
	l.failed(l.opening.remove(s), err, a)
}

// failed goes on after an open without a resource: a waiter that relied on it fails too,
// unless it was doubtful, when nobody did; or all, if there is nothing else to wait for. The caller holds mu.
func (l *line) failed(counted bool, err error, a pool.Answer) {
	l.failures++
	live := l.live()
	switch {
	case l.paused, spared(a, live, l.opening.underWay()):
	case a != pool.AnswerOne && live == 0 && l.opening.underWay() == 0:
		l.waiting.serveAll(err)
	case counted && l.waiting.n > l.opening.n():
		if w := l.waiting.longest(); w == nil {
		} else if l.idle.n > 0 && !l.paused { // only while it replaces
			l.serve(w, l.idle.pop(l.fifo))
		} else {
			l.waiting.serve(w, pool.Grant{}, err)
		}
	}
	l.feed()
	l.calm()
}

// spared reports whether a failed open is the answer to nobody, while so many resources are open and so many
// others are being opened.
func spared(a pool.Answer, live, underWay int) bool {
	switch a {
	case pool.AnswerNobody:
		return true
	case pool.AnswerUnlessOpen:
		return live > 0
	case pool.AnswerUnlessComing:
		return live+underWay > 0
	}
	return false
}

// Release implements pool.Seating.
func (l *line) Release(s pool.Seat, open bool) (taken bool) {
	l.mu.Lock()
	l.claimed = false
	if !open {
		l.empty = append(l.empty, s)
		delete(l.overdue, s)
		delete(l.leaving, s)
		l.feed()
		l.calm()
		l.mu.Unlock()
		return true
	}
	if l.overdue != nil {
		delete(l.overdue, s)
	}
	l.passed()
	if w := l.next(); w != nil && !l.oneUse && !l.excess() {
		l.served(w)
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
	if l.waiting.n == 0 || l.closed || l.passing.open || l.paused {
		return nil
	}
	return l.waiting.first()
}

// Stock implements pool.Seating.
func (l *line) Stock(n int) (open int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.oneUse {
		return 0
	}
	l.attend() // more may come to be open than are to be kept
	open = l.live()
	for open+l.opening.all() < n && l.spare() && l.asks() {
		l.open(l.vacant(), true)
	}
	l.calm()
	return open
}

// Pause implements pool.Seating.
func (l *line) Pause(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.paused == on {
		return
	}
	if l.passing.open {
		l.shut(l.now())
	}
	l.paused, l.service.lined = on, false
	l.attend()
	if !on {
		l.serveIdle()
		l.feed()
		l.ring(l.now())
	}
	l.calm()
}

// serveIdle lends what is idle to those who wait. The caller holds mu.
func (l *line) serveIdle() {
	for l.idle.n > 0 {
		w := l.next()
		if w == nil {
			return
		}
		l.serve(w, l.idle.pop(l.fifo))
	}
}

// Claim implements pool.Seating.
func (l *line) Claim(s pool.Seat) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.idle.remove(s) && (l.self == nil || !l.self.Take(s)) {
		return false
	}
	l.claimed = true
	return true
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
	opening := l.opening.all()
	return l.waiting.load(pool.Load{Lent: l.used - len(l.empty) - idle - opening, Idle: idle, Opening: opening, Paused: l.paused})
}

// Close implements pool.Seating.
func (l *line) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.bell.at != 0 {
		l.bell.timer.Reset(0) // stopped, it could keep the line in memory until its time has come
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
		l.passing.open, l.service.lined = false, false
	} else if l.adopts() {
		l.ring(l.now())
	}
	switch {
	case !l.attending || l.self == nil || l.waiting.n > 0 || l.closed || l.paused || l.overflowing() || l.excess():
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

// overflowing reports whether more seats are open than are to be kept, and so have to be counted.
func (l *line) overflowing() bool {
	return !l.linger && l.limits.Keep != pool.Unlimited && l.used-len(l.empty) > l.limits.Keep
}

// excess reports whether there are more resources than there may be, since they have to become
// fewer. What is being closed for that does not count, or too much would be.
func (l *line) excess() bool {
	return l.limits.Seats != pool.Unlimited && l.used > l.limits.Seats && l.present()-len(l.leaving) > l.limits.Seats
}

// present is how many seats hold a resource, or may soon: its open has begun.
func (l *line) present() int { return l.used - len(l.empty) - l.opening.pending() }

// live is how many seats hold a resource that is there to stay, or are in the hands of the pool.
func (l *line) live() int {
	return l.used - len(l.empty) - l.opening.all() - len(l.overdue) - len(l.leaving)
}

// put passes on a seat with an open resource: to the longest waiter, or to the idle ones if
// more are to be kept.
func (l *line) put(s pool.Seat) bool {
	if l.closed {
		return false
	}
	if l.excess() {
		l.let(s)
		return false
	}
	if w := l.next(); w != nil {
		l.serve(w, s)
		return true
	}
	if !l.linger && l.limits.Keep != pool.Unlimited && l.idle.n >= l.limits.Keep {
		l.let(s)
		return false
	}
	if l.attending {
		l.idle.push(s)
	} else {
		l.self.Put(s)
	}
	return true
}

// let notes that a seat is not taken: the pool closes what is in it.
func (l *line) let(s pool.Seat) {
	if l.leaving == nil {
		l.leaving = make(map[pool.Seat]struct{})
	}
	l.leaving[s] = struct{}{}
}

// serve hands a seat to a waiter.
func (l *line) serve(w *waiter, s pool.Seat) {
	l.served(w)
	l.waiting.serve(w, pool.Grant{Seat: s}, nil)
	l.handedOver(s)
}

// feed has seats opened until every waiter has an open that is meant for it, or as many are asked
// for as the host has under way at once.
func (l *line) feed() {
	if l.waiting.n == 0 || l.paused || l.closed {
		return
	}
	for l.waiting.n > l.opening.n() && l.spare() && l.asks() {
		if l.passing.open && !l.linger && l.limits.Keep != pool.Unlimited && l.used-len(l.empty) >= l.limits.Keep {
			l.closeLine(l.now()) // more will be open than are to be kept: they must be counted
			continue
		}
		l.open(l.vacant(), false)
	}
}

// asks reports whether one more open may begin soon.
func (l *line) asks() bool {
	n := l.host.AtOnce()
	return n == pool.Unlimited || l.opening.all() < n
}

// vacant takes an empty seat, of which there must be one.
func (l *line) vacant() pool.Seat {
	if n := len(l.empty); n > 0 {
		s := l.empty[n-1]
		l.empty = l.empty[:n-1]
		return s
	}
	l.used++
	return pool.Seat(l.used - 1)
}

func (l *line) open(s pool.Seat, stock bool) {
	l.opening.add(s, l.arrivals, stock)
	l.host.Open(s)
}

// doubt gives up on opens that are old and that a waiter has to rely on in place of its own:
// who asked for it has left, or was served by another.
func (l *line) doubt(now time.Duration) {
	for l.adopts() && now >= l.opening.doubtAt() {
		l.opening.doubt()
	}
}

// adopts reports whether the first in line relies on an open that began before it came,
// although there is a seat for one of its own. Waiters come and opens begin in the same order,
// so if the first does not, nobody does.
func (l *line) adopts() bool {
	first := l.waiting.head
	return first != nil && l.opening.n() >= l.waiting.n && l.spare() && l.asks() && l.opening.oldest().after < first.number
}

// spare reports whether there is a seat to open in.
func (l *line) spare() bool {
	return l.limits.Seats == pool.Unlimited || l.used-len(l.empty) < l.limits.Seats
}
