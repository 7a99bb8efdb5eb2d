package strategies

import (
	"context"
	"sync"
	"time"

	"github.com/lidopool/lido/internal/goid"
	"github.com/lidopool/lido/pool"
)

// owner is for whom a seat is held: a goroutine, a scope, one Acquire that shares with
// nobody, or for the static strategy everybody, the zero owner.
type owner struct {
	scope     *pool.Scope
	goroutine goid.Ref
	unique    uint64
}

// sharing is the seating of the strategies that lend one seat to all holders of one owner
// at once. An owner is bound to its seat until another owner needs it more; a seat in use
// is never taken from its owner.
type sharing struct {
	host    pool.Host
	shares  pool.Sharing // as limits say
	ownerOf func(ctx context.Context) owner
	start   time.Time // zero of its clock

	mu      sync.Mutex
	limits  pool.Limits
	timeout time.Duration
	most    int // waiters who have no chair; 0: no bound
	waiting waiters
	chairs  []*chair
	bound   map[owner]*chair
	moment  uint64 // counts the chairs that came to rest
	uniques uint64 // numbers the owners who share with nobody
	seated  int    // waiters who have a chair, and wait until they may sit on it
	// standing counts, by owner, the waiters who have no chair.
	standing map[owner]int
	paused   bool
	closed   bool
}

// chair is a seat that may have several holders. Its phases:
//
//	vacant ─► opening ─► resting ─► private ─► shared
//	   ▲         │          ▲        │ ▲ ▲        │
//	   └─────────┴──────────┼────────┘ │ └────────┘ the last holder leaves
//	    failed, discarded   └──────────┘
//
// A private chair is in the pool's hands: the first holder's checks, the last one's reset,
// or the pool's own care.
type chair struct {
	seat    pool.Seat
	phase   phase
	tenancy uint32
	holders int
	drained bool // nobody may join
	owner   owner
	owned   bool   // owner is bound to it
	rested  uint64 // when it came to rest: lower is longer ago
	begun   bool   // opening: it has had its turn
	stock   bool   // opening: not for a waiter's sake
	full    bool   // opening: it may hold a resource that is not closed yet; until begun
	overdue bool   // private: it hangs in an open that has been given up
	claimed bool   // private: for the pool's own care
	leaving bool   // private: it was not taken, and comes back empty
}

type phase uint8

const (
	vacant phase = iota
	opening
	resting
	private
	shared
)

func newSharing(h pool.Host, l pool.Limits, timeout time.Duration, ownerOf func(context.Context) owner) *sharing {
	return &sharing{host: h, shares: l.Sharing, limits: l, timeout: timeout, ownerOf: ownerOf, start: time.Now(), bound: make(map[owner]*chair), standing: make(map[owner]int)}
}

func (s *sharing) now() time.Duration { return time.Since(s.start) }

// Limits implements pool.Seating.
func (s *sharing) Limits() pool.Limits {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.limits
}

