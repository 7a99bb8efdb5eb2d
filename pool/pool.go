package pool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
	"weak"
)

// Pool lends resources of type T. All its methods may be called from any goroutine.
// It must be ended with Shutdown or Close.
type Pool[T any] struct {
	backend  Backend[T]
	strategy atomic.Pointer[Strategy]
	opts     Options
	hooks    []Hooks[T]

	seating Seating
	sharer  Sharer    // nil if the strategy is exclusive
	owned   Owned     // nil if the strategy is not Nested, or cannot tell
	vacant  Vacancies // nil: acquirers open nothing themselves
	limits  atomic.Pointer[Limits]
	shares  Sharing // of the limits; it never changes
	do      chores
	checker Checker[T] // nil unless checks is something
	checks  Check
	on      listeners[T]
	log     *slog.Logger // nil: no log
	bubble  bool         // made inside a synctest bubble

	// Whether checkout and return are plain: nothing to be done but to hand the seat over.
	// Decided once by New.
	plainOut, plainIn bool
	plainClean        bool // plainIn for who says that there is nothing to reset
	quickOut          bool // plain, and whoever runs may take what is free by a hint
	quickJoint        bool // shared seats have free joints

	// gate is the generation, the number of disposals, and whether the seating attends: see
	// selfservice.go.
	gate  atomic.Uint64
	hints hints[T]
	// look is, of the word of a lease, what is zero when its Release must not go the fast way;
	// lookClean is that for ReleaseClean.
	look, lookClean uint64

	seats                        seats[T]
	lost                         lostHolds[T]
	live                         tally // seats that are not empty, and passes of upkeep
	turns                        *turns
	opens, pings, resets, closes *alarm     // nil: Inline
	failing                      sync.Mutex // see failed
	census                       census
	news                         news
	upkeep                       upkeep[T]

	nextID atomic.Uint64
	counts counts
	// lastOpen is the error of the newest open, nil if it succeeded.
	lastOpen atomic.Pointer[OpenError]
	// lastFailed is the newest open that failed, for good.
	lastFailed atomic.Pointer[OpenError]
	first      gate // FirstConnect

	start  time.Time // zero of the pool's clock; monotonic
	life   context.Context
	end    context.CancelCauseFunc
	closed atomic.Bool

	shutting sync.Once

	resizing   sync.Mutex // held during a Resize
	suspending sync.Mutex // held during a Suspend or Resume

	self    weak.Pointer[Pool[T]]
	dropped func(address[T]) // the function; a generic one costs an allocation each time it is named
	noGuard guard            // for leases that are not watched
}

