package strategies

import (
	"context"
	"sync"
	"time"

	"github.com/lidopool/lido/pool"
)

// line is the seating of the strategies that lend a seat to one holder at a time. Acquirers
// who find nothing idle stand in line, and get whatever comes first: a returned resource or
// a finished open.
//
// These hold whenever mu is free:
//
//   - If a seat is idle, nobody waits but for a resource in place of one that was unfit: a
//     newcomer may take it without looking at the line, and overtakes nobody.
//   - There are as many opens under way as waiters, or no seat is left to open in, so a
//     failed open is followed by the next. An open whose waiter gave up serves the next
//     one, unless it has taken so long that it may be hanging.
type line struct {
	host    pool.Host
	limits  pool.Limits
	timeout time.Duration
	fifo    bool // idle seats are lent in order of return
	oneUse  bool // a returned resource is never lent again

	mu      sync.Mutex
	waiting waiters
	places  places
	idle    list // in order of return
	opening list // in order of start
	// doubtful are opens whose waiters gave up and that have taken so long that they may
	// be hanging: nobody relies on them, though whoever is first gets what comes of them.
	doubtful list
	empty    []pool.Seat // seats that have been used and are empty
	closed   bool
}

// patience is how old an open may be that a newcomer relies on in place of one of its own.
// Arbitrary: longer than a healthy open, also across continents.
const patience = time.Second

func newLine(h pool.Host, l pool.Limits, timeout time.Duration) *line {
	return &line{host: h, limits: l, timeout: timeout, idle: list{first: -1, last: -1}, opening: list{first: -1, last: -1}, doubtful: list{first: -1, last: -1}}
}

// Limits implements pool.Seating.
func (l *line) Limits() pool.Limits { return l.limits }

// Acquire implements pool.Seating.
func (l *line) Acquire(ctx context.Context, m pool.Mode) (pool.Grant, error) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return pool.Grant{}, pool.ErrClosed
	}
	if l.idle.n > 0 {
		s := l.popIdle()
		l.mu.Unlock()
		return pool.Grant{Seat: s}, nil
	}
	if (m&pool.NoWait != 0 || l.timeout == NoWait) && !l.spare() {
		l.mu.Unlock()
		return pool.Grant{}, pool.ErrExhausted
	}
	w := l.waiting.newWaiter(ctx, 0)
	l.waiting.pushBack(w)
	l.doubt(w.since)
	adopted := l.opening.n >= l.waiting.n
	l.feed(w.since)
	l.mu.Unlock()
	if adopted && !w.served(patience, l.timeout) {
		l.reconsider()
	}
	return l.wait(w)
}

// Replace implements pool.Seating.
func (l *line) Replace(ctx context.Context, g pool.Grant, _ pool.Mode) (pool.Grant, error) {
	l.mu.Lock()
	l.open(g.Seat, time.Now())
	if l.closed {
		l.mu.Unlock()
		return pool.Grant{}, pool.ErrClosed
	}
	// It waits although others may be idle: after a restart or an invalidation they
	// are all as unfit as the one it had.
	w := l.waiting.newWaiter(ctx, g.Waited)
	l.waiting.pushFront(w)
	l.mu.Unlock()
	return l.wait(w)
}

func (l *line) wait(w *waiter) (pool.Grant, error) {
	end := w.await(l.timeout)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting.finish(w, end, l.waiting.remove)
}

// Opened implements pool.Seating.
func (l *line) Opened(s pool.Seat, err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	counted := l.places[s].in == &l.opening
	l.places.remove(s)
	if err == nil {
		return l.put(s)
	}
	l.empty = append(l.empty, s)
	l.failed(counted, err)
	return true
}

// Overdue implements pool.Seating.
func (l *line) Overdue(s pool.Seat, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	counted := l.places[s].in == &l.opening
	l.places.remove(s)
	l.failed(counted, err)
}

// failed goes on after an open without a resource: a waiter that relied on it fails too,
// unless it was doubtful, when nobody did. The caller holds mu.
func (l *line) failed(counted bool, err error) {
	if w := l.waiting.first(); counted && w != nil && l.waiting.n > l.opening.n {
		if l.idle.n > 0 { // only while it replaces
			l.waiting.serve(w, pool.Grant{Seat: l.popIdle()}, nil)
		} else {
			l.waiting.serve(w, pool.Grant{}, err)
		}
	}
	l.feed(time.Now())
}

// Release implements pool.Seating.
func (l *line) Release(s pool.Seat, open bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if open {
		return !l.oneUse && l.put(s)
	}
	l.empty = append(l.empty, s)
	l.feed(time.Now())
	return true
}

// Claim implements pool.Seating.
func (l *line) Claim(s pool.Seat) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if int(s) >= len(l.places) || l.places[s].in != &l.idle {
		return false
	}
	l.places.remove(s)
	return true
}

// Load implements pool.Seating.
func (l *line) Load() pool.Load {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting.load(pool.Load{
		Lent:    len(l.places) - len(l.empty) - l.idle.n - l.opening.n - l.doubtful.n,
		Idle:    l.idle.n,
		Opening: l.opening.n + l.doubtful.n,
	})
}

// Close implements pool.Seating.
func (l *line) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.waiting.serveAll(pool.ErrClosed)
}

// put passes on a seat with an open resource: to the longest waiter, or to the idle ones if
// more are to be kept. The caller holds mu.
func (l *line) put(s pool.Seat) bool {
	if l.closed {
		return false
	}
	if w := l.waiting.first(); w != nil {
		l.waiting.serve(w, pool.Grant{Seat: s}, nil)
		return true
	}
	if l.limits.Keep != pool.Unlimited && l.idle.n >= l.limits.Keep {
		return false
	}
	l.places.append(&l.idle, s)
	return true
}

// feed has seats opened until every waiter has an open that is meant for it. The caller
// holds mu, as for all below.
func (l *line) feed(now time.Time) {
	for l.waiting.n > l.opening.n && l.spare() {
		var s pool.Seat
		if n := len(l.empty); n > 0 {
			s = l.empty[n-1]
			l.empty = l.empty[:n-1]
		} else {
			s = pool.Seat(len(l.places))
			l.places = append(l.places, place{})
		}
		l.open(s, now)
	}
}

func (l *line) open(s pool.Seat, now time.Time) {
	l.places.append(&l.opening, s)
	l.places[s].since = now
	l.host.Open(s)
}

// reconsider is for a waiter who has relied for long on an open whose own waiter gave up.
func (l *line) reconsider() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.doubt(now)
	l.feed(now)
}

// doubt gives up on opens that a waiter has to rely on because their own waiters have left,
// if they are old.
func (l *line) doubt(now time.Time) {
	for l.opening.n > 0 && l.opening.n >= l.waiting.n {
		s := pool.Seat(l.opening.first)
		if now.Sub(l.places[s].since) < patience {
			return
		}
		l.places.remove(s)
		l.places.append(&l.doubtful, s)
	}
}

// spare reports whether there is a seat to open in.
func (l *line) spare() bool {
	return len(l.empty) > 0 || l.limits.Seats == pool.Unlimited || len(l.places) < l.limits.Seats
}

func (l *line) popIdle() pool.Seat {
	at := l.idle.last
	if l.fifo {
		at = l.idle.first
	}
	l.places.remove(pool.Seat(at))
	return pool.Seat(at)
}
