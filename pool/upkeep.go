package pool

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// upkeep is the pool's background care: it closes what is too old or has lain unused for too
// long, pings what lies unused, and sees to it that enough is idle. It is a timer, and a goroutine
// while there is something to do; a pool none of whose options needs it has neither.
//
// Acquire and Release tell nobody that a resource is used, and must not: they are the fast path.
// So upkeep looks at the count of leases in each resource's word. One that has the same count as
// at the last look, and was not leased then and is not now, has not been used in between. While
// resources are used, upkeep looks again and again, after an eighth of the shortest of its times
// (tick). Once it finds that nothing was used, it says so in asleep, and forgets the hints, so that the next
// Acquire comes by the slow path, where it sees that and wakes it. Each of the two writes first and looks at the
// other's afterwards, so one of them notices. But who was on the fast path at that moment, with a hint in hand,
// does not look: so upkeep looks once more, a tick later, before it sleeps until something is due.
//
// Resources are cared for one after the other: so never more than one is out of reach for a ping or
// a close, and Seating.Claim decides whether it is upkeep's or an acquirer's.
type upkeep[T any] struct {
	pool   *Pool[T]
	seed   uint64 // of the figures drawn for each resource
	asleep atomic.Bool

	mu      sync.Mutex
	timer   *time.Timer
	at      time.Duration // when the timer fires, on the pool's clock; 0: it is not set
	running bool
	missed  bool // the timer fired meanwhile
	closed  bool

	// Of the pass that runs.
	sights []sight // by seat
	seen   view[T]
}

// sight is what upkeep saw of a resource when it looked last.
type sight struct {
	id     uint64
	leases uint64        // or inUse
	since  time.Duration // when it was first seen unused
	pinged time.Duration // when it was pinged last
}

// inUse is sight.leases of what was leased at the last look: its lease may have ended at any time since.
const inUse = ^uint64(0)

// view is what a look has found.
type view[T any] struct {
	old, idle, quiet []rest[T] // what is too old; unused for too long; to be pinged
	resting          int       // how many rest and are not too old
	used             bool
	surplus          int           // how many more are open than are to be kept
	next             time.Duration // when another will be too old, or is to be pinged
	ends             time.Duration // when another will have been unused for too long
}

// rest is a resource that lies unused.
type rest[T any] struct {
	r      *record[T]
	h      *hold[T]
	leases uint64
	since  time.Duration
	why    Reason // to close it
	ping   bool   // it is to be pinged
}

const (
	// minIdleTick is how often upkeep counts the idle resources of a pool in use. Arbitrary: soon after
	// a burst, and seldom enough to cost nothing beside it.
	minIdleTick = 250 * time.Millisecond
	// leastTick keeps a limit of nanoseconds from making upkeep spin.
	leastTick = time.Millisecond
	// warmSpread is the time over which the pools of a fleet that starts at once begin to open MinIdle
	// resources.
	warmSpread = time.Second

	forever = time.Duration(1<<63 - 1)
)

// What is drawn for each resource.
const (
	forAge uint64 = iota
	forIdle
	forPing
)

// newSeed is replaced by tests.
var newSeed = rand.Uint64

func (u *upkeep[T]) init(p *Pool[T]) {
	u.pool, u.seed = p, newSeed()
	if p.opts.MinIdle > 0 {
		var wait time.Duration
		if p.opts.Jitter != NoJitter {
			wait = rand.N(warmSpread)
		}
		u.schedule(p.now() + wait)
	}
}

// drawn is limit less its jitter, for the resource of that number: evenly distributed, always the same.
func (u *upkeep[T]) drawn(limit time.Duration, id, what uint64) time.Duration {
	j := u.pool.opts.Jitter
	if j == NoJitter {
		return limit
	}
	// The finalizer of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
	x := u.seed + (4*id+what)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	x ^= x >> 31
	return limit - time.Duration(float64(limit)*float64(j)/100*(float64(x>>11)/(1<<53)))
}

// lifetime is Options.MaxAge for one resource.
func (p *Pool[T]) lifetime(h *hold[T]) time.Duration {
	return p.upkeep.drawn(p.opts.MaxAge, h.id, forAge)
}

