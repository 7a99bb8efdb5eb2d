package pool

import (
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
// at the last look, and is not leased, has not been used in between. While resources are used,
// upkeep looks again and again, after an eighth of the shortest of its times (tick). Once it finds
// that nothing was used, it falls asleep until something is due: it says so in asleep, and forgets
// the hints, so that the next Acquire comes by the slow path, where it sees that and wakes it. Each
// of the two writes first and looks at the other's afterwards, so one of them notices.
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

	sights []sight // by seat; of the pass that runs
}

// sight is what upkeep saw of a resource when it looked last.
type sight struct {
	id     uint64
	leases uint64
	since  time.Duration // when it was first seen unused
	pinged time.Duration // when it was pinged last
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
	if u.timer != nil {
		u.timer.Stop()
	}
}

func (u *upkeep[T]) fire() {
	u.mu.Lock()
	u.at = 0
	if u.closed || u.running {
		u.missed = u.running
		u.mu.Unlock()
		return
	}
	u.running = true
	u.pool.live.hold()
	u.mu.Unlock()

	next := u.pass()

	u.mu.Lock()
	if u.missed {
		next = u.pool.now()
	}
	u.running, u.missed = false, false
	u.mu.Unlock()
	u.schedule(next)
	u.pool.live.drop()
}

// rest is a resource that lies unused.
type rest[T any] struct {
	r *record[T]
	h *hold[T]
	*sight
}

// pass looks at every resource, does what is due, and tells when to look again.
func (u *upkeep[T]) pass() (next time.Duration) {
	p, tick := u.pool, u.tick()
	u.asleep.Store(false)
	resting, used, next := u.look(tick)
	resting, lost := u.closeAged(resting)
	if lost {
		next = min(next, u.again(tick))
	}
	slices.SortStableFunc(resting, func(a, b rest[T]) int { return int(min(max(a.since-b.since, -1), 1)) })
	next = min(next, u.care(resting))
	u.stock()
	if tick == 0 || p.closed.Load() {
		return next
	}
	if !used {
		u.asleep.Store(true)
		p.hints.forgetAll()
		if _, used, _ = u.look(tick); !used {
			return next
		}
		u.asleep.Store(false)
	}
	return min(next, p.now()+tick)
}

// look finds out what has been used since the last look, what rests, and when something that
// rests will be too old.
func (u *upkeep[T]) look(tick time.Duration) (resting []rest[T], used bool, next time.Duration) {
	p, now := u.pool, u.pool.now()
	next = forever
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
		if s.id != h.id || s.leases != leases || !rests {
			*s = sight{id: h.id, leases: leases, since: now, pinged: s.pinged}
			used = true
		}
		if p.opts.MaxAge > 0 {
			if due := u.agedAt(h); due > now {
				next = min(next, due)
			} else if !rests {
				r.grownOld(h)
				next = min(next, u.again(tick))
			}
		}
		if rests {
			resting = append(resting, rest[T]{r, h, s})
		}
		return true
	})
	return resting, used, next
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

// closeAged closes what is too old, and returns the others. It tells if it lost one to an acquirer.
func (u *upkeep[T]) closeAged(resting []rest[T]) (others []rest[T], lost bool) {
	p := u.pool
	if p.opts.MaxAge == 0 {
		return resting, false
	}
	others = slices.DeleteFunc(resting, func(t rest[T]) bool {
		switch {
		case p.now() < u.agedAt(t.h):
			return false
		case !u.take(t):
			lost = true
		default:
			u.end(t, ReasonAge)
		}
		return true
	})
	return others, lost
}

// care closes and pings what has lain unused for long enough, the longest first, and tells when the next is
// due.
func (u *upkeep[T]) care(resting []rest[T]) (next time.Duration) {
	p := u.pool
	next = forever
	l := p.Limits()
	surplus := 0
	if l.Linger > 0 {
		load := p.seating.Load()
		surplus = overflow(l, load.Lent+load.Idle)
	}
	left := len(resting)
	for _, t := range resting {
		due, why := forever, ReasonIdle
		if p.opts.MaxIdle > 0 {
			due = t.since + u.drawn(p.opts.MaxIdle, t.id, forIdle)
		}
		if surplus > 0 && t.since+l.Linger < due {
			due, why = t.since+l.Linger, ReasonOverflow
		}
		if due < forever && left > p.opts.MinIdle {
			if now := p.now(); now < due {
				next = min(next, due)
			} else if u.take(t) {
				u.end(t, why)
				left--
				surplus--
				continue
			}
		}
		next = min(next, u.keepAlive(t))
	}
	return next
}

// keepAlive pings a resource if it is time, and tells when it will be.
func (u *upkeep[T]) keepAlive(t rest[T]) (next time.Duration) {
	p := u.pool
	if p.opts.KeepAlive == 0 || !p.do.ping {
		return forever
	}
	every := u.drawn(p.opts.KeepAlive, t.id, forPing)
	if due := max(t.since, t.pinged) + every; p.now() < due {
		return due
	}
	if !u.take(t) {
		return forever // it is in use: the next look is soon
	}
	t.pinged = p.now()
	u.ping(t)
	return p.now() + every
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

// ping is Backend.Ping of a resource that was taken.
func (u *upkeep[T]) ping(t rest[T]) {
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
	case e.within(p.life, p.opts.PingTimeout):
		after()
	case p.closed.Load(): // not overdue
		e.then(after)
	default:
		p.counts.pingFailures.Add(1)
		p.logInfo("ping timed out", t.h)
		p.adopt(e, func() { p.vacate(p.life, r, ReasonInvalid, errPingTimeout) })
	}
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
	if load.Idle < n || load.Waiting > 0 {
		p.seating.Stock(load.Lent + load.Waiting + n)
	}
}