// New makes a pool of the resources that b opens, lent as s says. It opens nothing
// yet. Hooks are called in the order given. The error names the option that
// cannot be used.
func New[T any](b Backend[T], s Strategy, o Options, hooks ...Hooks[T]) (_ *Pool[T], err error) {
	defer func() { err = ofPool(o.Name, err) }()
	switch {
	case b == nil:
		return nil, &OptionError{Field: "backend", Value: "nil", Remedy: "give a Backend, or Funcs with an OpenFunc"}
	case s == nil:
		return nil, &OptionError{Field: "strategy", Value: "nil", Remedy: "give one, such as strategies.Queue{Size: 5}"}
	}
	if f, ok := b.(Funcs[T]); ok && f.OpenFunc == nil {
		return nil, &OptionError{Field: "Funcs.OpenFunc", Value: "nil", Remedy: "give the function that opens a resource"}
	}
	if o, err = o.withDefaults(); err != nil {
		return nil, err
	}
	p := &Pool[T]{
		backend: b, opts: o, hooks: hooks,
		do: choresOf(b), on: newListeners(hooks), log: o.Logger, start: time.Now(),
	}
	p.strategy.Store(&s)
	p.do.reset = p.do.reset && !o.NoReset
	p.self = weak.Make(p)
	p.dropped = dropped[T]
	p.hints = newHints[T]()
	p.gate.Store(attended)
	p.look = stateMask // never zero in the word of a lease
	p.life, p.end = context.WithCancelCause(context.Background())
	p.first = newGate()
	p.live.zero = make(chan struct{})
	if o.Dropped != IgnoreDropped {
		p.bubble = inBubble()
	}
	if p.seating, err = s.Start(host[T]{p}); err != nil {
		return nil, err
	}
	limits := p.seating.Limits()
	p.limits.Store(&limits)
	p.shares = limits.Sharing
	if keep := limits.kept(); keep != Unlimited && o.MinIdle > keep {
		return nil, &OptionError{Field: "MinIdle", Value: o.MinIdle,
			Remedy: fmt.Sprintf("give %d at most, which is what the strategy keeps (a Queue with Linger keeps also overflow)", keep)}
	}
	p.turns = newTurns(o, o.opensAtOnce(limits), func(o *turn) { go p.open(o) }, p.now)
	if o.OpenTimeout == Inline {
		p.vacant, _ = p.seating.(Vacancies)
	} else {
		p.opens = newAlarm(plus(o.OpenTimeout, grace))
	}
	p.pings, p.resets, p.closes = newAlarm(o.PingTimeout), newAlarm(o.ResetTimeout), newAlarm(o.CloseTimeout)
	if p.shares != Exclusive {
		p.sharer = p.seating.(Sharer)
	}
	if c, ok := b.(LimitChecker); ok {
		if err := c.CheckLimits(s.Kind(), limits); err != nil {
			return nil, err
		}
	}
	if c, ok := b.(Checker[T]); ok {
		p.checker, p.checks = c, c.Checks()
	}
	p.plainOut = p.log == nil && !o.Ping && !o.Stacks && p.checks == NoCheck && len(p.on[onCheckout]) == 0
	p.plainClean = p.log == nil && o.PingAfter == 0 && len(p.on[onReset]) == 0 && len(p.on[onCheckin]) == 0
	p.plainIn = p.plainClean && !p.do.reset
	if p.quickJoint = p.sharesQuickly(); p.quickJoint {
		p.gate.Store(0)
	}
	p.quickOut = p.plainOut && (p.sharer == nil || p.quickJoint && p.shares == Common)
	if p.plainClean && (p.sharer == nil || p.quickJoint) {
		p.lookClean = p.look
	}
	if !p.plainIn || p.sharer != nil && !p.quickJoint {
		p.look = 0
	}
	p.forgetAtCollection()
	p.upkeep.init(p)
	return p, nil
}

// Acquire lends a resource. It stands in the strategy's line until one is returned or
// opened, whichever comes first. ctx bounds it all: the wait, the open, the ping and the
// hooks; an open that ctx no longer waits for is finished for the next acquirer. The lease
// must be ended, best by defer lease.Release(). Only an open that is Inline is not bounded by ctx.
//
// The error is an *AcquireError, or an *AttemptsError when every resource tried was
// dead, or the error of a checkout hook. An idle resource costs no allocation.
func (p *Pool[T]) Acquire(ctx context.Context) (Lease[T], error) { return p.take(ctx, Wait) }

// take is Acquire, TryAcquire and AcquireWhileMoving. First the fast way; selfservice.go says why it is right.
func (p *Pool[T]) take(ctx context.Context, m Mode) (Lease[T], error) {
	at := p.hints.index()
	if g := p.gate.Load(); g&attended == 0 && p.quickOut && ctx.Err() == nil {
		if h := p.hints.table[at].Load(); h != nil && h.fit.Load() == g {
			w := h.word.v.Load()
			if w&stateMask == uint64(free) && h.word.v.CompareAndSwap(w, w+freeToLeased) {
				l := Lease[T]{hold: h, guard: h.guard, word: w + freeToLeased}
				h.guard = nil
				if l.guard != nil && p.gate.Load() == g {
					return l, nil
				}
				if p.secondLook(&l, g) {
					return l, nil
				}
			}
		}
	}
	return p.acquire(ctx, m, at)
}