// tick is how often upkeep looks while resources are used; 0: it need not know of their use.
func (u *upkeep[T]) tick() time.Duration {
	o, shortest := &u.pool.opts, forever
	for _, d := range []time.Duration{o.MaxIdle, o.KeepAlive, u.pool.Limits().Linger} {
		if d > 0 {
			shortest = min(shortest, max(d/8, leastTick))
		}
	}
	if o.MinIdle > 0 {
		shortest = min(shortest, minIdleTick)
	}
	if shortest == forever {
		return 0
	}
	return shortest
}

// stirred is called by whoever acquires by the slow path, once it has left a hint, if it leaves one.
func (p *Pool[T]) stirred() {
	if p.upkeep.asleep.Load() && p.upkeep.asleep.CompareAndSwap(true, false) {
		p.upkeep.soon()
	}
}

// soon has upkeep look a tick from now: resources have been opened, closed or used.
func (u *upkeep[T]) soon() {
	if d := u.tick(); d > 0 {
		u.schedule(u.pool.now() + d)
	}
}

// opened is told of each open that has ended.
func (u *upkeep[T]) opened(h *hold[T]) {
	if h != nil && u.pool.opts.MaxAge > 0 {
		u.schedule(u.agedAt(h))
	}
	if h != nil && u.pool.opts.MinIdle > 0 {
		u.schedule(u.pool.now()) // there may be a turn for the next
		return
	}
	u.soon()
}

// agedAt is when a resource is too old.
func (u *upkeep[T]) agedAt(h *hold[T]) time.Duration {
	return plus(h.openedAt, plus(u.pool.lifetime(h), 1))
}

// schedule has upkeep look at the given time at the latest.
func (u *upkeep[T]) schedule(at time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if at == forever || u.closed || u.at != 0 && u.at <= at {
		return
	}
	u.at = max(at, 1)
	if wait := at - u.pool.now(); u.timer == nil {
		u.timer = time.AfterFunc(wait, u.fire)
	} else {
		u.timer.Reset(wait)
	}
}

// close lets no pass begin any more. The one that runs is waited for by the pool's end.
func (u *upkeep[T]) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	if u.at != 0 {
		u.timer.Reset(0) // stopped, it could keep the pool in memory until its time has come
	}
}

func (u *upkeep[T]) fire() {
	u.mu.Lock()
	u.at = 0
	if u.closed {
		u.mu.Unlock()
		return
	}
	u.pool.live.hold()
	defer u.pool.live.drop()
	u.missed = u.running
	busy := u.running
	u.running = true
	u.mu.Unlock()
	begun := u.pool.now()
	if busy {
		next := u.markOld(begun)
		now := u.pool.now()
		u.schedule(max(next, now+restAfter(now-begun)))
		return
	}

	var next, took time.Duration // at once, if Goexit in a close that is Inline ends the pass
	defer func() {
		u.mu.Lock()
		if u.missed {
			next = 0
		}
		u.running, u.missed = false, false
		u.mu.Unlock()
		u.schedule(max(next, u.pool.now()+restAfter(took)))
	}()
	next, took = u.pass()
}

// pass looks at every resource, does what is due, and tells when to look again, and how long it took to look.
func (u *upkeep[T]) pass() (next, took time.Duration) {
	p, tick := u.pool, u.tick()
	begun := p.now()
	v := u.look(tick)
	took = p.now() - begun
	defer v.forget()
	if p.opts.MaxAge > 0 { // and it must be marked then, though a call of the backend hangs below
		u.schedule(max(v.next, p.now()+restAfter(took)))
	}
	next = v.next
	if u.closeOld(v) {
		next = min(next, u.again(tick))
	}
	if u.closeIdle(v) {
		next = min(next, p.now()+tick)
	}
	if v.resting > p.opts.MinIdle {
		next = min(next, v.ends)
	}
	u.stock()
	next = min(next, u.keepAlive(v, tick))
	switch {
	case tick == 0 || p.closed.Load():
		return next, took
	case v.used: // stay awake
	case u.asleep.Load():
		return next, took
	default:
		u.asleep.Store(true)
		p.hints.forgetAll()
	}
	return min(next, p.now()+tick), took
}