// Acquire implements pool.Seating.
func (s *sharing) Acquire(ctx context.Context, m pool.Mode) (pool.Grant, error) {
	var me owner
	if m&pool.Unique == 0 {
		me = s.ownerOf(ctx)
	} else if s.shares == pool.Common {
		return pool.Grant{}, pool.ErrUnshareable
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return pool.Grant{}, pool.ErrClosed
	}
	if m&pool.Unique != 0 {
		s.uniques++
		me.unique = s.uniques
	}
	if c := s.bound[me]; c != nil && (c.claimed || m&pool.Again != 0 && c.phase == private) {
		s.unbind(c) // the pool has it, for a ping say, and that may hang
		s.serve()   // others of the owner may have waited for it
	}
	if c := s.bound[me]; c != nil {
		if g, ok := s.lend(c); ok {
			s.mu.Unlock()
			return g, nil
		}
	}
	if m&pool.NoWait != 0 || s.timeout == NoWait {
		if s.paused {
			s.mu.Unlock()
			return pool.Grant{}, pool.ErrSuspended
		}
		if !s.soon(me) {
			s.mu.Unlock()
			return pool.Grant{}, pool.ErrExhausted
		}
	} else if s.bound[me] == nil {
		if err := s.waiting.turnAway(s.waiting.n-s.seated, s.most, m); err != nil {
			s.mu.Unlock()
			return pool.Grant{}, err
		}
	}
	w := s.newWaiter(ctx, 0)
	w.owner = me
	s.waiting.pushBack(w)
	// Nobody else's chances have changed. Without a chair of its own, a newcomer comes
	// after those who have none either.
	if w.chair = s.bound[me]; w.chair != nil {
		s.seated++
	} else {
		s.standing[me]++
		if s.waiting.n-s.seated == 1 && !s.paused {
			s.seat(w)
		}
	}
	if w.chair != nil && !s.paused {
		s.attend(w)
	}
	timeout := s.timeout
	s.mu.Unlock()
	return s.wait(w, timeout)
}

// Replace implements pool.Seating.
func (s *sharing) Replace(ctx context.Context, g pool.Grant, _ pool.Mode) (pool.Grant, error) {
	s.mu.Lock()
	c := s.chairs[g.Seat]
	c.endTenancy(opening)
	s.open(c, false)
	c.full = true
	if s.closed {
		s.mu.Unlock()
		return pool.Grant{}, pool.ErrClosed
	}
	w := s.newWaiter(ctx, g.Waited)
	w.owner, w.chair = c.owner, c
	s.waiting.pushFront(w)
	s.seated++
	timeout := s.timeout
	s.mu.Unlock()
	return s.wait(w, timeout)
}

func (s *sharing) wait(w *waiter, timeout time.Duration) (pool.Grant, error) {
	end := w.await(timeout)
	if end != nil {
		s.mu.Lock()
		queued := w.queued
		if queued {
			s.leaveLine(w)
			w.err, w.late = end, end != pool.ErrTimeout
		}
		s.mu.Unlock()
		if !queued {
			<-w.ready // served at the same moment: that counts, and the wake is on its way
		}
	}
	if w.err != nil {
		return s.waiting.refuse(w, s.now())
	}
	return s.waiting.settle(w, s.now()), nil
}

func (s *sharing) newWaiter(ctx context.Context, prior time.Duration) *waiter {
	w := s.waiting.newWaiter(ctx, prior)
	w.since = s.now()
	if w.claim == nil {
		w.claim = new(claim)
	}
	*w.claim = claim{}
	return w
}

// Begin implements pool.Seating.
func (s *sharing) Begin(seat pool.Seat) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chairs[seat]
	needed := c.stock
	s.eachAt(c, func(*waiter) { needed = true })
	c.begun, c.full = needed, false
	if needed && (s.limits.Seats == pool.Unlimited || s.present()+s.unclosed() <= s.limits.Seats) {
		return true
	}
	c.phase = vacant
	s.unbind(c)
	s.serve()
	return false
}

// Opened implements pool.Seating.
func (s *sharing) Opened(seat pool.Seat) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rest(s.chairs[seat])
}

// Failed implements pool.Seating.
func (s *sharing) Failed(seat pool.Seat, err error, a pool.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chairs[seat]
	c.phase = vacant
	s.failed(c, err, a)
}

// Overdue implements pool.Seating.
func (s *sharing) Overdue(seat pool.Seat, err error, a pool.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chairs[seat]
	c.phase, c.overdue = private, true
	s.failed(c, err, a)
}