// TryAcquire is Acquire that never stands in line for a seat which others hold: if there is
// neither an idle resource nor a free seat to open one in, it fails at once with an error
// that satisfies errors.Is for ErrExhausted.
func (p *Pool[T]) TryAcquire(ctx context.Context) (Lease[T], error) { return p.take(ctx, NoWait) }

// AcquireWhileMoving is Acquire that stands in line only while others are served: once nobody has been for a hundredth
// of a second, or after a tenth in all, give or take a hundredth, it fails as TryAcquire does; not while a resource is being
// opened for it. It is for who keeps others from something while it waits, such as a lock, that a holder may need to get on: so
// neither waits for the other for long. (In a bubble of testing/synctest whoever waits for a lock stops the clock, and with it
// the end of this wait.) It has no timer of its own. A strategy that does not know it, as Singleton and Static, and any in which
// nobody waits, makes it a TryAcquire.
func (p *Pool[T]) AcquireWhileMoving(ctx context.Context) (Lease[T], error) {
	return p.take(ctx, WhileMoving)
}

// AcquireUnique is Acquire of a resource that is shared with nobody, also where the
// strategy shares one among the holders of a goroutine or scope.
func (p *Pool[T]) AcquireUnique(ctx context.Context) (Lease[T], error) {
	return p.acquire(ctx, Unique, p.hints.index())
}

// acquire is Acquire where there is no free seat at hand, or something has to be done to
// lend one; at is the caller's hint. Like all that stands on the stack of a goroutine that waits, its frame is small.
func (p *Pool[T]) acquire(ctx context.Context, m Mode, at uintptr) (Lease[T], error) {
	if !p.quickOut || p.sharer != nil {
		return p.acquireChecked(ctx, m, at)
	}
	g, err := p.grant(ctx, m, at)
	if err != nil {
		return Lease[T]{}, p.refusal(ctx, err, g.Waited)
	}
	// The gate is read again after the lease is made: then either this sees that the
	// pool was closed, or Close sees the lease.
	if h := p.seats.at(g.Seat).own.Load(); h.fit.Load() == epochOf(p.gate.Load()) {
		if l := h.lease(); h.fit.Load() == epochOf(p.gate.Load()) || p.retake(l) {
			p.hints.note(at, h, p.gate.Load())
			p.stirred()
			return l, nil
		}
		return p.acquire(ctx, m, at)
	}
	return p.checkout(ctx, g, m, 0)
}

// acquireChecked is acquire for a pool that has something to look at or to share.
func (p *Pool[T]) acquireChecked(ctx context.Context, m Mode, at uintptr) (Lease[T], error) {
	var known uint64
	if p.quickJoint {
		if l, ok := p.joinQuickly(ctx, m, at); ok {
			return l, nil
		}
	} else if p.opts.Ping || p.checks != NoCheck {
		known = p.nextID.Load()
	}
	g, err := p.grant(ctx, m, at)
	if err != nil {
		return Lease[T]{}, p.refusal(ctx, err, g.Waited)
	}
	l, err := p.checkout(ctx, g, m, known)
	if err == nil {
		if p.quickJoint {
			p.remember(ctx, l.hold, at)
		}
		p.stirred()
	}
	return l, err
}

// grant gets a seat from self-service or the strategy.
func (p *Pool[T]) grant(ctx context.Context, m Mode, at uintptr) (Grant, error) {
	if ctx.Err() != nil {
		return Grant{}, context.Cause(ctx)
	}
	p.stirred()
	if p.gate.Load()&attended == 0 && p.sharer == nil {
		if h := p.find(checking, at); h != nil {
			return Grant{Seat: h.rec.seat}, nil
		}
	}
	if p.bubble {
		p.takeBackDropped()
	}
	if p.vacant != nil {
		if g, done, err := p.openHere(ctx); done {
			return g, err
		}
	}
	return p.seating.Acquire(ctx, m)
}