// restAfter is how long upkeep pauses after a look that took so long: so it takes an eighth of a processor at
// most, however many seats there are. Arbitrary.
func restAfter(took time.Duration) time.Duration { return 7 * took }

func (v *view[T]) forget() {
	for _, list := range []*[]rest[T]{&v.old, &v.idle, &v.quiet} {
		clear(*list)
		*list = (*list)[:0]
	}
}

// look finds out what has been used since the last look, what is due, and when the next will be.
func (u *upkeep[T]) look(tick time.Duration) *view[T] {
	p, now, v := u.pool, u.pool.now(), &u.seen
	o, l := &p.opts, p.Limits()
	v.resting, v.used, v.surplus, v.next, v.ends = 0, false, 0, forever, forever
	if l.Linger > 0 {
		load := p.seating.Load()
		v.surplus = overflow(l, load.Lent+load.Idle)
	}
	p.seats.all(func(r *record[T]) bool {
		for int(r.seat) >= len(u.sights) {
			u.sights = append(u.sights, sight{})
		}
		s, h := &u.sights[r.seat], r.own.Load()
		if h == nil {
			*s = sight{}
			return true
		}
		held, leases := r.countLeases()
		at := r.state()
		rests := at == idle || at == free || at == leased && held == 0 && p.quickJoint
		if !rests {
			leases = inUse
		}
		if s.id != h.id || s.leases != leases || !rests {
			*s = sight{id: h.id, leases: leases, since: now, pinged: s.pinged}
			v.used = true
		}
		t := rest[T]{r: r, h: h, leases: leases, since: s.since}
		if o.MaxAge > 0 {
			due := u.agedAt(h)
			switch {
			case due > now:
				v.next = min(v.next, due)
			case rests:
				r.grownOld(h) // so that nobody gets it before its turn to be closed
				v.old = append(v.old, t)
				return true
			default:
				r.grownOld(h)
				v.next = min(v.next, u.again(tick))
			}
		}
		if rests {
			v.resting++
			u.sift(v, t, s, now, l.Linger)
		}
		return true
	})
	return v
}

// sift finds out whether a resource that rests is to be closed or pinged now, or when.
func (u *upkeep[T]) sift(v *view[T], t rest[T], s *sight, now, linger time.Duration) {
	o := &u.pool.opts
	ends := forever
	if o.MaxIdle > 0 {
		if ends = plus(s.since, u.drawn(o.MaxIdle, s.id, forIdle)); ends <= now {
			t.why = ReasonIdle
		}
	}
	if v.surplus > 0 {
		due := plus(s.since, linger)
		if due <= now && t.why == 0 {
			t.why = ReasonOverflow
		}
		ends = min(ends, due)
	}
	if o.KeepAlive > 0 && u.pool.do.ping {
		due := plus(max(s.since, s.pinged), u.pingAfter(s.id))
		if t.ping = due <= now; !t.ping {
			v.next = min(v.next, due)
		}
	}
	switch {
	case t.why != 0:
		v.idle = append(v.idle, t)
	case t.ping:
		v.quiet = append(v.quiet, t)
	}
	if t.why == 0 {
		v.ends = min(v.ends, ends)
	}
}

// markOld marks what is too old while a pass is busy, and tells when the next will be.
func (u *upkeep[T]) markOld(now time.Duration) (next time.Duration) {
	next = forever
	if u.pool.opts.MaxAge == 0 {
		return next
	}
	u.pool.seats.all(func(r *record[T]) bool {
		if h := r.own.Load(); h == nil {
		} else if due := u.agedAt(h); due > now {
			next = min(next, due)
		} else {
			r.grownOld(h)
		}
		return true
	})
	return next
}

// again is when to look at what is too old and in use.
func (u *upkeep[T]) again(tick time.Duration) time.Duration {
	return u.pool.now() + max(tick, u.pool.opts.MaxAge/8, leastTick)
}

// grownOld has a resource in use replaced when it is next lent. So MaxAge costs Acquire nothing.
func (r *record[T]) grownOld(h *hold[T]) {
	if !h.mark(aged) {
		return
	}
	if s := r.sharing(); s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.markAll(h, aged)
	}
}