// failed goes on after an open without a resource: all who relied on it fail too, since
// they wanted one and the same resource; or all in line, if there is nothing else to wait for. The caller
// holds mu.
func (s *sharing) failed(c *chair, err error, a pool.Answer) {
	live, underWay := 0, 0
	for _, c := range s.chairs {
		switch {
		case c.phase == opening && c.begun:
			underWay++
		case c.phase == resting, c.phase == shared, c.phase == private && !c.overdue:
			live++
		}
	}
	switch {
	case s.paused, spared(a, live, underWay):
	case a != pool.AnswerOne && live+underWay == 0:
		for s.waiting.head != nil {
			s.give(s.waiting.head, pool.Grant{}, err)
		}
	default:
		s.eachAt(c, func(w *waiter) { s.give(w, pool.Grant{}, err) })
	}
	s.unbind(c)
	s.serve()
}

// open asks for a chair's open.
func (s *sharing) open(c *chair, stock bool) {
	c.phase, c.begun, c.stock, c.full = opening, false, stock, false
	s.host.Open(c.seat)
}

// Stock implements pool.Seating. The resources belong to nobody yet.
func (s *sharing) Stock(n int) (open int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0
	}
	coming := 0
	for _, c := range s.chairs {
		switch {
		case c.phase == opening:
			coming++
		case c.phase != vacant && !c.overdue && !c.leaving:
			open++
		}
	}
	for ; open+coming < n && !s.full() && s.asks(); coming++ {
		s.open(s.vacantChair(), true)
	}
	return open
}

// vacantChair finds a chair without a resource, or makes one. The caller holds mu.
func (s *sharing) vacantChair() *chair {
	for _, c := range s.chairs {
		if c.phase == vacant {
			s.unbind(c)
			return c
		}
	}
	return s.newChair()
}

func (s *sharing) newChair() *chair {
	c := &chair{seat: pool.Seat(len(s.chairs))}
	s.chairs = append(s.chairs, c)
	return c
}

// Pause implements pool.Seating.
func (s *sharing) Pause(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused = on && !s.closed
	for _, c := range s.chairs {
		if c.claimed && !on {
			s.unbind(c) // who waits for it came before the pool had it; as in Acquire
		}
	}
	s.serve()
}

// lend gives a chair to one more holder, if it may. While paused only those who hold it already, under
// Nested, may.
func (s *sharing) lend(c *chair) (pool.Grant, bool) {
	if s.paused && (c.phase != shared || s.shares == pool.Common) {
		return pool.Grant{}, false
	}
	return c.lend()
}

// eachAt calls f with every waiter for a chair; f may take it out of the line. The caller
// holds mu.
func (s *sharing) eachAt(c *chair, f func(*waiter)) {
	for w := s.waiting.head; w != nil && s.seated > 0; {
		next := w.next
		if w.chair == c {
			f(w)
		}
		w = next
	}
}

// Release implements pool.Seating.
func (s *sharing) Release(seat pool.Seat, open bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chairs[seat]
	if open {
		return s.rest(c)
	}
	c.overdue, c.leaving = false, false
	c.endTenancy(vacant)
	s.unbind(c)
	s.serve()
	return true
}

// rest lets an open chair rest until somebody wants it. The caller holds mu.
func (s *sharing) rest(c *chair) bool {
	if s.closed || s.excess() {
		c.phase, c.leaving = private, true
		return false
	}
	c.overdue = false
	c.endTenancy(resting)
	s.moment++
	c.rested = s.moment
	s.serve()
	return true
}

func (c *chair) endTenancy(to phase) {
	c.phase, c.holders, c.drained, c.claimed = to, 0, false, false
	c.tenancy++
}

// Ready implements pool.Sharer.
func (s *sharing) Ready(g pool.Grant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.chairs[g.Seat]; c.tenancy == g.Tenancy && c.phase == private {
		c.phase = shared
		s.serve()
	}
}

// Current implements pool.Sharer.
func (s *sharing) Current(g pool.Grant) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.chairs[g.Seat].tenancy == g.Tenancy
}

// Leave implements pool.Sharer.
func (s *sharing) Leave(g pool.Grant) (last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chairs[g.Seat]
	if c.tenancy != g.Tenancy {
		return false
	}
	c.holders--
	if c.holders > 0 {
		return false
	}
	c.phase = private
	return true
}