// refusal says why there is no seat, after how long in line.
//
//go:noinline
func (p *Pool[T]) refusal(ctx context.Context, err error, waited time.Duration) error {
	e := &AcquireError{Pool: p.opts.Name, Err: err, Waited: waited, Limits: *p.limits.Load(), Stuck: int(p.counts.stuck.Load())}
	if r, ok := err.(*Refusal); ok {
		e.Err, e.Load = r.Err, r.Load
		e.standFor(r.CtxErr)
	} else {
		e.Load = p.seating.Load()
		e.standFor(endedBy(ctx, err))
	}
	if open := p.lastOpen.Load(); open != nil && !errors.Is(e.Err, open) {
		e.LastOpen = open.Err
	}
	return e
}

func (p *Pool[T]) refusedWhileChecking(ctx context.Context) error {
	e := p.refusal(ctx, context.Cause(ctx), 0).(*AcquireError)
	e.Checking = true
	return e
}

// Do lends a resource to f and gives it back whatever f does: it cannot be leaked. An error
// from f that Backend.Classify takes for Dead or AllDead discards the resource, and so does
// a panic or runtime.Goexit in f, which goes on. The result is f's error, or Acquire's.
func (p *Pool[T]) Do(ctx context.Context, f func(ctx context.Context, res T) error) (err error) {
	l, err := p.Acquire(ctx)
	if err != nil {
		return err
	}
	finished := false
	defer func() {
		if !finished {
			_ = l.Discard(errUnfinished)
			return
		}
		if fault := p.classify(err); fault != Sound {
			l.fail(fault, err)
			return
		}
		_ = l.Release()
	}()
	res, err := l.Get()
	if err == nil { // else another holder discarded the resource at this moment
		err = f(ctx, res)
	}
	finished = true
	return err
}

var errUnfinished = errors.New("pool: the function given to Do panicked or called runtime.Goexit")

// classify asks the backend what an error means.
func (p *Pool[T]) classify(err error) (f Fault) {
	switch {
	case err == nil:
		return Sound
	case errors.Is(err, ErrInvalidatePool):
		return AllDead
	case errors.Is(err, ErrDisconnected):
		return Dead
	case !p.do.classify:
		return Sound
	}
	if isolate("Backend.Classify", func() error { f = p.backend.Classify(err); return nil }) != nil {
		return Dead // who cannot say what an error means has something unknown in hand
	}
	if f == Full {
		return Sound
	}
	return f
}

// full asks the backend whether an open failed for want of room.
func (p *Pool[T]) full(err error) bool {
	f := Sound
	return p.do.classify &&
		isolate("Backend.Classify", func() error { f = p.backend.Classify(err); return nil }) == nil && f == Full
}

// Name is Options.Name.
func (p *Pool[T]) Name() string { return p.opts.Name }

// Limits are the numbers that the strategy keeps to.
func (p *Pool[T]) Limits() Limits { return *p.limits.Load() }

// Strategy is what New was given, or the last Resize.
func (p *Pool[T]) Strategy() Strategy { return *p.strategy.Load() }

// Recreate makes a new pool with the backend, strategy, options and hooks of this one. It
// opens nothing and leaves this pool as it is.
func (p *Pool[T]) Recreate() (*Pool[T], error) {
	p.logInfo("pool recreating", nil)
	return New(p.backend, p.Strategy(), p.opts, p.hooks...)
}

// String is one line on what the pool is and does.
func (p *Pool[T]) String() string { return p.Stats().String() }

// now is the time on the pool's clock.
func (p *Pool[T]) now() time.Duration { return time.Since(p.start) }

// host is the pool's face to its seating.
type host[T any] struct{ *Pool[T] }

// event describes a resource to the hooks.
func (p *Pool[T]) event(r *record[T], h *hold[T]) Event[T] {
	e := Event[T]{Pool: p.opts.Name, rec: r, hold: h}
	if r != nil {
		e.Seat = r.seat
	}
	if h != nil {
		e.Open, e.Resource, e.ID, e.Age = true, h.value, h.id, p.now()-h.openedAt
	}
	return e
}