// closeOld closes what is too old, and tells if it lost one to an acquirer.
func (u *upkeep[T]) closeOld(v *view[T]) (lost bool) {
	for _, t := range v.old {
		if u.take(t) {
			u.end(t, ReasonAge)
		} else {
			lost = true
		}
	}
	return lost
}

// closeIdle closes what has lain unused for too long, the longest first, down to MinIdle. It tells if it lost one.
func (u *upkeep[T]) closeIdle(v *view[T]) (lost bool) {
	longestFirst(v.idle)
	for _, t := range v.idle {
		switch {
		case v.resting <= u.pool.opts.MinIdle || t.why == ReasonOverflow && v.surplus <= 0:
			if t.ping {
				v.quiet = append(v.quiet, t)
			}
			continue
		case u.take(t):
			u.end(t, t.why)
			v.surplus--
		default:
			lost = true
		}
		v.resting--
	}
	return lost
}

func longestFirst[T any](list []rest[T]) {
	slices.SortStableFunc(list, func(a, b rest[T]) int { return cmp.Compare(a.since, b.since) })
}

// pingAfter is Options.KeepAlive for one resource.
func (u *upkeep[T]) pingAfter(id uint64) time.Duration {
	return max(u.drawn(u.pool.opts.KeepAlive, id, forPing), leastTick)
}

// keepAlive pings what it is time for, and tells when to look again. When a ping hangs, the others come after
// another look: there may be more urgent things to do.
func (u *upkeep[T]) keepAlive(v *view[T], tick time.Duration) (next time.Duration) {
	p := u.pool
	next = forever
	longestFirst(v.quiet)
	for _, t := range v.quiet {
		if !u.take(t) {
			next = min(next, p.now()+tick)
			continue
		}
		u.sights[t.r.seat].pinged = p.now()
		if !u.ping(t) {
			return p.now()
		}
		next = min(next, plus(p.now(), u.pingAfter(t.h.id)))
	}
	return next
}

// take gets a resting resource out of everybody's reach, and reports whether it could, and the resource has not
// been used meanwhile.
func (u *upkeep[T]) take(t rest[T]) bool {
	p := u.pool
	if p.closed.Load() {
		return false // its end sees to all
	}
	if p.gather(t.r) {
		p.turnIn(t.r, true)
	}
	if !p.seating.Claim(t.r.seat) {
		return false
	}
	if _, leases := t.r.countLeases(); t.r.own.Load() == t.h && leases == t.leases {
		return true
	}
	p.hand(t.r, t.r.own.Load())
	return false
}

func (u *upkeep[T]) end(t rest[T], why Reason) {
	u.pool.vacate(u.pool.life, t.r, why, nil)
}

// ping is Backend.Ping of a resource that was taken. It reports whether that returned in time.
func (u *upkeep[T]) ping(t rest[T]) bool {
	p, r := u.pool, t.r
	r.move(checking)
	ctx, cancel := p.life, context.CancelFunc(func() {})
	if p.opts.PingTimeout != Inline {
		ctx, cancel = context.WithTimeout(ctx, p.opts.PingTimeout)
	}
	e := send("Backend.Ping", func() error { defer cancel(); return p.backend.Ping(ctx, t.h.value) })
	after := func() {
		if v, err := p.pinged(r, e.err); v == dead {
			p.vacate(p.life, r, ReasonInvalid, err)
		} else {
			p.park(r)
		}
	}
	switch {
	case e.inTime(p.life, p.pings):
		after()
	case p.closed.Load(): // not overdue
		e.then(after)
	default:
		p.counts.pingFailures.Add(1)
		p.logInfo("ping timed out", t.h)
		p.adopt(e, func() { p.vacate(p.life, r, ReasonInvalid, errPingTimeout) })
		return false
	}
	return true
}

// stock asks for what is missing of MinIdle.
func (u *upkeep[T]) stock() {
	p := u.pool
	n := p.opts.MinIdle
	if keep := p.Limits().kept(); keep != Unlimited {
		n = min(n, keep)
	}
	if n == 0 || p.closed.Load() {
		return
	}
	load := p.seating.Load()
	if load.Paused {
		load.Waiting = 0 // nothing is opened for them before they may have it
	}
	if load.Idle < n || load.Waiting > 0 {
		p.seating.Stock(load.Lent + load.Waiting + n)
	}
}