// Drain implements pool.Sharer.
func (s *sharing) Drain(g pool.Grant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.chairs[g.Seat]; c.tenancy == g.Tenancy {
		c.drained = true
	}
}

// Claim implements pool.Seating.
func (s *sharing) Claim(seat pool.Seat) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if int(seat) >= len(s.chairs) || s.chairs[seat].phase != resting {
		return false
	}
	s.chairs[seat].phase, s.chairs[seat].claimed = private, true
	return true
}

// Load implements pool.Seating. It costs a look at every seat.
func (s *sharing) Load() pool.Load {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := pool.Load{Paused: s.paused}
	for _, c := range s.chairs {
		switch c.phase {
		case opening:
			n.Opening++
		case resting:
			n.Idle++
		case private, shared:
			n.Lent++
		}
	}
	return s.waiting.load(n)
}

// Close implements pool.Seating.
func (s *sharing) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.waiting.serveAll(pool.ErrClosed)
}

// lend gives the chair to one more holder, if it is in a phase for that.
func (c *chair) lend() (pool.Grant, bool) {
	g := pool.Grant{Seat: c.seat, Tenancy: c.tenancy}
	switch {
	case c.phase == resting:
		c.phase = private
	case c.phase == shared && !c.drained:
		g.Joined = true
	default:
		return pool.Grant{}, false
	}
	c.holders++
	return g, true
}

// serve gives the waiters, in order of arrival, what there is for them. The caller holds
// mu, as for all below. It looks at those who have a chair, and at those who have none
// until one of them can get none.
func (s *sharing) serve() {
	full := s.paused
	seated := s.seated // still to be met
	for w := s.waiting.head; w != nil && (!full || seated > 0); {
		next := w.next
		had := w.chair != nil
		if had {
			seated--
		}
		switch {
		case w.ctx.Err() != nil:
			w.late = true
			s.give(w, pool.Grant{}, context.Cause(w.ctx))
		case had:
			s.attend(w)
		case full:
		case s.seat(w):
			s.attend(w)
			seated = s.seated // some behind may have got the chair too, or lost it
		default:
			full = true
		}
		w = next
	}
}

// seat gives a chair to a waiter who has none, if one can be had, and to all others of its
// owner: they share it, wherever they stand.
func (s *sharing) seat(w *waiter) bool {
	c := s.pick()
	if c == nil {
		return false
	}
	s.unbind(c)
	c.owner, c.owned = w.owner, true
	s.bound[w.owner] = c
	for n := s.standing[c.owner]; n > 0; w = w.next { // they all stand behind w
		if w.chair == nil && w.owner == c.owner {
			w.chair = c
			s.seated++
			n--
		}
	}
	delete(s.standing, c.owner)
	return true
}

// attend does for a waiter who has a chair what can be done now.
func (s *sharing) attend(w *waiter) {
	c := w.chair
	if c.phase == vacant {
		if !s.paused && !s.full() {
			s.open(c, false)
		}
	} else if g, ok := s.lend(c); ok {
		s.give(w, g, nil)
	}
}

// give takes a waiter out of the line with what it gets.
func (s *sharing) give(w *waiter, g pool.Grant, err error) {
	if w.chair != nil {
		s.seated--
	} else {
		s.stood(w.owner)
	}
	s.waiting.serve(w, g, err)
}

// stood forgets a waiter that had no chair.
func (s *sharing) stood(o owner) {
	if s.standing[o]--; s.standing[o] == 0 {
		delete(s.standing, o)
	}
}

// leaveLine takes a waiter out of the line that gives up.
func (s *sharing) leaveLine(w *waiter) {
	if w.chair != nil {
		s.seated--
	} else {
		s.stood(w.owner)
	}
	s.waiting.remove(w)
}

// unbind takes a chair from its owner, and from those who wait for it.
func (s *sharing) unbind(c *chair) {
	if !c.owned {
		return
	}
	delete(s.bound, c.owner)
	c.owner, c.owned = owner{}, false
	s.eachAt(c, func(w *waiter) {
		w.chair = nil
		s.seated--
		s.standing[w.owner]++
	})
}

// pick chooses a chair for an owner who has none: an open one whose owner has ended, else
// an empty or a new one, if it can be opened soon, else the one that has rested longest under a
// living owner. Nil if there is none: then whatever comes first will do.
func (s *sharing) pick() *chair {
	var longest, empty *chair
	var unsure []*chair
	for _, c := range s.chairs {
		switch c.phase {
		case vacant:
			empty = c
		case resting:
			ended, known := c.ownerEnded()
			if ended && known {
				return c
			}
			if !known {
				unsure = append(unsure, c)
			}
			if longest == nil || c.rested < longest.rested {
				longest = c
			}
		}
	}
	if c := firstEnded(unsure); c != nil {
		return c
	}
	if !s.full() && s.asks() {
		if empty != nil {
			return empty
		}
		return s.newChair()
	}
	return longest
}

// asks reports whether one more open may begin soon.
func (s *sharing) asks() bool {
	n := s.host.AtOnce()
	if n == pool.Unlimited {
		return true
	}
	for _, c := range s.chairs {
		if c.phase == opening {
			n--
		}
	}
	return n > 0
}

// taken is how many chairs have a resource, or will have: one is being opened, or waited for.
func (s *sharing) taken() (n int) {
	for _, c := range s.chairs {
		if c.phase != vacant {
			n++
		}
	}
	return n
}

// full reports whether there are as many resources as there may be.
func (s *sharing) full() bool {
	return s.limits.Seats != pool.Unlimited && s.taken() >= s.limits.Seats
}

// excess reports whether there are more resources than there may be, since they have to become
// fewer. What is being closed for that does not count, or too much would be.
func (s *sharing) excess() bool {
	if s.limits.Seats == pool.Unlimited || len(s.chairs) <= s.limits.Seats {
		return false
	}
	n := s.present()
	for _, c := range s.chairs {
		if c.leaving {
			n--
		}
	}
	return n > s.limits.Seats
}

// present is how many chairs hold a resource, or may soon: its open has begun.
func (s *sharing) present() (n int) {
	for _, c := range s.chairs {
		if c.phase > opening || c.phase == opening && c.begun {
			n++
		}
	}
	return n
}

// unclosed is how many chairs hold a resource that is being closed to be replaced, or was lately.
func (s *sharing) unclosed() (n int) {
	for _, c := range s.chairs {
		if c.phase == opening && c.full {
			n++
		}
	}
	return n
}

// ownerEnded reports whether nobody can come for the chair any more, and whether that could
// be told cheaply.
func (c *chair) ownerEnded() (ended, known bool) {
	switch {
	case !c.owned || c.owner.unique != 0:
		return true, true
	case c.owner.scope != nil:
		return c.owner.scope.Ended(), true
	}
	alive, known := c.owner.goroutine.Alive()
	return !alive, known
}

// firstEnded looks for a chair whose goroutine has ended where only a listing of all
// goroutines can tell.
func firstEnded(chairs []*chair) *chair {
	refs := make([]goid.Ref, len(chairs))
	for i, c := range chairs {
		refs[i] = c.owner.goroutine
	}
	if len(refs) == 0 {
		return nil
	}
	for i, alive := range goid.Live(refs) {
		if !alive {
			return chairs[i]
		}
	}
	return nil
}

// soon reports whether an acquirer would be served without waiting for a holder.
func (s *sharing) soon(o owner) bool {
	if c := s.bound[o]; c != nil {
		return c.phase != shared
	}
	return !s.full() || s.pick() != nil // in which case nobody waits for a chair, or they would have it
}
